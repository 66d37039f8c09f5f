"""Stays and trips: hand-made tracks. Times are minutes, places 1e-5 degrees (1.11 m to the north)."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import h3.api.numpy_int as h3i
import numpy as np
import pytest

from passersby.derive.stays import TRACKINTEL, Rules, Stays, Trips, derive
from passersby.errors import UsageError
from passersby.model.period import DAY

START = 1_780_000_200
HOME = (4_737_000, 854_000)
WORK = (4_742_000, 854_000)  # 5.56 km to the north
FAR = (4_937_000, 854_000)  # 222 km
KINDS = (np.int64, np.int32, np.int32, np.int32, np.int32, np.int64, np.int32)


class Fix(NamedTuple):
    """A row in the kernel's order of columns, but for the cell, which follows from the place."""

    device: int
    t: int
    lat: int
    lon: int
    accuracy: int
    delivery: int


def at(
    minute: float, place: tuple[int, int] = HOME, accuracy: int = -1, delivery: int = 1, device: int = 1
) -> Fix:
    return Fix(device, START + round(minute * 60), *place, accuracy, delivery)


def stay(first: int, last: int, place: tuple[int, int] = HOME, step: int = 10, **named: Any) -> list[Fix]:
    """Fixes at one place, every `step` minutes, both ends included."""
    return [at(minute, place, **named) for minute in range(first, last + 1, step)]


def cell(fix: Fix) -> int:
    return int(h3i.latlng_to_cell(fix.lat / 1e5, fix.lon / 1e5, 10))


def columns(fixes: list[Fix], cells: list[int] | None = None) -> tuple[Any, ...]:
    found = cells or [cell(fix) for fix in fixes]
    rows = [(*fix[:5], own, fix.delivery) for fix, own in zip(fixes, found, strict=True)]
    by_name = zip(*rows, strict=True) if rows else [()] * len(KINDS)
    return tuple(np.array(column, kind) for column, kind in zip(by_name, KINDS, strict=True))


def run(fixes: list[Fix], rules: Rules | None = None, excluded: tuple[int, ...] = ()) -> tuple[Stays, Trips]:
    return derive(columns(sorted(fixes)), np.array(excluded, np.int64), rules)


def times(found: Stays | Trips) -> list[tuple[int, int]]:
    """(arrival, departure) of stays, (departure, arrival) of trips, in minutes."""
    ends = [name for name in found._fields if name in {"arrival", "departure"}]
    return [
        ((int(a) - START) // 60, (int(b) - START) // 60)
        for a, b in zip(*(getattr(found, name) for name in ends), strict=True)
    ]


def test_two_stays_and_the_trip_between() -> None:
    found, trips = run([*stay(0, 60), at(65, (4_739_000, 854_000)), *stay(70, 120, WORK)])
    assert times(found) == [(0, 60), (70, 120)]
    assert found.pings.tolist() == [7, 6]
    assert found.cell.tolist() == [cell(at(0)), cell(at(0, WORK))]
    assert times(trips) == [(60, 70)]
    assert (trips.origin[0], trips.destination[0]) == tuple(found.cell)
    assert trips.distance_m.tolist() == [5560]
    assert [column.dtype for column in found] == [np.int64] * 2 + [np.int32] * 6
    assert [column.dtype for column in trips] == [np.int64] * 3 + [np.int32] * 3


@pytest.mark.parametrize("rules", [Rules(), TRACKINTEL])
def test_no_input_and_one_fix_give_nothing(rules: Rules) -> None:
    for fixes in ([], [at(0)]):
        found, trips = run(fixes, rules)
        assert [len(column) for column in (*found, *trips)] == [0] * 14


@pytest.mark.parametrize(("seconds", "rows"), [(599, 0), (600, 1)])
def test_a_stay_lasts_at_least_the_minimum(seconds: int, rows: int) -> None:
    assert len(run([at(0), at(seconds / 60)])[0].device) == rows


@pytest.mark.parametrize(("gap", "expected"), [("close", [(0, 20), (81, 101)]), ("drop", [(81, 101)])])
def test_a_gap_closes_or_drops_the_stay_before_it(gap: Any, expected: Any) -> None:
    fixes = stay(0, 20) + stay(81, 101)
    found, trips = run(fixes, Rules(gap=gap))
    assert times(found) == expected
    assert times(trips) == []  # in one cell nothing shows a move
    assert times(run([*fixes, at(50)], Rules(gap=gap))[0]) == [(0, 101)]
    # what is not accurate enough bridges no gap
    assert times(run([*fixes, at(50, accuracy=2000)], Rules(gap=gap))[0]) == expected


def test_a_trip_may_begin_in_a_gap() -> None:
    assert times(run(stay(0, 20) + stay(200, 220, WORK))[1]) == [(20, 200)]


def test_noise_within_the_roaming_distance_is_part_of_the_stay() -> None:
    rng = np.random.default_rng(5)
    noise = rng.integers(-60, 61, (30, 2))  # at most 81 m from the place, so 162 m from the anchor
    fixes = [at(5 * i, (HOME[0] + int(n), HOME[1] + int(e))) for i, (n, e) in enumerate(noise)]
    found, _ = run(fixes)
    assert (times(found), found.pings.tolist()) == ([(0, 145)], [30])
    assert found.cell[0] in {cell(fix) for fix in fixes}


def test_a_bad_fix_does_not_make_two_stays_of_one() -> None:
    bad = (HOME[0] + 500, HOME[1])
    fixes = sorted([*stay(0, 60, step=5), *stay(65, 120, step=5), at(62, bad)])
    found, trips = run(fixes)
    assert (times(found), found.pings.tolist(), times(trips)) == ([(0, 120)], [25], [])
    found, trips = run(fixes, Rules(merge=False))
    assert (times(found), found.pings.tolist(), times(trips)) == ([(0, 60), (65, 120)], [13, 12], [])


@pytest.mark.parametrize(("back", "count"), [(120, 1), (121, 2)])
def test_stays_in_one_cell_are_merged_up_to_the_maximum_gap(back: int, count: int) -> None:
    way = [at(minute, WORK) for minute in (85, 92)]  # too short for a stay
    assert len(run(stay(0, 60) + way + stay(back, back + 30))[0].device) == count


def test_a_merged_stay_lies_at_the_mean_of_all_its_fixes() -> None:
    lat, lon = (round(degrees * 1e5) for degrees in h3i.cell_to_latlng(cell(at(0))))
    parts = stay(0, 50, (lat - 18, lon)) + stay(60, 80, (lat + 18, lon))
    _, trips = run([*parts, at(55, (lat + 500, lon)), *stay(90, 110, (lat + 4_994, lon))])
    assert trips.distance_m.tolist() == [5560]  # six fixes and three: 6 south of the centre


def test_a_stay_elsewhere_keeps_two_stays_apart() -> None:
    found, trips = run(stay(0, 60) + stay(70, 90, WORK) + stay(100, 120))
    assert times(found) == [(0, 60), (70, 90), (100, 120)]
    assert times(trips) == [(60, 70), (90, 100)]


def test_the_departure_is_the_last_fix_within_or_the_one_that_left() -> None:
    fixes = [*stay(0, 60), at(75, WORK)]
    assert times(run(fixes)[0]) == [(0, 60)]
    assert times(run(fixes, Rules(departure="next"))[0]) == [(0, 75)]
    alone = [at(0), at(15, WORK)]  # a single fix is a stay for who counts the way
    assert times(run(alone)[0]) == []
    found, _ = run(alone, Rules(departure="next"))
    assert (times(found), found.pings.tolist()) == ([(0, 15)], [1])
    # nobody left before a gap
    lost = [*stay(0, 60), at(140, WORK)]
    assert times(run(lost, Rules(departure="next"))[0]) == [(0, 60)]


@pytest.mark.parametrize(("include_last", "expected"), [(True, [(0, 30), (40, 90)]), (False, [(0, 30)])])
def test_the_end_of_the_data_closes_the_last_stay(include_last: bool, expected: Any) -> None:
    fixes = stay(0, 30) + stay(40, 90, WORK)
    assert times(run(fixes, Rules(include_last=include_last))[0]) == expected


def test_an_inaccurate_fix_neither_makes_nor_breaks_a_stay() -> None:
    away = [at(minute, WORK, accuracy=2000) for minute in (3, 15, 35, 55)]
    found, _ = run(stay(0, 60) + away)
    assert (times(found), found.pings.tolist()) == ([(0, 60)], [7])
    assert times(run(stay(0, 60, accuracy=2000))[0]) == []
    assert times(run(stay(0, 60, accuracy=201))[0]) == []
    assert times(run(stay(0, 60, accuracy=200))[0]) == [(0, 60)]


def test_a_teleport_is_left_out() -> None:
    expected = [(0, 60)], [7]
    for track in (
        [at(32, FAR)],  # 1.9 km/s there, 0.5 km/s back
        [at(minute, FAR) for minute in range(5, 56, 10)],  # two phones under one id, in turn
    ):
        found, trips = run(stay(0, 60) + track)
        assert (times(found), found.pings.tolist()) == expected
        assert times(trips) == []


def test_a_real_jump_stays() -> None:
    """At 123 m/s to another city: left slowly there. Fixes in the air go."""
    fixes = stay(0, 60) + stay(90, 150, FAR)
    found, trips = run(fixes)
    assert times(found) == [(0, 60), (90, 150)]
    assert trips.distance_m.tolist() == [222_390]
    aloft = [at(60 + 3 * i, (HOME[0] + 20_000 * i, HOME[1])) for i in range(1, 10)]
    assert times(run(fixes + aloft)[0]) == times(found)


def test_first_and_last_fix_are_no_teleports_and_one_slow_way_is_enough() -> None:
    found, _ = run([at(-1, FAR), *stay(0, 60), at(61, FAR)])
    assert times(found) == [(0, 60)]
    # 222 km in 53 minutes are 70 m/s: slow enough there, whatever the speed back
    slow = [*stay(0, 60), at(114, FAR), *stay(115, 125)]
    assert times(run(slow, Rules(merge=False))[0]) == [(0, 60), (115, 125)]
    assert times(run(slow, Rules(merge=False, departure="next"))[0]) == [(0, 114), (115, 125)]


def test_without_a_maximum_speed_no_fix_is_a_teleport() -> None:
    found, _ = run([*stay(0, 60), at(61, FAR), *stay(62, 72)], Rules(speed_m_s=math.inf, merge=False))
    assert times(found) == [(0, 60), (62, 72)]


def test_the_lowest_delivery_counts_in_any_order_of_rows() -> None:
    fixes = stay(0, 60, delivery=1) + stay(0, 60, WORK, delivery=2)
    for order in (1, -1):
        rows = sorted(fixes, key=lambda fix: (fix.t, order * fix.delivery))
        found, _ = derive(columns(rows))
        assert (times(found), found.pings.tolist()) == ([(0, 60)], [7])
        assert found.cell.tolist() == [cell(at(0))]
    # which row is the fix is settled before its accuracy is looked at
    assert times(run(stay(0, 60, accuracy=2000) + stay(0, 60, delivery=2))[0]) == []


def test_of_one_delivery_the_lowest_cell_counts_in_any_order_of_rows() -> None:
    fixes = [fix for minute in (0, 10) for fix in (at(minute), at(minute, WORK))]
    lowest = min(cell(at(0)), cell(at(0, WORK)))
    for rows in (fixes, [fixes[i] for i in (1, 0, 3, 2)], [fixes[i] for i in (1, 0, 2, 3)]):
        assert derive(columns(rows))[0].cell.tolist() == [lowest]


def test_the_cell_is_the_hierarchically_dominant_one() -> None:
    here, other = cell(at(0)), cell(at(0, FAR))
    spread = [int(c) for c in h3i.cell_to_children(int(h3i.cell_to_parent(other, 9)), 10)[:4]]
    found, _ = derive(columns(stay(0, 60), [here, *spread, here, here]))
    assert found.cell.tolist() == [min(spread)]


def test_over_the_antimeridian() -> None:
    """100 m to both sides of 180 degrees; then 0.2 degrees further on the equator."""
    east, west = (0, 17_999_950), (0, -17_999_950)
    found, trips = run(
        [at(i, (east, west)[i % 2]) for i in range(20)] + stay(30, 60, (0, -17_980_000)), Rules(roaming_m=150)
    )
    assert (times(found), found.pings.tolist()) == ([(0, 19), (30, 60)], [20, 4])
    assert trips.distance_m.tolist() == [22_239]


def test_near_a_pole() -> None:
    """At 89.9 degrees, one degree of longitude is 194 m; the pole itself is crossed."""
    near = [(8_990_000, lon) for lon in (0, 100_000, -100_000, 0)]
    assert times(run([at(5 * i, place) for i, place in enumerate(near)])[0]) == [(0, 15)]
    away = [(8_990_000, lon) for lon in (0, 110_000, 220_000, 330_000)]
    assert times(run([at(5 * i, place) for i, place in enumerate(away)])[0]) == []
    over = [(8_999_950, 0), (8_999_950, 18_000_000), (8_999_950, -9_000_000)]
    assert times(run([at(5 * i, place) for i, place in enumerate(over)])[0]) == [(0, 10)]
    _, trips = run(stay(0, 20, (8_990_000, 0)) + stay(30, 50, (8_990_000, 18_000_000)))
    assert trips.distance_m.tolist() == [22_239]


def test_a_stay_over_midnight_is_one() -> None:
    midnight = (DAY - START % DAY) // 60
    found, _ = run(stay(midnight - 120, midnight + 480))
    assert len(found.device) == 1
    assert found.departure[0] - found.arrival[0] == 600 * 60


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 29), 6), ((2026, 10, 25), 8), ((2026, 5, 10), 7)])
def test_summer_time_begins_and_ends_without_effect(day: tuple[int, int, int], hours: int) -> None:
    """From 23:00 to 06:00 on the clocks of Zurich: instants are epoch seconds, durations the hours lived."""
    zone = ZoneInfo("Europe/Zurich")
    morning = dt.datetime(*day, 6, tzinfo=zone)
    evening = dt.datetime(*day, 23, tzinfo=zone) - dt.timedelta(days=1)
    first, last = int(evening.timestamp()), int(morning.timestamp())
    found, _ = run([at(0)._replace(t=t) for t in range(first, last + 1, 600)])
    assert (found.arrival.tolist(), found.departure.tolist()) == ([first], [last])
    assert last - first == hours * 3600


def test_excluded_devices_give_nothing_and_others_are_whole() -> None:
    least, most = -(2**63), 2**63 - 1
    fixes = [fix for device in (least, -3, 1, 2, most) for fix in stay(0, 60, device=device)]
    assert run(fixes)[0].device.tolist() == [least, -3, 1, 2, most]
    found, _ = run(fixes, excluded=(least, -4, 1, 3, most))
    assert found.device.tolist() == [-3, 2]
    assert set(times(found)) == {(0, 60)}


def test_devices_do_not_reach_into_each_other() -> None:
    found, trips = run(
        stay(0, 5, step=1, device=1) + stay(6, 30, step=1, device=2) + stay(40, 60, WORK, device=3)
    )
    assert list(zip(found.device.tolist(), times(found), strict=True)) == [(2, (6, 30)), (3, (40, 60))]
    assert times(trips) == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: Rules(roaming_m=0),
        lambda: Rules(roaming_m=10_001),
        lambda: Rules(least_s=0),
        lambda: Rules(gap_s=8 * DAY),
        lambda: Rules(speed_m_s=0),
        lambda: Rules(speed_m_s=float("nan")),
        lambda: Rules(gap="fill"),  # type: ignore[arg-type]
        lambda: Rules(departure="first"),  # type: ignore[arg-type]
    ],
)
def test_rules_out_of_range_are_refused(make: Callable[[], Rules]) -> None:
    with pytest.raises(UsageError):
        make()


def test_columns_of_other_lengths_are_refused() -> None:
    given = columns(stay(0, 60))
    for bad in (given[:6], (*given[:6], given[6][:3])):
        with pytest.raises(ValueError, match="seven columns of one length"):
            derive(bad)


def test_damaged_input_gives_wrong_rows_but_never_more_of_them() -> None:
    rng = np.random.default_rng(1)
    given = tuple(rng.integers(-(2**31), 2**31, 5000).astype(kind) for kind in KINDS)
    found, trips = derive(given, None, Rules(departure="next", speed_m_s=math.inf))
    assert len(trips.device) <= len(found.device) <= 5000
