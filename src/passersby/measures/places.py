"""Device-days and device-weeks by number of places, and by how evenly their visits are spread over them.

A place is a cell of resolution 10, where stays are; somebody who stays on the border of two cells can have
two places there. A visit is a stay that falls at least partly into the day or week.

*Distinct places* are their number N. The random entropy of Song et al. (2010) is log2 N, a function of it, so
that it is no measure of its own: at most 1 bit is at most two places, at most 2 bits four, 3 bits eight.
Quartiles are linear within a number's bin; their whole part is the number.

The *uncorrelated entropy* of n visits, n_i of them to place i, is

    - sum over i of (n_i / n) log2 (n_i / n)  =  (n log2 n - sum over i of n_i log2 n_i) / n

SQL of every engine has no logarithm to agree on. log2 n is its whole part e plus that of m = n / 2^e, which
lies in [1, 2): 2 / ln 2 * (z + z^3/3 + z^5/5 + ..) with z = (m - 1) / (m + 1) <= 1/3; eight terms miss less
than 2e-9. n log2 n is rounded to whole millionths, so that sums are the same in every order, and the
entropy to thousandths of a bit: two places with equal visits have exactly 1 bit. A week has at most 1,008
stays of ten minutes: e is at most 9.

A device-day or device-week counts once, where the device usually is in that week: see `measures._visits`,
which has the bound.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable

from passersby.measures import _visits
from passersby.measures.base import HOME_RESOLUTION, Measure, Scope, each_bucket
from passersby.measures.trips import QUARTILES
from passersby.model.bins import histogram, whole_numbers

PLACES = whole_numbers(1, 20, "places")
BITS = histogram(0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, unit="bits")

_MOST_E = 9
_ODD = range(1, 16, 2)

_NUMBER = """
measured AS (
  SELECT device, start, COUNT(DISTINCT place) AS quantity FROM visits GROUP BY device, start
)
"""

_ENTROPY = """
places AS (
  SELECT device, start, place, COUNT(*) AS n FROM visits GROUP BY device, start, place
),
totals AS (
  SELECT device, start, COUNT(*) AS n FROM visits GROUP BY device, start
),
powers AS (
  SELECT n, CASE {e} END AS e, CASE {power} END AS power
  FROM (SELECT n FROM places UNION SELECT n FROM totals) AS numbers
),
logarithms AS (
  SELECT n, CAST(e AS DOUBLE) + CAST({two_by_ln_2!r} AS DOUBLE) * z * ({series}) AS log_n
  FROM (
    SELECT n, e, CAST(n - power AS DOUBLE) / CAST(n + power AS DOUBLE) AS z FROM powers
  ) AS shifted
),
terms AS (
  SELECT n, CAST(FLOOR(CAST(1000000 * n AS DOUBLE) * log_n + CAST(0.5 AS DOUBLE)) AS BIGINT) AS n_log_n
  FROM logarithms
),
parts AS (
  SELECT places.device AS device, places.start AS start, CAST(SUM(terms.n_log_n) AS BIGINT) AS n_log_n
  FROM places
  JOIN terms ON places.n = terms.n
  GROUP BY places.device, places.start
),
measured AS (
  SELECT totals.device AS device, totals.start AS start,
    FLOOR(
      CAST(terms.n_log_n - parts.n_log_n AS DOUBLE) / CAST(1000 * totals.n AS DOUBLE) + CAST(0.5 AS DOUBLE)
    ) / CAST(1000 AS DOUBLE) AS quantity
  FROM totals
  JOIN terms ON totals.n = terms.n
  JOIN parts ON totals.device = parts.device AND totals.start = parts.start
)
"""


def _by_power(values: Iterable[int]) -> str:
    """Return SQL for the value, one for each e, of the largest power 2^e that is not above n."""
    *cases, last = values
    whens = " ".join(f"WHEN n < {2 ** (e + 1)} THEN {value}" for e, value in enumerate(cases))
    return f"{whens} ELSE {last}"


def _series() -> str:
    """Return SQL for 1 + z^2/3 + z^4/5 + .. by Horner's rule."""
    parts = [f"CAST(1 AS DOUBLE) / CAST({odd} AS DOUBLE)" for odd in _ODD]
    return functools.reduce(lambda inner, part: f"{part} + z * z * ({inner})", reversed(parts))


def _number_rows(scope: Scope, resolution: int) -> str:
    return _visits.sql(
        scope,
        resolution,
        measured=_NUMBER,
        selected=_visits.one_row(scope, PLACES),
        every=scope.every,
    )


def _entropy_rows(scope: Scope, resolution: int) -> str:
    exponents = range(_MOST_E + 1)
    measured = _ENTROPY.format(
        e=_by_power(exponents),
        power=_by_power(2**e for e in exponents),
        two_by_ln_2=2 / math.log(2),
        series=_series(),
    )
    return _visits.sql(
        scope, resolution, measured=measured, selected=_visits.one_row(scope, BITS), every=scope.every
    )


DISTINCT_PLACES = Measure(
    name="distinct-places",
    unit="devices",
    definition="Number of devices with a stay in each bucket of time, by number of distinct places (cells of "
    "resolution 10) of their stays, at the cell (resolution 6 or coarser) where the device's stays of the "
    "week are longest together; with quartiles.",
    source="Song, Koren, Wang & Barabasi (2010), Modelling the scaling properties of human mobility: number "
    "of distinct locations; Song, Qu, Blumm & Barabasi (2010), Limits of predictability in human mobility: "
    "random entropy",
    version=1,
    additive=True,
    grains=_visits.GRAINS,
    tables=("stays",),
    rows=_number_rows,
    bound=_visits.units,
    floor=each_bucket,
    bins=PLACES,
    derived=QUARTILES,
    finest=HOME_RESOLUTION,
    filtered=False,
    whole_periods=True,
)

ENTROPY = Measure(
    name="entropy",
    unit="devices",
    definition="Number of devices with a stay in each bucket of time, by uncorrelated entropy in bits of the "
    "places (cells of resolution 10) of their stays, at the cell (resolution 6 or coarser) where the "
    "device's stays of the week are longest together; with quartiles.",
    source="Song, Qu, Blumm & Barabasi (2010), Limits of predictability in human mobility: "
    "temporal-uncorrelated entropy",
    version=1,
    additive=True,
    grains=_visits.GRAINS,
    tables=("stays",),
    rows=_entropy_rows,
    bound=_visits.units,
    floor=each_bucket,
    bins=BITS,
    derived=QUARTILES,
    finest=HOME_RESOLUTION,
    filtered=False,
    whole_periods=True,
)
