"""Exact integer vectors of a question's keys, before the noise. Nothing in here may leave the gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from passersby.privacy.hierarchy.columns import Columns, Index, find
from passersby.privacy.hierarchy.plan import Plan
from passersby.privacy.hierarchy.tree import Nodes, Tree
from passersby.privacy.noise import Integers


class Counts(Protocol):
    """Where the counts of a tree's nodes come from."""

    def at(self, level: int, nodes: Index) -> Integers:
        """Return the exact counts of `nodes` at `level`, thousandths, shape (nodes, columns)."""


@dataclass(frozen=True, eq=False)
class _Sparse:
    """Non-zero counts by index of node and index of column."""

    node: Index
    column: Index
    count: Integers

    def dense(self, row: Index, kept: npt.NDArray[np.bool_], shape: tuple[int, int]) -> Integers:
        """Return the sums by row of the result, where `row` gives that of each count and `kept` whether."""
        out = np.zeros(shape[0] * shape[1], dtype=np.int64)
        np.add.at(out, row[kept] * shape[1] + self.column[kept], self.count[kept])
        return out.reshape(shape)


class AdditiveCounts:
    """Counts of an additive measure: every level is a sum of the finest one.

    Args:
        leaf: table (cell, start, perhaps bin, count in thousandths) at the tree's finest resolution, as
            `bound.additive_sql` gives it.
        tree: the public tree.
        columns: of each node's vector.
    """

    def __init__(self, leaf: pa.Table, tree: Tree, columns: Columns) -> None:
        self._tree = tree
        self._columns = len(columns)
        self._leaf = _sparse(leaf, tree, len(tree.cells) - 1, columns)

    def at(self, level: int, nodes: Index) -> Integers:
        """Return the exact counts of `nodes` at `level`, thousandths, shape (nodes, columns)."""
        rows = np.full(len(self._tree.cells[level]), -1, dtype=np.intp)
        rows[nodes] = np.arange(len(nodes))
        for below in range(level + 1, len(self._tree.cells)):
            rows = rows[self._tree.parents[below]]
        row = rows[self._leaf.node]
        return self._leaf.dense(row, row >= 0, (len(nodes), self._columns))


class LevelCounts:
    """Counts of a measure that is not additive: each level has its own table.

    Args:
        tables: by resolution, (place, start, perhaps bin, count in thousandths), as `bound.level_sql` gives
            them.
        tree: the public tree, of cells or of pairs.
        columns: of each node's vector.

    Raises:
        KeyError: a resolution of the tree has no table.
    """

    def __init__(self, tables: Mapping[int, pa.Table], tree: Nodes, columns: Columns) -> None:
        self._columns = len(columns)
        self._levels = [
            _sparse(tables[resolution], tree, level, columns)
            for level, resolution in enumerate(tree.resolutions)
        ]

    def at(self, level: int, nodes: Index) -> Integers:
        """Return the exact counts of `nodes` at `level`, thousandths, shape (nodes, columns)."""
        order = np.argsort(nodes, kind="stable")
        place, inside = find(nodes[order], self._levels[level].node)
        return self._levels[level].dense(order[place], inside, (len(nodes), self._columns))


def prenoise(counts: Counts, tree: Nodes, plan: Plan) -> dict[int, Integers]:
    """Return the vector of every node of every level, before any noise: for tests of the sensitivity.

    A release measures a part of each vector, chosen by noisy values only, so that what bounds the whole
    vectors bounds the release. The squared L2 distance between two of them at one resolution, for data
    that differ in one device and period, is at most C2 * 1000000.
    """
    return {level.resolution: counts.at(i, np.arange(tree.sizes[i])) for i, level in enumerate(plan.levels)}


def _sparse(table: pa.Table, tree: Nodes, level: int, columns: Columns) -> _Sparse:
    """Return the counts that lie in public keys. The key set is public: nothing else is looked at."""
    node, in_tree = tree.find(level, table)
    column, in_columns = columns.find(table)
    count = table.column("count").cast(pa.int64()).to_numpy()
    kept = in_tree & in_columns
    return _Sparse(node[kept], column[kept], count[kept])
