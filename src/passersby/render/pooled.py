"""Sums over the buckets of a release for drawing: one row a cell, one row a bucket.

Noise in different keys is independent, so variances add up. A released interval is the estimate plus
and minus 1.96 standard deviations, cut at zero from below: the upper half gives the deviation back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from passersby.model.release import COARSE, SUPPRESSED

Floats = npt.NDArray[np.float64]
Z95 = 1.959963984540054


@dataclass(frozen=True)
class Pooled:
    """Per group: key, mean per bucket, half width of the 95% interval of that mean.

    `mean` and `half` are NaN where the group is suppressed. Arrays have one length; `coarse` marks
    cells that stand for their children.
    """

    key: npt.NDArray[np.int64]
    mean: Floats
    half: Floats
    coarse: npt.NDArray[np.bool_]


def by_cell(rows: pa.Table) -> Pooled:
    """Pool the buckets of each cell; the mean is per bucket."""
    return _pool(rows, "cell", mean=True)


def by_start(rows: pa.Table) -> Pooled:
    """Add up the shown cells of each bucket; suppressed cells count nothing."""
    shown = np.array([flag != SUPPRESSED for flag in rows["flag"].to_pylist()], dtype=bool)
    return _pool(rows.filter(pa.array(shown)), "start", mean=False)


def _pool(rows: pa.Table, column: str, *, mean: bool) -> Pooled:
    keys, group = np.unique(rows[column].to_numpy(), return_inverse=True)
    estimate = rows["estimate"].to_numpy(zero_copy_only=False).astype(np.float64)
    deviation = (rows["high"].to_numpy(zero_copy_only=False).astype(np.float64) - estimate) / Z95
    size = len(keys)
    count = np.bincount(group, minlength=size) if mean else np.ones(size)
    flags = np.array(rows["flag"].to_pylist(), dtype=object)
    coarse = np.zeros(size, dtype=bool)
    coarse[group[flags == COARSE]] = True
    return Pooled(
        key=keys,
        mean=np.bincount(group, weights=estimate, minlength=size) / count,
        half=Z95 * np.sqrt(np.bincount(group, weights=deviation**2, minlength=size)) / count,
        coarse=coarse,
    )
