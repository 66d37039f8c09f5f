"""Presence by stays: device-hours per cell and bucket of time, from stays instead of pings.

Time on the way does not count, nor does a fix of poor accuracy, and an hour in two places counts where the
phone stayed longer, not where it sent more. Each device and hour counts once at most, in one cell: that of
its longest stay in the hour, the earliest of equally long ones. So device-hours add up over cells and hours,
and are bounded as in `measures.presence`.
"""

from __future__ import annotations

from passersby.measures.base import Measure, Scope
from passersby.measures.presence import PRESENCE
from passersby.model.cells import parent_sql
from passersby.model.period import HOUR

_SQL = """
SELECT device, {period} AS period, cell, {bucket} AS start, CAST(1 AS BIGINT) AS value
FROM (
  SELECT device, hour, {parent} AS cell
  FROM (
    SELECT stays.device AS device, hours.hour AS hour, stays.cell AS cell,
      ROW_NUMBER() OVER (
        PARTITION BY stays.device, hours.hour
        ORDER BY
          LEAST(CAST(stays.departure AS BIGINT), hours.hour + {an_hour})
            - GREATEST(CAST(stays.arrival AS BIGINT), hours.hour) DESC,
          stays.arrival, stays.cell
      ) AS place
    FROM stays
    JOIN hours ON stays.arrival < hours.hour + {an_hour} AND stays.departure > hours.hour
  ) AS ranked
  WHERE place = 1
) AS longest
SEMI JOIN area ON longest.cell = area.cell
"""


def _rows(scope: Scope, resolution: int) -> str:
    return _SQL.format(
        period=scope.period_sql("hour"),
        bucket=scope.bucket_sql("hour"),
        parent=parent_sql("cell", resolution),
        an_hour=HOUR,
    ).strip()


STAY_PRESENCE = Measure(
    name="stay-presence",
    unit="device-hours",
    definition="Number of (device, hour) pairs whose longest stay in the hour lies in the cell, "
    "in each bucket of time.",
    source="Hariharan & Toyama (2004), Project Lachesis: stays; UN-CEBD, Methodological Guide "
    "on the Use of Mobile Phone Data: Dynamic Population Mapping",
    version=1,
    additive=True,
    grains=PRESENCE.grains,
    tables=("stays",),
    rows=_rows,
    expected="each hour",
    bound=PRESENCE.bound,
    whole_periods=True,
    contributions_a_row=8,
)
