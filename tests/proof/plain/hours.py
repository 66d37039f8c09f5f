"""Measures of when and how long phones were seen, and of how they spend their hours."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any

from proof.plain.asked import Asked, Row, above


def hour_profile(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone and hour in the dominant cell, with the hour that a clock on the wall shows."""
    return _hours(world, asked, resolution, lambda time: time.hour)


def weekday_profile(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone and hour in the dominant cell, with the day of the week."""
    return _hours(world, asked, resolution, lambda time: time.weekday())


def day_night_ratio(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone and hour in the dominant cell: 0 from seven to seven by day, 1 by night."""
    return _hours(world, asked, resolution, lambda time: 0 if time.hour in range(7, 19) else 1)


def _hours(world: Any, asked: Asked, resolution: int, number: Callable[[dt.datetime], int]) -> Iterable[Row]:
    for (phone, hour), cell in world.hours.items():
        if asked.reads(hour) and asked.inside(cell):
            start = asked.scope.bucket_of(hour)
            yield phone, above(cell, resolution), start, number(_local(hour, asked)), 1


def _local(instant: int, asked: Asked) -> dt.datetime:
    return dt.datetime.fromtimestamp(instant, dt.timezone(dt.timedelta(seconds=asked.scope.offset)))


DEFINITIONS = {
    "hour-profile": hour_profile,
    "weekday-profile": weekday_profile,
    "day-night-ratio": day_night_ratio,
}
