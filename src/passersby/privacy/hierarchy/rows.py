"""From estimates and variances to the rows of a release: intervals, derived statistics, suppression, flags.

Rows partition the question's area: nodes at the asked resolution, and coarser ones that were not split.
Intervals are estimate +- 1.96 standard errors: a discrete Gaussian of these scales is normal to any digit
that is shown, and least squares is linear in it. Where a bound clips, the upper end also allows for what it
may have cut. `estimate` may be negative. `low` and `high` are released as max(0, .): counts are not negative
by definition, so that this lowers no interval's coverage.

Where devices are weighted, the error of their weights is added: one relative error that all values share.

Suppression is decided per node, pooled over the question's buckets and counted bins: where the pooled
estimate is below the minimum, or narrower than its own 95% interval (3.92 standard errors), all of the
node's rows lose their values. Decided row by row it would favour rows with lucky noise, and intervals of
shown rows would cover 77-90% instead of 95%. A question with one number a node has nothing to pool: what is
shown has lucky noise more often than not. There the lower end is that of the interval of a normal value which
is known to lie above the threshold (Zhong & Prentice 2008): far lower just above it, the same well above.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from passersby.model import schema
from passersby.model.release import COARSE, LOW_PRECISION, SUPPRESSED
from passersby.privacy.hierarchy import topdown
from passersby.privacy.hierarchy.columns import Columns
from passersby.privacy.hierarchy.derived import Z95, Interval, derive
from passersby.privacy.hierarchy.tree import Nodes

SMOOTH = pa.field("smooth", pa.int64())
"""The optional last column: the smooth view, null where the row is suppressed."""

_ORDER = "order"
"""A column that keeps bins in their own order while rows are sorted; it is not released."""

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Views:
    """Estimates, variances, counts and, if asked for, smooth counts, by level.

    `lost` is the share of a count that the bounds may have cut: intervals reach so much higher.
    """

    estimates: Sequence[Floats]
    variances: Sequence[Floats]
    counts: Sequence[Whole]
    smooth: Sequence[Whole] | None = None
    lost: float = 0.0


def table(
    seen: Views, levels: Sequence[topdown.Noisy], tree: Nodes, columns: Columns, minimum: float
) -> pa.Table:
    """Return the rows of all nodes that were not split, sorted by place and start, bins in their order."""
    parts = [
        _level(seen, depth, level, tree, columns, minimum)
        for depth, level in enumerate(levels)
        if not level.split.all()
    ]
    whole = pa.concat_tables(parts)
    keys = [*schema.place_of(whole), "start", _ORDER]
    return whole.sort_by([(key, "ascending") for key in keys]).drop_columns(_ORDER)


def _level(
    seen: Views, depth: int, level: topdown.Noisy, tree: Nodes, columns: Columns, minimum: float
) -> pa.Table:
    whole = ~level.split
    coarse = depth < len(tree.sizes) - 1
    estimates, error = seen.estimates[depth][whole], np.sqrt(seen.variances[depth][whole])
    gone = hidden(estimates, error, columns, minimum)
    values = _values(estimates, error, columns, seen.lost)
    if len(columns) == 1:
        values = values._replace(low=_low_of_shown(estimates, error, columns, minimum)[:, :, None])
    lost = gone[:, None, None] | np.isnan(values.estimate)
    unsure = np.where(values.high - values.low > values.estimate, LOW_PRECISION, "")
    flags = np.where(lost, SUPPRESSED, COARSE if coarse else unsure)
    mask = lost.reshape(-1)
    counts, uncounted = _counts(seen.counts[depth][whole], columns)
    nodes, labels = int(whole.sum()), columns.labels
    size = len(columns.starts) * len(labels)
    place = tree.place(depth, level.nodes[whole])
    found: dict[str, Any] = {name: np.repeat(where, size) for name, where in place.items()}
    found["start"] = np.tile(np.repeat(columns.starts, len(labels)), nodes)
    if columns.binned:
        found["bin"] = pa.array(labels * (nodes * len(columns.starts)), pa.string())
    found |= {
        "estimate": pa.array(values.estimate.reshape(-1), mask=mask),
        "low": pa.array(np.maximum(0, values.low).reshape(-1), mask=mask),
        "high": pa.array(np.maximum(0, values.high).reshape(-1), mask=mask),
        "count": pa.array(counts, mask=mask | uncounted),
        "flag": pa.array(flags.reshape(-1).tolist(), pa.string()),
    }
    rows = pa.table(found, schema=schema.rows_of(tuple(place), binned=columns.binned))
    if seen.smooth is not None:
        rows = rows.append_column(SMOOTH, pa.array(seen.smooth[depth][whole].reshape(-1), mask=mask))
    return rows.append_column(_ORDER, pa.array(np.tile(np.arange(size), nodes)))


def _values(estimates: Floats, error: Floats, columns: Columns, lost: float) -> Interval:
    """Return values with intervals of bins and derived statistics, shape (nodes, buckets, labels).

    What was counted is at least 1 - `lost` of the truth, so that the truth is at most that over 1 - `lost`.
    """
    cube = (len(estimates), len(columns.starts), len(columns.bins))
    scaled = (estimates * columns.factors).reshape(cube)
    reach = Z95 * np.hypot((error[:, None] * columns.factors).reshape(cube), columns.spread * scaled)
    own = Interval(scaled, scaled - reach, (scaled + reach) / (1 - lost))
    more = [derive(what, scaled, error, columns.bins) for what in columns.derived]
    return Interval(
        *(
            np.concatenate([part, *(other[i][:, :, None] for other in more)], axis=2)
            for i, part in enumerate(own)
        )
    )


def _low_of_shown(estimates: Floats, error: Floats, columns: Columns, minimum: float) -> Floats:
    """Return the lower ends of single numbers of nodes, given that they lie above the threshold."""
    error = np.hypot(error[:, None], columns.spread * estimates)
    above = estimates / error - np.maximum(minimum / columns.factors / error, 2 * Z95)
    low: Floats = (estimates - error * np.interp(above, *_reaches())) * columns.factors
    return low


@cache
def _reaches() -> tuple[Floats, Floats]:
    """Return standard errors above a threshold, and how many the lower end lies below a value there.

    With t the reach of a value z above the threshold, P(Z > t) / P(Z > t - z) = 2.5%: where the truth is t
    below the value, so much of what is shown lies higher. Between the points it is too far by a hair.
    """

    def tail(value: float) -> float:
        return math.erfc(value / math.sqrt(2)) / 2

    heights = np.concatenate([np.arange(0.1, 2, 0.02), np.arange(2, 7, 0.1)])
    found = []
    for height in heights.tolist():
        low, high = Z95, 37.0
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if tail(middle) > 0.025 * tail(middle - height) else (low, middle)
        found.append(high)
    return heights, np.array(found)


def _counts(counts: Whole, columns: Columns) -> tuple[Whole, npt.NDArray[np.bool_]]:
    """Return the consistent view by row, and which rows have none: sums in parts, and what is derived."""
    cube = counts.reshape(len(counts), len(columns.starts), len(columns.bins))
    if not columns.binned:  # weighted, perhaps: whole people
        return np.rint(cube * columns.factors[0]).astype(np.int64).reshape(-1), np.zeros(cube.size, np.bool_)
    whole = np.pad(cube, ((0, 0), (0, 0), (0, len(columns.derived))))
    uncounted = [each.factor != 1 for each in columns.bins] + [True] * len(columns.derived)
    return whole.reshape(-1), np.tile(uncounted, len(counts) * len(columns.starts))


def hidden(estimates: Floats, error: Floats, columns: Columns, minimum: float) -> npt.NDArray[np.bool_]:
    """Tell which nodes are suppressed, from counted columns pooled (independent noise), in their unit."""
    weights = columns.factors * columns.counted
    pooled = estimates @ weights
    pooled_error = np.hypot(error * np.linalg.norm(weights), columns.spread * pooled)
    found: npt.NDArray[np.bool_] = (pooled < minimum) | (pooled < 2 * Z95 * pooled_error)
    return found
