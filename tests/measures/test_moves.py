"""Measures of trips and stays, against numbers made by hand."""

from __future__ import annotations

import itertools

import pytest

from measures.answered import MINUTE, MONDAY, Stay, Trip, answer, cell_at, rows_of, scope
from passersby.measures._events import squared_bound
from passersby.measures.catalogue import get
from passersby.model.period import DAY, HOUR, Period

HOME, WORK, SHOP = cell_at(51.5, -0.1), cell_at(51.6, -0.3), cell_at(51.4, 0.2)


def _trip(metres: int = 1000, *, at: int = 0, minutes: int = 10, device: int = 1) -> Trip:
    return Trip(device, HOME, WORK, at, at + minutes * MINUTE, metres)


def test_trips_by_distance_count_each_edge_in_the_bin_above_it() -> None:
    metres = [0, 999, 1000, 1999, 2000, 5000, 9999, 10_000, 20_000, 50_000, 100_000, 199_999, 200_000, 10**7]
    trips = [_trip(each, at=i * HOUR) for i, each in enumerate(metres)]
    found = answer(get("trip-distance"), scope(), trips=trips)
    assert [found[0, i] for i in range(9)] == [2, 2, 1, 2, 1, 1, 1, 2, 2]


def test_trips_by_duration() -> None:
    minutes = [1, 9, 10, 25, 30, 45, 60, 90, 119, 120, 239, 240, 5000]
    trips = [_trip(at=i * HOUR, minutes=each) for i, each in enumerate(minutes)]
    found = answer(get("trip-duration"), scope(), trips=trips)
    assert [found[0, i] for i in range(9)] == [2, 1, 1, 1, 1, 1, 2, 2, 2]


def test_a_trip_counts_once_at_its_origin_in_the_hour_of_its_departure() -> None:
    trips = [_trip(at=HOUR - 1, minutes=300), _trip(at=23 * HOUR + 59 * MINUTE, minutes=5)]
    assert answer(get("trip-duration"), scope("hour"), trips=trips) == {(0, 8): 1, (23, 0): 1}
    assert answer(get("trip-duration"), scope("day"), trips=trips) == {(0, 8): 1, (0, 0): 1}
    assert answer(get("trip-duration"), scope("day"), trips=trips, outside=[HOME]) == {}
    assert answer(get("trip-duration"), scope("hour", hour="23"), trips=trips) == {(23, 0): 1}
    assert answer(get("trip-duration"), scope("hour", period="2026-05-12"), trips=trips) == {}


def test_hours_begin_at_the_deployment_s_offset() -> None:
    asked = scope("hour", offset=20_700)
    first = asked.span.start - MONDAY
    trips = [_trip(at=first), _trip(at=first + HOUR - 1), _trip(at=first + HOUR), _trip(at=first - 1)]
    starts = [start for _, _, _, start, _, _ in rows_of(get("trip-distance"), asked, trips=trips)]
    assert starts == [MONDAY + first, MONDAY + first, MONDAY + first + HOUR]


LENGTHS = [10, 19, 20, 30, 59, 60, 120, 240, 480, 719, 720, 1439, 1440, 9000]


def test_stays_by_length() -> None:
    stays = [Stay(i, HOME, 0, each * MINUTE) for i, each in enumerate(LENGTHS)]
    found = answer(get("dwell"), scope(), stays)
    assert [found[0, i] for i in range(9)] == [2, 1, 2, 1, 1, 1, 2, 2, 2]


def test_the_mean_counts_whole_minutes_of_a_day_at_most() -> None:
    stays = [Stay(1, HOME, 0, 10 * MINUTE + 59), Stay(1, WORK, HOUR, 3 * HOUR), Stay(2, HOME, 0, 2 * DAY)]
    found = answer(get("mean-dwell"), scope(), stays)
    assert found == {(0, 0): 10 + 120 + 1440, (0, 1): 3 * 180}
    minutes, number = get("mean-dwell").bins
    assert found[0, 0] * minutes.factor / (found[0, 1] * number.factor) == pytest.approx(1570 / 3)


def test_waiting_is_from_one_trip_to_the_next_of_the_same_week() -> None:
    trips = [
        Trip(1, HOME, WORK, 8 * HOUR, 9 * HOUR),
        Trip(1, WORK, HOME, 17 * HOUR, 18 * HOUR),  # eight hours at work
        Trip(1, HOME, SHOP, DAY + 8 * HOUR, DAY + 8 * HOUR + 1800),  # fourteen at home, seen or not
        Trip(1, SHOP, HOME, 7 * DAY + HOUR, 7 * DAY + 2 * HOUR),  # of the next week
        Trip(2, HOME, WORK, 10 * HOUR, 11 * HOUR),  # nothing follows
    ]
    both = scope("day", period="2026-W20..2026-W21")
    assert answer(get("waiting-time"), both, trips=trips) == {(0, 6): 1, (0, 7): 1}
    cells = [row[2] for row in rows_of(get("waiting-time"), scope("hour", hour="9"), trips=trips[:2])]
    assert len(cells) == 1
    assert answer(get("waiting-time"), both, trips=trips, outside=[HOME]) == {(0, 6): 1}


def test_the_next_trip_may_begin_after_the_question_s_span() -> None:
    asked = scope("day", period="2026-05-11")
    trips = [
        Trip(1, HOME, WORK, 23 * HOUR, 23 * HOUR + 1800),
        Trip(1, WORK, HOME, DAY + 7 * HOUR, DAY + 8 * HOUR),
        Trip(1, HOME, WORK, DAY + 9 * HOUR, DAY + 10 * HOUR),
    ]
    assert answer(get("waiting-time"), asked, trips=trips) == {(0, 5): 1}
    assert len(get("waiting-time").days(asked)) == 7


@pytest.mark.parametrize(
    ("every", "expected"), [("hour", 56 * 6), ("daypart", 56 * 8), ("day", 56 * 8), ("week", 56 * 56)]
)
def test_the_bound_is_eight_events_a_day(every: str, expected: int) -> None:
    assert squared_bound(scope(every)) == expected
    assert squared_bound(scope(every, period="2026-W20..2026-W22")) == expected


def test_the_bound_follows_the_days_and_hours_that_are_read() -> None:
    assert squared_bound(scope("day", period="2026-05-12")) == 64
    assert squared_bound(scope("week", period="2026-05-16..2026-05-19")) == 16**2
    assert squared_bound(scope("day", weekday="sat,sun")) == 16 * 8
    assert squared_bound(scope("day", hour="8")) == 42 * 6


@pytest.mark.parametrize("name", ["trip-distance", "dwell", "waiting-time"])
def test_eight_events_a_day_in_one_bin_reach_the_bound(name: str) -> None:
    measure = get(name)
    times = [day * DAY + i * HOUR for day in range(7) for i in range(8)]
    stays = [Stay(1, HOME, t, t + 15 * MINUTE) for t in times]
    trips = [_trip(at=t) for t in [*times, 6 * DAY + 8 * HOUR]]
    asked = scope("day")
    found = answer(measure, asked, stays, trips[:-1] if name == "trip-distance" else trips)
    squares = sum(n**2 for n in found.values())
    assert squares <= measure.bound(asked)
    if name != "waiting-time":  # the wait over night lies in another bin
        assert squares == measure.bound(asked)


@pytest.mark.parametrize("every", ["hour", "daypart", "day", "week"])
def test_minutes_of_stays_are_not_clipped_where_their_number_is_not(every: str) -> None:
    """Stays back to back, the longest that a week holds, at every grain."""
    measure, asked = get("mean-dwell"), scope(every)
    for length in (30 * MINUTE, 3 * HOUR, 5 * HOUR, DAY, 25 * HOUR, 7 * DAY):
        stays = [Stay(1, HOME, t, min(t + length, 7 * DAY)) for t in range(0, 7 * DAY, max(length, 3 * HOUR))]
        found = answer(measure, asked, stays)
        assert sum(n**2 for n in found.values()) <= measure.bound(asked)


def test_a_stay_that_begins_late_is_within_the_bound_of_one_day() -> None:
    measure, asked = get("mean-dwell"), scope("day", period="2026-05-11")
    stays = [
        Stay(1, HOME, 0, DAY - MINUTE),
        *(Stay(1, WORK, DAY - MINUTE + i, 2 * DAY - MINUTE + i) for i in range(1)),
    ]
    found = answer(measure, asked, stays)
    assert found[0, 0] == 2 * 1440 - 1
    assert sum(n**2 for n in found.values()) <= measure.bound(asked)


def test_events_of_several_weeks_are_bounded_week_by_week() -> None:
    asked = scope("week", period="2026-W20..2026-W21")
    trips = [_trip(at=t) for t in range(0, 14 * DAY, DAY)]
    rows = rows_of(get("trip-distance"), asked, trips=trips)
    periods = [Period.containing(row[1], 0).name for row in rows]
    assert {name: len(list(own)) for name, own in itertools.groupby(periods)} == {
        "2026-W20": 7,
        "2026-W21": 7,
    }
