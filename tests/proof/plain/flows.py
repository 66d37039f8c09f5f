"""Measures of the moves of phones from place to place."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from passersby.model.period import HOUR, Period
from proof.plain.asked import Asked, Row, above


def flows(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone's trip from and to a cell."""
    for phone, trip, start in _trips(world, asked):
        yield phone, above(trip.origin, resolution), above(trip.destination, resolution), start, 1


def outflows(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone's trip in the cell in which it begins."""
    for phone, trip, start in _trips(world, asked):
        yield phone, above(trip.origin, resolution), start, 1


def inflows(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone's trip in the cell in which it ends."""
    for phone, trip, start in _trips(world, asked):
        yield phone, above(trip.destination, resolution), start, 1


def _trips(world: Any, asked: Asked) -> Iterable[tuple[int, Any, int]]:
    """Yield trips within the area that depart in an hour of the question, with their bucket."""
    for phone, own in world.trips.items():
        for trip in own:
            hour = trip.departure - (trip.departure + world.offset) % HOUR
            if asked.reads(hour) and asked.inside(trip.origin) and asked.inside(trip.destination):
                yield phone, trip, asked.scope.bucket_of(hour)


def consecutive_flows(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each change of cell between hours of a phone's week that follow each other."""
    weeks: defaultdict[tuple[int, Period], list[tuple[int, int]]] = defaultdict(list)
    for (phone, hour), cell in sorted(world.hours.items()):
        weeks[phone, Period.containing(hour, world.offset)].append((hour, cell))
    for (phone, _), seen in weeks.items():
        for (_, origin), (hour, destination) in itertools.pairwise(seen):
            moved = above(origin, asked.scope.resolution) != above(destination, asked.scope.resolution)
            if moved and asked.reads(hour) and asked.inside(origin) and asked.inside(destination):
                start = asked.scope.bucket_of(hour)
                yield phone, above(origin, resolution), above(destination, resolution), start, 1


DEFINITIONS = {
    "flows": flows,
    "outflows": outflows,
    "inflows": inflows,
    "consecutive-flows": consecutive_flows,
}
