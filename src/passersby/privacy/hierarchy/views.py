"""Views of one noisy measurement. All of it is post-processing: nothing here costs any privacy.

*consistent*: non-negative integers that fit together over the hierarchy, top-down. For additive measures
children add up to their parent; for others max(children) <= parent <= sum(children).
*smooth*: shrinkage over blocks of time, for looking at usual patterns, never for detecting unusual ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from passersby.model.period import DAY, HOUR, WEEK

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Index = npt.NDArray[np.intp]

_ABSENT = -1e15
"""Stands for a seventh child that is not there: below any count, so that nothing is given to it."""

_MONDAY = 4 * DAY
"""1970-01-01 was a Thursday."""


def consistent(estimates: Sequence[Floats], parents: Sequence[Index]) -> list[Whole]:
    """Return non-negative integers whose children add up to their parent, nearest level by level.

    Args:
        estimates: for each level, coarsest first, shape (nodes, buckets).
        parents: for each level the place of a node's parent in the level above, rising.
    """
    levels = [np.rint(np.maximum(estimates[0], 0)).astype(np.int64)]
    for values, lineage in zip(estimates[1:], parents[1:], strict=True):
        families, place, within = _families(lineage)
        levels.append(_project(values, place, within, levels[-1][families]))
    return levels


def nested(estimates: Sequence[Floats], parents: Sequence[Index]) -> list[Whole]:
    """Return non-negative integers with max(children) <= parent <= sum(children), level by level.

    A child above its parent is lowered to it; where children together stay below their parent, they are
    raised by the nearest family that adds up to it.
    """
    levels = [np.rint(np.maximum(estimates[0], 0)).astype(np.int64)]
    for values, lineage in zip(estimates[1:], parents[1:], strict=True):
        families, place, within = _families(lineage)
        above = levels[-1][families]
        boxed = np.clip(np.rint(values).astype(np.int64), 0, above[place])
        total = np.zeros_like(above)
        np.add.at(total, place, boxed)
        raised = _project(values, place, within, above)
        levels.append(np.where((total < above)[place], raised, boxed))
    return levels


def to_total(values: Floats, totals: Whole) -> Whole:
    """Return for each row the nearest non-negative integers that add up to its total.

    Euclidean projection onto the simplex (Held, Wolfe & Crowder 1974; Duchi et al. 2008), then largest
    remainders, ties to the first.

    Args:
        values: shape (rows, k).
        totals: non-negative, shape (rows,).
    """
    ranked = -np.sort(-values, axis=1)
    sums = np.cumsum(ranked, axis=1) - totals[:, None]
    place = np.arange(1, values.shape[1] + 1)
    active = np.maximum((ranked - sums / place > 0).sum(axis=1), 1)
    shift = np.take_along_axis(sums, active[:, None] - 1, axis=1) / active[:, None]
    part = np.maximum(values - shift, 0)
    part *= totals[:, None] / np.maximum(part.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    floor = np.floor(part + 1e-9)
    missing = totals - floor.sum(axis=1).astype(np.int64)
    remainder = np.where(values > _ABSENT / 2, part - floor, -np.inf)
    order = np.argsort(np.argsort(-remainder, axis=1, kind="stable"), axis=1)
    whole: Whole = (floor + (order < missing[:, None])).astype(np.int64)
    return whole


def smooth(
    estimates: Sequence[Floats],
    variances: Sequence[Floats],
    parents: Sequence[Index],
    local: npt.NDArray[np.int64],
) -> list[Whole]:
    """Return the consistent view of estimates that are shrunk over blocks of time.

    Positive-part James-Stein shrinkage (Stein 1956; Efron & Morris 1973) on orthogonal blocks: the mean is
    kept; parts of the day, parts of working days and of weekends, hours of the day, hours of working days
    and of weekends, and the rest are each shrunk by what noise alone would explain. Children are then moved
    by equal amounts to their parent's total, and made whole as in `consistent`.

    Args:
        estimates: for each level, coarsest first, shape (nodes, buckets).
        variances: for each level, shape (nodes,).
        parents: for each level the place of a node's parent in the level above, rising.
        local: first instants of the buckets in local time, s (epoch s plus the deployment's offset).
    """
    blocks = _blocks(local)
    shrunk = [_shrink(x, v, blocks) for x, v in zip(estimates, variances, strict=True)]
    for level, lineage in enumerate(parents[1:], start=1):
        families, place, _ = _families(lineage)
        total = np.zeros((len(families), len(local)))
        np.add.at(total, place, shrunk[level])
        sizes = np.bincount(place)[:, None]
        shrunk[level] = shrunk[level] + ((shrunk[level - 1][families] - total) / sizes)[place]
    return consistent(shrunk, parents)


def _families(parents: Index) -> tuple[Index, Index, Index]:
    """Return the parents that occur, each child's family and its place within it."""
    families, first, place = np.unique(parents, return_index=True, return_inverse=True)
    return families, place, np.arange(len(parents)) - first[place]


def _project(values: Floats, place: Index, within: Index, totals: Whole) -> Whole:
    """Return `to_total` of each family and bucket. Families differ in size: absent children get nothing."""
    padded = np.full((len(totals), values.shape[1], int(within.max()) + 1), _ABSENT)
    padded[place, :, within] = values
    whole = to_total(padded.reshape(-1, padded.shape[2]), totals.reshape(-1))
    return whole.reshape(padded.shape)[place, :, within]


def _blocks(local: npt.NDArray[np.int64]) -> list[Floats]:
    """Return orthonormal bases (buckets, k) of time patterns, coarse to fine, the mean first."""
    hour = local % DAY // HOUR
    weekend = ((local - _MONDAY) % WEEK >= 5 * DAY).astype(np.int64)
    groups = (np.zeros_like(hour), hour // 6, hour // 6 + 4 * weekend, hour, hour + 24 * weekend)
    found: list[Floats] = []
    for group in groups:
        pattern = (group[:, None] == np.unique(group)).astype(np.float64)
        for basis in found:
            pattern -= basis @ (basis.T @ pattern)
        vectors, sizes, _ = np.linalg.svd(pattern, full_matrices=False)
        found.append(vectors[:, sizes > 1e-8])
    return found


def _shrink(values: Floats, variances: Floats, blocks: Sequence[Floats]) -> Floats:
    """Return values (nodes, buckets) with each block shrunk towards zero, but for the mean."""
    mean = values @ blocks[0] @ blocks[0].T
    rest = values - mean
    out = mean
    for basis in blocks[1:]:
        part = rest @ basis @ basis.T
        out = out + _factor(part, variances, basis.shape[1]) * part
        rest = rest - part
    return out + _factor(rest, variances, values.shape[1] - sum(b.shape[1] for b in blocks)) * rest


def _factor(part: Floats, variances: Floats, dimensions: int) -> Floats:
    """Return 1 - (k - 2) s2 / |part|^2, at least 0, by node; below three dimensions k - 2 counts as 2/3."""
    energy = (part**2).sum(axis=1)
    noise = max(dimensions - 2, 2 / 3) * variances
    factor: Floats = 1 - noise / np.maximum(energy, noise)
    return factor[:, None]
