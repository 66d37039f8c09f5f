"""Bounds what one device can contribute: integer weights by L2 norm, as SQL.

For each device and period, with v the device's total in a key (a cell and a bucket of time, or a pair of
cells, a bin):

    n = sum over keys of v^2
    w = floor(1000 * least(1, sqrt(C2 / n))), lowered by 1 where w * w * n > C2 * 1000000
    count[key] = sum over devices of w * v

Then a device-period changes the vector of counts by at most 1000 * sqrt(C2) in L2 norm, exactly, since
w * w * n <= C2 * 1000000 holds in integers. Weighting keeps every row and needs neither sorting nor
randomness; keeping a fixed number of rows would lose the rest. Where n <= C2, w is 1000: only the others are
looked up, and by default there are none.

The SQL is the portable subset of DuckDB's dialect: BIGINT throughout, no integer division, explicit
casts, a total order. A question's measure gives the rows (device, period, keys, value).
"""

from __future__ import annotations

from collections.abc import Sequence

from passersby.errors import UsageError
from passersby.model.period import HOUR

MAX_SQUARED_BOUND = 10**12
"""Largest C2 that is taken, so that C2 * 1000000 fits a BIGINT."""

MAX_VALUE = 1_000_000
"""A row's value counts as at most this, at least 0, so that no square overflows on any engine."""

_PART = 8 * HOUR
_SLOTS = range(0, _PART, HOUR)

_ADDITIVE = """
WITH contribution AS (
  SELECT device, period, cell, start, {value} AS value
  FROM (
{rows}
  ) AS given
),
parts AS (
  SELECT device, period,
    {sums}
  FROM (
    SELECT device, period, start - start % {part} AS part, start % {part} - start % {hour} AS slot, value
    FROM contribution
  ) AS slotted
  GROUP BY device, period, part
),
norm AS (
  SELECT device, period, CAST(SUM({squares}) AS BIGINT) AS n FROM parts GROUP BY device, period
),
{weighted}
"""

_LEVEL = """
WITH contribution AS (
  SELECT device, period, {keys}, {value} AS value
  FROM (
{rows}
  ) AS given
),
keyed AS (
  SELECT device, period, {norm_keys}, CAST(SUM(value) AS BIGINT) AS v
  FROM contribution
  GROUP BY device, period, {norm_keys}
),
norm AS (
  SELECT device, period, CAST(SUM(v * v) AS BIGINT) AS n FROM keyed GROUP BY device, period
),
{weighted}
"""

_WEIGHTED = """
clipped AS (
  SELECT device, period, {weight} AS w FROM norm WHERE n > {squared_bound}
)
SELECT {named_keys},
  CAST(SUM(COALESCE(clipped.w, 1000) * contribution.value) AS BIGINT) AS count
FROM contribution
LEFT JOIN clipped ON contribution.device = clipped.device AND contribution.period = clipped.period
GROUP BY {own_keys}
ORDER BY {keys}
"""

CELLS = ("cell", "start")
"""Key columns of a measure that gives each cell and bucket of time one number."""


def additive_sql(rows: str, *, squared_bound: int, keys: Sequence[str] = CELLS) -> str:
    """Return SQL for the weighted counts (keys, count in thousandths) of an additive measure.

    One weight serves all levels. Values are not negative, so that merging keys can only raise the sum of
    squares: (a + b)^2 >= a^2 + b^2. It is taken over the whole area as if that were one cell above all roots,
    and no level has a larger one. A device that is in one place in each hour has the same n at every level.

    Where time is the only key beside the cell, the sum of squares is formed from one row for each device and
    third of a UTC day with a total for each of its 8 hours, instead of one row for each hour: the same sum,
    in two thirds of the time for a week of hours. Buckets of an hour or more fall in different slots. If
    shorter ones ever fell in the same slot, n would be larger and the weight smaller, never the reverse.

    Args:
        rows: SQL of the measure's rows, `value` a BIGINT that is not negative.
        squared_bound: C2.
        keys: key columns, `cell` first.

    Raises:
        UsageError: the bound is out of range.
    """
    if tuple(keys) != CELLS:
        return _level(rows, squared_bound, keys, keys[1:])
    totals = (
        f"CAST(SUM(CASE WHEN slot = {slot} THEN value ELSE 0 END) AS BIGINT) AS s{i}"
        for i, slot in enumerate(_SLOTS)
    )
    return _ADDITIVE.format(
        value=_value_sql(),
        rows=_indented(rows),
        part=_PART,
        hour=HOUR,
        sums=",\n    ".join(totals),
        squares=" + ".join(f"s{i} * s{i}" for i in range(len(_SLOTS))),
        weighted=_weighted_sql(squared_bound, keys),
    ).strip()


def level_sql(rows: str, *, squared_bound: int, keys: Sequence[str] = CELLS) -> str:
    """Return SQL for the weighted counts (keys, count) of one level of a measure that is not additive.

    Each level has its own rows, sums of squares and weights: distinct devices of children do not add up to
    those of the parent, and for pairs of places merging keys would break a bound made at a finer level.

    Raises:
        UsageError: the bound is out of range.
    """
    return _level(rows, squared_bound, keys, keys)


def _level(rows: str, squared_bound: int, keys: Sequence[str], norm_keys: Sequence[str]) -> str:
    return _LEVEL.format(
        value=_value_sql(),
        rows=_indented(rows),
        keys=", ".join(keys),
        norm_keys=", ".join(norm_keys),
        weighted=_weighted_sql(squared_bound, keys),
    ).strip()


def weight_sql(n: str, squared_bound: int) -> str:
    """Return SQL for the weight in thousandths of a device-period with sum of squares `n`, a BIGINT > 0.

    The square root is a double; where its last bit is wrong the weight is one too large, which the integer
    comparison corrects. No product overflows: with C2 at most 10^12, w * w * n stays below 4 * 10^18.

    Raises:
        UsageError: the bound is out of range.
    """
    if not 1 <= squared_bound <= MAX_SQUARED_BOUND:
        raise UsageError("The bound on a device's contribution is out of range.", "Plan the question again.")
    ratio = f"CAST({squared_bound} AS DOUBLE) / CAST({n} AS DOUBLE)"
    w = f"CAST(FLOOR(CAST(1000 AS DOUBLE) * LEAST(CAST(1 AS DOUBLE), SQRT({ratio}))) AS BIGINT)"
    return f"CASE WHEN {w} * {w} * {n} > {squared_bound * 1_000_000} THEN {w} - 1 ELSE {w} END"


def _weighted_sql(squared_bound: int, keys: Sequence[str]) -> str:
    return _WEIGHTED.format(
        weight=weight_sql("n", squared_bound),
        squared_bound=squared_bound,
        named_keys=", ".join(f"contribution.{key} AS {key}" for key in keys),
        own_keys=", ".join(f"contribution.{key}" for key in keys),
        keys=", ".join(keys),
    ).strip()


def _value_sql() -> str:
    return f"LEAST(GREATEST(CAST(value AS BIGINT), 0), {MAX_VALUE})"


def _indented(rows: str) -> str:
    return "\n".join(f"    {line}" for line in rows.strip().splitlines())
