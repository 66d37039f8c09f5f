"""Trips by distance and by duration, per cell of origin and bucket of the hour in which they begin.

A trip leads from one stay to the device's next one in another cell (`derive.stays`). Its distance is the
great circle between the two stays' mean positions, not the length of the way: the *jump length* of the
literature, which counts jumps between places where a phone was seen; here between places where it stayed.

Its duration, from departure to arrival, is an upper bound: both are fixes, nothing tells where between two
fixes a phone left, and where it was silent for hours, the move lies somewhere within. Trips that begin or
end where a phone was not seen staying do not exist, nor do trips across the end of a period.

A trip lies in one cell, bucket and bin, so that trips add up. Their number has no natural bound: see
`measures._events` for the public one.
"""

from __future__ import annotations

from functools import partial

from passersby.measures import _events
from passersby.measures.base import Measure, Scope
from passersby.model.bins import Bin, Quantile, bin_sql, histogram
from passersby.model.cells import parent_sql

KM = histogram(0, 1, 2, 5, 10, 20, 50, 100, 200, unit="km")
MINUTES = histogram(0, 10, 20, 30, 45, 60, 90, 120, 240, unit="min")

_SQL = """
WITH begun AS (
  SELECT device, {hour} AS hour, {origin} AS cell, {quantity} AS quantity
  FROM trips
)
SELECT device, {period} AS period, cell, {bucket} AS start, {bin} AS bin, CAST(1 AS BIGINT) AS value
FROM begun
SEMI JOIN area ON begun.cell = area.cell
WHERE {where}
"""

_DISTANCE = "CAST(distance_m AS DOUBLE) / CAST(1000 AS DOUBLE)"
_DURATION = "CAST(arrival - departure AS DOUBLE) / CAST(60 AS DOUBLE)"


def _rows(quantity: str, bins: tuple[Bin, ...], scope: Scope, resolution: int) -> str:
    return _SQL.format(
        hour=scope.hour_sql("departure"),
        origin=parent_sql("origin", resolution),
        quantity=quantity,
        period=scope.period_sql("hour"),
        bucket=scope.bucket_sql("hour"),
        bin=bin_sql("quantity", bins),
        where=scope.where_sql("hour"),
    ).strip()


QUARTILES = (Quantile("p25", 0.25), Quantile("median", 0.5), Quantile("p75", 0.75))

TRIP_DISTANCE = Measure(
    name="trip-distance",
    unit="trips",
    definition="Number of trips that begin in the cell, in each bucket of time, by the great-circle distance "
    "between their two stays (jump length); with quartiles in km.",
    source="Gonzalez, Hidalgo & Barabasi (2008), Understanding individual human mobility patterns: jump size",
    version=1,
    additive=True,
    grains=("hour", "daypart", "day", "week"),
    tables=("trips",),
    rows=partial(_rows, _DISTANCE, KM),
    bound=_events.squared_bound,
    bins=KM,
    derived=QUARTILES,
    clips=_events.CLIPS,
)

TRIP_DURATION = Measure(
    name="trip-duration",
    unit="trips",
    definition="Number of trips that begin in the cell, in each bucket of time, by the time from the "
    "departure of one stay to the arrival at the next, an upper bound of the time on the way; with quartiles "
    "in minutes.",
    source="trackintel 1.4: trips, from one activity staypoint to the next",
    version=1,
    additive=True,
    grains=TRIP_DISTANCE.grains,
    tables=("trips",),
    rows=partial(_rows, _DURATION, MINUTES),
    bound=_events.squared_bound,
    bins=MINUTES,
    derived=QUARTILES,
    clips=_events.CLIPS,
)
