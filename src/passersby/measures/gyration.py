"""Radius of gyration of device-days and device-weeks, and whether its two most visited places make it up.

The radius is the root mean square distance of a device's visits from their centre of mass, each stay once
however long (Gonzalez, Hidalgo & Barabasi 2008: sqrt(sum |r_i - r_cm|^2 / N)). The *2-radius* is that of the
visits to the two places with most visits, ties to the place with more seconds of stays and then to the
lowest cell. A device is a *2-returner* if its 2-radius is more than half of its radius, else a *2-explorer*
(Pappalardo et al. 2015); one that does not move, with radius 0, is a returner. A place is a cell of
resolution 10, where stays are; positions are those of the stays.

Positions are earth-centred whole metres, and everything is whole numbers up to the mean square. The centre is
rounded down to a metre on each axis, which makes the radius too large, by less than 1.8 m and by less than
2 m^2 / radius. Distances are chords: shorter than the way along the sphere by less than 0.01% within 300 km.

A device-day or device-week counts once, where the device usually is in that week: see `measures._visits`,
which has the bound.
"""

from __future__ import annotations

from passersby.measures import _visits
from passersby.measures.base import HOME_RESOLUTION, Measure, Scope, each_bucket
from passersby.measures.trips import QUARTILES
from passersby.model.bins import Bin, Ratio, histogram

KM = histogram(0, 1, 2, 5, 10, 20, 50, 100, unit="km")
KINDS = (Bin("returners", 0, 1), Bin("explorers", 1))

_MEAN_SQUARE = """
{name}_centre AS (
  SELECT device, start, CAST(COUNT(*) AS DOUBLE) AS n, {x} AS x, {y} AS y, {z} AS z
  FROM {visits}
  GROUP BY device, start
),
{name}_squares AS (
  SELECT own.device AS device, own.start AS start, centre.n AS n,
    (own.x - centre.x) * (own.x - centre.x) + (own.y - centre.y) * (own.y - centre.y)
      + (own.z - centre.z) * (own.z - centre.z) AS square
  FROM {visits} AS own
  JOIN {name}_centre AS centre ON own.device = centre.device AND own.start = centre.start
),
{name} AS (
  SELECT device, start, CAST(CAST(SUM(square) AS BIGINT) AS DOUBLE) / n AS mean_square
  FROM {name}_squares
  GROUP BY device, start, n
)
"""

_IN_KM = """
measured AS (
  SELECT device, start, SQRT(mean_square) / CAST(1000 AS DOUBLE) AS quantity FROM gyration
)
"""

_TWO_PLACES = """
places AS (
  SELECT device, start, place,
    ROW_NUMBER() OVER (PARTITION BY device, start ORDER BY number DESC, seconds DESC, place) AS place_rank
  FROM (
    SELECT device, start, place, COUNT(*) AS number, CAST(SUM(departure - arrival) AS BIGINT) AS seconds
    FROM visits
    GROUP BY device, start, place
  ) AS counted
),
main_places AS (
  SELECT device, start, place FROM places WHERE place_rank <= 2
),
main_visits AS (
  SELECT visits.device AS device, visits.start AS start, visits.x AS x, visits.y AS y, visits.z AS z
  FROM visits
  JOIN main_places ON visits.device = main_places.device AND visits.start = main_places.start
    AND visits.place = main_places.place
)
"""

_IS_EXPLORER = """
measured AS (
  SELECT gyration.device AS device, gyration.start AS start,
    CASE
      WHEN gyration.mean_square > 0
        AND CAST(4 AS DOUBLE) * main_gyration.mean_square <= gyration.mean_square THEN 1
      ELSE 0
    END AS quantity
  FROM gyration
  JOIN main_gyration ON gyration.device = main_gyration.device AND gyration.start = main_gyration.start
)
"""


def _mean_square(name: str, visits: str) -> str:
    axes = {
        axis: f"CAST(FLOOR(CAST(SUM({axis}) AS DOUBLE) / CAST(COUNT(*) AS DOUBLE)) AS BIGINT)"
        for axis in ("x", "y", "z")
    }
    return _MEAN_SQUARE.format(name=name, visits=visits, **axes).strip()


def _sql(scope: Scope, resolution: int, parts: tuple[str, ...], bins: tuple[Bin, ...]) -> str:
    return _visits.sql(
        scope,
        resolution,
        measured=",\n".join(part.strip() for part in parts),
        selected=_visits.one_row(scope, bins),
        every=scope.every,
    )


def _radius_rows(scope: Scope, resolution: int) -> str:
    return _sql(scope, resolution, (_mean_square("gyration", "visits"), _IN_KM), KM)


def _ratio_rows(scope: Scope, resolution: int) -> str:
    both = (_mean_square("gyration", "visits"), _mean_square("main_gyration", "main_visits"))
    return _sql(scope, resolution, (_TWO_PLACES, *both, _IS_EXPLORER), KINDS)


RADIUS_OF_GYRATION = Measure(
    name="radius-of-gyration",
    unit="devices",
    definition="Number of devices with a stay in each bucket of time, by radius of gyration of their stays, "
    "at the cell (resolution 6 or coarser) where the device's stays of the week are longest together; with "
    "quartiles in km.",
    source="Gonzalez, Hidalgo & Barabasi (2008), Understanding individual human mobility patterns: radius of "
    "gyration",
    version=1,
    additive=True,
    grains=_visits.GRAINS,
    tables=("stays",),
    rows=_radius_rows,
    bound=_visits.units,
    floor=each_bucket,
    bins=KM,
    derived=QUARTILES,
    finest=HOME_RESOLUTION,
    filtered=False,
    whole_periods=True,
)

K_RADIUS_RATIO = Measure(
    name="k-radius-ratio",
    unit="devices",
    definition="Number of devices with a stay in each bucket of time, by whether the radius of gyration of "
    "the stays in their two most visited places is more than half of that of all stays (returners) or not "
    "(explorers), at the cell (resolution 6 or coarser) where the device's stays of the week are longest "
    "together; with the share of returners.",
    source="Pappalardo et al. (2015), Returners and explorers dichotomy in human mobility: k-radius of "
    "gyration, k = 2",
    version=1,
    additive=True,
    grains=_visits.GRAINS,
    tables=("stays",),
    rows=_ratio_rows,
    bound=_visits.units,
    floor=each_bucket,
    bins=KINDS,
    derived=(Ratio("returners' share", ("returners",), ("returners", "explorers")),),
    finest=HOME_RESOLUTION,
    filtered=False,
    whole_periods=True,
)
