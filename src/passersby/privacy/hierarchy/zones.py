"""The public tree of zones: all of them together, and each. Its leaves are zones, not cells.

Counts come by cell; each counts in the zone of its centre. A zone's number is measured directly: one draw of
noise, whatever its size, and least squares makes the zones add up to their union.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from passersby.model.zones import ALL, Zones
from passersby.privacy.hierarchy.columns import Index
from passersby.privacy.hierarchy.tree import Place, Tree

UNION, EACH = -2, -1
"""In place of the resolutions of cells: all zones together, and each by itself."""


@dataclass(frozen=True, eq=False)
class ZoneTree(Tree):
    """A tree whose nodes are numbers of zones; `cells` of a level are these numbers."""

    zones: Zones

    def find(self, level: int, counts: pa.Table) -> tuple[Index, npt.NDArray[np.bool_]]:
        """Return the zone of each row of (cell, ..), and whether it is in any."""
        zone, inside = self.zones.find(counts.column("cell").cast(pa.int64()).to_numpy())
        return (np.zeros_like(zone), inside) if self.resolutions[level] == UNION else (zone, inside)

    def place(self, level: int, nodes: Index) -> Place:
        """Return the names of `nodes` at `level`."""
        names = [ALL] if self.resolutions[level] == UNION else self.zones.names
        return {"zone": np.array(names, dtype=object)[nodes]}


def build(zones: Zones) -> ZoneTree:
    """Return the tree over zones; a single zone has no union above it."""
    none = np.empty(0, dtype=np.intp)
    each = np.arange(len(zones), dtype=np.int64)
    if len(zones) == 1:
        return ZoneTree((EACH,), (each,), (none,), zones)
    whole = np.zeros(1, dtype=np.int64)
    return ZoneTree((UNION, EACH), (whole, each), (none, np.zeros(len(zones), dtype=np.intp)), zones)
