"""Stays of a small world in plain Python, by the words of `derive.stays`: lists and h3's own functions."""

from __future__ import annotations

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


def place_e5(cell: int) -> tuple[int, int]:
    """Return where a small world's fixes of a cell lie, in 1e-5 degrees."""
    lat, lon = h3i.cell_to_latlng(cell)
    return round(lat * 1e5), round(lon * 1e5)


def metres(one: Point, other: Point) -> float:
    """Great-circle distance by the chord."""
    a, b = (_unit(point.cell) for point in (one, other))
    return 2 * RADIUS_M * math.asin(min(1.0, math.dist(a, b) / 2))


def _unit(cell: int) -> tuple[float, float, float]:
    lat, lon = (math.radians(e5 / 1e5) for e5 in place_e5(cell))
    return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)


def by_phone(
    kept: Iterable[tuple[int, int, int]], offset: int, dominant: Callable[[list[int]], int]
) -> dict[int, list[tuple[int, int, int]]]:
    """Return stays (arrival, departure, cell) of each phone, from fixes (phone, t, cell) without doubles."""
    parts: defaultdict[tuple[int, Period], list[Point]] = defaultdict(list)
    for phone, t, cell in sorted(kept):
        parts[phone, Period.containing(t, offset)].append(Point(t, cell))
    found: defaultdict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for (phone, _), points in sorted(parts.items(), key=lambda part: (part[0][0], part[1][0].t)):
        merged: list[tuple[int, int, list[int]]] = []
        for stay in _stays(_without_teleports(points)):
            home = dominant(list(stay.cells))
            if merged and dominant(list(merged[-1][2])) == home and stay.arrival - merged[-1][1] <= GAP_S:
                merged[-1] = (merged[-1][0], stay.departure, merged[-1][2] + stay.cells)
            else:
                merged.append((stay.arrival, stay.departure, list(stay.cells)))
        found[phone] += [(since, until, dominant(list(cells))) for since, until, cells in merged]
    return found


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


def hours(stays: Sequence[tuple[int, int, int]], offset: int) -> dict[int, int]:
    """Return the cell of each hour (epoch s) that stays touch: of the longest, then the earliest."""
    best: dict[int, tuple[int, int, int]] = {}
    for since, until, cell in stays:
        hour = since - (since + offset) % HOUR
        while hour < until:
            overlap = min(until, hour + HOUR) - max(since, hour)
            if overlap > 0:
                best[hour] = max(best.get(hour, (0, 0, 0)), (overlap, -since, cell))
            hour += HOUR
    return {hour: cell for hour, (_, _, cell) in best.items()}
