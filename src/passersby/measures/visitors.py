"""Visitors: distinct devices per cell and day, or per cell and period.

Not additive: a device that crosses ten child cells is one visitor of their parent. Each resolution is
counted and bounded by itself. A device has one dominant cell an hour, so over H hours it is a visitor
of at most H (cell, bucket) keys at any resolution. That is the bound: nothing is clipped.
"""

from __future__ import annotations

from passersby.measures.base import Measure, Scope, each_bucket
from passersby.model.cells import parent_sql

_SQL = """
SELECT DISTINCT device, {period} AS period, cell, {bucket} AS start, CAST(1 AS BIGINT) AS value
FROM (
  SELECT device, hour, {parent} AS cell, {asked} AS asked
  FROM presence
  WHERE {where}
) AS hours
SEMI JOIN area ON hours.asked = area.cell
"""


def _rows(scope: Scope, resolution: int) -> str:
    return _SQL.format(
        period=scope.period_sql("hour"),
        bucket=scope.bucket_sql("hour"),
        parent=parent_sql("cell", resolution),
        asked=parent_sql("cell", scope.resolution),
        where=scope.where_sql("hour"),
    ).strip()


VISITORS = Measure(
    name="visitors",
    unit="devices",
    definition="Number of distinct devices whose dominant cell lay in the cell in at least one hour of the "
    "bucket of time.",
    source="Flowminder (2020), CDR aggregates for COVID-19: count of unique subscribers per locality and "
    "time interval",
    version=1,
    additive=False,
    grains=("day", "week"),
    tables=("presence",),
    rows=_rows,
    expected="once",
    bound=lambda scope: scope.hours,
    floor=each_bucket,
)
