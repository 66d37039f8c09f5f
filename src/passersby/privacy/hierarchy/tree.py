"""The public tree of cells that a question is answered on: made from its area alone, never from data.

Where the area covers a root or another node only in part, the node stands for the part inside the area.
Containment is H3's, by index (`model.cells`), so that children partition their parent exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from passersby.errors import UsageError
from passersby.model.cells import COARSEST, Cells, parent
from passersby.model.place import Area

Index = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Tree:
    """Levels from the roots to the asked resolution, one resolution apart.

    Args:
        resolutions: of the levels, coarsest first.
        cells: sorted cells of each level.
        parents: for each level the index of each cell's parent in the level above, rising; empty for roots.
    """

    resolutions: tuple[int, ...]
    cells: tuple[Cells, ...]
    parents: tuple[Index, ...]

    def children(self, level: int, nodes: Index) -> tuple[Index, Index]:
        """Return the children at `level` + 1 of sorted `nodes`, and each one's parent's place in `nodes`."""
        lineage = self.parents[level + 1]
        first, last = (np.searchsorted(lineage, nodes, side=side) for side in ("left", "right"))
        sizes = last - first
        place = np.repeat(np.arange(len(nodes)), sizes)
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return first[place] + within, place

    def family_sizes(self, level: int, nodes: Index) -> Index:
        """Return how many children each of `nodes` at `level` has."""
        lineage = self.parents[level + 1]
        return np.searchsorted(lineage, nodes, side="right") - np.searchsorted(lineage, nodes, side="left")


def build(area: Area, resolution: int, *, most_roots: int) -> Tree:
    """Return the tree over `area` with leaves at `resolution`.

    Roots lie at `model.cells.COARSEST`, or coarser where there would be more than `most_roots` of them.

    Raises:
        UsageError: the area has a cell finer than `resolution`, or even the coarsest roots are too many.
    """
    leaves = area.at(resolution)
    for root in range(min(COARSEST, resolution), -1, -1):
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
