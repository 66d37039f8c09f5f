"""Measures of the hours in which phones were seen or stayed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from proof import plain_stays
from proof.plain.asked import Asked, Row, above


def presence(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone and hour in the dominant cell."""
    return _device_hours(world.hours, asked, resolution)


def stay_presence(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone and hour in the cell of the longest stay."""
    hours = {
        (phone, hour): cell
        for phone, own in world.stays.items()
        for hour, cell in plain_stays.hours(own, asked.scope.offset).items()
    }
    return _device_hours(hours, asked, resolution)


def visitors(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone once for each cell and bucket in which it was seen."""
    return sorted(set(_device_hours(world.hours, asked, resolution)))


def _device_hours(hours: dict[tuple[int, int], int], asked: Asked, resolution: int) -> Iterable[Row]:
    for (phone, hour), cell in hours.items():
        if asked.reads(hour) and asked.inside(cell):
            yield phone, above(cell, resolution), asked.scope.bucket_of(hour), 1


DEFINITIONS = {"presence": presence, "stay-presence": stay_presence, "visitors": visitors}
