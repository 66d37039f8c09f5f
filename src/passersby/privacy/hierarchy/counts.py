"""Exact integer vectors of a question's keys, before the noise. Nothing in here may leave the gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from passersby.model.cells import Cells
from passersby.privacy.hierarchy.plan import Plan
from passersby.privacy.hierarchy.tree import Index, Tree
from passersby.privacy.noise import Integers


class Counts(Protocol):
    """Where the counts of a tree's nodes come from."""

    def at(self, level: int, nodes: Index) -> Integers:
        """Return the exact counts of `nodes` at `level`, thousandths, shape (nodes, buckets)."""


@dataclass(frozen=True, eq=False)
class _Sparse:
    """Non-zero counts by index of cell and index of bucket."""

    cell: Index
    bucket: Index
    count: Integers

    def dense(self, rows: Index, shape: tuple[int, int]) -> Integers:
        """Return the sums over `rows`, which maps a cell to a row of the result, or to -1."""
        row = rows[self.cell]
        kept = row >= 0
        out = np.zeros(shape[0] * shape[1], dtype=np.int64)
        np.add.at(out, row[kept] * shape[1] + self.bucket[kept], self.count[kept])
        return out.reshape(shape)


class AdditiveCounts:
    """Counts of an additive measure: every level is a sum of the finest one.

    Args:
        leaf: table (cell, start, count in thousandths) at the tree's finest resolution, as
            `bound.additive_sql` gives it.
        tree: the public tree.
        starts: sorted first instants of the buckets.
    """

    def __init__(self, leaf: pa.Table, tree: Tree, starts: npt.NDArray[np.int64]) -> None:
        self._tree = tree
        self._buckets = len(starts)
        self._leaf = _sparse(leaf, tree.cells[-1], starts)

    def at(self, level: int, nodes: Index) -> Integers:
        """Return the exact counts of `nodes` at `level`, thousandths, shape (nodes, buckets)."""
        rows = _rows(nodes, len(self._tree.cells[level]))
        for below in range(level + 1, len(self._tree.cells)):
            rows = rows[self._tree.parents[below]]
        return self._leaf.dense(rows, (len(nodes), self._buckets))


class LevelCounts:
    """Counts of a measure that is not additive: each level has its own table.

    Args:
        tables: by resolution, (cell, start, count in thousandths), as `bound.level_sql` gives them.
        tree: the public tree.
        starts: sorted first instants of the buckets.

    Raises:
        KeyError: a resolution of the tree has no table.
    """

    def __init__(self, tables: Mapping[int, pa.Table], tree: Tree, starts: npt.NDArray[np.int64]) -> None:
        self._tree = tree
        self._buckets = len(starts)
        self._levels = [
            _sparse(tables[r], cells, starts) for r, cells in zip(tree.resolutions, tree.cells, strict=True)
        ]

    def at(self, level: int, nodes: Index) -> Integers:
        """Return the exact counts of `nodes` at `level`, thousandths, shape (nodes, buckets)."""
        rows = _rows(nodes, len(self._tree.cells[level]))
        return self._levels[level].dense(rows, (len(nodes), self._buckets))


def prenoise(counts: Counts, tree: Tree, plan: Plan) -> dict[int, Integers]:
    """Return the vector of every node of every level, before any noise: for tests of the sensitivity.

    A release measures a part of each vector, chosen by noisy values only, so that what bounds the whole
    vectors bounds the release. The squared L2 distance between two of them at one resolution, for data
    that differ in one device and period, is at most C2 * 1000000.
    """
    return {
        level.resolution: counts.at(i, np.arange(len(tree.cells[i]))) for i, level in enumerate(plan.levels)
    }


def _sparse(table: pa.Table, cells: Cells, starts: npt.NDArray[np.int64]) -> _Sparse:
    """Return the counts that lie in public keys. The key set is public: nothing else is looked at."""
    cell, start, count = (
        table.column(name).cast(pa.int64()).to_numpy() for name in ("cell", "start", "count")
    )
    at_cell, in_cells = _find(cells, cell)
    at_start, in_starts = _find(starts, start)
    kept = in_cells & in_starts
    return _Sparse(at_cell[kept], at_start[kept], count[kept])


def _find(known: npt.NDArray[np.int64], values: npt.NDArray[np.int64]) -> tuple[Index, npt.NDArray[np.bool_]]:
    place = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return place, known[place] == values


def _rows(nodes: Index, size: int) -> Index:
    rows = np.full(size, -1, dtype=np.intp)
    rows[nodes] = np.arange(len(nodes))
    return rows
