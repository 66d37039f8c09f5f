"""Opening a deployment: what must not have changed, and who is asking."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import worlds
from passersby.deployment.create import create
from passersby.deployment.opened import Deployment
from passersby.errors import IntegrityError, NotADeployment, UsageError
from passersby.policy import impact as impacts
from passersby.policy import templates


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template") / "d"
    return create(root, now=worlds.now(), utc_offset="+02:00").root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template, tmp_path / "d")
    return tmp_path / "d"


@pytest.fixture
def opened(root: Path) -> Iterator[Deployment]:
    with Deployment.open(root) as d:
        yield d


def _replace(root: Path, old: str, new: str) -> None:
    path = root / "passersby.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def _write_entry(d: Deployment) -> None:
    """Do something that is logged."""
    worlds.Asker(d).person(secrets.token_hex(4), "analyst")


def test_opening_repairs_nothing_where_nothing_broke(opened: Deployment) -> None:
    assert opened.repaired == []


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ('"+02:00"', '"+01:00"', "utc_offset"),
        ("buckets = 16", "buckets = 32", "buckets"),
        # weeks in other epochs would have other keys, and so ledger accounts that were never charged
        ("threads = 0", "threads = 0\nepoch_weeks = 13", "epoch_weeks"),
        # what is raised in a file was decided by one person, and leaves no trace
        ("epsilon_cap = 4.0", "epsilon_cap = 4.5", "epsilon_cap"),
        ("threads = 0", "threads = 0\ndelta = 2e-07", "delta"),
    ],
)
def test_what_the_lake_was_laid_out_with_cannot_change(root: Path, old: str, new: str, name: str) -> None:
    _replace(root, old, new)
    with pytest.raises(IntegrityError, match=name) as caught:
        Deployment.open(root)
    assert "Put the old value back" in caught.value.next_step
    _replace(root, new, old)
    Deployment.open(root).close()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_not_used(root: Path, mode: int) -> None:
    (root / "keys" / "kek").chmod(mode)
    with pytest.raises(IntegrityError, match="can be read by other accounts") as caught:
        Deployment.open(root)
    assert "chmod 600" in caught.value.next_step


def test_another_key_does_not_open_it(root: Path) -> None:
    (root / "keys" / "kek").write_bytes(bytes(32))
    with pytest.raises(IntegrityError, match="key"):
        Deployment.open(root)


def test_a_lost_key_is_not_replaced_in_silence(root: Path) -> None:
    (root / "keys" / "kek").unlink()
    with pytest.raises(IntegrityError) as caught:
        Deployment.open(root)
    assert "Put back the key file" in caught.value.next_step


def test_an_old_backup_of_the_database_is_refused_in_words(root: Path, tmp_path: Path) -> None:
    shutil.copyfile(root / "control.db", tmp_path / "backup.db")
    with Deployment.open(root) as d:
        _write_entry(d)
    shutil.copyfile(tmp_path / "backup.db", root / "control.db")
    with pytest.raises(IntegrityError, match="An old backup was restored") as caught:
        Deployment.open(root)
    assert "Restore a newer backup" in caught.value.next_step


def test_an_old_backup_that_went_another_way_is_refused(root: Path, tmp_path: Path) -> None:
    """Restored, changed without the published log in sight, and put beside it again."""
    shutil.copyfile(root / "control.db", tmp_path / "backup.db")
    with Deployment.open(root) as d:
        _write_entry(d)
    shutil.move(root / "log", tmp_path / "log")
    shutil.copyfile(tmp_path / "backup.db", root / "control.db")
    with Deployment.open(root) as d:
        for _ in range(3):
            _write_entry(d)
    shutil.rmtree(root / "log")
    shutil.move(tmp_path / "log", root / "log")
    with pytest.raises(IntegrityError):
        Deployment.open(root)


def test_the_log_of_another_deployment_is_refused(root: Path, tmp_path: Path) -> None:
    other = create(tmp_path / "other", now=worlds.now()).root
    shutil.rmtree(root / "log")
    shutil.copytree(other / "log", root / "log")
    with pytest.raises(IntegrityError):
        Deployment.open(root)


@pytest.mark.parametrize("what", ["nothing", "a file", "an empty folder"])
def test_what_is_no_deployment(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x"
    if what == "a file":
        path.write_text("")
    elif what == "an empty folder":
        path.mkdir()
    with pytest.raises(NotADeployment) as caught:
        Deployment.open(path)
    assert f"passersby init {path}" in caught.value.next_step


def test_caps_can_be_lowered(root: Path) -> None:
    _replace(root, "epsilon_cap = 4.0", "epsilon_cap = 2.0")
    _replace(root, "threads = 0", "threads = 0\ndelta = 1e-08")
    with Deployment.open(root) as d:
        assert d.config.epsilon_cap == 2


def test_a_database_that_was_never_set_up(root: Path) -> None:
    (root / "control.db").unlink()
    for extra in ("control.db-wal", "control.db-shm"):
        (root / extra).unlink(missing_ok=True)
    with pytest.raises(NotADeployment, match="belongs to no deployment"):
        Deployment.open(root)


def test_a_lost_log_folder_is_published_again(root: Path) -> None:
    with Deployment.open(root) as d:
        size = d.verify_log().size
    shutil.rmtree(root / "log")
    with Deployment.open(root) as d:
        assert d.verify_log().size == size


def test_the_only_key_says_who_you_are(opened: Deployment) -> None:
    assert opened.actor().id == "custodian"


def test_with_two_keys_it_must_be_said(opened: Deployment) -> None:
    worlds.Asker(opened).person("ben", "analyst")
    with pytest.raises(UsageError) as caught:
        opened.actor()
    assert "--key" in caught.value.next_step
    assert opened.actor(opened.layout.people / "ben.key").id == "ben"


def test_records_are_published_when_they_are_written(opened: Deployment) -> None:
    record = impacts.Impact("d", "n", ("r",), ("m",), "paula", worlds.now() // 86400 + 100)
    worlds.Asker(opened).person("paula", "privacy")
    with opened.writing() as session:
        impacts.draft(session, record, actor=worlds.Asker(opened).actor("custodian"), now=worlds.now())
        impacts.approve(session, record, actor=worlds.Asker(opened).actor("paula"), now=worlds.now())
    report = opened.verify_log()
    assert (report.unpublished, report.size) == (0, 6)
    assert "FILL IN" in templates.impact()
