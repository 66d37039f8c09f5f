"""Presence: device-hours per cell and bucket of time.

For each device and hour there is exactly one dominant cell, so device-hours add up over cells and
hours. One device contributes at most one row an hour: over H hours in buckets of g hours its sum of
squares is at most (H / g) * g^2 = H * g at every resolution, reached by a device that never leaves one
cell. That is the bound: nothing is clipped.
"""

from __future__ import annotations

from passersby.measures.base import Measure, Scope
from passersby.model.cells import parent_sql

_SQL = """
SELECT device, {period} AS period, cell, {bucket} AS start,{bin} CAST(1 AS BIGINT) AS value
FROM (
  SELECT device, hour, {parent} AS cell
  FROM presence
  WHERE {where}
) AS hours
SEMI JOIN area ON hours.cell = area.cell
"""


def device_hours(scope: Scope, resolution: int, *, number: str = "", where: str = "") -> str:
    """Return SQL for one row for each device and hour that is read, in its dominant cell.

    Args:
        scope: of the question.
        resolution: of the cells.
        number: SQL for the bin of the column `hour`; "" for none.
        where: a further condition on `hour`.
    """
    return _SQL.format(
        period=scope.period_sql("hour"),
        bucket=scope.bucket_sql("hour"),
        bin=f" {number} AS bin," if number else "",
        parent=parent_sql("cell", resolution),
        where=" AND ".join(filter(None, (scope.where_sql("hour"), where))),
    ).strip()


PRESENCE = Measure(
    name="presence",
    unit="device-hours",
    definition="Number of (device, hour) pairs whose dominant cell lies in the cell, in each bucket of time.",
    source="UN-CEBD, Methodological Guide on the Use of Mobile Phone Data: Dynamic Population Mapping",
    version=1,
    additive=True,
    grains=("hour", "daypart", "day", "week"),
    tables=("presence",),
    rows=device_hours,
    expected="each hour",
    bound=lambda scope: scope.hours * scope.bucket_hours,
)
