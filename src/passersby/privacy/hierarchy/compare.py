"""Compares two releases of one measure: functions of released, noisy numbers only, so that it costs nothing.

Values are pooled over the buckets of time: for each place and bin the sums a and b of two releases, whose
noise is independent. A released interval is the estimate plus and minus 1.96 standard errors, cut off below
0; within a place that error is one, up to a bin's factor, so that the smallest of a place's is the true one.
What the upper end allows for a bound that clips is left out: it is taken to cut the same of both.

- difference: b - a, with the error of both; it is distinguishable from none where the interval is without 0;
- ratio: b / a, with Fieller's interval;
- share: the same of a / A and b / B, with A and B the totals over all places that both releases show. It
  takes out what changes everywhere alike: a panel that grows or shrinks, or devices that send more often. The
  error of a share is by the delta method: totals are far above theirs.

Noise of places is taken as independent. Least squares makes that of siblings balance: the error of totals is
smaller than what is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from passersby.model import schema
from passersby.model.bins import Bin
from passersby.privacy.hierarchy.derived import Z95, Floats, Interval, fieller

DISTINGUISHABLE = "distinguishable"
"""More than the noise: the 95% interval of the difference is without 0."""

NOT_DISTINGUISHABLE = "not distinguishable"
"""The noise alone can make such a difference."""

NOT_COMPARABLE = "not comparable"
"""Suppressed or not split in one of the two releases."""


@dataclass(frozen=True)
class Comparison:
    """What became of each place and bin.

    Args:
        rows: one for each place and bin: `before`, `after`, then difference and ratio with their intervals
            and a verdict, and the same of shares; sorted by place, bins in their order.
        before: total over the places that both releases show.
        after: the same of the second release.
        total: the second over the first, arrays of one entry.
    """

    rows: pa.Table
    before: float
    after: float
    total: Interval

    def verdicts(self, column: str = "verdict") -> Mapping[str, int]:
        """Return how many rows have each verdict."""
        found = self.rows[column].to_pylist()
        return {text: found.count(text) for text in (DISTINGUISHABLE, NOT_DISTINGUISHABLE, NOT_COMPARABLE)}


def compare(before: pa.Table, after: pa.Table, bins: Sequence[Bin], *, lost: float = 0.0) -> Comparison:
    """Return the comparison of the rows of two releases; ratios and quantiles of bins are left out.

    Args:
        before: rows of one release, of `model.schema.ROW_SCHEMAS`.
        after: rows of another one, of the same schema.
        bins: of their measure.
        lost: share of a count that the measure's intervals allow its bound to have cut.
    """
    names = [*schema.place_of(before), *(["bin"] if "bin" in before.schema.names else [])]
    joined = _pooled(before, bins, lost).join(
        _pooled(after, bins, lost), names, join_type="full outer", left_suffix="_a", right_suffix="_b"
    )
    order = {each.label: i for i, each in enumerate(bins)}
    labels = joined["bin"].to_pylist() if "bin" in names else [bins[0].label] * joined.num_rows
    joined = joined.append_column("order", pa.array([order[label] for label in labels], pa.int64()))
    joined = joined.sort_by([(name, "ascending") for name in (*schema.place_of(before), "order")])
    counted = np.array([each.counted for each in bins])[joined["order"].to_numpy()]
    one, other = (_Side(_floats(joined, f"sum_{x}"), _floats(joined, f"variance_{x}")) for x in "ab")
    common = counted & ~np.isnan(one.value + other.value)
    totals = [_Side(*(part[common].sum(keepdims=True) for part in side)) for side in (one, other)]
    shares = [_share(side, total, counted) for side, total in zip((one, other), totals, strict=True)]
    found = {"before": one.value, "after": other.value, **_columns("", one, other)}
    found |= _columns("share_", *shares)
    rows = joined.select(names)
    for name, values in found.items():
        rows = rows.append_column(name, pa.array(values, from_pandas=True))
    first, second = (float(total.value[0]) for total in totals)
    return Comparison(rows, first, second, _ratio(*totals))


class _Side(NamedTuple):
    """Values of one release with their variances; NaN where it shows none."""

    value: Floats
    variance: Floats


def _ratio(one: _Side, other: _Side) -> Interval:
    return fieller(other.value, one.value, other.variance, one.variance)


def _columns(prefix: str, one: _Side, other: _Side) -> dict[str, Floats | list[str]]:
    """Return difference, ratio and verdict of two independent values."""
    difference, reach = other.value - one.value, Z95 * np.sqrt(one.variance + other.variance)
    ratio = _ratio(one, other)
    verdicts = np.where(np.abs(difference) > reach, DISTINGUISHABLE, NOT_DISTINGUISHABLE)
    return {
        f"{prefix}difference": difference,
        f"{prefix}low": difference - reach,
        f"{prefix}high": difference + reach,
        f"{prefix}ratio": ratio.estimate,
        f"{prefix}ratio_low": ratio.low,
        f"{prefix}ratio_high": ratio.high,
        f"{prefix}verdict": np.where(np.isnan(difference), NOT_COMPARABLE, verdicts).tolist(),
    }


def _share(side: _Side, total: _Side, counted: npt.NDArray[np.bool_]) -> _Side:
    """Return value / total with its variance; NaN where the total, of one entry, is not clearly above 0.

    A counted value is a part of the total, so that their covariance is its own variance.
    """
    if total.value[0] <= 2 * Z95 * np.sqrt(total.variance[0]):
        return _Side(np.full_like(side.value, np.nan), np.full_like(side.value, np.nan))
    share = side.value / total.value
    variance = side.variance * (1 - 2 * share * counted) + share**2 * total.variance
    return _Side(share, variance / total.value**2)


def _pooled(rows: pa.Table, bins: Sequence[Bin], lost: float) -> pa.Table:
    """Return (place, perhaps bin, sum, variance) over the buckets of time; null where it is suppressed."""
    place = list(schema.place_of(rows))
    names, factors = place, pa.scalar(bins[0].factor)
    if "bin" in rows.schema.names:
        names = [*place, "bin"]
        known = pa.array([each.label for each in bins])
        rows = rows.filter(pc.is_in(rows["bin"], known))
        factors = pc.take(pa.array([each.factor for each in bins]), pc.index_in(rows["bin"], known))
    reach = pc.divide(pc.subtract(pc.multiply(rows["high"], 1 - lost), rows["estimate"]), factors)
    rows = rows.append_column("reach", reach).append_column(
        "factor", pc.add(pc.multiply(reach, 0.0), factors)
    )
    errors = rows.group_by(place).aggregate([("reach", "min")])
    sums = rows.group_by(names).aggregate([("estimate", "sum"), ("estimate", "count"), ("factor", "min")])
    found = sums.join(errors, place)
    error = pc.multiply(found["reach_min"], pc.divide(found["factor_min"], Z95))
    variance = pc.multiply(pc.multiply(error, error), found["estimate_count"])
    return found.select(names).append_column("sum", found["estimate_sum"]).append_column("variance", variance)


def _floats(table: pa.Table, name: str) -> Floats:
    found: Floats = table[name].to_numpy(zero_copy_only=False).astype(np.float64)
    return found
