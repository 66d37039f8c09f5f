"""Rows of a release as the tests of SDMX write them: one of each flag, of cells, pairs or zones."""

from __future__ import annotations

from typing import Any

import h3.api.numpy_int as h3i
import pyarrow as pa

from passersby.model.period import WEEK, Span
from passersby.model.release import COARSE, LOW_PRECISION, SUPPRESSED
from passersby.model.schema import PLACE, ZONE, rows_of
from passersby.render.sdmx import About

OFFSET = 7200
MONDAY = 1_778_450_400
"""2026-05-11 at the offset: the first instant of 2026-W20."""
CELLS = sorted(int(c) for c in h3i.grid_disk(h3i.latlng_to_cell(47.37, 8.54, 6), 1))
ZONES = ['North, "Old Town"', "Zürich", "1", "NA", "-"]


def about(every: str = "day", revisions: tuple[int, ...] = (3,), weeks: int = 1) -> About:
    span = Span(MONDAY, MONDAY + weeks * WEEK)
    return About("r1", "presence", "device-hours", every, span, revisions, 3, OFFSET)


def rows(
    place: tuple[str, ...] = PLACE, *, binned: bool = False, starts: tuple[int, ...] = (MONDAY,)
) -> pa.Table:
    """A row of each flag for each start; a coarse one that is precise, and one that is not."""
    values: list[tuple[Any, ...]] = [
        (100.5, 80.0, 121.0, 101, ""),
        (10.0, 0.0, 25.0, 10, LOW_PRECISION),
        (900.0, 880.0, 920.0, 900, COARSE),
        (9.0, 0.0, 20.0, 9, COARSE),
        (None, None, None, None, SUPPRESSED),
    ]
    schema = rows_of(place, binned=binned)
    names = ZONES if place == ZONE else CELLS
    made = [
        (*names[i : i + len(place)], start, *(['0-1 km, "short"'] if binned else []), *row)
        for start in starts
        for i, row in enumerate(values)
    ]
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in made], schema=schema)
