"""Releases of residents and censuses that are made up, over one root cell, for tests of weights."""

from __future__ import annotations

from typing import Any

import h3.api.numpy_int as h3i
import numpy as np
import pyarrow as pa

from passersby.measures.residents import RESIDENTS
from passersby.model.census import Census
from passersby.model.period import parse_span
from passersby.model.place import Area
from passersby.model.release import SUPPRESSED, Release
from passersby.model.schema import ROWS, ZONE, rows_of

ROOT = int(h3i.latlng_to_cell(47.4, 8.5, 4))
FIVES = sorted(int(c) for c in h3i.cell_to_children(ROOT, 5))
SPAN = parse_span("2026-W20..2026-W23", 0)
WEEK = parse_span("2026-W21", 0)

Row = tuple[int, float | None, float]
"""(cell, estimate, standard error)"""


def residents(rows: list[Row], resolution: int = 5, **changed: Any) -> Release:
    """Return a release of residents of the root cell with such rows."""
    values = [
        (
            cell,
            SPAN.start,
            n,
            n and n - 1.96 * e,
            n and n + 1.96 * e,
            n and round(n),
            SUPPRESSED if n is None else "",
        )
        for cell, n, e in sorted(rows)
    ]
    columns = zip(*values, strict=True)
    table = pa.table([pa.array(c, f.type) for c, f in zip(columns, ROWS, strict=True)], schema=ROWS)
    question = {
        "measure": "residents",
        "definition": RESIDENTS.version,
        "from": SPAN.start,
        "to": SPAN.end,
        "area": [f"{ROOT:x}"],
        "resolution": resolution,
        **changed,
    }
    return Release("0" * 12, "0" * 64, question, table, {}, 1, 0, 0, "opendp")


def zones(rows: dict[str, tuple[float, float]], cells: dict[str, list[int]]) -> Release:
    """Return a release of residents of zones."""
    schema = rows_of(ZONE, binned=False)
    values = [(z, SPAN.start, n, n - 1.96 * e, n + 1.96 * e, round(n), "") for z, (n, e) in rows.items()]
    columns = zip(*values, strict=True)
    table = pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)
    held = {name: Area.from_cells(np.array(own)).names() for name, own in cells.items()}
    found = residents([(ROOT, 1.0, 1.0)], zones=held)
    return Release(found.id, found.question_sha256, found.question, table, {}, 1, 0, 0, "opendp")


def census(people: dict[int, int]) -> Census:
    lines = "".join(f"{cell:x},{n}\n" for cell, n in people.items())
    return Census.parse(f"cell,population\n{lines}")
