"""Stays of a small world in plain Python, by the words of `derive.stays`: lists and h3's own functions."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import h3.api.numpy_int as h3i

from passersby.model.period import HOUR, Period

ROAMING_M, LEAST_S, GAP_S, SPEED_M_S = 200, 600, 3600, 70
RADIUS_M = 6_371_008.8


class Point(NamedTuple):
    """A fix of one phone."""

    t: int
    cell: int


class Stay(NamedTuple):
    """A stay of one phone."""

    arrival: int
    departure: int
    cells: list[int]


class Whole(NamedTuple):
    """A stay with its cell and its mean position in 1e-5 degrees."""

    arrival: int
    departure: int
    cell: int
    lat_e5: float
    lon_e5: float


class Trip(NamedTuple):
    """A move from one stay to the next one."""

    departure: int
    arrival: int
    origin: int
    destination: int
    metres: float


def place_e5(cell: int) -> tuple[int, int]:
    """Return where a small world's fixes of a cell lie, in 1e-5 degrees."""
    lat, lon = h3i.cell_to_latlng(cell)
    return round(lat * 1e5), round(lon * 1e5)


def metres(one: Point, other: Point) -> float:
    """Great-circle distance by the chord."""
    return apart(place_e5(one.cell), place_e5(other.cell))


def apart(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Great-circle distance, m, of two places in 1e-5 degrees."""
    return 2 * RADIUS_M * math.asin(min(1.0, math.dist(_unit(*one), _unit(*other)) / 2))


def _unit(lat_e5: float, lon_e5: float) -> tuple[float, float, float]:
    lat, lon = math.radians(lat_e5 / 1e5), math.radians(lon_e5 / 1e5)
    return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)


def by_phone(
    kept: Iterable[tuple[int, int, int]], offset: int, dominant: Callable[[list[int]], int]
) -> dict[int, list[Whole]]:
    """Return the stays of each phone, from fixes (phone, t, cell) without doubles."""
    parts: defaultdict[tuple[int, Period], list[Point]] = defaultdict(list)
    for phone, t, cell in sorted(kept):
        parts[phone, Period.containing(t, offset)].append(Point(t, cell))
    found: defaultdict[int, list[Whole]] = defaultdict(list)
    for (phone, _), points in sorted(parts.items(), key=lambda part: (part[0][0], part[1][0].t)):
        merged: list[tuple[int, int, list[int]]] = []
        for stay in _stays(_without_teleports(points)):
            home = dominant(list(stay.cells))
            if merged and dominant(list(merged[-1][2])) == home and stay.arrival - merged[-1][1] <= GAP_S:
                merged[-1] = (merged[-1][0], stay.departure, merged[-1][2] + stay.cells)
            else:
                merged.append((stay.arrival, stay.departure, list(stay.cells)))
        found[phone] += [
            Whole(since, until, dominant(list(cells)), *_mean(cells)) for since, until, cells in merged
        ]
    return found


def _mean(cells: Sequence[int]) -> tuple[float, float]:
    """Return the mean position; longitudes are taken the shorter way round from the first."""
    places = [place_e5(cell) for cell in cells]
    first = places[0][1]
    lons = [first + (lon - first + 18_000_000) % 36_000_000 - 18_000_000 for _, lon in places]
    return sum(lat for lat, _ in places) / len(places), sum(lons) / len(lons)


def trips(stays: Sequence[Whole], offset: int) -> list[Trip]:
    """Return the moves from each stay to the next one of the same period, where that is in another cell."""
    return [
        Trip(
            one.departure,
            other.arrival,
            one.cell,
            other.cell,
            apart((one.lat_e5, one.lon_e5), (other.lat_e5, other.lon_e5)),
        )
        for one, other in itertools.pairwise(stays)
        if one.cell != other.cell
        and Period.containing(one.arrival, offset) == Period.containing(other.arrival, offset)
    ]


def _without_teleports(points: Sequence[Point]) -> list[Point]:
    kept: list[Point] = []
    for i, point in enumerate(points):
        ends = [*kept[-1:], *points[i + 1 : i + 2]]
        both = bool(kept) and i + 1 < len(points)
        if not (both and all(metres(point, end) > SPEED_M_S * abs(end.t - point.t) for end in ends)):
            kept.append(point)
    return kept


def _stays(points: Sequence[Point]) -> list[Stay]:
    rows: list[list[Point]] = []
    for point in points:
        if rows and point.t - rows[-1][-1].t <= GAP_S and metres(rows[-1][0], point) <= ROAMING_M:
            rows[-1].append(point)
        else:
            rows.append([point])
    return [
        Stay(row[0].t, row[-1].t, [point.cell for point in row])
        for row in rows
        if row[-1].t - row[0].t >= LEAST_S
    ]


def hours(stays: Sequence[Whole], offset: int) -> dict[int, int]:
    """Return the cell of each hour (epoch s) that stays touch: of the longest, then the earliest."""
    best: dict[int, tuple[int, int, int]] = {}
    for since, until, cell, *_ in stays:
        hour = since - (since + offset) % HOUR
        while hour < until:
            overlap = min(until, hour + HOUR) - max(since, hour)
            if overlap > 0:
                best[hour] = max(best.get(hour, (0, 0, 0)), (overlap, -since, cell))
            hour += HOUR
    return {hour: cell for hour, (_, _, cell) in best.items()}
