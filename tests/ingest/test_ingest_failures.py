"""Full disks and killed processes: a delivery is there whole or not at all, and the next run repairs."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import random
import runpy
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from passersby.errors import DiskFull, OperationError
from passersby.ingest.report import about
from passersby.lake import durable
from passersby.model.schema import TABLES

T = 1_779_000_000
NOW = 1_780_000_000
LATER = NOW + 100_000  # every lease of NOW has lapsed
CHILD = Path(__file__).parent / "child.py"


def write(path: Path, rows: int) -> Path:
    lines = [f"device-{i % 997},{T + i},{47 + i * i % 99_991 / 1e5},8,10\n" for i in range(rows)]
    path.write_text("id,time,latitude,longitude,accuracy\n" + "".join(lines))
    return path


def assert_nothing_is_stored(deployed: Any) -> None:
    assert deployed.pings().is_empty()
    assert not any("delivery.stored" in entry for entry in deployed.log())


def assert_all_is_stored_once(deployed: Any, rows: int) -> None:
    pings = deployed.pings()
    assert len(pings) == rows
    assert pings.select("device", "t").is_unique().all()
    hours = pings.select("device", (pl.col("t") // 3600 * 3600).alias("hour")).unique()
    assert (
        deployed.presence()
        .select("device", "hour")
        .sort("device", "hour")
        .equals(hours.sort("device", "hour"))
    )
    assert sum("delivery.stored" in entry for entry in deployed.log()) == 1
    assert deployed.lake.damage(deep=True) == []
    manifest = {file.path for table in TABLES for file in visible(deployed, table)}
    assert set((deployed.root / "lake").rglob("*.parquet")) == manifest
    assert not list((deployed.root / "lake").rglob("*.arrow"))


def visible(deployed: Any, table: str) -> list[Any]:
    with deployed.lake.snapshot(LATER) as snapshot:
        return list(snapshot.files(table))


class Full:
    """A disk with room for so many bytes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        opened, written = pa.OSFile, durable.Sink.write

        class File:
            def __init__(self, path: str) -> None:
                self._file = Path(path).open("wb")  # noqa: SIM115  (closed by the product)
                self.closed = False

            def write(_self, data: bytes) -> int:  # noqa: N805  (the disk is self)
                self.take(len(data))
                return _self._file.write(data)

            def close(self) -> None:
                self._file.close()
                self.closed = True

            def flush(self) -> None:
                self._file.flush()

        def sink(file: durable.Sink, data: bytes) -> int:
            self.take(len(data))
            return written(file, data)

        monkeypatch.setattr(
            pa, "OSFile", lambda path, mode="rb": File(path) if mode == "wb" else opened(path)
        )
        monkeypatch.setattr(durable.Sink, "write", sink)

    def take(self, size: int) -> None:
        self.room -= size
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "room",
    [
        0,
        45_000,
        *(pytest.param(room, marks=pytest.mark.slow) for room in (9_000, 27_000, 60_000, 75_000, 81_000)),
    ],
)
def test_a_disk_that_fills_up_anywhere(
    deployed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    deployed.supplier()
    path = write(tmp_path / "a.csv", 3000)
    with monkeypatch.context() as patch:
        Full(patch, room)
        with pytest.raises(DiskFull) as caught:
            deployed.take(path)
    assert not list((deployed.root / "lake" / "staging").iterdir())
    if "Delivery 1 is stored" in str(caught.value):
        assert deployed.presence().is_empty()
        assert deployed.take(path).known
    else:
        assert_nothing_is_stored(deployed)
        assert deployed.take(path).stored == 3000
    assert_all_is_stored_once(deployed, 3000)


def test_a_disk_that_is_full_when_days_are_derived(
    deployed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.supplier()
    path = write(tmp_path / "a.csv", 300)

    def full(*_: object, **__: object) -> None:
        raise DiskFull("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr("passersby.ingest.pipeline.derive_days", full)
        with pytest.raises(DiskFull, match="Delivery 1 is stored, but"):
            deployed.take(path)
    assert len(deployed.pings()) == 300
    assert deployed.presence().is_empty()
    again = deployed.take(path)
    assert again.known
    assert again.repaired == ("derived 1 day of a delivery that was stored but not derived",)
    assert_all_is_stored_once(deployed, 300)


def test_a_lapsed_lease_stores_nothing(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    path = write(tmp_path / "a.csv", 300)
    swept: list[str] = []

    def sweep(*_: int) -> None:
        swept.extend(deployed.lake.sweep(LATER))

    with pytest.raises(OperationError):
        deployed.take(path, progress=sweep)
    assert any("an ingest" in line for line in swept)
    assert_nothing_is_stored(deployed)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a memory disk of so many megabytes; a larger number makes it larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = False

    def mount(megabytes: int) -> Path:
        nonlocal mounted
        again = ["-o", "remount"] if mounted else []
        command = ["mount", "-t", "tmpfs", *again, "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(folder)]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("this account cannot mount a tmpfs")
        mounted = True
        return folder

    yield mount
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounting needs root on Linux")
def test_a_real_disk_that_is_too_small(
    deploy: Callable[..., Any], tmp_path: Path, small_disk: Callable[[int], Path]
) -> None:
    base, path, failures = deploy(), write(tmp_path / "a.csv", 600_000), 0
    base.supplier()
    base.database.dispose()
    for megabytes in range(1, 60):
        root = small_disk(megabytes) / "deployment"
        deployed = base.copied(root)
        try:
            deployed.take(path)
        except OperationError as error:
            small_disk(200)
            failures += 1
            if "Delivery 1 is stored" not in str(error):
                assert_nothing_is_stored(deployed)
            deployed.take(path, now=LATER)
            assert_all_is_stored_once(deployed, 600_000)
        else:
            break
        finally:
            deployed.database.dispose()
            shutil.rmtree(root)
    assert failures >= 3


@pytest.fixture(scope="module")
def server() -> Any:
    """A process with everything imported, which forks children at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["passersby.ingest.pipeline"])
    return context


def start(server: Any, root: Path, path: Path) -> Any:
    arguments = {"ARGUMENTS": [str(root), "acme", str(NOW), str(path)]}
    # run_path can be named in any process, a function of a test module cannot
    child = server.Process(target=runpy.run_path, args=(str(CHILD), arguments, "__main__"))
    child.start()
    return child


@pytest.mark.slow
def test_a_process_that_is_killed_anywhere(deploy: Callable[..., Any], tmp_path: Path, server: Any) -> None:
    rows = 20_000
    base, path = deploy(), write(tmp_path / "a.csv", rows)
    base.supplier()
    base.database.dispose()
    for name in ("first", "second"):  # the server itself starts with the first one
        rehearsal = base.copied(tmp_path / name)
        begun = time.monotonic()
        child = start(server, rehearsal.root, path)
        child.join()
        whole = time.monotonic() - begun
        assert child.exitcode == 0
        assert json.loads((rehearsal.root / "report.json").read_text())["stored"] == about(rows)
    chance = random.Random(7)
    outcomes = []
    for number in range(60):
        delay = chance.uniform(0, 0.95 * whole)
        outcomes.append(_killed(base.copied(tmp_path / f"run-{number}"), server, path, delay, rows))
    # kills before, during and after the delivery must all have been met
    assert {"nothing", "begun"} <= set(outcomes)
    assert len(outcomes) >= 50


def _killed(deployed: Any, server: Any, path: Path, delay: float, rows: int) -> str:
    """Kill an ingest after `delay` s, check what is visible, run it again, check that all is there."""
    child = start(server, deployed.root, path)
    time.sleep(delay)
    child.kill()  # SIGKILL
    child.join()
    before = deployed.pings()
    assert len(before) in {0, rows}
    staged = deployed.root / "lake" / "staging"
    begun = staged.exists() and any(staged.iterdir())
    derived = not deployed.presence().is_empty()
    report = deployed.take(path, now=LATER)
    if len(before):
        assert report.known
        assert bool(report.repaired) or derived
    else:
        assert report.stored == rows
    if begun:
        assert any("did not finish" in line for line in report.repaired)
    assert_all_is_stored_once(deployed, rows)
    shutil.rmtree(deployed.root)
    return "stored" if len(before) else "begun" if begun else "nothing"


@pytest.mark.slow
def test_two_processes_at_once(deploy: Callable[..., Any], tmp_path: Path, server: Any) -> None:
    base = deploy()
    base.supplier()
    base.database.dispose()
    path = write(tmp_path / "a.csv", 5000)
    children = [start(server, base.root, path) for _ in range(3)]
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert_all_is_stored_once(base, 5000)
