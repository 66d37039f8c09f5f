"""Making a deployment: what it refuses, what is in it, and that nothing in it is approved beforehand."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

import worlds
from passersby import config as settings
from passersby.config import Config
from passersby.deployment.create import create
from passersby.deployment.opened import Deployment
from passersby.errors import BadRecord, InputError, OperationError, UsageError
from passersby.policy import impact, licence
from passersby.store import tables
from passersby.suppliers import contract, registry

pytestmark = pytest.mark.slow


def _make(root: Path, **given: object) -> Path:
    return create(root, now=worlds.now(), **given).root  # type: ignore[arg-type]  # any argument of create


def test_nothing_is_approved_beforehand(tmp_path: Path) -> None:
    with Deployment.open(_make(tmp_path / "d")) as d:
        with d.database.read() as session:
            people = [(p.id, p.roles) for p in session.scalars(select(tables.Person))]
            assert registry.list_all(session) == []
            assert licence.list_all(session) == []
            assert impact.latest(session) is None
        assert people == [("custodian", '["custodian"]')]
        assert d.sensitive.current() == []
        assert [entry["kind"] for entry in worlds.Asker(d).entries()] == [
            "deployment.created",
            "person.added",
            "review.sampling",
        ]
        assert not d.is_demo


def test_the_files_to_fill_in_cannot_be_used_as_they_are(tmp_path: Path) -> None:
    root = _make(tmp_path / "d")
    for name, parse in (
        ("supplier.toml", contract.parse),
        ("impact.toml", impact.parse),
        ("licence.toml", licence.parse),
    ):
        with pytest.raises(BadRecord, match="not filled in"):
            parse((root / name).read_text())


def test_folders_and_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    root = _make(tmp_path / "d")
    for path in (root, root / "keys", root / "people", root / "lake", root / "spill"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
    for path in (root / "keys" / "kek", root / "people" / "custodian.key", root / "passersby.toml"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_wide_open_empty_folder_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    folder.chmod(0o777)
    _make(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "mine").write_text("kept")
    with pytest.raises(UsageError, match="is not empty"):
        _make(folder)
    assert [path.name for path in folder.iterdir()] == ["mine"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_the_same_folder_twice_is_refused(tmp_path: Path) -> None:
    root = _make(tmp_path / "d")
    before = (root / "control.db").read_bytes()
    with pytest.raises(UsageError, match="is not empty"):
        _make(root)
    assert (root / "control.db").read_bytes() == before


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d").write_text("")
    with pytest.raises(OperationError, match="cannot be made"):
        _make(tmp_path / "d")


@pytest.mark.parametrize("name", ["", "-x", "two words", "a/b", "a+b", 'a"b', "a\nb", "é", "x" * 101])
def test_bad_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="public name"):
        _make(tmp_path / "d", name=name)
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("custodian", ["", "../x", "a b", ".hidden", "x" * 64])
def test_bad_accounts_are_refused_before_anything_is_made(tmp_path: Path, custodian: str) -> None:
    with pytest.raises(UsageError, match="account"):
        _make(tmp_path / "d", custodian=custodian)
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("offset", ["", "2", "+02:07", "+25:00", "Europe/Zurich"])
def test_bad_offsets_are_refused(tmp_path: Path, offset: str) -> None:
    with pytest.raises(UsageError, match="UTC offset"):
        _make(tmp_path / "d", utc_offset=offset)
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("database", ["mysql://x", "sqlite:///:memory:?x", "nonsense", "postgresql://x/y"])
def test_other_databases_are_refused(tmp_path: Path, database: str) -> None:
    with pytest.raises((UsageError, OperationError)):
        _make(tmp_path / "d", database=database)
    assert list((tmp_path / "d").iterdir()) == []
    _make(tmp_path / "d")


@pytest.mark.parametrize("name", ["we ird é", "a[x]*", "a%20b", "it's", "a#b?c"])
def test_any_name_of_a_folder_will_do(tmp_path: Path, name: str) -> None:
    root = _make(tmp_path / name)
    assert (root / "control.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with Deployment.open(root) as d:
        assert all(check.ok for check in d.doctor(deep=False))


def test_all_settings_that_are_given_are_kept(tmp_path: Path) -> None:
    config = Config(
        utc_offset="-04:30", buckets=3, epsilon_cap=2.0, delta=1e-8, minimum_devices=50, finest_resolution=6
    )
    root = _make(tmp_path / "d", name="x.example", utc_offset="-04:30", config=config)
    assert settings.read(root) == Config(**{**vars(config), "name": "x.example"})


def test_settings_out_of_bounds_are_refused(tmp_path: Path) -> None:
    root = _make(tmp_path / "d")
    path = root / "passersby.toml"
    path.write_text(path.read_text().replace("epsilon_cap = 4.0", "epsilon_cap = 40.0"))
    with pytest.raises(BadRecord, match="epsilon_cap"):
        Deployment.open(root)


def test_one_postgresql_database_is_one_deployment(tmp_path: Path, new_postgresql: Callable[[], str]) -> None:
    database = new_postgresql()
    first = _make(tmp_path / "first", database=database)
    with pytest.raises(UsageError, match="belongs to another deployment"):
        _make(tmp_path / "second", database=database)
    assert list((tmp_path / "second").iterdir()) == []
    with Deployment.open(first) as d:
        assert all(check.ok for check in d.doctor(deep=False))


def test_the_demo_mark_is_for_ever(tmp_path: Path) -> None:
    root = _make(tmp_path / "d", demo=True)
    with Deployment.open(root) as d:
        assert d.is_demo
        (first, *_) = worlds.Asker(d).entries()
        assert (first["kind"], first["demo"]) == ("deployment.created", True)
    path = root / "passersby.toml"
    path.write_text(path.read_text() + "\ndemo = false\n")
    with pytest.raises(InputError, match="no setting `demo`"):
        Deployment.open(root)
