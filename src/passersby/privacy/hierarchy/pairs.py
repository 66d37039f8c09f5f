"""The public tree of (origin, destination) pairs: pairs of nodes of a tree of cells or zones, never laid out.

A pair's children are all pairs of a child of its origin with a child of its destination: 49 of them, one
of which is a stay within one child where origin and destination are the same cell. A country has a hundred
million pairs at resolution 7, so nodes are numbers, `origin * cells + destination`, made when they are
needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from passersby.model.schema import PAIR
from passersby.privacy.hierarchy.columns import Index, find
from passersby.privacy.hierarchy.tree import Place, Tree, families


@dataclass(frozen=True, eq=False)
class PairTree:
    """Pairs of the nodes of `cells`, level by level."""

    cells: Tree

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Resolutions of the levels, coarsest first: both ends of a pair have the same."""
        return self.cells.resolutions

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of public pairs of each level."""
        return tuple(size**2 for size in self.cells.sizes)

    def children(self, level: int, nodes: Index) -> tuple[Index, Index]:
        """Return the pairs at `level` + 1 within `nodes`, and each one's place among these, rising."""
        ends = self._ends(level, nodes)
        origins, destinations = (self.cells.family_sizes(level, end) for end in ends)
        place, within = families(origins * destinations)
        first = [np.searchsorted(self.cells.parents[level + 1], end, side="left") for end in ends]
        origin = first[0][place] + within // destinations[place]
        destination = first[1][place] + within % destinations[place]
        return origin * self.cells.sizes[level + 1] + destination, place

    def family_sizes(self, level: int, nodes: Index) -> Index:
        """Return how many pairs at `level` + 1 lie within each of `nodes`."""
        origins, destinations = (self.cells.family_sizes(level, end) for end in self._ends(level, nodes))
        return origins * destinations

    def find(self, level: int, counts: pa.Table) -> tuple[Index, npt.NDArray[np.bool_]]:
        """Return the pair of each row of (origin, destination, ..), and whether both cells are public."""
        known = self.cells.cells[level]
        (origin, here), (destination, there) = (
            find(known, counts.column(name).cast(pa.int64()).to_numpy()) for name in PAIR
        )
        return origin * len(known) + destination, here & there

    def place(self, level: int, nodes: Index) -> Place:
        """Return the origins and destinations of `nodes` at `level`."""
        ends = (self.cells.place(level, end) for end in self._ends(level, nodes))
        return {
            name: where for name, end in zip(self.cells.pair, ends, strict=True) for where in end.values()
        }

    def _ends(self, level: int, nodes: Index) -> tuple[Index, Index]:
        origin, destination = np.divmod(nodes, self.cells.sizes[level])
        return origin, destination
