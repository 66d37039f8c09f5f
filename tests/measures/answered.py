"""Runs a measure's SQL over stays and trips that a test writes out."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import duckdb
import h3.api.numpy_int as h3i
import numpy as np
import pyarrow as pa

from passersby.measures.base import Measure, Scope
from passersby.model.motion import earth_centred
from passersby.model.period import HOUR, Period, parse_span
from passersby.model.schema import STAYS, TRIPS

MONDAY = Period.parse("2026-W20").span(0).start
MINUTE = 60


class Stay(NamedTuple):
    """A stay in the middle of its cell; times in seconds from the first Monday."""

    device: int
    cell: int
    arrival: int
    departure: int


class Trip(NamedTuple):
    """A trip; times in seconds from the first Monday."""

    device: int
    origin: int
    destination: int
    departure: int
    arrival: int
    distance_m: int = 1000


def cell_at(lat: float, lon: float) -> int:
    """Return the cell of a place at resolution 10."""
    return int(h3i.latlng_to_cell(lat, lon, 10))


@functools.cache
def position(cell: int) -> tuple[int, int, int]:
    """Return the earth-centred position of the middle of a cell."""
    lat, lon = h3i.cell_to_latlng(cell)
    x, y, z = earth_centred(np.array([lat * 1e5]), np.array([lon * 1e5]))
    return int(x[0]), int(y[0]), int(z[0])


def scope(
    every: str = "week", *, period: str = "2026-W20", resolution: int = 6, offset: int = 0, **filters: str
) -> Scope:
    """Return the scope of a question."""
    chosen = tuple((name, tuple(values.split(","))) for name, values in sorted(filters.items()))
    return Scope(parse_span(period, offset), resolution, every, chosen, offset)


def answer(
    measure: Measure,
    asked: Scope,
    stays: Sequence[Stay] = (),
    trips: Sequence[Trip] = (),
    outside: Sequence[int] = (),
) -> Counter[tuple[int, ...]]:
    """Return the sum of values by key without the cell: (start in hours from Monday, perhaps bin).

    The area is all cells of what is given, but for those of `outside`.
    """
    rows = rows_of(measure, asked, stays, trips, outside)
    found: Counter[tuple[int, ...]] = Counter()
    for _, _, _, start, *key, value in rows:
        found[((start - MONDAY) // HOUR, *key)] += value
    return found


def rows_of(
    measure: Measure,
    asked: Scope,
    stays: Sequence[Stay] = (),
    trips: Sequence[Trip] = (),
    outside: Sequence[int] = (),
) -> list[tuple[int, ...]]:
    """Return the measure's rows (device, period, keys.., value), sorted."""
    seen = {stay.cell for stay in stays} | {cell for trip in trips for cell in trip[1:3]}
    area = sorted(
        {int(h3i.cell_to_parent(cell, asked.resolution)) for cell in seen}
        - {int(h3i.cell_to_parent(cell, asked.resolution)) for cell in outside}
    )
    whole = [
        (device, cell, MONDAY + since, MONDAY + until, 2, *position(cell))
        for device, cell, since, until in stays
    ]
    moves = [
        (who, origin, destination, MONDAY + since, MONDAY + until, metres)
        for who, origin, destination, since, until, metres in trips
    ]
    with duckdb.connect() as connection:
        connection.register("stays", _table(whole, STAYS))
        connection.register("trips", _table(moves, TRIPS))
        connection.register("area", pa.table({"cell": pa.array(area, pa.int64())}))
        connection.register("hours", pa.table({"hour": pa.array(asked.selected, pa.int64())}))
        return sorted(connection.execute(measure.rows(asked, asked.resolution)).fetchall())


def _table(rows: Sequence[tuple[int, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)
