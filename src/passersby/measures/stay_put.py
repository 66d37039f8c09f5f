"""Stay-put: device-days on which a device was seen nowhere but at home, beside the days on which it left.

Home is as in `measures.residents`, from all of the question's nights. Each device with a home has one row for
each day on which it was seen, in the cell of its home: "stayed" if every hour of that day lies in the home's
cell at the question's resolution, "left" if one does not. The ratio "stay-put" is the share of device-days
that stayed: each day on which a device was seen weighs the same.

One row a day, in the one cell of a home: rows add up over cells, and the sum of squares is at most that of
the numbers of days in each bucket of time. Nothing is clipped.

Limits: a phone that was seen in one hour of a day has stayed, if that was at home; where phones send little,
more of them seem to stay. Compare days, and not places.
"""

from __future__ import annotations

from passersby.measures._homes import homes_sql, one_a_day
from passersby.measures.base import HOME_RESOLUTION, Measure, Scope
from passersby.model.bins import Bin, Ratio
from passersby.model.cells import parent_sql

_SQL = """
WITH {homes},
days AS (
  SELECT homes.device AS device, homes.cell AS home, {day} AS day,
    MAX(CASE WHEN {seen} = {lived} THEN 0 ELSE 1 END) AS elsewhere
  FROM homes
  JOIN presence ON homes.device = presence.device
  WHERE {where}
  GROUP BY homes.device, homes.cell, {day}
)
SELECT device, {whole} AS period, cell, start, bin, CAST(1 AS BIGINT) AS value
FROM (
  SELECT device, {parent} AS cell, {bucket} AS start, CAST(elsewhere AS BIGINT) AS bin
  FROM days
) AS device_days
SEMI JOIN area ON device_days.cell = area.cell
"""


def _rows(scope: Scope, resolution: int) -> str:
    return _SQL.format(
        homes=homes_sql(scope),
        day=scope.day_sql("presence.hour"),
        seen=parent_sql("presence.cell", scope.resolution),
        lived=parent_sql("homes.cell", scope.resolution, of=HOME_RESOLUTION),
        where=scope.where_sql("presence.hour"),
        whole=scope.whole_sql,
        parent=parent_sql("home", resolution, of=HOME_RESOLUTION),
        bucket=scope.bucket_sql("day"),
    ).strip()


STAY_PUT = Measure(
    name="stay-put",
    unit="device-days",
    definition="Number of (device, day) pairs of devices whose home (as for `residents`) lies in the cell, "
    "by whether the device was seen only in that cell on that day.",
    source="Herdagdelen et al. (2020), Protecting privacy in Facebook mobility data during the COVID-19 "
    "response: stay put; Flowminder (2020), CDR aggregates for COVID-19: count of subscribers only seen in "
    "their home locality",
    version=1,
    additive=True,
    grains=("day", "week"),
    tables=("presence",),
    rows=_rows,
    bound=one_a_day,
    bins=(Bin("stayed"), Bin("left")),
    derived=(Ratio("stay-put", ("stayed",), ("stayed", "left")),),
    joint=True,
    finest=HOME_RESOLUTION,
    filtered=False,
)
