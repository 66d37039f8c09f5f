"""Stays in the lake: filed by the day on which they begin, cut at the period, kept where a day is sealed."""

from __future__ import annotations

from typing import Any

import h3.api.numpy_int as h3i
import pyarrow as pa
import pytest

from passersby.derive import batches
from passersby.derive.derivation import derive_days, stale_days
from passersby.model.period import DAY, HOUR, Period, day_start

pytestmark = pytest.mark.slow

CELL, NEXT = (int(cell) for cell in h3i.grid_disk(h3i.latlng_to_cell(47.37, 8.54, 10), 1)[:2])
STEP = 600


@pytest.fixture
def monday(world: Any) -> int:
    """The first local day of the period that holds the world's day."""
    offset = world.lake.offset
    return Period.containing(day_start(world.day, offset), offset).span(offset).days(offset)[0]


def _night(world: Any, ping: Any, delivery: int, day: int, device: int = 2, cell: int = CELL) -> list[Any]:
    """Return pings of one place from 22:00 of a day to 06:00 of the next."""
    start = day_start(day, world.lake.offset) + 22 * HOUR
    return [ping(device, start + s, cell, delivery) for s in range(0, 8 * HOUR + 1, STEP)]


def _store(world: Any, pings: list[Any], **named: Any) -> None:
    for day in sorted({(p.t + world.lake.offset) // DAY for p in pings}):
        world.store([p for p in pings if (p.t + world.lake.offset) // DAY == day], day=day, **named)


def _stays(world: Any) -> list[tuple[int, int, float, float]]:
    """Return (device, day of arrival, hours of arrival and departure since that day began) of all stays."""
    found = []
    for device, _, arrival, departure, *_ in world.rows("stays"):
        day = (arrival + world.lake.offset) // DAY
        start = day_start(day, world.lake.offset)
        found.append((device, day, (arrival - start) / HOUR, (departure - start) / HOUR))
    return sorted(found)


def test_a_stay_over_midnight_is_one_stay_of_the_day_on_which_it_began(
    world: Any, ping: Any, monday: int
) -> None:
    _store(world, _night(world, ping, world.delivery(), monday))
    derive_days(world.lake, [monday], now=world.now)
    assert _stays(world) == [(2, monday, 22, 30)]
    assert {file.day: file.rows for file in world.files("stays")} == {monday: 1, monday + 1: 0}
    assert stale_days(world.lake, now=world.now) == [monday + 1]  # its presence


def test_a_stay_ends_with_the_period(world: Any, ping: Any, monday: int) -> None:
    sunday = monday + 6
    _store(world, _night(world, ping, world.delivery(), sunday))
    derive_days(world.lake, [sunday, sunday + 1], now=world.now)
    last = 24 - STEP / HOUR
    assert _stays(world) == [(2, sunday, 22, last), (2, sunday + 1, 0, 6)]


def test_days_and_deliveries_are_merged_whatever_is_read_at_a_time(
    world: Any, ping: Any, monday: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "ROW_GROUP", 3)
    first, second = world.delivery(), world.delivery()
    pings = [p for device in (2, 4, -6) for p in _night(world, ping, first, monday, device)]
    _store(world, pings + [p._replace(delivery=second, t=p.t + 60) for p in pings])
    derive_days(world.lake, [monday, monday + 1], now=world.now)
    half = (8 * HOUR + 60) / HOUR
    assert _stays(world) == [(device, monday, 22, 22 + half) for device in (-6, 2, 4)]
    assert {row[4] for row in world.rows("stays")} == {2 * 49}
    assert {file.sources for file in world.files("stays")} == {(first, second)}


def test_a_changed_day_changes_its_period_and_no_other(world: Any, ping: Any, monday: int) -> None:
    first = world.delivery()
    for day in (monday, monday + 7):
        _store(world, _night(world, ping, first, day))
    derive_days(world.lake, range(monday, monday + 9), now=world.now)
    before = {file.day: file.id for file in world.files("stays")}
    assert sorted(before) == [monday, monday + 1, monday + 7, monday + 8]
    later = [ping(2, day_start(monday + 1, world.lake.offset) + 6 * HOUR + STEP, CELL, world.delivery())]
    _store(world, later)
    derive_days(world.lake, [monday + 1], now=world.now)
    after = {file.day: file.id for file in world.files("stays")}
    assert {day for day in before if before[day] != after[day]} == {monday, monday + 1}
    assert _stays(world)[0] == (2, monday, 22, 30 + STEP / HOUR)
    assert stale_days(world.lake, now=world.now) == []


def test_a_sealed_day_leaves_the_others_as_they_were_told(world: Any, ping: Any, monday: int) -> None:
    first, second = world.delivery(), world.delivery()
    _store(world, _night(world, ping, first, monday), until=world.now + 50)
    _store(world, _night(world, ping, second, monday + 3))
    days = range(monday, monday + 5)
    derive_days(world.lake, days, now=world.now)
    before = world.files("stays")
    later = world.now + 50
    world.lake.expire(later)
    assert stale_days(world.lake, now=later) == []
    assert derive_days(world.lake, days, now=later).written == 0
    assert [file.id for file in before] == [file.id for file in world.files("stays")]


def test_what_is_new_beside_a_sealed_day_is_derived_without_it(world: Any, ping: Any, monday: int) -> None:
    first, second = world.delivery(), world.delivery()
    _store(world, _night(world, ping, first, monday), until=world.now + 50)
    derive_days(world.lake, range(monday, monday + 5), now=world.now)
    later = world.now + 50
    world.lake.expire(later)
    _store(world, _night(world, ping, second, monday + 3))
    assert stale_days(world.lake, now=later) == [monday + 3, monday + 4]
    derive_days(world.lake, [monday + 3, monday + 4], now=later)
    assert _stays(world) == [(2, monday, 22, 30), (2, monday + 3, 22, 30)]
    assert stale_days(world.lake, now=later) == []


def test_trips_join_stays_that_follow_each_other(sqlite_world: Any, ping: Any) -> None:
    world = sqlite_world
    offset, delivery = world.lake.offset, world.delivery()
    start = day_start(world.day, offset)
    places = {0: (CELL, 0), 3: (NEXT, 5_000)}
    rows = [
        ping(2, start + h * HOUR + s, cell, delivery)
        for h, (cell, _) in places.items()
        for s in range(0, HOUR + 1, STEP)
    ]
    north = dict(places.values())
    world.store_at(rows, lambda p: (north[p.cell], 0))
    derive_days(world.lake, [world.day], now=world.now)
    ((device, origin, destination, departure, arrival, distance),) = world.rows("trips")
    assert (device, origin, destination) == (2, CELL, NEXT)
    assert (departure - start, arrival - start) == (HOUR, 3 * HOUR)
    assert distance == pytest.approx(5_560, abs=2)


def test_excluded_devices_have_no_stays(sqlite_world: Any, ping: Any) -> None:
    world = sqlite_world
    delivery = world.delivery()
    day = world.day
    for device in (2, 4):
        _store(world, _night(world, ping, delivery, day, device))
    derive_days(world.lake, [day, day + 1], now=world.now, excluded=pa.array([4], pa.int64()))
    assert {row[0] for row in world.rows("stays")} == {2}
