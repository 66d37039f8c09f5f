"""Zones in the place of cells: what a measure's SQL reads where zones are asked for.

The tables of the lake stand there with stand-ins of zones (`model.zones`) in place of cells, so that one text
of a measure serves cells and zones alike: its keys are zones, and so is what it compares, a home and a place
of work among them. A cell outside all zones stays a cell: who lives there lives in none of them. A device
that is in five cells of a zone is in one place, before anything is counted or bounded.

What a measure says about places within (`Scope.spot`) stays with the cells of resolution 10: a walk within a
zone is a walk.
"""

from __future__ import annotations

from collections.abc import Sequence

from passersby.measures.base import SPOT
from passersby.model.cells import parent_sql
from passersby.model.schema import TABLES

ZONE_CELLS = "zone_cells"
"""The given table (cell, zone) that the SQL joins: `model.zones.Zones.table`."""

_PLACES = {"presence": ("cell",), "stays": ("cell",), "trips": ("origin", "destination")}
"""Columns of each table that hold cells."""

_SQL = """
WITH {tables}
SELECT *
FROM (
{rows}
) AS measured
"""

_TABLE = """
{name} AS (
  SELECT {columns}
  FROM {name}
{joins}
)
"""


def in_zones(rows: str, tables: Sequence[str], resolution: int) -> str:
    """Return the SQL of a measure with zones in place of cells.

    Args:
        rows: SQL of the measure, made for a scope that is `zoned`.
        tables: of the lake, that it reads.
        resolution: of the cells that the zones are held in.
    """
    indented = "\n".join(f"  {line}" for line in rows.strip().splitlines())
    known = ",\n".join(_table(name, resolution) for name in tables)
    return _SQL.format(tables=known, rows=indented).strip()


def _table(name: str, resolution: int) -> str:
    places = _PLACES[name]
    columns = [
        f"COALESCE(at_{column}.zone, {name}.{column}) AS {column}" if column in places else f"{name}.{column}"
        for column in TABLES[name].names
    ]
    columns += [f"{name}.cell AS {SPOT}"] if "cell" in places else []
    joins = (
        f"  LEFT JOIN {ZONE_CELLS} AS at_{column} "
        f"ON {parent_sql(f'{name}.{column}', resolution)} = at_{column}.cell"
        for column in places
    )
    return _TABLE.format(name=name, columns=", ".join(columns), joins="\n".join(joins)).strip()
