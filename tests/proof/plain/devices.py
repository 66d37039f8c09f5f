"""Measures with one row for each phone and day or week, at the phone's usual place in that week."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from passersby.model.period import DAY, HOUR, Period
from proof.plain.asked import Asked, Row, above
from proof.plain_stays import RADIUS_M, Whole

KM = (1, 2, 5, 10, 20, 50, 100)
BITS = (0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4)

Visits = Sequence[Whole]
Point = tuple[int, int, int]


def trips_per_day(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone's days by number of trips."""
    for phone, cell, start, trips in _days(world, asked):
        yield phone, above(cell, resolution), start, min(trips, 7), 1


def mean_trips(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield the trips of each phone's days, at most 20, and 20 for the day."""
    for phone, cell, start, trips in _days(world, asked):
        yield phone, above(cell, resolution), start, 0, min(trips, 20)
        yield phone, above(cell, resolution), start, 1, 20


def _days(world: Any, asked: Asked) -> Iterable[tuple[int, int, int, int]]:
    """Yield (phone, usual cell, bucket, trips) of each day with a stay."""
    for phone, cell, day, _ in of_days(world, asked):
        trips = sum(day <= trip.departure < day + DAY for trip in world.trips[phone])
        yield phone, cell, asked.scope.bucket_of(day), trips


def of_days(world: Any, asked: Asked) -> Iterable[tuple[int, int, int, list[Whole]]]:
    """Yield (phone, usual cell, day, stays that fall partly into it) of each day with a stay."""
    for phone, own in world.stays.items():
        for day, visits in _visits(own, asked, "day"):
            cell = _usual(own, day, asked.scope.offset)
            if asked.inside(cell):
                yield phone, cell, day, visits


def radius_of_gyration(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone by the radius of its stays."""
    return _each(world, asked, resolution, lambda own: bisect_right(KM, _radius(own) / 1000))


def k_radius_ratio(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone as returner (0) or explorer (1)."""

    def explores(own: Visits) -> int:
        seconds: Counter[int] = Counter()
        for stay in own:
            seconds[stay.cell] += stay.departure - stay.arrival
        number = Counter(stay.cell for stay in own)
        main = sorted(number, key=lambda cell: (-number[cell], -seconds[cell], cell))[:2]
        whole = _radius(own)
        return int(whole > 0 and _radius([stay for stay in own if stay.cell in main]) <= whole / 2)

    return _each(world, asked, resolution, explores)


def distinct_places(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone by its number of cells, the first bin being one cell."""
    return _each(world, asked, resolution, lambda own: min(len({stay.cell for stay in own}), 20) - 1)


def entropy(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone by the entropy of its stays over cells, to thousandths of a bit."""

    def bits(own: Visits) -> int:
        shares = [n / len(own) for n in Counter(stay.cell for stay in own).values()]
        return bisect_right(BITS, round(-sum(p * math.log2(p) for p in shares), 3))

    return _each(world, asked, resolution, bits)


def _each(world: Any, asked: Asked, resolution: int, number: Callable[[Visits], int]) -> Iterable[Row]:
    for phone, own in world.stays.items():
        for start, visits in _visits(own, asked, asked.scope.every):
            cell = _usual(own, start, asked.scope.offset)
            if asked.inside(cell):
                yield phone, above(cell, resolution), start, number(visits), 1


def _visits(own: Visits, asked: Asked, every: str) -> list[tuple[int, list[Whole]]]:
    """Return the stays that fall partly into each local day or week, as far as the question reads it."""
    span, offset = asked.scope.span, asked.scope.offset
    hours: defaultdict[int, list[int]] = defaultdict(list)
    for hour in range(span.start, span.end, HOUR):
        week = Period.containing(hour, offset).span(offset).start
        hours[hour - (hour + offset) % DAY if every == "day" else week].append(hour)
    found = []
    for start, times in hours.items():
        since, until = times[0], times[-1] + HOUR
        visits = [stay for stay in own if stay.arrival < until and stay.departure > since]
        if visits:
            found.append((start, visits))
    return found


def _usual(own: Visits, t: int, offset: int) -> int:
    """Return a stay's cell within the cell of resolution 6 whose stays of the week are longest."""
    seconds: Counter[int] = Counter()
    for stay in own:
        if Period.containing(stay.arrival, offset) == Period.containing(t, offset):
            seconds[above(stay.cell, 6)] += stay.departure - stay.arrival
    best = min(seconds, key=lambda cell: (-seconds[cell], cell))
    return next(stay.cell for stay in own if above(stay.cell, 6) == best)


def _radius(own: Visits) -> float:
    """Return the root mean square distance, m, from the centre, which is rounded down to metres."""
    points = [_point(stay) for stay in own]
    centre = [sum(axis) // len(points) for axis in zip(*points, strict=True)]
    return math.sqrt(sum(math.dist(point, centre) ** 2 for point in points) / len(points))


def _point(stay: Whole) -> Point:
    lat, lon = math.radians(stay.lat_e5 / 1e5), math.radians(stay.lon_e5 / 1e5)
    x, y = math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon)
    return round(RADIUS_M * x), round(RADIUS_M * y), round(RADIUS_M * math.sin(lat))


DEFINITIONS = {
    "trips-per-day": trips_per_day,
    "mean-trips": mean_trips,
    "radius-of-gyration": radius_of_gyration,
    "k-radius-ratio": k_radius_ratio,
    "distinct-places": distinct_places,
    "entropy": entropy,
}
