"""The public tree that a question is answered on, of cells or of pairs: made from its area, never from data.

Where the area covers a root or another node only in part, the node stands for the part inside the area.
Containment is H3's, by index (`model.cells`), so that children partition their parent exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from passersby.errors import UsageError
from passersby.model.cells import COARSEST, Cells, parent
from passersby.model.place import Area
from passersby.model.schema import PAIR
from passersby.privacy.hierarchy.columns import Index, find

Place = dict[str, npt.NDArray[Any]]
"""Columns that say where nodes lie: cells, or names of zones (`model.schema`)."""


class Nodes(Protocol):
    """What the mechanism needs to know of a tree: numbered nodes, level by level, and their children."""

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Resolutions of the levels, coarsest first."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of public nodes of each level."""

    def children(self, level: int, nodes: Index) -> tuple[Index, Index]:
        """Return the children at `level` + 1 of `nodes`, and each one's parent's place in `nodes`, rising."""

    def family_sizes(self, level: int, nodes: Index) -> Index:
        """Return how many children each of `nodes` at `level` has."""

    def find(self, level: int, counts: pa.Table) -> tuple[Index, npt.NDArray[np.bool_]]:
        """Return the node of each row of a table of counts, and whether it is a public one."""

    def place(self, level: int, nodes: Index) -> Place:
        """Return where `nodes` at `level` lie."""


@dataclass(frozen=True, eq=False)
class Tree:
    """Levels from the roots to the asked resolution, one resolution apart.

    Args:
        resolutions: of the levels, coarsest first.
        cells: sorted cells of each level.
        parents: for each level the index of each cell's parent in the level above, rising; empty for roots.
    """

    pair: ClassVar[tuple[str, str]] = PAIR
    """Columns of a pair of its nodes."""

    resolutions: tuple[int, ...]
    cells: tuple[Cells, ...]
    parents: tuple[Index, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of public nodes of each level."""
        return tuple(map(len, self.cells))

    def children(self, level: int, nodes: Index) -> tuple[Index, Index]:
        """Return the children at `level` + 1 of `nodes`, and each one's parent's place in `nodes`, rising."""
        sizes = self.family_sizes(level, nodes)
        place, within = families(sizes)
        first = np.searchsorted(self.parents[level + 1], nodes, side="left")
        return first[place] + within, place

    def find(self, level: int, counts: pa.Table) -> tuple[Index, npt.NDArray[np.bool_]]:
        """Return the node of each row of (cell, ..), and whether it is a public one."""
        return find(self.cells[level], counts.column("cell").cast(pa.int64()).to_numpy())

    def place(self, level: int, nodes: Index) -> Place:
        """Return the cells of `nodes` at `level`."""
        return {"cell": self.cells[level][nodes]}

    def family_sizes(self, level: int, nodes: Index) -> Index:
        """Return how many children each of `nodes` at `level` has."""
        lineage = self.parents[level + 1]
        return np.searchsorted(lineage, nodes, side="right") - np.searchsorted(lineage, nodes, side="left")


def families(sizes: Index) -> tuple[Index, Index]:
    """Return for the members of families of `sizes`, one after the other, their family and place in it."""
    place = np.repeat(np.arange(len(sizes)), sizes)
    return place, np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def build(area: Area, resolution: int, *, most_roots: int, roots: int = COARSEST) -> Tree:
    """Return the tree over `area` with leaves at `resolution`.

    Roots lie at the resolution `roots`, or coarser where there would be more than `most_roots` of them.

    Raises:
        UsageError: the area has a cell finer than `resolution`, or even the coarsest roots are too many.
    """
    leaves = area.at(resolution)
    for root in range(min(roots, resolution), -1, -1):
        if len(np.unique(parent(leaves, root, of=resolution))) <= most_roots:
            return _from_leaves(leaves, root, resolution)
    raise UsageError(
        "The question has more cells and hours than can be answered at once.",
        "Ask for a coarser grain or a shorter span.",
    )


def _from_leaves(leaves: Cells, root: int, resolution: int) -> Tree:
    resolutions = tuple(range(root, resolution + 1))
    cells = tuple(np.unique(parent(leaves, r, of=resolution)) for r in resolutions)
    parents: list[Index] = [np.empty(0, dtype=np.intp)]
    for above, below, r in zip(cells, cells[1:], resolutions, strict=False):
        parents.append(np.searchsorted(above, parent(below, r, of=r + 1)))
    return Tree(resolutions, cells, tuple(parents))
