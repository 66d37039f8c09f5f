"""Measures with a reference location: home by nights, work by working days."""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from passersby.model.period import HOUR, Span, day_start
from proof import plain_stays
from proof.plain.asked import Asked, Row, above

Places = dict[int, int]
"""The reference location (resolution 6) of each phone that has one."""

_When = Callable[[dt.datetime], dt.date | None]
"""The night or working day that an hour counts for, by local time; None for other hours."""


def night_of(local: dt.datetime) -> dt.date | None:
    """Return the day on which the night of an hour began."""
    if local.hour >= 19:
        return local.date()
    return local.date() - dt.timedelta(days=1) if local.hour < 7 else None


def working_day_of(local: dt.datetime) -> dt.date | None:
    """Return the day of an hour from nine to five, Monday to Friday."""
    return local.date() if local.weekday() < 5 and 9 <= local.hour < 17 else None


def local_time(instant: int, offset: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(instant, dt.timezone(dt.timedelta(seconds=offset)))


def most_days(seen: Iterable[tuple[Any, int, Any]]) -> dict[Any, int]:
    """Return for each key of (key, cell, day) the cell of most days, of most rows, the lowest one."""
    days: dict[Any, dict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for key, cell, day in seen:
        days[key][cell].append(day)
    return {
        key: min(cells, key=lambda cell: (-len(set(cells[cell])), -len(cells[cell]), cell))
        for key, cells in days.items()
    }


def places(world: Any, span: Span, when: _When = night_of) -> Places:
    """Return where each phone was seen on most nights, or on most of other days."""
    seen = []
    for (phone, hour), cell in world.hours.items():
        day = when(local_time(hour, world.offset))
        if day is not None and span.start <= hour < span.end:
            seen.append((phone, above(cell, 6), day))
    return most_days(seen)


def inside(asked: Asked, cell: int) -> bool:
    """Tell whether a cell of any resolution down to the question's lies in the area."""
    return above(cell, asked.scope.resolution) in asked.area


def residents(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone at home."""
    for phone, home in places(world, asked.scope.span).items():
        if inside(asked, home):
            yield phone, above(home, resolution), asked.scope.span.start, 1


def commuting(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone with home and work."""
    span = asked.scope.span
    return _moved(asked, resolution, places(world, span), places(world, span, working_day_of))


def relocation(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone with a home before and one after the middle of the question's weeks."""
    before, after = _halves(asked)
    return _moved(asked, resolution, places(world, before), places(world, after))


def displacement(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone with a home in the first half, in each week: at home, elsewhere or not seen."""
    scope, (before, _) = asked.scope, _halves(asked)
    weeks = [week.span(scope.offset) for week in scope.span.periods(scope.offset)]
    spans = [Span(max(week.start, scope.span.start), min(week.end, scope.span.end)) for week in weeks]
    weekly = [places(world, span) for span in spans]
    for phone, home in places(world, before).items():
        for week, now in zip(weeks, weekly, strict=True):
            if inside(asked, home):
                same = phone in now and above(now[phone], scope.resolution) == above(home, scope.resolution)
                status = 2 if phone not in now else 0 if same else 1
                yield phone, above(home, resolution), week.start, status, 1


def stay_put(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone with a home on each day: 0 where it was seen nowhere else, else 1."""
    scope, homes = asked.scope, places(world, asked.scope.span)
    days: dict[tuple[int, dt.date], list[tuple[int, int]]] = defaultdict(list)
    for (phone, hour), cell in world.hours.items():
        if asked.reads(hour) and phone in homes and inside(asked, homes[phone]):
            days[phone, local_time(hour, world.offset).date()].append((hour, cell))
    for (phone, _), seen in days.items():
        home = above(homes[phone], scope.resolution)
        left = any(above(cell, scope.resolution) != home for _, cell in seen)
        yield phone, above(homes[phone], resolution), scope.bucket_of(min(seen)[0]), int(left), 1


def time_at_home(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone with a home in each bucket: whole per cents of its hours by day at home, and 100."""
    scope, homes = asked.scope, places(world, asked.scope.span)
    hours: dict[tuple[int, int], list[bool]] = defaultdict(list)
    for (phone, hour), cell in world.hours.items():
        by_day = 7 <= local_time(hour, world.offset).hour < 19
        if by_day and asked.reads(hour) and phone in homes and inside(asked, homes[phone]):
            at_home = above(cell, scope.resolution) == above(homes[phone], scope.resolution)
            hours[phone, scope.bucket_of(hour)].append(at_home)
    for (phone, start), seen in hours.items():
        yield phone, above(homes[phone], resolution), start, 0, 100 * sum(seen) // len(seen)
        yield phone, above(homes[phone], resolution), start, 1, 100


def max_distance_from_home(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone with a home on each day: the bin of the farthest distance of its stays."""
    scope, offset = asked.scope, world.offset
    days = [(day_start(day, offset), day_start(day + 1, offset)) for day in scope.span.days(offset)]
    for phone, stays in world.stays.items():
        nights = list(_nights_of_stays(stays, scope.span, world.offset))
        if not nights:
            continue
        home = most_days((0, above(stay.cell, 6), night) for stay, night in nights)[0]
        own = [_position(stay) for stay, _ in nights if above(stay.cell, 6) == home]
        centre = [math.floor(sum(part) / len(part)) for part in zip(*own, strict=True)]
        for since, until in days if inside(asked, home) else ():
            met = [stay for stay in stays if stay.arrival < until and stay.departure > since]
            if met:
                km = max(math.dist(centre, _position(stay)) for stay in met) / 1000
                number = sum(km >= edge for edge in (1, 2, 5, 10, 20, 50, 100))
                yield phone, above(home, resolution), scope.bucket_of(since), number, 1


def overnight_visits(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone's night that it spent outside its usual environment, from its home."""
    homes = places(world, asked.scope.span)
    for (phone, _), cell in _nights_away(world, asked, homes).items():
        yield from _moved(asked, resolution, {phone: homes[phone]}, {phone: cell})


def same_day_visits(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone's day with hours outside its usual environment and no such night at either end."""
    homes = places(world, asked.scope.span)
    away, usual = _nights_away(world, asked, homes), _usual(world, asked, homes)
    outings = most_days(
        ((phone, day), cell, hour)
        for phone, day, cell, hour in _hours(world, asked)
        if phone in homes and cell not in usual[phone]
    )
    for (phone, day), cell in outings.items():
        if (phone, day) not in away and (phone, day - dt.timedelta(days=1)) not in away:
            yield from _moved(asked, resolution, {phone: homes[phone]}, {phone: cell})


def _hours(world: Any, asked: Asked) -> Iterable[tuple[int, dt.date, int, int]]:
    """Yield phone, day, cell and hour of all that the question reads."""
    for (phone, hour), cell in world.hours.items():
        if asked.reads(hour):
            yield phone, local_time(hour, world.offset).date(), above(cell, 6), hour


def _usual(world: Any, asked: Asked, homes: Places) -> dict[int, set[int]]:
    """Return the usual environment: home, and cells of as many days as weeks, in more than half of these."""
    weeks = len(asked.scope.span.periods(world.offset))
    days: dict[tuple[int, int], set[dt.date]] = defaultdict(set)
    for phone, day, cell, _ in _hours(world, asked):
        days[phone, cell].add(day)
    usual = {phone: {home} for phone, home in homes.items()}
    for (phone, cell), own in days.items():
        if phone in usual and len(own) >= weeks and len({day.isocalendar()[:2] for day in own}) > weeks / 2:
            usual[phone].add(cell)
    return usual


def _nights_away(world: Any, asked: Asked, homes: Places) -> dict[tuple[int, dt.date], int]:
    """Return the cell of most hours of each phone's nights that began in the question, unless it is usual."""
    usual = _usual(world, asked, homes)
    first = local_time(asked.scope.span.start, world.offset).date()
    hours = []
    for phone, _, cell, hour in _hours(world, asked):
        night = night_of(local_time(hour, world.offset))
        if night is not None and night >= first:
            hours.append(((phone, night), cell, hour))
    return {key: cell for key, cell in most_days(hours).items() if cell not in usual[key[0]]}


def _nights_of_stays(stays: Iterable[Any], span: Span, offset: int) -> Iterable[tuple[Any, dt.date]]:
    """Yield each stay once for each night hour of the span that it touches, with the night."""
    for stay in stays:
        for hour in range(span.start, span.end, HOUR):
            night = night_of(local_time(hour, offset))
            if night is not None and stay.arrival < hour + HOUR and stay.departure > hour:
                yield stay, night


def _position(stay: Any) -> tuple[int, int, int]:
    """Return whole metres from the Earth's centre."""
    lat, lon = math.radians(stay.lat_e5 / 1e5), math.radians(stay.lon_e5 / 1e5)
    parts = math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)
    x, y, z = (round(plain_stays.RADIUS_M * part) for part in parts)
    return x, y, z


def _halves(asked: Asked) -> tuple[Span, Span]:
    """Return the first half of the question's weeks, rounded down, and the rest."""
    span, offset = asked.scope.span, asked.scope.offset
    weeks = span.periods(offset)
    middle = weeks[len(weeks) // 2].span(offset).start
    return Span(span.start, middle), Span(middle, span.end)


def _moved(asked: Asked, resolution: int, here: Places, there: Places) -> Iterable[Row]:
    for phone in here.keys() & there.keys():
        ends = here[phone], there[phone]
        if all(inside(asked, end) for end in ends):
            yield phone, *(above(end, resolution) for end in ends), asked.scope.span.start, 1


def catchment(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone once for each cell in which it was seen, with its home."""
    homes = places(world, asked.scope.span)
    for phone, cell, _ in _visits(world, asked, resolution):
        if phone in homes and inside(asked, homes[phone]):
            yield phone, above(homes[phone], resolution), cell, asked.scope.span.start, 1


def visitors_not_residents(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone once for each cell and bucket that holds a cell, not its home, where it was seen."""
    homes, scope = places(world, asked.scope.span), asked.scope
    strangers = {
        (phone, above(cell, resolution), start)
        for phone, cell, start in _visits(world, asked, scope.resolution)
        if phone in homes and above(homes[phone], scope.resolution) != cell
    }
    for key in strangers:
        yield *key, 1


def _visits(world: Any, asked: Asked, resolution: int) -> set[tuple[int, int, int]]:
    """Return the distinct (phone, cell, bucket) within the area."""
    return {
        (phone, above(cell, resolution), asked.scope.bucket_of(hour))
        for (phone, hour), cell in world.hours.items()
        if asked.reads(hour) and asked.inside(cell)
    }


DEFINITIONS = {
    "residents": residents,
    "commuting": commuting,
    "catchment": catchment,
    "relocation": relocation,
    "displacement": displacement,
    "stay-put": stay_put,
    "time-at-home": time_at_home,
    "max-distance-from-home": max_distance_from_home,
    "overnight-visits": overnight_visits,
    "same-day-visits": same_day_visits,
    "visitors-not-residents": visitors_not_residents,
}
