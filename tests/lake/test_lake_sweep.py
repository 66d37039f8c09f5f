"""Snapshots and their leases, sweeping, deletion dates."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from sqlalchemy import func, select, update

from passersby.errors import Busy, IntegrityError, OperationError
from passersby.lake import snapshots, write
from passersby.model.period import DAY, day_name
from passersby.store.tables import File, Intent, LogEntry, Reader, Sealed
from passersby.trustlog.receipts import reveal


def _logged(world: Any) -> list[dict[str, Any]]:
    with world.lake.database.read() as session:
        return [json.loads(body) for body in session.scalars(select(LogEntry.body).order_by(LogEntry.index))]


def _revealed(world: Any, index: int) -> dict[str, Any]:
    """Return what an entry does not show to everyone."""
    with world.lake.database.read() as session:
        return {field.name: field.value for field in reveal(session, index)}


def _count(world: Any, table: type[Any]) -> int:
    with world.lake.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def _replace(world: Any, bucket: int) -> None:
    """Write a part again, one row shorter."""
    old = world.files(bucket=bucket)
    with world.lake.begin("purge", {}, now=world.now) as work:
        table = world.pings(world.day, bucket, rows=old[0].rows - 1)
        work.write("pings", world.day, bucket, table, sources=[1], until=world.now + DAY)
        with world.lake.database.write() as session:
            work.commit(session, replaces=[file.id for file in old], now=world.now)


def test_a_reader_sees_the_lake_as_it_was(world: Any) -> None:
    world.ingest([(world.day, 0), (world.day, 1)])
    with world.lake.snapshot(world.now) as early:
        before = early.files("pings")
        _replace(world, 0)
        world.ingest([(world.day, 2)])
        with world.lake.snapshot(world.now) as late:
            assert [file.rows for file in late.files("pings")] == [19, 20, 20]
        assert early.files("pings") == before
        assert world.lake.sweep(world.now) == []
        assert all(file.path.exists() for file in before)
    assert world.lake.sweep(world.now) == ["deleted 1 file that no reader sees any more"]
    assert world.listed() == world.on_disk()
    assert world.lake.sweep(world.now) == []
    assert _logged(world) == []


def test_a_reader_who_came_after_a_change_does_not_hold_it_up(world: Any) -> None:
    world.ingest([(world.day, 0)])
    _replace(world, 0)
    with world.lake.snapshot(world.now):
        assert len(world.lake.sweep(world.now)) == 1
        _replace(world, 0)
        assert world.lake.sweep(world.now) == []


def test_a_lapsed_reader_holds_nothing_up_and_is_told(world: Any) -> None:
    world.ingest([(world.day, 0)])
    with world.lake.snapshot(world.now) as snapshot:
        _replace(world, 0)
        late = world.now + snapshots.LEASE_S
        assert world.lake.sweep(late - 1) == []
        snapshot.renew(late - 1)
        assert world.lake.sweep(late) == []
        later = late - 1 + snapshots.LEASE_S
        assert len(world.lake.sweep(later)) == 1
        with pytest.raises(OperationError, match="lapsed"):
            snapshot.renew(world.now)
    assert _count(world, Reader) == 0


def test_a_lapsed_lease_of_a_reader_is_not_renewed(sqlite_world: Any) -> None:
    """Nothing was swept yet, but a sweep may have begun."""
    world = sqlite_world
    with world.lake.snapshot(world.now) as snapshot:
        with pytest.raises(OperationError, match="lapsed"):
            snapshot.renew(world.now + snapshots.LEASE_S)
        snapshot.renew(world.now + snapshots.LEASE_S - 1)


def test_a_failing_reader_gives_its_lease_back(sqlite_world: Any) -> None:
    with contextlib.suppress(RuntimeError), sqlite_world.lake.snapshot(sqlite_world.now):
        raise RuntimeError
    assert _count(sqlite_world, Reader) == 0


def test_an_interrupted_ingest_is_cleared_and_logged(world: Any) -> None:
    world.ingest([(world.day, 3)])
    work = world.lake.begin("ingest", {}, now=world.now)
    for bucket in (0, 1):
        table = world.pings(world.day, bucket)
        work.write("pings", world.day, bucket, table, sources=[1], until=world.now + DAY)
    lapse = world.now + write.LEASE_S
    assert world.lake.sweep(lapse - 1) == []
    assert len(world.on_disk()) == 3
    said = ["removed 2 files of an ingest that did not finish"]
    assert world.lake.sweep(lapse) == said
    assert world.listed() == world.on_disk()
    assert list((world.lake.root / "staging").iterdir()) == []
    (entry,) = _logged(world)
    assert (entry["kind"], entry["time"]) == ("repair.done", lapse)
    assert entry["what"] == "cleared an ingest that did not finish"  # how many files there were is data
    with pytest.raises(OperationError), world.lake.database.write() as session:
        work.commit(session, now=world.now)
    work.abandon()
    assert world.lake.sweep(lapse) == []


def test_files_that_were_moved_but_never_committed_are_cleared(world: Any) -> None:
    work = world.lake.begin("derive", {}, now=world.now)
    work.write("pings", world.day, 0, world.pings(world.day, 0), sources=[1], until=world.now + DAY)
    work._move()
    assert {path.split("/")[0] for path in world.on_disk()} == {"pings"}
    assert world.lake.sweep(world.now) == []
    assert world.lake.sweep(world.now + write.LEASE_S) == [
        "removed 1 file of a derivation that did not finish"
    ]
    assert world.on_disk() == set()


def test_an_intent_that_wrote_nothing_is_cleared(sqlite_world: Any) -> None:
    world = sqlite_world
    world.lake.begin("purge", {}, now=world.now)
    said = world.lake.sweep(world.now + write.LEASE_S)
    assert said == ["cleared a purge that did not finish and had written nothing"]
    assert _count(world, Intent) == 0


@pytest.mark.parametrize("path", ["pings/2026-05-27-0001-feed-00000.parquet", "staging/feed/x.parquet"])
def test_files_that_no_record_names_are_removed(sqlite_world: Any, path: str) -> None:
    world = sqlite_world
    world.ingest([(world.day, 0)])
    stray = world.lake.root / path
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"PAR1")
    assert world.lake.sweep(world.now) == ["removed 1 file that no record names"]
    assert world.listed() == world.on_disk()
    assert [entry["what"] for entry in _logged(world)] == ["removed files that no record names"]


def test_a_sweep_that_was_killed_is_finished_by_the_next(
    sqlite_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after its files were deleted and before anything was recorded."""
    world = sqlite_world
    world.ingest([(world.day, 0)])
    _replace(world, 0)
    work = world.lake.begin("ingest", {}, now=world.now)
    work.write("pings", world.day, 1, world.pings(world.day, 1), sources=[1], until=world.now + DAY)
    lapse = world.now + write.LEASE_S

    class Killed(BaseException):
        pass

    def kill(*_given: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("passersby.lake.sweep._record", kill)
        with pytest.raises(Killed):
            world.lake.sweep(lapse)
    assert len(world.on_disk()) == 1
    assert world.lake.sweep(lapse) == [
        "cleared an ingest that did not finish and had written nothing",
        "deleted 1 file that no reader sees any more",
    ]
    assert (_count(world, Intent), _count(world, File)) == (0, 1)


def test_a_restored_backup_is_not_swept(world: Any) -> None:
    """The database is older than the published log: what it does not know may be all that is left."""
    world.ingest([(world.day, 0)])
    stray = world.lake.root / "pings" / "2026-05-27-0001-feed-00000.parquet"
    stray.write_bytes(b"PAR1")
    with pytest.raises(IntegrityError, match="restored backup"):
        world.lake.sweep(world.now, published_ahead=True)
    assert stray.exists()


def test_a_file_is_gone_for_readers_once_its_date_has_come(world: Any) -> None:
    world.ingest([(world.day, 0), (world.day + 1, 2)], until=world.now + 100)
    world.ingest([(world.day, 1)], until=world.now + 101)
    assert world.lake.expire(world.now + 99).files == 0
    done = world.lake.expire(world.now + 100)
    assert (done.files, done.days) == (2, (world.day, world.day + 1))
    assert [(file.day, file.bucket) for file in world.files()] == [(world.day, 1)]
    with world.lake.database.read() as session:
        sealed = world.lake.sealed(session, range(world.day, world.day + 9))
        assert world.lake.sealed(session, []) == set()
    assert sealed == {(world.day, 0), (world.day + 1, 2)}
    expired, period = _logged(world)
    assert (expired["kind"], expired["tables"]) == ("files.expired", ["pings"])
    assert period["kind"] == "period.sealed"
    assert [_revealed(world, index) for index in (0, 1)] == [
        {"files": 2},
        {"days": [day_name(world.day), day_name(world.day + 1)]},
    ]
    assert len(world.on_disk()) == 3
    world.lake.sweep(world.now)
    assert world.listed() == world.on_disk()
    assert world.lake.expire(world.now + 100).files == 0


def test_a_part_can_be_sealed_twice(world: Any) -> None:
    world.ingest([(world.day, 0)], until=world.now + 1)
    world.ingest([(world.day, 0)], until=world.now + 2)
    assert [world.lake.expire(world.now + seconds).files for seconds in (1, 2)] == [1, 1]
    assert _count(world, Sealed) == 1


def test_a_sealed_part_takes_no_more_files(world: Any) -> None:
    world.ingest([(world.day, 0)], until=world.now + 1)
    world.ingest([(world.day, 0)], until=world.now + 9)
    world.lake.expire(world.now + 1)
    with pytest.raises(Busy):
        world.ingest([(world.day, 1), (world.day, 0)])
    assert len(world.files()) == 1
    _replace(world, 0)  # what is left may be rewritten without an erased device
    world.ingest([(world.day, 1)])
    assert [file.rows for file in world.files()] == [19, 20]


def test_a_reader_keeps_expired_files_until_it_ends(sqlite_world: Any) -> None:
    world = sqlite_world
    world.ingest([(world.day, 0)], until=world.now + 1)
    with world.lake.snapshot(world.now) as snapshot:
        world.lake.expire(world.now + 1)
        world.lake.sweep(world.now + 1)
        assert [file.path.exists() for file in snapshot.files("pings")] == [True]
    world.lake.sweep(world.now + 1)
    assert world.on_disk() == set()


def test_a_claimed_intent_cannot_come_back(sqlite_world: Any) -> None:
    """A sweep has claimed it: no clock, however early, lets its holder commit."""
    world = sqlite_world
    work = world.lake.begin("ingest", {}, now=world.now)
    with world.lake.database.write() as session:
        session.execute(update(Intent).values(lease_until=0))
    with pytest.raises(OperationError), world.lake.database.write() as session:
        work.commit(session, now=0)
