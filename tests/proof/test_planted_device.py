"""One known phone is put in; then everything that the software says or writes is searched for it."""

from __future__ import annotations

import inspect
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

import worlds
from passersby.deployment import plans, views
from passersby.deployment.opened import Deployment
from passersby.disclosure import release
from passersby.gate import gate
from proof import planting, saying, saying_holders, saying_suppliers, traces
from proof.planting import ID, Said

APART = {
    ("demo",): "makes a deployment of its own",
    ("init",): "makes a deployment without data",
    ("witness", "serve"): "listens until it is interrupted, and holds heads of logs only",
}
"""Commands that cannot know the phone."""

LAKE = ("lake/pings/", "lake/presence/", "lake/stays/", "lake/trips/")


@dataclass(frozen=True)
class Scene:
    """A deployment that holds the phone, and everything that was said about it."""

    world: worlds.World
    folder: Path
    temporary: Path
    said: Said
    pseudonym: int
    hashed: int


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder, temporary = tmp_path_factory.mktemp("scene"), tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "TICK_S", 0.001)
        patch.setattr(tempfile, "tempdir", str(temporary))
        patch.setenv("TMPDIR", str(temporary))
        patch.chdir(temporary)
        said = Said()
        world = planting.plant(folder, said)
        yield Scene(world, folder, temporary, said, *planting.pseudonyms_of(world))


def _secrets(scene: Scene) -> dict[str, traces.Needles]:
    return {
        "id": traces.of_id(ID),
        "pseudonym": traces.of_number(scene.pseudonym),
        "consent hash": traces.of_number(scene.hashed),
    }


def _no_trace_in_what_was_said(scene: Scene, said: Said) -> None:
    assert said.lines
    for who, text in said.lines:
        for what, needles in _secrets(scene).items():
            assert not traces.in_bytes(text, needles), f"{what} in the output of {who}"


def _no_trace_in_files(scene: Scene, root: Path) -> None:
    secrets = _secrets(scene)
    assert traces.in_files(root, secrets["id"]) == {}
    in_lake = traces.in_files(root, secrets["pseudonym"])
    assert {name for name in in_lake if not name.startswith(LAKE)} == set()
    in_register = traces.in_files(root, secrets["consent hash"])
    assert {name for name in in_register if not name.startswith("consent/")} == set()


@pytest.mark.slow
def test_the_search_finds_the_phone_where_it_must_be(scene: Scene) -> None:
    secrets = _secrets(scene)
    in_lake = traces.in_files(scene.world.root, secrets["pseudonym"])
    assert {name.rsplit("/", 1)[0] for name in in_lake} >= {"lake/pings", "lake/presence", "lake/stays"}
    assert len(in_lake) >= 2 * 5  # two tables, five days
    in_register = traces.in_files(scene.world.root, secrets["consent hash"])
    assert {name.rsplit("/", 1)[0] for name in in_register} == {"consent"}
    assert traces.in_files(scene.folder / "files" / "..", secrets["id"]).keys() >= {"simple.csv", "sovrn.tsv"}


@pytest.mark.slow
def test_nothing_on_disk_but_lake_and_register_knows_the_phone(scene: Scene) -> None:
    _no_trace_in_files(scene, scene.world.root)
    _no_trace_in_what_was_said(scene, scene.said)


@pytest.mark.slow
def test_no_command_says_who_it_is(scene: Scene, tmp_path: Path) -> None:
    world = scene.world.copied(tmp_path / "deployment")
    said, folder = Said(), tmp_path / "out"
    folder.mkdir()
    for name in ("simple.csv", "sovrn.tsv"):
        (folder / name).write_bytes((scene.folder / name).read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(release, "TICK_S", 0.001)
        saying.run_order_commands(world, folder, said)
    saying.run_commands(world, folder, said)
    saying_suppliers.run_commands(world, folder, said)
    good = [words for words, code in said.codes if code == 0]
    saying.run_wrong_commands(world, folder, said)
    saying_holders.run_holder_commands(scene.world.copied(tmp_path / "another"), folder, said)
    known = saying.command_names()
    tried = {words[:n] for words, _ in said.codes for n in (1, 2)}
    assert known - tried - APART.keys() == set(), "a command is not part of this test"
    assert {words[:1] for words in good} >= {("ask",), ("release",), ("log",), ("supplier",), ("ingest",)}
    assert ("order", "disclose", "1") in {words[:3] for words in good}
    assert (folder / "order-1.age").read_bytes() == (folder / "again.age").read_bytes()
    assert not [(words, code) for words, code in said.codes if code in {1, 70}]
    outputs = dict(said.lines)
    assert b'"devices": 41,' in outputs[f"risk {folder / 'many.csv'} --html"]
    assert b"device-hours" in outputs["measures"]
    assert b"device-level-request" in outputs["ask devices --key"]
    _no_trace_in_what_was_said(scene, said)
    _no_trace_in_files(scene, world.root)
    _no_trace_in_files(scene, tmp_path / "another")
    assert traces.in_files(tmp_path / "another", _secrets(scene)["pseudonym"]) == {}, "it was erased"
    files = {
        "receipt.json",
        "erased.json",
        "again.json",
        "order-1.age",
        "rows.csv",
        "rows.parquet",
        "rows.geojson",
        "rows.sdmx.csv",
        "change.csv",
        "map.png",
        *("transparency.json", "transparency.html", "transparency.csv", "records.json", "records.html"),
        "dpia.html",
        "risk.html",
        "released.html",
    }
    assert files <= {path.name for path in folder.iterdir()}
    for what, needles in _secrets(scene).items():
        for name in files:
            assert not traces.in_bytes((folder / name).read_bytes(), needles), f"{what} in {name}"
        assert traces.in_files(scene.temporary, needles) == {}, f"{what} in the temporary folder"


def _functions(module: ModuleType) -> set[str]:
    """Return the names of a module's own public functions."""
    found = inspect.getmembers(module, inspect.isfunction)
    return {name for name, f in found if f.__module__ == module.__name__ and not name.startswith("_")}


@pytest.mark.slow
def test_no_callable_returns_it_and_no_error_tells_it(scene: Scene, tmp_path: Path) -> None:
    world = scene.world.copied(tmp_path / "deployment")
    said, folder = Said(), tmp_path / "out"
    folder.mkdir()
    (folder / "simple.csv").write_bytes((scene.folder / "simple.csv").read_bytes())
    (folder / "places.csv").write_text("lat,lon,name,category\n46.5,8.0,hut,medical\n", encoding="utf-8")
    public = {name for name in vars(Deployment) if not name.startswith("_")}
    assert saying.deployment_calls(folder).keys() == public
    assert saying.view_calls(folder).keys() == _functions(views)
    assert saying.plan_calls().keys() == _functions(plans)
    saying.call_everything(world, folder, said)
    assert len(said.failures) > 20
    _no_trace_in_what_was_said(scene, said)
    _no_trace_in_files(scene, world.root)


def damage_the_lake(world: worlds.World, said: Said) -> None:
    """Ask a lake whose presence was overwritten in the middle of each file, then look at its health."""
    for path in (world.root / "lake" / "presence").glob("*.parquet"):
        data = path.read_bytes()
        third = len(data) // 3
        path.write_bytes(data[:third] + b"\xff" * (len(data) - 2 * third) + data[-third:])
    with world.open() as d:
        said.error("damaged", lambda: d.ask(saying.request(), worlds.analyst(d), now=worlds.now()))
    said.command("doctor", "--deep", "-d", world.root)


@pytest.mark.slow
def test_a_damaged_lake_does_not_say_what_was_in_it(scene: Scene, tmp_path: Path) -> None:
    world, said = scene.world.copied(tmp_path / "deployment"), Said()
    damage_the_lake(world, said)
    assert said.failures == ["damaged"]
    _no_trace_in_what_was_said(scene, said)


@pytest.mark.slow
def test_a_killed_ingest_leaves_nothing_outside_the_lake(scene: Scene, tmp_path: Path) -> None:
    world, said = scene.world.copied(tmp_path / "deployment"), Said()
    left: list[str] = []

    def look() -> None:
        left.extend(traces.in_files(world.root, _secrets(scene)["pseudonym"]))
        assert traces.in_files(world.root, _secrets(scene)["id"]) == {}

    saying.kill_an_ingest(world, tmp_path, said, look)
    assert any(name.startswith("lake/staging/") for name in left), "the control: staging held it"
    assert b"ingest" in dict(said.lines)["repaired"]
    assert not any((world.root / "lake" / "staging").iterdir())
    _no_trace_in_files(scene, world.root)


@pytest.mark.slow
def test_an_open_database_holds_nothing_either(scene: Scene, tmp_path: Path) -> None:
    world = scene.world.copied(tmp_path / "deployment")
    with world.open() as d, d.database.read() as session:
        session.connection()  # while somebody reads, the write-ahead log stays on disk
        d.ask(saying.request(), worlds.analyst(d), now=worlds.now())
        assert (world.root / "control.db-wal").stat().st_size > 0
        _no_trace_in_files(scene, world.root)


def test_all_output_is_captured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with planting.captured() as output:
        print("one")
        print("two", file=sys.stderr)
        os.write(1, b"three")
        os.write(2, b"four")
        logging.getLogger("x").warning("five")
        subprocess.run(["echo", "six"], check=True)
    for word in (b"one", b"two", b"three", b"four", b"five", b"six"):
        assert word in output[0]


@pytest.mark.parametrize("way", sorted(traces.of_id(ID)))
def test_the_search_finds_an_id_in_each_encoding(way: str) -> None:
    needles = traces.of_id(ID)
    assert way in traces.in_bytes(b"some text " + needles[way] + b" and more", needles)
    assert not traces.in_bytes(b"some text and more", needles)


@pytest.mark.parametrize("number", [1_234_567_890_123_456_789, -987_654_321_098_765_432])
def test_the_search_finds_a_number_in_each_encoding(number: int) -> None:
    needles = traces.of_number(number)
    for way, seen in needles.items():
        assert way in traces.in_bytes(b"x" + seen + b"y", needles)
    assert not traces.in_bytes(str(number + 1).encode(), needles)
