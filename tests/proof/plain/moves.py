"""Measures of trips and stays, each counted where and when it begins."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

from passersby.model.period import HOUR, Period
from proof.plain.asked import Asked, Row, above

KM = (1, 2, 5, 10, 20, 50, 100, 200)
LENGTHS = (20, 30, 60, 120, 240, 480, 720, 1440)
MINUTES = (10, 20, 30, 45, 60, 90, 120, 240)


def _hour_of(t: int, asked: Asked) -> int:
    """Return the first instant of the local hour of an instant."""
    return t - (t + int(asked.scope.offset)) % HOUR


def trip_distance(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each trip at its origin, by its distance to the nearest metre."""
    for phone, own in world.trips.items():
        for trip in own:
            length = bisect_right(KM, round(trip.metres) / 1000)
            yield from _event(phone, trip.origin, trip.departure, length, asked, resolution)


def trip_duration(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each trip at its origin, by the time from departure to arrival."""
    for phone, own in world.trips.items():
        for trip in own:
            length = bisect_right(MINUTES, (trip.arrival - trip.departure) / 60)
            yield from _event(phone, trip.origin, trip.departure, length, asked, resolution)


def dwell(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each stay by its length."""
    for phone, own in world.stays.items():
        for stay in own:
            length = bisect_right(LENGTHS, (stay.departure - stay.arrival) / 60)
            yield from _event(phone, stay.cell, stay.arrival, length, asked, resolution)


def mean_dwell(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield the whole minutes of each stay, at most a day's, and 180 for it."""
    for phone, own in world.stays.items():
        for stay in own:
            minutes = min((stay.departure - stay.arrival) // 60, 1440)
            for part, value in enumerate((minutes, 180)):
                yield from _event(phone, stay.cell, stay.arrival, part, asked, resolution, value)


def waiting_time(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield the time from each trip's arrival to the departure of the next one of the same week."""
    for phone, own in world.trips.items():
        for trip, after in itertools.pairwise(own):
            weeks = {Period.containing(each.departure, asked.scope.offset) for each in (trip, after)}
            if len(weeks) == 1:
                length = bisect_right(LENGTHS, (after.departure - trip.arrival) / 60)
                yield from _event(phone, trip.destination, trip.arrival, length, asked, resolution)


def _event(
    phone: int, cell: int, t: int, number: int, asked: Asked, resolution: int, value: int = 1
) -> Iterable[Row]:
    hour = _hour_of(t, asked)
    if asked.reads(hour) and asked.inside(cell):
        yield phone, above(cell, resolution), asked.scope.bucket_of(hour), number, value


DEFINITIONS = {
    "trip-distance": trip_distance,
    "trip-duration": trip_duration,
    "dwell": dwell,
    "mean-dwell": mean_dwell,
    "waiting-time": waiting_time,
}
