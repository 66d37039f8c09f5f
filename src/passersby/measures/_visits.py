"""What a device's stays say of its days or weeks, each counted once, at the device's usual place.

A *visit* is a stay that falls at least partly into a day or week. The *usual cell* of a device in a period is
the cell of `HOME_RESOLUTION` in which its stays of that period are longest together, ties to the lowest
cell; it is a reference location, so that it exists in here only, inside the SQL of one measure. It is found
from the whole week, also where a question asks for a part of it: a day trip counts where the device usually
is. It looks at no other week.

A device-day or device-week lies in one cell and bin, so that they add up, and their number is the bound: at
most the days of the period, or one. Nothing is clipped. With filters a day would not be a day, so there are
none.
"""

from __future__ import annotations

from dataclasses import replace

from passersby.measures.base import HOME_RESOLUTION, Scope
from passersby.model.bins import Bin, bin_sql
from passersby.model.cells import parent_sql
from passersby.model.period import HOUR

GRAINS = ("day", "week")

_SQL = """
WITH times AS (
  SELECT start, MIN(hour) AS since, MAX(hour) + {an_hour} AS until
  FROM (SELECT {unit} AS start, hour FROM hours) AS asked
  GROUP BY start
),
visits AS (
  SELECT stays.device AS device, times.start AS start, stays.{spot} AS place,
    stays.arrival AS arrival, stays.departure AS departure,
    stays.x_m AS x, stays.y_m AS y, stays.z_m AS z
  FROM stays
  JOIN times ON stays.arrival < times.until AND stays.departure > times.since
),
spent AS (
  SELECT device, period, cell, CAST(SUM(seconds) AS BIGINT) AS seconds
  FROM (
    SELECT device, {period_of_stay} AS period, {usual} AS cell, departure - arrival AS seconds FROM stays
  ) AS located
  GROUP BY device, period, cell
),
usual AS (
  SELECT device, period, cell
  FROM (
    SELECT device, period, cell,
      ROW_NUMBER() OVER (PARTITION BY device, period ORDER BY seconds DESC, cell) AS place
    FROM spent
  ) AS ranked
  WHERE place = 1
),
{measured},
placed AS (
  SELECT measured.device AS device, usual.period AS period, {asked} AS cell, measured.start AS start,
    measured.quantity AS quantity
  FROM measured
  JOIN usual ON measured.device = usual.device AND {period_of_unit} = usual.period
)
{selected}
"""

_ONE_ROW = """
SELECT device, period, cell, {bucket} AS start, {bin} AS bin, CAST(1 AS BIGINT) AS value
FROM placed
SEMI JOIN area ON placed.cell = area.cell
"""


def one_row(scope: Scope, bins: tuple[Bin, ...]) -> str:
    """Return SQL for one row a device and unit of time: `quantity` in its bin."""
    return _ONE_ROW.format(bucket=scope.bucket_sql("start"), bin=bin_sql("quantity", bins))


def numbered(scope: Scope) -> str:
    """Return SQL for one row a device and unit of time, whose `quantity` is the index of its bin."""
    return _ONE_ROW.format(bucket=scope.bucket_sql("start"), bin="CAST(quantity AS BIGINT)")


def sql(scope: Scope, resolution: int, *, measured: str, selected: str, every: str) -> str:
    """Return SQL for what each device did in each unit of time, at its usual cell.

    Args:
        scope: of the question.
        resolution: of the usual cell in the answer.
        measured: CTEs, the last one `measured(device, start, quantity)`, from `visits(device, start, place,
            arrival, departure, x, y, z)`.
        selected: gives the rows from `placed(device, period, cell, start, quantity)`.
        every: the unit of time, "day" or "week"; `start` is its first instant.
    """
    return _SQL.format(
        an_hour=HOUR,
        unit=replace(scope, every=every).bucket_sql("hour"),
        period_of_stay=scope.period_sql("arrival"),
        spot=scope.spot,
        usual=parent_sql("cell", HOME_RESOLUTION),
        measured=measured.strip(),
        asked=parent_sql("usual.cell", resolution, of=HOME_RESOLUTION),
        period_of_unit=scope.period_sql("measured.start"),
        selected=selected.strip(),
    ).strip()


def units(scope: Scope) -> int:
    """Return the most rows of one period where each has its own bucket: its days, or one for the week."""
    return scope.days if scope.every == "day" else 1
