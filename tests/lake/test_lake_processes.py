"""Several processes on one lake, and processes that are killed."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from passersby.lake.lake import Lake
from passersby.lake.write import LEASE_S
from passersby.model.period import DAY
from passersby.store.database import Database
from passersby.store.tables import Delivery, Supplier

_SCRIPT = Path(__file__).parent / "lake_writers.py"
DAY_0 = 20_600
NOW = (DAY_0 + 5) * DAY


@pytest.fixture
def lake(database: Database, tmp_path: Path) -> Lake:
    with database.write() as session:
        session.add(Supplier(id="s", contract="{}", contract_sha256="", created=0, suspended=None))
        session.flush()
        session.add(
            Delivery(
                supplier=1,
                sha256="",
                files="[]",
                report="{}",
                created=NOW,
                raw_until=NOW + DAY,
                derived_until=NOW + DAY,
            )
        )
    return Lake(tmp_path / "lake", database, buckets=1, offset=0)


@contextlib.contextmanager
def _process(lake: Lake, *what: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(_SCRIPT), lake.database.url, str(lake.root), str(NOW), *what]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _killed(lake: Lake, what: str) -> None:
    """Run a process until it says that it is ready, then kill it."""
    with _process(lake, what) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL


def _seen(lake: Lake) -> set[Path]:
    with lake.snapshot(NOW) as snapshot:
        files = snapshot.files("pings")
    assert all(pq.read_table(file.path).num_rows == file.rows for file in files)
    return {file.path for file in files}


def _disk(lake: Lake) -> set[Path]:
    return {path for path in lake.root.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_two_processes_write_at_once(lake: Lake) -> None:
    """Every commit gets a number of its own, and every file is there."""
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(_process(lake, "many", "12")) for _ in range(2)]
        numbers = [int(line) for process in processes for line in process.communicate()[0].split()]
    assert sorted(numbers) == list(range(1, 25))
    assert len(_seen(lake)) == 24
    assert lake.sweep(NOW) == []
    assert _disk(lake) == _seen(lake)


@pytest.mark.slow
def test_two_processes_derive_the_same_day_at_once(lake: Lake) -> None:
    """Who comes second looks again: presence is there once."""
    with _process(lake, "many", "1") as process:
        process.communicate()
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(_process(lake, "derive")) for _ in range(3)]
        written = [int(process.communicate()[0]) for process in processes]
        assert [process.returncode for process in processes] == [0, 0, 0]
    assert sum(written) >= 1
    with lake.snapshot(NOW) as snapshot:
        assert len(snapshot.files("presence")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("what", ["write", "commit"])
def test_a_killed_ingest_leaves_nothing_visible_and_is_swept(lake: Lake, what: str) -> None:
    with _process(lake, "many", "1") as process:
        process.communicate()
    _killed(lake, what)
    assert len(_seen(lake)) == 1
    assert len(_disk(lake)) == 2
    assert lake.sweep(NOW + LEASE_S - 1) == []
    assert lake.sweep(NOW + LEASE_S) == ["removed 1 file of an ingest that did not finish"]
    assert _disk(lake) == _seen(lake)


@pytest.mark.slow
def test_a_process_killed_after_its_commit_has_committed(lake: Lake) -> None:
    with _process(lake, "many", "2") as process:
        process.communicate()
    with lake.snapshot(NOW) as snapshot:
        _killed(lake, "replace")
        assert lake.sweep(NOW) == []
        assert len(snapshot.files("pings")) == 2
        assert all(file.path.exists() for file in snapshot.files("pings"))
    assert len(_seen(lake)) == 1
    assert lake.sweep(NOW) == ["deleted 2 files that no reader sees any more"]
    assert _disk(lake) == _seen(lake)
