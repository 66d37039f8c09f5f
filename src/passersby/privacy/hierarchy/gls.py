"""Generalised least squares over an irregular tree of noisy counts.

Every node has its own measurement with independent noise; children add up to their parent. One pass up
and one pass down give the best linear unbiased estimates and their variances (Hay et al. 2010, "Boosting
the Accuracy of Differentially Private Histograms Through Consistency", with unequal variances and
families). With y and s2 a node's measurement and its variance, C its children, p its parent:

    up:    v = 1 / (1/s2 + 1/sum(v_C));  z = (y/s2 + sum(z_C)/sum(v_C)) * v;  without children z = y, v = s2
    down:  k = v/sum(v_S);  x = z + k * (x_p - sum(z_S));  V = v - v^2/sum(v_S) + k^2 * V_p;  S: v's family

Variances are the same for every bucket of time, since a node is measured in all of them or in none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]


def estimate(
    measured: Sequence[Floats], variances: Sequence[float], parents: Sequence[Index]
) -> tuple[list[Floats], list[Floats]]:
    """Return estimates and their variances, level by level.

    Args:
        measured: for each level, coarsest first, noisy values of shape (nodes, buckets); no level is empty.
        variances: of the noise, one for each level.
        parents: for each level the index of a node's parent in the level above, rising; ignored for the
            first. A node without children is a leaf at whatever level.

    Returns:
        Estimates of the shapes of `measured`, and variances of shape (nodes,) for each level.
    """
    up, spread = _up(measured, variances, parents)
    estimates, error = [up[0]], [spread[0]]
    for level in range(1, len(measured)):
        families, first, place = _families(parents[level])
        total = np.add.reduceat(up[level], first, axis=0)
        total_spread = np.add.reduceat(spread[level], first)[place]
        share = spread[level] / total_spread
        surplus = estimates[-1][families] - total
        estimates.append(up[level] + share[:, None] * surplus[place])
        own = spread[level] - spread[level] ** 2 / total_spread
        error.append(own + share**2 * error[-1][parents[level]])
    return estimates, error


def mean_errors(variances: Sequence[float], parents: Sequence[Index]) -> list[float]:
    """Return the root of the mean variance of each level, if every node of the tree is measured."""
    sizes = [int(lineage[-1]) + 1 for lineage in parents[1:]] + [len(parents[-1]) or 1]
    _, errors = estimate([np.zeros((size, 1)) for size in sizes], variances, parents)
    return [float(np.sqrt(error.mean())) for error in errors]


def _up(
    measured: Sequence[Floats], variances: Sequence[float], parents: Sequence[Index]
) -> tuple[list[Floats], list[Floats]]:
    """Return what each node's own subtree says of it, and the variance of that."""
    values = list(measured)
    spread = [np.full(len(y), s2) for y, s2 in zip(measured, variances, strict=True)]
    for level in range(len(measured) - 2, -1, -1):
        families, first, _ = _families(parents[level + 1])
        below = np.add.reduceat(spread[level + 1], first)
        joint = 1 / (1 / variances[level] + 1 / below)
        total = np.add.reduceat(values[level + 1], first, axis=0)
        values[level] = values[level].copy()
        own = values[level][families] / variances[level]
        values[level][families] = (own + total / below[:, None]) * joint[:, None]
        spread[level][families] = joint
    return values, spread


def _families(parents: Index) -> tuple[Index, Index, Index]:
    """Return the parents that occur, where the family of each begins, and each child's family."""
    families, first, place = np.unique(parents, return_index=True, return_inverse=True)
    return families, first, place
