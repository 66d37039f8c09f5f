"""SQL of measures that place a device in its modal cell: where it was in most hours of a day or a week.

A modal cell is a reference location: it exists only as a step inside one measure's SQL, at
`HOME_RESOLUTION`. Of equally many hours the lowest cell counts. All hours of the day or week that the
question reads are looked at, also those outside its area: the area chooses among modal cells. A coarser cell
of an answer is the one that holds the modal cell, and not where most hours are at that resolution: so each
device-day or device-week lies in exactly one cell of every resolution, and they add up.
"""

from __future__ import annotations

from passersby.measures.base import HOME_RESOLUTION, Scope
from passersby.model.cells import parent_sql

_STEPS = """
WITH seen AS (
  SELECT device, {part} AS part, hour, {spot} AS spot, {home} AS place
  FROM presence
  WHERE {where}
),
times AS (
  SELECT device, part, place, COUNT(*) AS hours
  FROM seen
  GROUP BY device, part, place
),
modal AS (
  SELECT device, part, place
  FROM (
    SELECT device, part, place,
      ROW_NUMBER() OVER (PARTITION BY device, part ORDER BY hours DESC, place) AS nth
    FROM times
  ) AS ranked
  WHERE nth = 1
),
"""

_ONE_ROW = """classed AS (
  SELECT device, part, {bin} AS bin
  FROM seen
  GROUP BY device, part
  HAVING COUNT(*) >= {least_hours}
)
SELECT device, period, cell, start, bin, CAST(1 AS BIGINT) AS value
FROM (
  SELECT modal.device AS device, {period} AS period, {cell} AS cell, {start} AS start, classed.bin AS bin
  FROM classed
  JOIN modal ON classed.device = modal.device AND classed.part = modal.part
) AS placed
SEMI JOIN area ON placed.cell = area.cell
"""


def one_row(scope: Scope, resolution: int, *, part: str, number: str, least_hours: int = 1) -> str:
    """Return SQL for one row for each device and day, or device and week, in its modal cell.

    Args:
        scope: of the question.
        resolution: of the cells.
        part: SQL for the first instant of the day or week that holds the column `hour`.
        number: SQL for the bin, from the rows (hour, spot, place) of one device and part in `seen`.
        least_hours: fewest hours in which the device must have been seen.
    """
    return (
        steps(scope, part)
        + _ONE_ROW.format(bin=number, least_hours=least_hours, **placed(scope, resolution)).rstrip()
    )


def steps(scope: Scope, part: str) -> str:
    """Return the beginning of the SQL: `seen`, `times` and `modal`, each by (device, part)."""
    home = parent_sql("cell", HOME_RESOLUTION)
    return _STEPS.format(part=part, spot=scope.spot, home=home, where=scope.where_sql("hour")).lstrip()


def placed(scope: Scope, resolution: int) -> dict[str, str]:
    """Return SQL for the period, cell and bucket of a row of `modal`."""
    return {
        "period": scope.period_sql("modal.part"),
        "cell": parent_sql("modal.place", resolution, of=HOME_RESOLUTION),
        "start": scope.bucket_sql("modal.part"),
    }
