"""Presence in the lake: which parts are derived, replaced, left alone; retention; logging."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import h3.api.numpy_int as h3i
import pyarrow as pa
import pytest
from sqlalchemy import select

from passersby.derive import derivation
from passersby.derive.derivation import derive_days, prepared, stale_days
from passersby.errors import Busy, DiskFull
from passersby.lake import durable, write
from passersby.model.period import DAY, HOUR, day_name, day_start
from passersby.store.tables import Intent, LogEntry
from passersby.trustlog.receipts import reveal

CELLS = sorted(int(c) for c in h3i.grid_disk(h3i.latlng_to_cell(47.37, 8.54, 10), 2))


def _pings(world: Any, ping: Any, delivery: int, *, day: int | None = None, step: int = 700) -> list[Any]:
    """Return pings of four devices over a whole local day."""
    start = day_start(world.day if day is None else day, world.lake.offset)
    seconds = range(delivery, DAY, step)
    return [
        ping(d, start + s, CELLS[(s // step * d) % 19], delivery) for d in (-2, -1, 4, 7) for s in seconds
    ]


def _log(world: Any) -> list[dict[str, Any]]:
    with world.lake.database.read() as session:
        return [json.loads(body) for body in session.scalars(select(LogEntry.body).order_by(LogEntry.index))]


def test_a_day_is_derived_from_all_its_deliveries(
    world: Any, ping: Any, expected: Callable[..., Any]
) -> None:
    first, second = world.delivery(), world.delivery()
    pings = _pings(world, ping, first) + _pings(world, ping, second, step=911)
    world.store(pings)
    seen: list[tuple[int, int]] = []
    done = derive_days(
        world.lake, [world.day], now=world.now, threads=2, progress=lambda *given: seen.append(given)
    )
    # two buckets: presence, and stays with trips
    assert (done.days, done.written, done.unchanged, done.pings) == ((world.day,), 4, 0, 2 * len(pings))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert world.rows() == expected(pings, world.lake.offset)
    assert done.rows == sum(len(world.rows(table)) for table in ("presence", "stays", "trips"))
    assert [file.sources for file in world.files()] == [(first, second)] * 2
    assert [entry["kind"] for entry in _log(world)] == ["presence.derived", "stays.derived"]
    with world.lake.database.read() as session:
        fields = [reveal(session, index)[0] for index in (0, 1)]
    assert [(field.name, field.value) for field in fields] == [("days", [day_name(world.day)])] * 2


def test_hours_start_where_the_deployment_s_do(sqlite_world: Any, ping: Any) -> None:
    world = sqlite_world
    delivery = world.delivery()
    start = day_start(world.day, world.lake.offset)
    edges = [0, HOUR - 1, HOUR, DAY - 1]
    world.store([ping(0, start + s, CELLS[0], delivery) for s in edges])
    derive_days(world.lake, [world.day], now=world.now)
    hours = [(hour - start, pings) for _, hour, _, pings in world.rows()]
    assert hours == [(0, 2), (HOUR, 1), (DAY - HOUR, 1)]
    assert (start + world.lake.offset) % HOUR == 0
    assert start % HOUR != 0


def test_what_is_unchanged_is_left_alone(sqlite_world: Any, ping: Any) -> None:
    world = sqlite_world
    world.store(_pings(world, ping, world.delivery()))
    derive_days(world.lake, [world.day], now=world.now)
    before = world.files()
    again = derive_days(world.lake, [world.day], now=world.now)
    assert (again.days, again.written, again.unchanged) == ((), 0, 4)
    assert world.files() == before
    assert len(_log(world)) == 2
    forced = derive_days(world.lake, [world.day], now=world.now, force=True)
    assert forced.written == 4
    assert not {file.id for file in world.files()} & {file.id for file in before}


def test_only_the_part_that_a_delivery_touches_is_derived_again(sqlite_world: Any, ping: Any) -> None:
    world = sqlite_world
    world.store(_pings(world, ping, world.delivery()))
    derive_days(world.lake, [world.day], now=world.now)
    before = world.files()
    second = world.delivery()
    world.store([p for p in _pings(world, ping, second) if p.device % 2 == 1])
    assert stale_days(world.lake, now=world.now) == [world.day]
    done = derive_days(world.lake, [world.day], now=world.now)
    assert (done.written, done.unchanged) == (2, 2)
    assert world.files()[0] == before[0]
    assert second in world.files()[1].sources
    assert stale_days(world.lake, now=world.now) == []


def test_days_that_are_not_named_are_not_touched(sqlite_world: Any, ping: Any) -> None:
    world = sqlite_world
    delivery = world.delivery()
    for day in (world.day, world.day + 1):
        world.store(_pings(world, ping, delivery, day=day), day=day)
    derive_days(world.lake, [world.day + 1, world.day + 9], now=world.now)
    assert {file.day for file in world.files()} == {world.day + 1}
    assert stale_days(world.lake, now=world.now) == [world.day]


def test_presence_without_pings_goes(world: Any, ping: Any) -> None:
    """A supplier's pings were purged: what was derived from them alone goes too."""
    world.store(_pings(world, ping, world.delivery()))
    derive_days(world.lake, [world.day], now=world.now)
    gone = [file.id for file in world.files("pings") if file.bucket == 0]
    with world.lake.begin("purge", {}, now=world.now) as work, world.lake.database.write() as session:
        work.commit(session, replaces=gone, now=world.now)
    done = derive_days(world.lake, [world.day], now=world.now)
    assert (done.days, done.written) == ((world.day,), 0)
    assert [file.bucket for file in world.files()] == [1]


def test_excluded_devices_give_no_rows(sqlite_world: Any, ping: Any, expected: Callable[..., Any]) -> None:
    world = sqlite_world
    pings = _pings(world, ping, world.delivery())
    world.store(pings)
    excluded = pa.array([7, -2, 3, 7, 4], pa.int64())
    derive_days(world.lake, [world.day], now=world.now, excluded=excluded)
    assert world.rows() == expected(pings, world.lake.offset, excluded.to_pylist())
    assert [file.rows for file in world.files()] == [0, 24]
    assert stale_days(world.lake, now=world.now) == []


def test_presence_lives_as_long_as_its_first_source(sqlite_world: Any, ping: Any) -> None:
    world = sqlite_world
    late = world.delivery(derived_until=world.now + 9 * DAY)
    early = world.delivery(derived_until=world.now + 4 * DAY)
    world.store(_pings(world, ping, late) + _pings(world, ping, early))
    derive_days(world.lake, [world.day], now=world.now)
    assert {file.until for file in world.files()} == {world.now + 4 * DAY}


def test_a_sealed_part_is_not_derived_again(world: Any, ping: Any, expected: Callable[..., Any]) -> None:
    """One of two sources has expired: presence stays as it was told, until its own date."""
    first, second = world.delivery(), world.delivery()
    pings = _pings(world, ping, first) + _pings(world, ping, second, step=911)
    world.store(pings[: len(pings) // 2], until=world.now + 50)
    world.store(pings[len(pings) // 2 :])
    derive_days(world.lake, [world.day], now=world.now)
    later = world.now + 50
    done = derive_days(world.lake, [world.day], now=later, force=True)
    assert (done.days, done.written) == ((), 0)
    assert world.rows() == expected(pings, world.lake.offset)
    assert stale_days(world.lake, now=later) == []


def test_nothing_is_derived_past_its_date(sqlite_world: Any, ping: Any) -> None:
    """A contract keeps derived rows for a shorter time than pings."""
    world = sqlite_world
    world.store(_pings(world, ping, world.delivery(derived_until=world.now)))
    assert derive_days(world.lake, [world.day], now=world.now).written == 0
    assert stale_days(world.lake, now=world.now) == []
    assert world.files() == []


def test_a_transaction_that_fails_leaves_the_old_presence(sqlite_world: Any, ping: Any) -> None:
    world = sqlite_world
    world.store(_pings(world, ping, world.delivery()))
    derive_days(world.lake, [world.day], now=world.now)
    before, disk = world.rows(), sorted(world.lake.root.rglob("*"))

    def fail() -> None:
        with (
            prepared(world.lake, [world.day], now=world.now, force=True) as change,
            world.lake.database.write() as session,
        ):
            change.commit(session)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert world.rows() == before
    assert sorted(world.lake.root.rglob("*")) == disk
    assert len(_log(world)) == 2


def test_a_full_disk_leaves_the_old_presence(
    sqlite_world: Any, ping: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = sqlite_world
    world.store(_pings(world, ping, world.delivery()))
    derive_days(world.lake, [world.day], now=world.now)
    before = world.files()

    def full(_sink: durable.Sink, _data: bytes) -> int:
        raise OSError(28, "full")

    monkeypatch.setattr(durable.Sink, "write", full)
    with pytest.raises(DiskFull):
        derive_days(world.lake, [world.day], now=world.now, threads=2, force=True)
    assert world.files() == before
    with world.lake.database.read() as session:
        assert session.scalars(select(Intent)).all() == []


def test_a_concurrent_derivation_is_noticed_and_tried_again(
    sqlite_world: Any, ping: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = sqlite_world
    world.store(_pings(world, ping, world.delivery()))
    real = derivation.Prepared.commit
    rivals = [True]

    def overtaken(change: derivation.Prepared, session: Any) -> Any:
        if rivals.pop() if rivals else False:
            raise Busy("Another process was faster.")
        return real(change, session)

    monkeypatch.setattr(derivation.Prepared, "commit", overtaken)
    assert derive_days(world.lake, [world.day], now=world.now).written == 4
    rivals.extend([True] * 3)
    with pytest.raises(Busy):
        derive_days(world.lake, [world.day], now=world.now, force=True)
    assert len(world.files()) == 2


def test_two_prepared_derivations_cannot_both_be_committed(world: Any, ping: Any) -> None:
    world.store(_pings(world, ping, world.delivery()))
    with (
        prepared(world.lake, [world.day], now=world.now) as one,
        prepared(world.lake, [world.day], now=world.now) as two,
    ):
        with world.lake.database.write() as session:
            one.commit(session)
        with pytest.raises(Busy), world.lake.database.write() as session:
            two.commit(session)
    assert len(world.files()) == 2


def test_leases_are_renewed_while_it_works(
    sqlite_world: Any, ping: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part takes most of a lease on a clock that the test turns."""
    world = sqlite_world
    world.store(_pings(world, ping, world.delivery()))
    hands = [0.0]

    def turn(_done: int, _all: int) -> None:
        hands[0] += 0.8 * write.LEASE_S

    monkeypatch.setattr(time, "monotonic", lambda: hands[0])
    assert derive_days(world.lake, [world.day], now=world.now, progress=turn).written == 4
    assert len(world.files()) == 2
