"""Measures of when and how long phones were seen, and of how they spend their hours."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from passersby.model.period import Period
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


def change(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone and hour in the dominant cell: 0 in the first weeks, 1 in as many last ones."""
    weeks = list(asked.scope.span.periods(asked.scope.offset))
    half = len(weeks) // 2
    number = dict.fromkeys(weeks[:half], 0) | dict.fromkeys(weeks[len(weeks) - half :], 1)
    for (phone, hour), cell in world.hours.items():
        week = Period.containing(hour, asked.scope.offset)
        if asked.reads(hour) and asked.inside(cell) and week in number:
            yield phone, above(cell, resolution), asked.scope.bucket_of(hour), number[week], 1


def coverage(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone and day where it was most of the hours, with the class of how many hours these are."""
    for phone, own in _days(world, asked):
        classes = [range(1, 3), range(3, 6), range(6, 12), range(12, 18), range(18, 24), range(24, 25)]
        number = next(i for i, hours in enumerate(classes) if len(own) in hours)
        yield from _placed(asked, resolution, phone, own, number)


def unmoving(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone and day of three hours or more: 0 if all lie in one cell of resolution 8."""
    for phone, own in _days(world, asked):
        if len(own) >= 3:
            one = len({above(cell, 8) for cell in own.values()}) == 1
            yield from _placed(asked, resolution, phone, own, 0 if one else 1)


def calendar_activity(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone and week where it was most of the hours: the number of days, after five if weekend."""
    for phone, own in _weeks(world, asked):
        dates = {_local(hour, asked).date() for hour in own}
        weekend = any(date.weekday() >= 5 for date in dates)
        number = len(dates) - 1 + (5 if weekend else 0)
        yield from _placed(asked, resolution, phone, own, number)


def introversion(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone and week where it was most of the hours: the percent of hours there, and elsewhere."""
    for phone, own in _weeks(world, asked):
        inside = sum(above(cell, 6) == _modal(own) for cell in own.values())
        percent = (200 * inside + len(own)) // (2 * len(own))
        yield from _placed(asked, resolution, phone, own, 0, percent)
        yield from _placed(asked, resolution, phone, own, 1, 100 - percent)


def _placed(
    asked: Asked, resolution: int, phone: int, own: dict[int, int], number: int, value: int = 1
) -> Iterable[Row]:
    """Yield a row in the ancestor of the modal cell, if the area holds it."""
    modal = _modal(own)
    if asked.inside(modal):
        yield phone, above(modal, resolution), asked.scope.bucket_of(min(own)), number, value


def _modal(own: dict[int, int]) -> int:
    counts = Counter(above(cell, 6) for cell in own.values())
    return min(counts, key=lambda cell: (-counts[cell], cell))


def _days(world: Any, asked: Asked) -> Iterable[tuple[int, dict[int, int]]]:
    """Yield the hours of each phone and local date."""
    return _grouped(world, asked, lambda time: time.date())


def _weeks(world: Any, asked: Asked) -> Iterable[tuple[int, dict[int, int]]]:
    """Yield the hours of each phone and ISO week."""
    return _grouped(world, asked, lambda time: time.isocalendar()[:2])


def _grouped(
    world: Any, asked: Asked, part: Callable[[dt.datetime], Any]
) -> Iterable[tuple[int, dict[int, int]]]:
    groups: defaultdict[Any, dict[int, int]] = defaultdict(dict)
    for (phone, hour), cell in world.hours.items():
        if asked.reads(hour):
            groups[phone, part(_local(hour, asked))][hour] = cell
    for (phone, _), own in groups.items():
        yield phone, own


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
    "change": change,
    "coverage": coverage,
    "unmoving": unmoving,
    "calendar-activity": calendar_activity,
    "introversion": introversion,
}
