"""Measures a tree from the top: noise on all children of a node, or on none of them.

1. Noise goes on every key of every root.
2. A node is split where its own noisy values, pooled over the question's buckets and counted bins, exceed
   three standard deviations of the pooled noise. Its own measurement decides, not a combination with its
   parent's: one number a node, independent of every other node's noise.
3. Noise goes on every key of every child, zeros included.
4. 2 and 3 repeat down to the asked resolution. What is not split stands for all of its children.

Which keys are measured follows from public facts and noisy values alone, so it is post-processing: no key
set leaks and no delta is spent (adaptive composition of zCDP: Bun & Steinke 2016).

Where the keys would exceed the plan's cap, nodes with the highest pooled noisy values go first, and a
level may take at most half of what is left while finer levels follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from passersby.privacy.hierarchy.columns import Columns, Index
from passersby.privacy.hierarchy.counts import Counts
from passersby.privacy.hierarchy.plan import Plan
from passersby.privacy.hierarchy.tree import Nodes
from passersby.privacy.noise import UNIT, Integers, Sampler

SPLIT_SIGMAS = 3
"""Standard deviations of pooled noise above which a node is split."""


@dataclass(frozen=True, eq=False)
class Noisy:
    """The measured nodes of one level.

    Args:
        nodes: their numbers among the tree's nodes at this level.
        parents: for each the place of its parent among the level above's measured nodes, rising; empty for
            roots.
        values: noisy counts, in units of the measure, shape (nodes, columns).
        split: which of them have measured children.
    """

    nodes: Index
    parents: Index
    values: npt.NDArray[np.float64]
    split: npt.NDArray[np.bool_]


def measure(counts: Counts, tree: Nodes, plan: Plan, sampler: Sampler, columns: Columns) -> list[Noisy]:
    """Return the measured levels, coarsest first; levels in which nothing is measured are left out."""
    nodes = np.arange(tree.sizes[0])
    parents: Index = np.empty(0, dtype=np.intp)
    room = plan.key_cap // plan.buckets
    levels: list[Noisy] = []
    for depth, level in enumerate(plan.levels):
        noisy = sampler.gaussian(counts.at(depth, nodes), level.scale)
        room -= len(nodes)
        split = np.zeros(len(nodes), dtype=np.bool_)
        finer = len(plan.levels) - 1 - depth
        if finer:
            wanted = _significant(noisy[:, columns.counted], level.scale)
            split[_affordable(wanted, tree.family_sizes(depth, nodes), room // min(2, finer))] = True
        levels.append(Noisy(nodes, parents, noisy / UNIT, split))
        if not split.any():
            break
        nodes, place = tree.children(depth, nodes[split])
        parents = np.flatnonzero(split)[place]
    return levels


def folded(levels: Sequence[Noisy], hidden: Sequence[npt.NDArray[np.bool_]]) -> list[Noisy]:
    """Return the levels without families of which nothing would be shown: their parent stands for them.

    Functions of noisy values decide, so that this is post-processing. For measures whose levels stand alone:
    a parent's value has noise that its children's do not depend on.

    Args:
        levels: measured levels, coarsest first.
        hidden: for each level which of its nodes are suppressed.
    """
    split = [level.split for level in levels]
    shown = ~hidden[-1]
    for depth in range(len(levels) - 2, -1, -1):
        alive = np.zeros_like(split[depth])
        alive[levels[depth + 1].parents[shown]] = True
        split[depth] = alive
        shown = np.where(levels[depth].split, alive, ~hidden[depth])
    kept: list[Noisy] = []
    keep = np.ones(len(levels[0].nodes), dtype=np.bool_)
    for depth, level in enumerate(levels):
        if depth:
            above = keep & split[depth - 1]
            place = np.cumsum(keep) - 1
            keep = above[level.parents]
            if not keep.any():
                break
            parents = place[level.parents[keep]]
        else:
            parents = level.parents
        kept.append(Noisy(level.nodes[keep], parents, level.values[keep], split[depth][keep]))
    return kept


def _significant(noisy: Integers, scale: float) -> Index:
    """Return the rows whose pooled noisy values exceed the threshold, highest first."""
    pooled = noisy.sum(axis=1)
    rows = np.flatnonzero(pooled > SPLIT_SIGMAS * scale * np.sqrt(noisy.shape[1]))
    return rows[np.argsort(-pooled[rows], kind="stable")]


def _affordable(rows: Index, sizes: Index, room: int) -> Index:
    """Return the first of `rows` whose families fit into `room` nodes together."""
    return rows[np.cumsum(sizes[rows]) <= room]
