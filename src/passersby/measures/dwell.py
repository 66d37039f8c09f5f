"""Stays by length, and their mean length, per cell and bucket of the hour of arrival.

Both are weighted by event: a device with ten short stays counts ten times. A stay lasts at least ten minutes
and reaches from its first to its last fix (`derive.stays`). Where a phone is silent for more than an hour it
ends, and it is cut at the end of a period, so that its length is a lower bound of the time at the place;
`waiting-time` is the upper one.

Stays lie in one cell, bucket and bin, so that they add up. Their number has the public bound of
`measures._events`. The mean is one vector of two parts: minutes, of which each stay counts at most a day's,
and stays, each of which counts as `PARTS`. Stays of a device do not overlap: those that begin in a bucket of
W minutes have ended when it ends, but for the last one, and are at most W + 1,440 minutes in all. So only the
number of stays is clipped, never the minutes of one that is not. A day of eight stays has 8 * 180 parts, as
many as it has minutes: the two parts have noise of one size relative to what a device can contribute.
"""

from __future__ import annotations

from passersby.measures import _events
from passersby.measures.base import Measure, Scope
from passersby.measures.trips import QUARTILES
from passersby.model.bins import Bin, Ratio, bin_sql, histogram
from passersby.model.cells import parent_sql
from passersby.model.period import DAY
from passersby.model.question import GRAINS

MINUTES = histogram(10, 20, 30, 60, 120, 240, 480, 720, 1440, unit="min")

PARTS = 180
"""What a stay counts as beside its minutes: an eighth of a day's."""

_DAY = DAY // 60

_SQL = """
WITH begun AS (
  SELECT device, {hour} AS hour, {parent} AS cell,
    CAST(departure - arrival AS DOUBLE) / CAST(60 AS DOUBLE) AS minutes
  FROM stays
),
counted AS (
  SELECT device, {period} AS period, cell, {bucket} AS start, minutes
  FROM begun
  SEMI JOIN area ON begun.cell = area.cell
  WHERE {where}
)
{selected}
"""

_BY_LENGTH = """
SELECT device, period, cell, start, {bin} AS bin, CAST(1 AS BIGINT) AS value
FROM counted
"""

_STACKED = """
SELECT device, period, cell, start, CAST(0 AS BIGINT) AS bin,
  CAST(FLOOR(LEAST(minutes, CAST({most} AS DOUBLE))) AS BIGINT) AS value
FROM counted
UNION ALL
SELECT device, period, cell, start, CAST(1 AS BIGINT) AS bin, CAST({parts} AS BIGINT) AS value
FROM counted
"""


def _sql(scope: Scope, resolution: int, selected: str) -> str:
    return _SQL.format(
        hour=scope.hour_sql("arrival"),
        parent=parent_sql("cell", resolution),
        period=scope.period_sql("hour"),
        bucket=scope.bucket_sql("hour"),
        where=scope.where_sql("hour"),
        selected=selected.strip(),
    ).strip()


def _rows(scope: Scope, resolution: int) -> str:
    return _sql(scope, resolution, _BY_LENGTH.format(bin=bin_sql("minutes", MINUTES)))


def _mean_rows(scope: Scope, resolution: int) -> str:
    return _sql(scope, resolution, _STACKED.format(most=_DAY, parts=PARTS))


def _mean_bound(scope: Scope) -> int:
    of_a_period = min(7, 2 * scope.days) * _DAY
    of_a_bucket = min(of_a_period, GRAINS[scope.every] // 60 + _DAY)
    return of_a_period * of_a_bucket + PARTS**2 * _events.squared_bound(scope)


DWELL = Measure(
    name="dwell",
    unit="stays",
    definition="Number of stays in the cell that begin in each bucket of time, by length, a lower bound of "
    "the time spent; with quartiles in minutes.",
    source="Song, Koren, Wang & Barabasi (2010), Modelling the scaling properties of human mobility: waiting "
    "time at a place; Hariharan & Toyama (2004), Project Lachesis: stays",
    version=1,
    additive=True,
    grains=("hour", "daypart", "day", "week"),
    tables=("stays",),
    rows=_rows,
    bound=_events.squared_bound,
    bins=MINUTES,
    derived=QUARTILES,
    clips=_events.CLIPS,
)

MEAN_DWELL = Measure(
    name="mean-dwell",
    unit="minutes and stays",
    definition="Mean length in minutes of the stays in the cell that begin in each bucket of time, each stay "
    "counted once, in whole minutes, and as at most 24 hours.",
    source=DWELL.source,
    version=1,
    additive=True,
    grains=DWELL.grains,
    tables=("stays",),
    rows=_mean_rows,
    bound=_mean_bound,
    bins=(Bin("minutes", counted=False), Bin("stays", factor=1 / PARTS)),
    derived=(Ratio("mean", ("minutes",), ("stays",)),),
    clips=_events.CLIPS,
    contributions_a_row=2,
)
