"""Sums over the buckets of a release for drawing: one row a cell, a pair, a bucket or a bin.

Noise in different keys is independent, so variances add up. A released interval is the estimate plus
and minus 1.96 standard deviations, cut at zero from below: the upper half gives the deviation back, and what
it allows for a bound that clips. Where devices are weighted, rows share the error of their weights:
deviations add up, as an upper limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from passersby.model.release import COARSE, SUPPRESSED
from passersby.model.schema import PAIR, PLACE, WEIGHTED

Floats = npt.NDArray[np.float64]
Z95 = 1.959963984540054


@dataclass(frozen=True)
class Pooled:
    """Per group: key, mean per bucket, half width of the 95% interval of that mean.

    `mean` and `half` are NaN where the group is suppressed. Arrays have one length; `coarse` marks
    cells that stand for their children. The key of a pair is (origin, destination), shape (groups, 2).
    """

    key: npt.NDArray[np.int64]
    mean: Floats
    half: Floats
    coarse: npt.NDArray[np.bool_]

    @property
    def between(self) -> npt.NDArray[np.bool_]:
        """Which pairs are of two different cells."""
        apart: npt.NDArray[np.bool_] = self.key[:, 0] != self.key[:, 1]
        return apart

    def largest(self, most: int, among: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.intp]:
        """Return the places of the largest groups that are not suppressed, largest first."""
        shown = np.isfinite(self.mean) if among is None else np.isfinite(self.mean) & among
        order = np.argsort(-np.where(shown, self.mean, -np.inf), kind="stable")
        return order[: min(most, int(shown.sum()))]


def counted(rows: pa.Table, labels: Sequence[str]) -> pa.Table:
    """Return the rows of the named bins, which can be added up; all rows where there are no bins."""
    return rows.filter(pc.is_in(rows["bin"], pa.array(labels, pa.string()))) if labels else rows


def by_cell(rows: pa.Table) -> Pooled:
    """Pool the buckets of each cell; the mean is per bucket."""
    key, group = np.unique(rows[PLACE[0]].to_numpy(), return_inverse=True)
    return _pool(rows, key, group, _buckets(rows))


def by_pair(rows: pa.Table) -> Pooled:
    """Pool the buckets of each pair of cells; the mean is per bucket."""
    ends = np.stack([rows[name].to_numpy() for name in PAIR], axis=1)
    key, group = np.unique(ends, axis=0, return_inverse=True)
    return _pool(rows, key, group.reshape(-1), _buckets(rows))


def by_start(rows: pa.Table) -> Pooled:
    """Add up the shown cells of each bucket; suppressed cells count nothing."""
    shown = _shown(rows)
    key, group = np.unique(shown["start"].to_numpy(), return_inverse=True)
    return _pool(shown, key, group, 1)


def by_bin(rows: pa.Table, labels: Sequence[str]) -> Pooled:
    """Add up the shown cells of each named bin, whose place is its key; the mean is per bucket."""
    shown = _shown(counted(rows, labels))
    order = {label: i for i, label in enumerate(labels)}
    group = np.array([order[label] for label in shown["bin"].to_pylist()], dtype=np.int64)
    return _pool(shown, np.arange(len(labels)), group, _buckets(rows))


def of_label(rows: pa.Table, cells: npt.NDArray[np.int64], label: str) -> tuple[Floats, Floats]:
    """Return a ratio or quantile of each cell as mean over buckets, and how far its interval reaches.

    The second has shape (2, cells): below and above the mean, where reaches add up as squares. Buckets
    without a value are left out; NaN where there is none with one.
    """
    own = rows.filter(pc.and_(pc.equal(rows["bin"], label), pc.is_valid(rows["estimate"])))
    cell, estimate, low, high = (own[name].to_numpy() for name in (PLACE[0], "estimate", "low", "high"))
    mean, reach = np.full(len(cells), np.nan), np.full((2, len(cells)), np.nan)
    for i in np.flatnonzero(np.isin(cells, cell)):
        at = cell == cells[i]
        mean[i] = estimate[at].mean()
        apart = np.stack([estimate[at] - low[at], high[at] - estimate[at]])
        reach[:, i] = np.sqrt((apart**2).sum(axis=1)) / at.sum()
    return mean, reach


def _shown(rows: pa.Table) -> pa.Table:
    return rows.filter(pc.not_equal(rows["flag"], SUPPRESSED))


def _buckets(rows: pa.Table) -> int:
    return len(np.unique(rows["start"].to_numpy()))


def _pool(rows: pa.Table, key: npt.NDArray[np.int64], group: npt.NDArray[np.int64], count: int) -> Pooled:
    estimate = rows["estimate"].to_numpy(zero_copy_only=False).astype(np.float64)
    deviation = (rows["high"].to_numpy(zero_copy_only=False).astype(np.float64) - estimate) / Z95
    size = len(key)
    flags = np.array(rows["flag"].to_pylist(), dtype=object)
    coarse = np.zeros(size, dtype=bool)
    coarse[group[flags == COARSE]] = True
    shared = WEIGHTED[0].name in rows.schema.names
    total = np.bincount(group, weights=deviation if shared else deviation**2, minlength=size)
    return Pooled(
        key=key,
        mean=np.bincount(group, weights=estimate, minlength=size) / max(1, count),
        half=Z95 * (total if shared else np.sqrt(total)) / max(1, count),
        coarse=coarse,
    )
