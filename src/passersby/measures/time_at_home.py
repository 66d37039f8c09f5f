"""Time at home: mean share of a device's hours by day that it spent in the cell of its home.

Home is as in `measures.residents`, from all of the question's nights. Hours by day are those from 07:00 to
18:59: the others are what the home was found from. For each device with a home and each bucket of time in
which it was seen by day, its share is (hours by day seen in the home's cell at the question's resolution) /
(hours by day seen). "mean" is the mean of these shares over the devices that live in the cell: each device
weighs the same, however many hours it was seen.

The mean is made from two bins of one vector: "sum" counts a share in whole per cents, rounded down, "count"
100 for each device. So a device has at most 100 in each of them in a bucket: C2 is 20,000 for each bucket,
and nothing is clipped. Rounding down lowers a mean by less than 0.01.

Limits: hours without a ping are in no share. Phones that are used more at home make it larger.
"""

from __future__ import annotations

from passersby.measures._homes import at_night_sql, homes_sql
from passersby.measures.base import HOME_RESOLUTION, Measure, Scope
from passersby.model.bins import Bin, Ratio
from passersby.model.cells import parent_sql
from passersby.model.question import WHOLE

_PARTS = 100
"""Whole parts of a share."""

_SQL = """
WITH {homes},
shares AS (
  SELECT homes.device AS device, homes.cell AS home, {bucket} AS start,
    SUM(CASE WHEN {seen} = {lived} THEN 1 ELSE 0 END) AS at_home,
    COUNT(*) AS hours
  FROM homes
  JOIN presence ON homes.device = presence.device
  WHERE {where} AND NOT {at_night}
  GROUP BY homes.device, homes.cell, {bucket}
),
parts AS (
  SELECT device, home, start, CAST(0 AS BIGINT) AS bin,
    CAST(FLOOR(CAST({parts} * at_home AS DOUBLE) / CAST(hours AS DOUBLE)) AS BIGINT) AS value
  FROM shares
  UNION ALL
  SELECT device, home, start, CAST(1 AS BIGINT) AS bin, CAST({parts} AS BIGINT) AS value
  FROM shares
)
SELECT device, {whole} AS period, cell, start, bin, value
FROM (SELECT device, {parent} AS cell, start, bin, value FROM parts) AS placed
SEMI JOIN area ON placed.cell = area.cell
"""


def _rows(scope: Scope, resolution: int) -> str:
    return _SQL.format(
        homes=homes_sql(scope),
        bucket=scope.bucket_sql("presence.hour"),
        seen=parent_sql("presence.cell", scope.resolution),
        lived=parent_sql("homes.cell", scope.resolution, of=HOME_RESOLUTION),
        where=scope.where_sql("presence.hour"),
        at_night=at_night_sql(scope, "presence.hour"),
        parts=_PARTS,
        whole=scope.whole_sql,
        parent=parent_sql("home", resolution, of=HOME_RESOLUTION),
    ).strip()


TIME_AT_HOME = Measure(
    name="time-at-home",
    unit="devices",
    definition="Mean, over devices whose home (as for `residents`) lies in the cell, of the share of their "
    "hours seen by day (07:00 to 18:59) in the bucket of time whose dominant cell lies in that cell.",
    source="Aktay et al. (2020), Google COVID-19 Community Mobility Reports: Anonymization Process "
    "Description: residential; here a mean of shares of hours seen, each device weighing the same",
    version=1,
    additive=True,
    grains=(WHOLE, "week", "day"),
    tables=("presence",),
    rows=_rows,
    bound=lambda scope: 2 * _PARTS**2 * len(scope.starts),
    bins=(Bin("sum", factor=1 / _PARTS, counted=False), Bin("count", factor=1 / _PARTS)),
    derived=(Ratio("mean", ("sum",), ("count",)),),
    joint=True,
    finest=HOME_RESOLUTION,
    filtered=False,
)
