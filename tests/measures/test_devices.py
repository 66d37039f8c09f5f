"""Measures with one row a device and day or week, against numbers made by hand and by numpy."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import h3.api.numpy_int as h3i
import numpy as np
import pytest

from measures.answered import MINUTE, MONDAY, Stay, Trip, answer, cell_at, position, rows_of, scope
from passersby.measures.catalogue import get
from passersby.model.period import DAY, HOUR

HOME, WORK, SHOP, FAR = (
    cell_at(51.5, -0.1),
    cell_at(51.56, -0.1),
    cell_at(51.5, -0.02),
    cell_at(55.9, -3.2),
)
NAMES = (
    "trips-per-day",
    "mean-trips",
    "radius-of-gyration",
    "k-radius-ratio",
    "distinct-places",
    "entropy",
    "motifs",
)


def _day(day: int, *cells: int, device: int = 1, hours: int = 1) -> list[Stay]:
    """Return stays of some hours, half an hour apart, from seven in the morning."""
    step = hours * HOUR + 30 * MINUTE
    first = day * DAY + 7 * HOUR
    return [Stay(device, c, first + i * step, first + i * step + hours * HOUR) for i, c in enumerate(cells)]


def _trips(stays: list[Stay]) -> list[Trip]:
    pairs = itertools.pairwise(stays)
    return [Trip(one.device, one.cell, two.cell, one.departure, two.arrival) for one, two in pairs]


def _radius_km(cells: list[int]) -> float:
    """Return the radius by the definition, in numpy's fractions."""
    r = np.array([position(cell) for cell in cells], dtype=np.float64)
    return float(np.sqrt(((r - r.mean(axis=0)) ** 2).sum(axis=1).mean()) / 1000)


def test_days_are_counted_by_trips_and_days_without_a_stay_are_not() -> None:
    stays = [*_day(0, HOME, WORK, HOME), *_day(1, HOME), *_day(3, *[HOME, SHOP] * 5)]
    trips = [trip for day in range(7) for trip in _trips([s for s in stays if s.arrival // DAY == day])]
    assert answer(get("trips-per-day"), scope("day"), stays, trips) == {(0, 2): 1, (24, 0): 1, (72, 7): 1}
    assert answer(get("trips-per-day"), scope(), stays, trips) == {(0, 2): 1, (0, 0): 1, (0, 7): 1}
    assert answer(get("mean-trips"), scope(), stays, trips) == {(0, 0): 11, (0, 1): 60}


def test_a_day_of_very_many_trips_counts_as_twenty() -> None:
    stays = [Stay(1, HOME, 0, DAY)]
    trips = [Trip(1, HOME, WORK, t * MINUTE, t * MINUTE + 1) for t in range(30)]
    assert answer(get("mean-trips"), scope(), stays, trips) == {(0, 0): 20, (0, 1): 20}


def test_a_stay_over_several_days_makes_each_of_them_a_device_day() -> None:
    stays = [Stay(1, HOME, 20 * HOUR, 2 * DAY + HOUR)]
    assert answer(get("trips-per-day"), scope("day"), stays) == {(0, 0): 1, (24, 0): 1, (48, 0): 1}
    assert answer(get("distinct-places"), scope("day"), stays) == {(0, 0): 1, (24, 0): 1, (48, 0): 1}
    # one that ends at midnight has no time in the next day
    midnight = [Stay(1, HOME, 20 * HOUR, DAY)]
    assert answer(get("trips-per-day"), scope("day"), midnight) == {(0, 0): 1}


@pytest.mark.parametrize("name", NAMES)
def test_each_counts_where_the_week_was_longest(name: str) -> None:
    """Two of three stays are far away, the longest time is at home; a day there counts at home too."""
    stays = [
        Stay(1, HOME, 0, 10 * HOUR),
        Stay(1, FAR, DAY, DAY + 4 * HOUR),
        Stay(1, FAR, DAY + 5 * HOUR, 8000 + DAY + 5 * HOUR),
    ]
    for every in ("day", "week"):
        cells = {row[2] for row in rows_of(get(name), scope(every), stays)}
        assert cells == {int(h3i.cell_to_parent(HOME, 6))}
    day = scope("day", period="2026-05-12")
    assert {row[2] for row in rows_of(get(name), day, stays)} == {int(h3i.cell_to_parent(HOME, 6))}
    assert rows_of(get(name), scope(), stays, outside=[HOME]) == []
    assert len(get(name).days(day)) == 7


@pytest.mark.parametrize("name", NAMES)
def test_equally_long_places_are_decided_by_the_lowest_cell(name: str) -> None:
    stays = [Stay(1, FAR, 0, HOUR), Stay(1, HOME, 2 * HOUR, 3 * HOUR)]
    lowest = min(int(h3i.cell_to_parent(cell, 6)) for cell in (HOME, FAR))
    assert {row[2] for row in rows_of(get(name), scope(), stays)} == {lowest}


@pytest.mark.parametrize("name", NAMES)
def test_places_of_a_week_are_those_of_that_week(name: str) -> None:
    """The longer stay of the other week changes nothing."""
    stays = [Stay(1, HOME, 0, HOUR), Stay(1, FAR, 7 * DAY, 9 * DAY)]
    rows = rows_of(get(name), scope(period="2026-W20..2026-W21"), stays)
    assert {(row[1], row[2]) for row in rows} == {
        (MONDAY, int(h3i.cell_to_parent(HOME, 6))),
        (MONDAY + 7 * DAY, int(h3i.cell_to_parent(FAR, 6))),
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_bound_is_reached_and_not_exceeded(name: str) -> None:
    """A week of days that are all alike."""
    measure = get(name)
    stays = [stay for day in range(7) for stay in _day(day, *[HOME, WORK] * 11, hours=0)]
    stays = [stay._replace(departure=stay.arrival + 15 * MINUTE) for stay in stays]
    trips = _trips(stays)
    for every in measure.grains:
        found = answer(measure, scope(every), stays, trips)
        assert sum(n**2 for n in found.values()) == measure.bound(scope(every))


@pytest.mark.parametrize(
    ("cells", "bin_"),
    [
        ([HOME], 0),
        ([HOME, WORK], 2),  # 6.7 km apart: half of it
        ([HOME, HOME, HOME, FAR], 7),  # 533 km apart: times sqrt(3) / 4
    ],
)
def test_radius_of_gyration_by_hand(cells: list[int], bin_: int) -> None:
    assert answer(get("radius-of-gyration"), scope(), _day(0, *cells)) == {(0, bin_): 1}


@pytest.mark.parametrize("centre", [(51.5, -0.1), (-17.0, 179.99), (-0.01, 0.0), (68.0, 25.0)])
def test_radius_of_gyration_is_numpy_s(centre: tuple[float, float]) -> None:
    """Random weeks of devices around a place, the antimeridian too: as many in each bin, within 2 m."""
    rng = np.random.default_rng(3)
    edges = np.array([1, 2, 5, 10, 20, 50, 100])
    stays, expected = [], Counter[tuple[int, int]]()
    for device in range(60):
        spread = 10 ** rng.uniform(-3, 0.5)
        offsets = rng.normal(0, spread, (rng.integers(1, 12), 2))
        cells = [cell_at(centre[0] + y, (centre[1] + x + 180) % 360 - 180) for y, x in offsets]
        radius = _radius_km(cells)
        if np.abs(edges - radius).min() > 0.002:
            stays += _day(0, *cells, device=device)
            expected[0, int(np.searchsorted(edges, radius, side="right"))] += 1
    assert len(expected) > 5
    assert answer(get("radius-of-gyration"), scope(), stays) == expected


def test_two_places_are_a_returner_and_far_third_ones_an_explorer() -> None:
    stays = [
        *_day(0, HOME, device=1),
        *_day(0, HOME, WORK, device=2),
        *_day(0, HOME, WORK, HOME, WORK, HOME, WORK, SHOP, device=3),  # a third place that is near
        *_day(0, HOME, WORK, HOME, WORK, FAR, device=4),  # 2-radius 3 km, radius 210 km
    ]
    assert answer(get("k-radius-ratio"), scope(), stays) == {(0, 0): 3, (0, 1): 1}


def test_places_with_equally_many_visits_are_ranked_by_time() -> None:
    """One visit each: the far place is a main one where the stay there is longer."""
    near = [
        Stay(1, HOME, 0, 5 * HOUR),
        Stay(1, WORK, 6 * HOUR, 10 * HOUR),
        Stay(1, FAR, 11 * HOUR, 12 * HOUR),
    ]
    far = [Stay(1, HOME, 0, 5 * HOUR), Stay(1, WORK, 6 * HOUR, 7 * HOUR), Stay(1, FAR, 8 * HOUR, 12 * HOUR)]
    assert answer(get("k-radius-ratio"), scope(), near) == {(0, 1): 1}
    assert answer(get("k-radius-ratio"), scope(), far) == {(0, 0): 1}


def test_places_are_counted_once_each() -> None:
    cells = sorted(int(c) for c in h3i.grid_disk(HOME, 3))
    stays = [
        stay
        for device, n in enumerate([1, 2, 19, 20, 25])
        for stay in _day(0, *cells[:n], *cells[:n], device=device)
    ]
    assert answer(get("distinct-places"), scope(), stays) == {(0, 0): 1, (0, 1): 1, (0, 18): 1, (0, 19): 2}


@pytest.mark.parametrize(
    ("visits", "bin_"),
    [
        ([5], 0),
        ([1, 1], 2),  # exactly 1 bit
        ([3, 3], 2),
        ([499, 499], 2),
        ([9, 1], 0),  # 0.469
        ([8, 1], 1),  # 0.503
        ([2, 1, 1], 3),  # exactly 1.5
        ([7, 7, 7, 7], 4),
        ([1] * 16, 8),
        ([100] * 7, 5),  # 2.807
        ([1] * 11, 6),  # 3.459
    ],
)
def test_entropy_by_hand(visits: list[int], bin_: int) -> None:
    cells = sorted(int(c) for c in h3i.grid_disk(HOME, 3))
    order = [cells[i] for i, n in enumerate(visits) for _ in range(n)]
    stays = [Stay(1, cell, i * 601, i * 601 + 600) for i, cell in enumerate(order)]
    assert answer(get("entropy"), scope(), stays) == {(0, bin_): 1}


def test_entropy_is_that_of_the_shares() -> None:
    rng = np.random.default_rng(5)
    cells = sorted(int(c) for c in h3i.grid_disk(HOME, 3))
    stays, expected = [], Counter[tuple[int, int]]()
    for device in range(200):
        visits = rng.integers(1, 40, rng.integers(1, 25))
        order = np.repeat(cells[: len(visits)], visits).tolist()
        stays += [Stay(device, cell, i * 601, i * 601 + 600) for i, cell in enumerate(order)]
        share = visits / visits.sum()
        bits = round(-sum(p * math.log2(p) for p in share.tolist()), 3)
        expected[0, min(int(2 * bits), 8)] += 1
    assert answer(get("entropy"), scope(), stays) == expected
