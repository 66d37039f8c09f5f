"""Farthest distance from home, by day: a histogram over device-days, of which no single one is ever released.

From stays, since they have positions. Home is the cell of resolution 6 in which the device stayed on most
nights of the question: a night (19:00 to 06:59) counts if a stay touches one of its hours. Each stay counts
once for each night hour that it touches: ties go to the cell with more of these, then to the lowest one, and
the home's position is their mean in that cell, in whole metres on each axis, rounded down.

A device with a home has one row for each day that a stay of it touches, in the cell of its home: the bin of
the greatest distance of that day's stays from the home's position. Distances are chords through the Earth:
shorter than the way along its surface by 0.1 m at 30 km and by 0.1% at 1,000 km. "median" is the distance
that half of the device-days stay below.

One row a day, in the one cell of a home: rows add up over cells, and the sum of squares is at most that of
the numbers of days in each bucket of time. Nothing is clipped.

Limits: what lies between two stays is not seen, nor is a day without a stay.
"""

from __future__ import annotations

from passersby.measures._homes import at_night_sql, most_days_sql, night_sql, one_a_day
from passersby.measures.base import HOME_RESOLUTION, Measure, Scope
from passersby.model.bins import Quantile, bin_sql, histogram
from passersby.model.cells import parent_sql
from passersby.model.period import DAY, HOUR

_BINS = histogram(0, 1, 2, 5, 10, 20, 50, 100, unit="km")

_NIGHTS = """
SELECT stays.device AS device, {home} AS cell, {night} AS day,
  stays.x_m AS x_m, stays.y_m AS y_m, stays.z_m AS z_m
FROM stays
JOIN hours ON stays.arrival < hours.hour + {an_hour} AND stays.departure > hours.hour
WHERE {at_night}
"""

_SQL = """
WITH nights AS (
{nights}
),
{homes},
positions AS (
  SELECT homes.device AS device, homes.cell AS cell,
    CAST(FLOOR(CAST(SUM(nights.x_m) AS DOUBLE) / COUNT(*)) AS BIGINT) AS x_m,
    CAST(FLOOR(CAST(SUM(nights.y_m) AS DOUBLE) / COUNT(*)) AS BIGINT) AS y_m,
    CAST(FLOOR(CAST(SUM(nights.z_m) AS DOUBLE) / COUNT(*)) AS BIGINT) AS z_m
  FROM homes
  JOIN nights ON homes.device = nights.device AND homes.cell = nights.cell
  GROUP BY homes.device, homes.cell
),
days AS (
  SELECT DISTINCT {day} AS day FROM hours
),
distances AS (
  SELECT positions.device AS device, positions.cell AS home, days.day AS day,
    stays.x_m - positions.x_m AS x, stays.y_m - positions.y_m AS y, stays.z_m - positions.z_m AS z
  FROM stays
  JOIN days ON stays.arrival < days.day + {a_day} AND stays.departure > days.day
  JOIN positions ON stays.device = positions.device
),
farthest AS (
  SELECT device, home, day,
    SQRT(CAST(MAX(x * x + y * y + z * z) AS DOUBLE)) / CAST(1000 AS DOUBLE) AS km
  FROM distances
  GROUP BY device, home, day
)
SELECT device, {whole} AS period, cell, start, bin, CAST(1 AS BIGINT) AS value
FROM (
  SELECT device, {parent} AS cell, {bucket} AS start, {bin} AS bin FROM farthest
) AS device_days
SEMI JOIN area ON device_days.cell = area.cell
"""


def _rows(scope: Scope, resolution: int) -> str:
    nights = _NIGHTS.format(
        home=parent_sql("stays.cell", HOME_RESOLUTION),
        night=night_sql(scope, "hours.hour"),
        at_night=at_night_sql(scope, "hours.hour"),
        an_hour=HOUR,
    )
    return _SQL.format(
        nights="\n".join(f"  {line}" for line in nights.strip().splitlines()),
        homes=most_days_sql("homes", "SELECT device, cell, day FROM nights"),
        day=scope.day_sql("hour"),
        a_day=DAY,
        whole=scope.whole_sql,
        parent=parent_sql("home", resolution, of=HOME_RESOLUTION),
        bucket=scope.bucket_sql("day"),
        bin=bin_sql("km", _BINS),
    ).strip()


MAX_DISTANCE_FROM_HOME = Measure(
    name="max-distance-from-home",
    unit="device-days",
    definition="Number of (device, day) pairs of devices whose home, the cell of resolution 6 in which they "
    "stayed on most nights (19:00 to 06:59) of the question, lies in the cell, by the distance of the "
    "farthest stay of that day from the home's mean position.",
    source="Canzian & Musolesi (2015), Trajectories of depression, UbiComp: maximum distance from home; here "
    "for each day, as a histogram",
    version=1,
    additive=True,
    grains=("day", "week"),
    tables=("stays",),
    rows=_rows,
    bound=one_a_day,
    bins=_BINS,
    derived=(Quantile("median", 0.5),),
    joint=True,
    finest=HOME_RESOLUTION,
    filtered=False,
    whole_periods=True,
)
