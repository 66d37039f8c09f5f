"""Measures of hours by hand: small worlds whose vectors are written out."""

from __future__ import annotations

from collections import Counter

import duckdb
import h3.api.numpy_int as h3i
import pyarrow as pa
import pytest

from passersby.measures.base import Scope
from passersby.measures.catalogue import get
from passersby.model.period import DAY, HOUR, parse_span
from passersby.model.schema import PRESENCE

OFFSET = -4 * HOUR - 1800
WEEK = parse_span("2026-W20", OFFSET)
MONDAY = WEEK.start
LONDON = int(h3i.latlng_to_cell(51.5, -0.1, 10))
PARIS = int(h3i.latlng_to_cell(48.86, 2.35, 10))

Seen = dict[int, dict[int, int]]
"""By device, the cell of hours, which are counted from the first Monday's midnight."""


def run(
    name: str,
    seen: Seen,
    *,
    every: str = "week",
    period: str = "2026-W20",
    resolution: int = 6,
    places: tuple[int, ...] = (LONDON, PARIS),
) -> Counter[tuple[int, ...]]:
    """Return the sum of values by (cell at resolution 10's ancestor, start, bin) over all devices."""
    scope = Scope(parse_span(period, OFFSET), resolution, every, (), OFFSET)
    rows = [
        (device, MONDAY + hour * HOUR, cell) for device, own in seen.items() for hour, cell in own.items()
    ]
    columns = dict(zip(("device", "hour", "cell"), zip(*rows, strict=True), strict=True))
    with duckdb.connect() as connection:
        connection.register("presence", pa.table({**columns, "pings": [1] * len(rows)}, PRESENCE))
        area = sorted({above(place, resolution) for place in places})
        connection.register("area", pa.table({"cell": pa.array(area, pa.int64())}))
        found = connection.execute(get(name).rows(scope, resolution)).fetchall()
    total: Counter[tuple[int, ...]] = Counter()
    for _device, _period, *key, value in found:
        total[tuple(key)] += value
    return +total


def above(cell: int, resolution: int = 6) -> int:
    return int(h3i.cell_to_parent(cell, resolution))


def test_hours_are_those_of_the_local_clock() -> None:
    seen = {1: {0: LONDON, 23: LONDON, 24: LONDON, 30: PARIS}, 2: {167: LONDON, 168: LONDON, -1: LONDON}}
    london = (above(LONDON), MONDAY)
    assert run("hour-profile", seen) == {
        (*london, 0): 2,
        (*london, 23): 2,
        (above(PARIS), MONDAY, 6): 1,
    }


def test_weekdays_are_local_days_and_weeks_share_the_bins_of_a_whole_answer() -> None:
    seen = {1: {0: LONDON, 23: LONDON, 24: LONDON, 167: LONDON, 168: LONDON}}
    cell = above(LONDON)
    assert run("weekday-profile", seen) == {(cell, MONDAY, 0): 2, (cell, MONDAY, 1): 1, (cell, MONDAY, 6): 1}
    whole = run("weekday-profile", seen, every="whole", period="2026-W20..2026-W21")
    assert whole == {(cell, MONDAY, 0): 3, (cell, MONDAY, 1): 1, (cell, MONDAY, 6): 1}


def test_day_is_from_seven_to_seven() -> None:
    seen = {1: dict.fromkeys((6, 7, 18, 19), LONDON), 2: {24 + 12: LONDON}}
    cell, tuesday = above(LONDON), MONDAY + DAY
    assert run("day-night-ratio", seen) == {(cell, MONDAY, 0): 3, (cell, MONDAY, 1): 2}
    daily = run("day-night-ratio", seen, every="day")
    assert daily == {(cell, MONDAY, 0): 2, (cell, MONDAY, 1): 2, (cell, tuesday, 0): 1}


@pytest.mark.parametrize(
    ("name", "every", "filters", "bound"),
    [
        ("hour-profile", "week", (), 24 * 7**2),
        ("hour-profile", "whole", (), 24 * 7**2),
        ("hour-profile", "week", (("weekday", ("sun",)),), 24),
        ("weekday-profile", "week", (), 7 * 24**2),
        ("weekday-profile", "week", (("daypart", ("night",)),), 7 * 6**2),
        ("day-night-ratio", "day", (), 7 * 2 * 12**2),
        ("day-night-ratio", "week", (), 2 * 84**2),
        ("day-night-ratio", "week", (("hour", ("6", "7")),), 2 * 7**2),
    ],
)
def test_a_device_that_stays_reaches_the_bound(
    name: str, every: str, filters: tuple[tuple[str, tuple[str, ...]], ...], bound: int
) -> None:
    span = parse_span("2026-W20..2026-W21", OFFSET)
    assert get(name).bound(Scope(span, 6, every, filters, OFFSET)) == bound
    if not filters:
        found = run(name, {1: dict.fromkeys(range(168), LONDON)}, every=every, period="2026-W20..2026-W21")
        assert sum(value**2 for value in found.values()) == bound
