"""Rows that are taken out of files: gone from the disk, everything else as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from passersby.errors import IntegrityError
from passersby.lake import purge


def rewrite(
    world: Any, keep: purge.Keep, *, commit: bool = True, by: list[str] | None = None
) -> purge.Rewritten:
    with world.lake.begin("purge", {}, now=world.now) as work:
        done = purge.rewrite(work, world.files(), keep, by=by)
        if commit:
            with world.lake.database.write() as session:
                work.commit(session, replaces=done.replaces, now=world.now)
    return done


def without(device: int) -> purge.Keep:
    return lambda rows: rows["device"].to_numpy() != device


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passersby.lake.files.ROW_GROUP", 7)


@pytest.mark.usefixtures("small_groups")
def test_rows_go_from_memory_and_disk_and_the_rest_stays_in_order(sqlite_world: Any) -> None:
    world = sqlite_world
    world.ingest([(world.day, 0), (world.day, 1), (world.day + 1, 1)], until=world.now + 99)
    before = {(f.day, f.bucket): (f.path, pq.read_table(f.path)) for f in world.files()}
    victim = before[world.day, 1][1]["device"][-1].as_py()
    done = rewrite(world, without(victim))
    after = {(f.day, f.bucket): f for f in world.files()}
    assert set(after) == set(before)
    lost = 0
    for part, (path, rows) in before.items():
        expected = rows.filter(pc.not_equal(rows["device"], victim))
        lost += rows.num_rows - expected.num_rows
        assert pq.read_table(after[part].path).equals(expected)
        assert (after[part].path == path) == (expected.num_rows == rows.num_rows)
        assert (after[part].sources, after[part].until) == ((1,), world.now + 99)
    assert done.rows == lost > 0
    world.lake.sweep(world.now)
    assert world.on_disk() == world.listed()
    for path in world.lake.root.rglob("*.parquet"):
        assert victim not in pq.read_table(path)["device"].to_pylist()


@pytest.mark.usefixtures("small_groups")
@pytest.mark.parametrize("stays", [[0], [6], [7], [19], [0, 19], list(range(7)), list(range(7, 20)), []])
@pytest.mark.parametrize("by", [None, ["device", "t", "cell"], ["cell", "t"]])
def test_any_rows_may_go_wherever_they_lie(sqlite_world: Any, stays: list[int], by: list[str] | None) -> None:
    world = sqlite_world
    world.ingest([(world.day, 0)])
    rows = pq.read_table(world.files()[0].path)
    seen = rows.select(by or rows.column_names)
    marks = {tuple(seen.slice(i, 1).to_pylist()[0].values()) for i in stays}

    def keep(table: pa.Table) -> np.ndarray[Any, np.dtype[np.bool_]]:
        assert table.column_names == seen.column_names
        return np.array([tuple(row.values()) in marks for row in table.to_pylist()], dtype=np.bool_)

    done = rewrite(world, keep, by=by)
    assert done.rows == 20 - len(stays)
    left = [pq.read_table(file.path) for file in world.files()]
    assert [table.to_pylist() for table in left] == ([rows.take(stays).to_pylist()] if stays else [])


def test_nothing_to_lose_changes_nothing(sqlite_world: Any) -> None:
    world = sqlite_world
    world.ingest([(world.day, 0)])
    before = world.listed()
    assert rewrite(world, without(10**9)) == purge.Rewritten()
    assert world.listed() == before


def test_what_is_not_committed_is_undone(sqlite_world: Any) -> None:
    world = sqlite_world
    world.ingest([(world.day, 0)])
    before = world.listed()
    victim = pq.read_table(world.files()[0].path)["device"][0].as_py()
    assert rewrite(world, without(victim), commit=False).rows
    assert world.listed() == world.on_disk() == before


def test_a_damaged_file_is_named_as_such(sqlite_world: Any) -> None:
    world = sqlite_world
    world.ingest([(world.day, 0)])
    world.files()[0].path.write_bytes(b"no Parquet")
    with pytest.raises(IntegrityError, match="cannot be read"):
        rewrite(world, without(1))
