"""Introversion: of the hours of a cell's own devices, the share that they spend in it.

A device belongs to its modal cell of the week (`measures._modal`), which is of resolution 6. "Inside" is
that cell, whatever resolution is asked; coarser cells add up their modal cells, so that levels add up.

Each device-week counts alike, however often the device was seen: the value inside is its share of hours in
whole percent, rounded half up, and the value outside what is left of 100. What is estimated is thus the mean
share of devices, and not the share of all their hours, in which devices that send more would count more.
inside^2 + outside^2 <= (inside + outside)^2 = 100^2, reached by a device that never leaves: that is the
bound, and nothing is clipped. Hours themselves would need 168^2. "inside" and "outside" are released in
devices; their sum is the number of device-weeks.
"""

from __future__ import annotations

from passersby.measures._modal import placed, steps
from passersby.measures.base import HOME_RESOLUTION, Measure, Scope, each_bucket
from passersby.model.bins import Bin, Ratio
from passersby.model.question import WHOLE

_PERCENT = 100

_SQL = """share AS (
  SELECT modal.device AS device, {period} AS period, {cell} AS cell, {start} AS start,
    CAST(FLOOR((200 * inside.hours + total.hours) / (2 * total.hours)) AS BIGINT) AS percent
  FROM modal
  JOIN times AS inside
    ON modal.device = inside.device AND modal.part = inside.part AND modal.place = inside.place
  JOIN (
    SELECT device, part, COUNT(*) AS hours
    FROM seen
    GROUP BY device, part
  ) AS total ON modal.device = total.device AND modal.part = total.part
)
SELECT device, period, cell, start, bin, value
FROM (
  SELECT device, period, cell, start, CAST(0 AS BIGINT) AS bin, percent AS value
  FROM share
  UNION ALL
  SELECT device, period, cell, start, CAST(1 AS BIGINT) AS bin, {whole} - percent AS value
  FROM share
) AS parts
SEMI JOIN area ON parts.cell = area.cell
"""


def _rows(scope: Scope, resolution: int) -> str:
    return (
        steps(scope, scope.period_sql("hour"))
        + _SQL.format(whole=_PERCENT, **placed(scope, resolution)).rstrip()
    )


INTROVERSION = Measure(
    name="introversion",
    unit="device-weeks",
    definition="Number of (device, week) pairs in the cell of resolution 6 where the device was most, "
    "split by the share of its hours inside and outside of that cell.",
    source="By analogy to FlowKit 1.34: location introversion, the share of the calls of a location whose "
    "other end is there too (Smith, Mashhadi & Capra 2013); here the share of the hours of its devices",
    version=1,
    additive=True,
    grains=("week", WHOLE),
    tables=("presence",),
    rows=_rows,
    bound=lambda _scope: _PERCENT**2,
    floor=each_bucket,
    bins=(Bin("inside", factor=1 / _PERCENT), Bin("outside", factor=1 / _PERCENT)),
    derived=(Ratio("introversion", ("inside",), ("inside", "outside")),),
    finest=HOME_RESOLUTION,
    filtered=False,
)
