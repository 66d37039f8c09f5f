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


def test_coverage_counts_hours_of_each_day_where_most_of_them_were() -> None:
    tuesday = MONDAY + DAY
    seen = {
        1: {**dict.fromkeys(range(3), PARIS), **dict.fromkeys(range(3, 8), LONDON)},
        2: {**dict.fromkeys((0, 1), LONDON), **dict.fromkeys(range(24, 48), LONDON)},
        3: {0: LONDON, 1: PARIS, 2: PARIS},
    }
    assert run("coverage", seen, every="day") == {
        (above(LONDON), MONDAY, 2): 1,
        (above(LONDON), MONDAY, 0): 1,
        (above(LONDON), tuesday, 5): 1,
        (above(PARIS), MONDAY, 1): 1,
    }
    assert run("coverage", seen, places=(PARIS,)) == {(above(PARIS), MONDAY, 1): 1}


def test_of_equally_many_hours_the_lowest_cell_counts() -> None:
    low, high = sorted((LONDON, PARIS), key=above)
    for first, second in ((low, high), (high, low)):
        found = run("coverage", {1: {5: first, 6: second}})
        assert found == {(above(low), MONDAY, 0): 1}


def test_a_coarser_cell_is_that_of_the_modal_cell() -> None:
    """Two hours in one cell of resolution 6 outweigh three in others, though these share their parent."""
    apart = [int(h3i.cell_to_center_child(c, 10)) for c in h3i.cell_to_children(above(PARIS, 5), 6)[:3]]
    seen = {1: {**dict.fromkeys((0, 1), LONDON), **dict(enumerate(apart, 2))}}
    assert run("coverage", seen, resolution=5) == {(above(LONDON, 5), MONDAY, 1): 1}


def test_unmoving_is_one_cell_of_resolution_8_in_three_hours_or_more() -> None:
    near, next_to = (
        int(h3i.cell_to_center_child(int(cell), 10)) for cell in h3i.cell_to_children(above(LONDON, 8), 9)[:2]
    )
    other = int(h3i.cell_to_center_child(int(h3i.grid_ring(above(near, 8), 1)[0]), 10))
    seen = {
        1: {0: near, 1: next_to, 2: near},
        2: {0: near, 1: near, 23: other},
        3: {0: near, 1: near},
        4: {23: near, 24: near, 25: near},
    }
    found = run("unmoving", seen)
    assert {key[2]: value for key, value in found.items()} == {0: 1, 1: 1}
    assert set(found) == {(above(near), MONDAY, 0), (above(near), MONDAY, 1)}


def test_calendar_activity_counts_days_and_tells_weekends() -> None:
    seen = {
        1: {0: LONDON, 1: LONDON, 30: LONDON},
        2: {day * 24: LONDON for day in range(5)},
        3: {5 * 24: LONDON},
        4: {day * 24 + 23: LONDON for day in range(7)},
        5: {167: PARIS, 168: PARIS},
    }
    london, paris, second = above(LONDON), above(PARIS), MONDAY + 7 * DAY
    assert run("calendar-activity", seen, period="2026-W20..2026-W21") == {
        (london, MONDAY, 1): 1,
        (london, MONDAY, 4): 1,
        (london, MONDAY, 5): 1,
        (london, MONDAY, 11): 1,
        (paris, MONDAY, 5): 1,
        (paris, second, 0): 1,
    }
    labels = [each.label for each in get("calendar-activity").bins]
    assert (labels[4], labels[5], labels[11]) == (
        "5 d without weekend",
        "1 d with weekend",
        "7 d with weekend",
    )


def test_introversion_is_the_mean_share_of_devices_in_percent() -> None:
    seen = {
        1: {**dict.fromkeys(range(5), LONDON), 100: PARIS, 101: PARIS, 102: PARIS},  # 62.5 percent
        2: {7: LONDON},
        3: {50: PARIS, 51: PARIS, 52: LONDON},  # 66.7 percent
    }
    assert run("introversion", seen) == {
        (above(LONDON), MONDAY, 0): 63 + 100,
        (above(LONDON), MONDAY, 1): 37,
        (above(PARIS), MONDAY, 0): 67,
        (above(PARIS), MONDAY, 1): 33,
    }
    assert run("introversion", seen, places=(PARIS,)).keys() == {
        (above(PARIS), MONDAY, 0),
        (above(PARIS), MONDAY, 1),
    }


@pytest.mark.parametrize(
    ("name", "every", "bound"),
    [
        ("coverage", "day", 7),
        ("coverage", "week", 49),
        ("unmoving", "whole", 49),
        ("calendar-activity", "week", 1),
        ("calendar-activity", "whole", 1),
        ("introversion", "whole", 10_000),
    ],
)
def test_a_device_of_equal_days_reaches_the_bound(name: str, every: str, bound: int) -> None:
    span = parse_span("2026-W20..2026-W21", OFFSET)
    assert get(name).bound(Scope(span, 6, every, (), OFFSET)) == bound
    found = run(name, {1: dict.fromkeys(range(168), LONDON)}, every=every, period="2026-W20..2026-W21")
    assert sum(value**2 for value in found.values()) == bound


def test_change_leaves_the_middle_week_of_an_odd_number_out() -> None:
    week = 7 * 24
    seen = {
        1: {0: LONDON, week - 1: LONDON, week: LONDON, 2 * week - 1: LONDON, 2 * week: LONDON},
        2: {3 * week - 1: PARIS, 3 * week: PARIS, -1: PARIS},
    }
    two = run("change", seen, every="whole", period="2026-W20..2026-W21")
    assert two == {(above(LONDON), MONDAY, 0): 2, (above(LONDON), MONDAY, 1): 2}
    three = run("change", seen, every="whole", period="2026-W20..2026-W22")
    assert three == {
        (above(LONDON), MONDAY, 0): 2,
        (above(LONDON), MONDAY, 1): 1,
        (above(PARIS), MONDAY, 1): 1,
    }
    scope = Scope(parse_span("2026-W20..2026-W22", OFFSET), 6, "whole", (), OFFSET)
    assert get("change").bound(scope) == 168**2
