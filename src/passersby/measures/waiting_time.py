"""Waiting time: from the arrival of a trip to the departure of the device's next one, at the place between.

It is the time between two displacements, as Gonzalez, Hidalgo and Barabasi (2008) and Song et al. (2010) have
it, and not the length of a stay (`dwell`): a phone that is silent for the night leaves two stays at home, an
evening and a morning, and one waiting time from evening to morning. So it is an upper bound of the time at
the place, where `dwell` is a lower one: nobody saw that the phone was there all the time. What lies before
the first trip of a period and after its last one has no length and does not count.

A waiting time counts once: at the destination of the first trip, by the hour of its arrival. The next trip
may begin after the question's span, but lies in the same period: files of whole periods are read. The number
has the public bound of `measures._events`: between two arrivals there is a stay.
"""

from __future__ import annotations

from passersby.measures import _events
from passersby.measures.base import Measure, Scope
from passersby.measures.dwell import MINUTES
from passersby.measures.trips import QUARTILES
from passersby.model.bins import bin_sql
from passersby.model.cells import parent_sql

_SQL = """
WITH trips_in_order AS (
  SELECT device, arrival, {hour} AS hour, {parent} AS cell,
    LEAD(departure) OVER (
      PARTITION BY device, {period_of_trip} ORDER BY departure, arrival, origin, destination
    ) AS next_departure
  FROM trips
),
waits AS (
  SELECT device, hour, cell,
    CAST(next_departure - arrival AS DOUBLE) / CAST(60 AS DOUBLE) AS minutes
  FROM trips_in_order
  WHERE next_departure IS NOT NULL
)
SELECT device, {period} AS period, cell, {bucket} AS start, {bin} AS bin, CAST(1 AS BIGINT) AS value
FROM waits
SEMI JOIN area ON waits.cell = area.cell
WHERE {where}
"""


def _rows(scope: Scope, resolution: int) -> str:
    return _SQL.format(
        hour=scope.hour_sql("arrival"),
        parent=parent_sql("destination", resolution),
        period_of_trip=scope.period_sql("departure"),
        period=scope.period_sql("hour"),
        bucket=scope.bucket_sql("hour"),
        bin=bin_sql("minutes", MINUTES),
        where=scope.where_sql("hour"),
    ).strip()


WAITING_TIME = Measure(
    name="waiting-time",
    unit="waiting times",
    definition="Number of times between a trip that ends in the cell, in each bucket of time, and the "
    "device's next trip of the same period, by length, an upper bound of the time spent; with quartiles in "
    "minutes.",
    source="Song, Koren, Wang & Barabasi (2010), Modelling the scaling properties of human mobility: waiting "
    "time",
    version=1,
    additive=True,
    grains=("hour", "daypart", "day", "week"),
    tables=("trips",),
    rows=_rows,
    bound=_events.squared_bound,
    bins=MINUTES,
    derived=QUARTILES,
    clips=_events.CLIPS,
    whole_periods=True,
)
