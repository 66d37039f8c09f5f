"""What is written to the lake: layout, order, privacy of the files, whole or absent."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from passersby.errors import Busy, DiskFull, IntegrityError, OperationError
from passersby.lake import durable, files, write
from passersby.lake.files import FileWriter
from passersby.lake.lake import Lake
from passersby.model.period import DAY
from passersby.store.tables import Intent


def test_what_is_committed_can_be_read_back(world: Any) -> None:
    table = world.pings(world.day, 2)
    with world.lake.begin("ingest", {"delivery": 7}, now=world.now) as work:
        work.write("pings", world.day, 2, table, sources=[7, 7, 3], until=world.now + 9)
        assert world.files() == []
        with world.lake.database.write() as session:
            number = work.commit(session, now=world.now)
    (file,) = world.files()
    assert (file.day, file.bucket, file.rows, file.sources, file.until) == (
        world.day,
        2,
        20,
        (3, 7),
        world.now + 9,
    )
    assert number == 1
    assert file.path.is_absolute()
    assert pq.read_table(file.path).equals(table)
    assert world.lake.damage(deep=True) == []


def test_numbers_grow_by_one_for_each_commit(sqlite_world: Any) -> None:
    world = sqlite_world
    assert [
        world.ingest([(world.day, 0), (world.day, 1)]),
        world.ingest([]),
        world.ingest([(world.day, 0)]),
    ] == [
        1,
        2,
        3,
    ]


def test_files_are_chosen_by_table_day_and_bucket(sqlite_world: Any) -> None:
    world = sqlite_world
    world.ingest([(world.day + d, b) for d in (1, 0) for b in (3, 1)])
    assert [(f.day - world.day, f.bucket) for f in world.files()] == [(0, 1), (0, 3), (1, 1), (1, 3)]
    assert [f.bucket for f in world.files(days=[world.day])] == [1, 3]
    assert [f.day - world.day for f in world.files(bucket=3)] == [0, 1]
    assert world.files("presence") == []
    assert world.files(days=[]) == []


def test_a_file_may_come_in_pieces_of_any_size(sqlite_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = sqlite_world
    monkeypatch.setattr(files, "ROW_GROUP", 70)
    table = world.pings(world.day, 1, rows=500)
    with world.lake.begin("ingest", {}, now=world.now) as work:
        with work.writer("pings", world.day, 1, sources=[1], until=world.now + 1) as file:
            for start, rows in ((0, 3), (3, 200), (203, 0), (203, 297)):
                file.append(table.slice(start, rows))
        with world.lake.database.write() as session:
            work.commit(session, now=world.now)
    (stored,) = world.files()
    parquet = pq.ParquetFile(stored.path)
    assert parquet.read().equals(table)
    assert max(parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)) == 70


def test_pieces_that_do_not_follow_each_other_are_refused(sqlite_world: Any) -> None:
    world = sqlite_world
    table = world.pings(world.day, 1, rows=50)
    with world.lake.begin("ingest", {}, now=world.now) as work:
        writer = work.writer("pings", world.day, 1, sources=[1], until=world.now + 1)
        with pytest.raises(IntegrityError, match="not sorted"):
            _append(writer, table.slice(25), table.slice(0, 25))
        assert work.rows == 0
    assert world.on_disk() == set()


def _append(writer: FileWriter, *tables: pa.Table) -> None:
    with writer as file:
        for table in tables:
            file.append(table)


def _roll_back(world: Any, work: write.Work) -> None:
    """Commit in a transaction that fails afterwards."""

    def fail() -> None:
        with world.lake.database.write() as session:
            work.commit(session, now=world.now)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()


def test_a_rolled_back_transaction_shows_nothing_and_can_be_tried_again(world: Any) -> None:
    with world.lake.begin("ingest", {}, now=world.now) as work:
        work.write("pings", world.day, 0, world.pings(world.day, 0), sources=[1], until=world.now + 1)
        _roll_back(world, work)
        assert world.files() == []
        with world.lake.database.write() as session:
            assert work.commit(session, now=world.now) == 1
    assert len(world.files()) == len(world.on_disk()) == 1


def test_what_is_not_committed_leaves_nothing(sqlite_world: Any) -> None:
    world = sqlite_world
    with world.lake.begin("ingest", {}, now=world.now) as work:
        work.write("pings", world.day, 0, world.pings(world.day, 0), sources=[1], until=world.now + 1)
        _roll_back(world, work)
    assert world.on_disk() == set()
    with world.lake.database.read() as session:
        assert session.scalars(select(Intent)).all() == []
    work.abandon()


def test_an_error_after_the_commit_keeps_what_was_committed(sqlite_world: Any) -> None:
    world = sqlite_world

    def fail() -> None:
        with world.lake.begin("ingest", {}, now=world.now) as work:
            work.write("pings", world.day, 0, world.pings(world.day, 0), sources=[1], until=world.now + 1)
            with world.lake.database.write() as session:
                work.commit(session, now=world.now)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert world.listed() == world.on_disk() != set()


def test_a_lapsed_lease_neither_commits_nor_renews(world: Any) -> None:
    with world.lake.begin("ingest", {}, now=world.now) as work:
        work.write("pings", world.day, 0, world.pings(world.day, 0), sources=[1], until=world.now + 1)
        late = world.now + write.LEASE_S
        with pytest.raises(OperationError, match="lapsed"), world.lake.database.write() as session:
            work.commit(session, now=late)
        with pytest.raises(OperationError, match="lapsed"):
            work.renew(late)
        work.renew(late - 1)
        with world.lake.database.write() as session:
            work.commit(session, now=late)
    assert len(world.files()) == 1


def test_a_second_commit_is_refused(sqlite_world: Any) -> None:
    world = sqlite_world
    with world.lake.begin("ingest", {}, now=world.now) as work:
        work.write("pings", world.day, 0, world.pings(world.day, 0), sources=[1], until=world.now + 1)
        with world.lake.database.write() as session:
            work.commit(session, now=world.now)
        with pytest.raises(OperationError), world.lake.database.write() as session:
            work.commit(session, now=world.now)
    assert len(world.files()) == 1


def test_replaced_files_go_and_a_second_replacement_is_refused(world: Any) -> None:
    world.ingest([(world.day, 0), (world.day, 1)])
    old = world.files()[0]
    for expected in (None, Busy):
        with world.lake.begin("purge", {}, now=world.now) as work:
            table = world.pings(world.day, 0, rows=3)
            work.write("pings", world.day, 0, table, sources=[1], until=world.now + 1)
            if expected:
                with pytest.raises(Busy), world.lake.database.write() as session:
                    work.commit(session, replaces=[old.id], now=world.now)
            else:
                with world.lake.database.write() as session:
                    work.commit(session, replaces=[old.id], now=world.now)
    assert [file.rows for file in world.files()] == [3, 20]


def _derive(world: Any, *, sources: list[int], until: int, replaces: tuple[int, ...] = ()) -> None:
    with world.lake.begin("derive", {}, now=world.now) as work:
        work.write("presence", world.day, 1, world.presence(world.day, 1), sources=sources, until=until)
        with world.lake.database.write() as session:
            work.commit(session, replaces=replaces, now=world.now)


def test_a_part_never_has_two_presence_files(world: Any) -> None:
    delivery = world.delivery()
    _derive(world, sources=[delivery], until=world.now + 1)
    with pytest.raises(Busy):
        _derive(world, sources=[delivery], until=world.now + 1)
    (file,) = world.files("presence")
    _derive(world, sources=[delivery], until=world.now + 2, replaces=(file.id,))
    assert [file.until for file in world.files("presence")] == [world.now + 2]


def test_derived_rows_never_outlive_a_source(sqlite_world: Any) -> None:
    world = sqlite_world
    early, late = (world.delivery(derived_until=world.now + days * DAY) for days in (2, 9))
    with pytest.raises(ValueError, match="outlive"):
        _derive(world, sources=[early, late], until=world.now + 2 * DAY + 1)
    with pytest.raises(ValueError, match="not a recorded delivery"):
        _derive(world, sources=[early, 999], until=world.now)
    _derive(world, sources=[early, late], until=world.now + 2 * DAY)
    assert len(world.files("presence")) == 1


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("fails_at", [1, 2, 5, 9, 13, 17, 30])
def test_a_full_disk_leaves_nothing_visible(
    sqlite_world: Any, monkeypatch: pytest.MonkeyPatch, fails_at: int, code: int
) -> None:
    """The disk fills up at the n-th write; the same work passes once there is room."""
    world = sqlite_world
    calls = [0]
    real = durable.Sink.write

    def limited(sink: durable.Sink, data: bytes) -> int:
        calls[0] += 1
        if calls[0] == fails_at:
            raise OSError(code, "full")
        return real(sink, data)

    monkeypatch.setattr(durable.Sink, "write", limited)
    with pytest.raises(DiskFull):
        world.ingest([(world.day, bucket) for bucket in range(4)])
    assert world.on_disk() == set()
    assert world.files() == []
    world.ingest([(world.day, bucket) for bucket in range(4)])
    assert len(world.files()) == 4


@pytest.mark.parametrize("step", ["open", "sync", "rename", "sync_folder"])
def test_a_failing_file_system_leaves_nothing_visible(
    sqlite_world: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    world = sqlite_world
    world.ingest([(world.day, 0)])

    def fail(*_given: Any, **_named: Any) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        if step == "open":
            patch.setattr(os, "open", fail)
        elif step == "rename":
            patch.setattr(Path, "rename", fail)
        else:
            patch.setattr(durable, step, fail)
        with pytest.raises(OperationError, match="Input/output error"):
            world.ingest([(world.day, 1)])
    assert len(world.files()) == 1
    world.lake.sweep(world.now + write.LEASE_S)
    assert world.listed() == world.on_disk()


def test_a_changed_or_missing_file_is_found(sqlite_world: Any) -> None:
    world = sqlite_world
    world.ingest([(world.day, bucket) for bucket in range(3)])
    flipped, longer, gone = (file.path for file in world.files())
    data = bytearray(flipped.read_bytes())
    data[40] ^= 1
    flipped.write_bytes(data)
    longer.write_bytes(longer.read_bytes() + b"x")
    gone.unlink()
    assert world.lake.damage() == sorted(f"pings/{path.name}" for path in (longer, gone))
    assert len(world.lake.damage(deep=True)) == 3


def test_an_intent_records_what_is_being_done(sqlite_world: Any) -> None:
    world = sqlite_world
    with (
        world.lake.begin("ingest", {"delivery": 7}, now=world.now) as work,
        world.lake.database.read() as session,
    ):
        intent = session.get(Intent, work.id)
        assert intent is not None
        assert (intent.kind, json.loads(intent.what)) == ("ingest", {"delivery": 7})


def test_the_lake_says_why_its_folder_cannot_be_made(tmp_path: Path, sqlite_database: Any) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OperationError, match="opening the lake"):
        Lake(tmp_path / "file" / "lake", sqlite_database, buckets=1, offset=0)
