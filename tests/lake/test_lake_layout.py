"""How the lake is laid out: encodings, statistics, permissions, and the order that is checked."""

from __future__ import annotations

import stat
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from passersby.errors import IntegrityError
from passersby.lake import layout
from passersby.lake.layout import Checker, Part
from passersby.model.period import DAY
from passersby.model.schema import PINGS, PRESENCE
from passersby.store.tables import File


def test_no_statistics_name_a_device_or_a_place(sqlite_world: Any) -> None:
    sqlite_world.ingest([(sqlite_world.day, 1)])
    group = pq.ParquetFile(sqlite_world.files()[0].path).metadata.row_group(0)
    told = {group.column(i).path_in_schema for i in range(group.num_columns) if group.column(i).is_stats_set}
    assert told == {"t"}


def test_folders_and_files_are_the_owner_s_alone(sqlite_world: Any) -> None:
    sqlite_world.ingest([(sqlite_world.day, 1)])
    paths = [sqlite_world.lake.root, *sqlite_world.lake.root.rglob("*")]
    assert len(paths) == 4  # the lake, pings, staging, one file
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in paths)


def test_names_of_files_tell_day_and_bucket_only(sqlite_world: Any) -> None:
    sqlite_world.ingest([(sqlite_world.day, 1)])
    assert sqlite_world.files()[0].path.name.startswith("2026-05-27-0001-")


def test_a_ping_takes_less_than_eight_and_a_half_bytes(sqlite_world: Any) -> None:
    """Pings of commuters: 2,000 devices, 70 pings a day each, near two places, 10 m of noise."""
    world = sqlite_world
    rng = np.random.default_rng(1)
    devices, each = 2000, 70
    device = np.sort(rng.choice(2**60, devices, replace=False)) * world.buckets
    spots = rng.integers(0, 100_000, (devices, 2))
    t = np.sort(rng.integers(0, DAY, (devices, each)), axis=1)
    spot = np.where(t % DAY < DAY // 2, spots[:, :1], spots[:, 1:]).ravel()
    columns = {
        "device": np.repeat(device, each),
        "t": world.day * DAY - world.offset + t.ravel(),
        "lat_e5": 4_700_000 + spot + rng.normal(0, 10, devices * each),
        "lon_e5": 850_000 + spot * 7 % 99_991 + rng.normal(0, 10, devices * each),
        "cell": 0x8A1F8D5A0007FFF - spot * 2**15 - rng.integers(0, 2, devices * each) * 2**15,
        "accuracy_m": 3 + rng.gamma(2.0, 7, devices * each),
        "supplier": np.full(devices * each, 1),
        "delivery": np.full(devices * each, 1),
    }
    arrays = [pa.array(columns[f.name].astype(f.type.to_pandas_dtype())) for f in PINGS]
    with world.lake.begin("ingest", {}, now=world.now) as work:
        table = pa.table(arrays, schema=PINGS)
        work.write("pings", world.day, 0, table, sources=[1], until=world.now + 1)
        with world.lake.database.write() as session:
            work.commit(session, now=world.now)
            size = session.scalars(select(File.bytes)).one()
    assert size / (devices * each) < 8.5


@pytest.mark.parametrize("buckets", [1, 3, 16, 4096])
def test_buckets_follow_bigint_arithmetic(buckets: int) -> None:
    devices = [-(2**63), -(2**63) + 1, -17, -1, 0, 1, 16, 2**63 - 1]
    bigint = [(abs(d) % buckets) * (-1 if d < 0 else 1) for d in devices]  # SQL: the dividend's sign
    expected = [(m + buckets) % buckets for m in bigint]
    assert layout.bucket_of(np.array(devices), buckets).tolist() == expected


def _swapped(table: pa.Table) -> pa.Table:
    return table.take(pa.array([1, 0, *range(2, len(table))]))


def _distinct(world: Any) -> pa.Table:
    return world.presence(world.day, 1)


BAD: dict[str, Callable[[Any], tuple[str, pa.Table]]] = {
    "two rows swapped": lambda w: ("presence", _swapped(_distinct(w))),
    "a device-hour twice": lambda w: ("presence", pa.concat_tables([_distinct(w).slice(0, 1)] * 2)),
    "the next day": lambda w: ("presence", w.presence(w.day + 1, 1)),
    "the day before": lambda w: ("presence", w.presence(w.day - 1, 1)),
    "one row of the next day": lambda w: ("presence", w.presence(w.day, 1, rows=25)),
    "another bucket": lambda w: ("presence", w.presence(w.day, 2)),
    "pings that are not sorted": lambda w: ("pings", _swapped(w.pings(w.day, 1).sort_by("t"))),
}


@pytest.mark.parametrize("bad", BAD)
def test_rows_that_would_break_the_layout_are_refused(sqlite_world: Any, bad: str) -> None:
    world = sqlite_world
    name, table = BAD[bad](world)
    with world.lake.begin("derive", {}, now=world.now) as work:
        with pytest.raises(IntegrityError):
            work.write(name, world.day, 1, table, sources=[1], until=world.now + 1)
        with world.lake.database.write() as session:
            work.commit(session, now=world.now)
    assert world.on_disk() == set()


def test_pings_of_two_deliveries_may_share_device_and_time(sqlite_world: Any) -> None:
    world = sqlite_world
    twice = pa.concat_tables([world.pings(world.day, 1, rows=1)] * 2)
    with world.lake.begin("purge", {}, now=world.now) as work:
        work.write("pings", world.day, 1, twice, sources=[1, 2], until=world.now + 1)
        assert work.rows == 2


def test_other_columns_are_a_programming_error(sqlite_world: Any) -> None:
    world = sqlite_world
    with world.lake.begin("ingest", {}, now=world.now) as work:
        with pytest.raises(ValueError, match="columns"):
            work.write("pings", world.day, 1, world.presence(world.day, 1), sources=[1], until=1)
        with pytest.raises(ValueError, match="deliveries"):
            work.write("pings", world.day, 1, world.pings(world.day, 1), sources=[], until=1)
        with pytest.raises(ValueError, match="bucket"):
            work.write("pings", world.day, 4, world.pings(world.day, 4), sources=[1], until=1)


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 4)), min_size=1, max_size=8), st.integers(0, 8))
def test_the_order_is_checked_exactly(rows: list[tuple[int, int]], cut: int) -> None:
    """Whatever the rows and wherever a file is cut in two: accepted exactly if Python calls it sorted."""
    table = pa.table(
        {
            "device": pa.array([device for device, _ in rows], pa.int64()),
            "hour": pa.array([hour * 3600 for _, hour in rows], pa.int32()),
            "cell": pa.array([0] * len(rows), pa.int64()),
            "pings": pa.array([1] * len(rows), pa.int32()),
        }
    )
    checker = Checker(Part("presence", 0, 0), buckets=1, offset=0)
    table = table.cast(PRESENCE)
    wanted = rows == sorted(set(rows))
    try:
        checker.check(table.slice(0, cut))
        checker.check(table.slice(cut))
    except IntegrityError:
        assert not wanted
    else:
        assert wanted
