"""Device-days by number of trips, and the mean number, among device-days with at least one stay.

A device-day counts where the device usually is in that week (`measures._visits`), and only if one of its
stays falls at least partly into the day: of a day on which a phone was not seen staying, nothing is known. A
trip counts on the day of its departure. The share of *unmoving* device-days, those without any trip, is a
row of its own; phones that are seldom seen have more of them.

A device has at most one device-day in each day: seven in a week, in one bin if all are alike. The mean is one
vector of trips, at most `MOST_TRIPS` a day, and of device-days that count as much.
"""

from __future__ import annotations

from dataclasses import replace

from passersby.measures import _visits
from passersby.measures.base import HOME_RESOLUTION, Measure, Scope, device_days, each_bucket
from passersby.model.bins import Bin, Ratio, whole_numbers

TRIPS = whole_numbers(0, 7, "trips")

MOST_TRIPS = 20
"""A day of more trips counts as one of this many."""

_COUNTED = """
days AS (
  SELECT DISTINCT device, start FROM visits
),
begun AS (
  SELECT device, {day} AS start FROM trips
),
measured AS (
  SELECT days.device AS device, days.start AS start, COUNT(begun.device) AS quantity
  FROM days
  LEFT JOIN begun ON days.device = begun.device AND days.start = begun.start
  GROUP BY days.device, days.start
)
"""

_STACKED = """
SELECT device, period, cell, {bucket} AS start, CAST(0 AS BIGINT) AS bin,
  CAST(LEAST(quantity, {most}) AS BIGINT) AS value
FROM placed
SEMI JOIN area ON placed.cell = area.cell
UNION ALL
SELECT device, period, cell, {bucket} AS start, CAST(1 AS BIGINT) AS bin, CAST({most} AS BIGINT) AS value
FROM placed
SEMI JOIN area ON placed.cell = area.cell
"""


def _sql(scope: Scope, resolution: int, selected: str) -> str:
    measured = _COUNTED.format(day=replace(scope, every="day").bucket_sql("departure"))
    return _visits.sql(scope, resolution, measured=measured, selected=selected, every="day")


def _rows(scope: Scope, resolution: int) -> str:
    return _sql(scope, resolution, _visits.one_row(scope, TRIPS))


def _mean_rows(scope: Scope, resolution: int) -> str:
    return _sql(scope, resolution, _STACKED.format(bucket=scope.bucket_sql("start"), most=MOST_TRIPS))


TRIPS_PER_DAY = Measure(
    name="trips-per-day",
    unit="device-days",
    definition="Number of device-days with at least one stay, by number of trips that begin on the day, at "
    "the cell (resolution 6 or coarser) where the device's stays of the week are longest together; with the "
    "share of days without a trip.",
    source="Schneider et al. (2013), Unravelling daily human mobility motifs: daily trips; FlowKit 1.34: "
    "unmoving",
    version=1,
    additive=True,
    grains=_visits.GRAINS,
    tables=("stays", "trips"),
    rows=_rows,
    bound=device_days,
    floor=each_bucket,
    bins=TRIPS,
    derived=(Ratio("unmoving", (TRIPS[0].label,), tuple(each.label for each in TRIPS)),),
    finest=HOME_RESOLUTION,
    filtered=False,
    whole_periods=True,
)

MEAN_TRIPS = Measure(
    name="mean-trips",
    unit="trips and device-days",
    definition="Mean number of trips of a device-day with at least one stay, as at most 20, at the cell "
    "(resolution 6 or coarser) where the device's stays of the week are longest together.",
    source=TRIPS_PER_DAY.source,
    version=1,
    additive=True,
    grains=_visits.GRAINS,
    tables=("stays", "trips"),
    rows=_mean_rows,
    bound=lambda scope: 2 * MOST_TRIPS**2 * device_days(scope),
    floor=each_bucket,
    bins=(Bin("trips", counted=False), Bin("device-days", factor=1 / MOST_TRIPS)),
    derived=(Ratio("mean", ("trips",), ("device-days",)),),
    finest=HOME_RESOLUTION,
    filtered=False,
    whole_periods=True,
    contributions_a_row=2,
)
