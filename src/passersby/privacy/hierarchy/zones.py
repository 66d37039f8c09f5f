"""The public tree of zones: each of them, and above them all together. Its nodes are zones' stand-ins.

A zone's number is measured directly: one draw of noise, whatever its size. For additive measures the zones'
union is measured too, and least squares makes the zones add up to it. What does not add up, and pairs, have
one level: a union that is measured by itself would lend nothing to the zones, and cost a third of the noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from passersby.model.cells import parent
from passersby.model.schema import ZONE, ZONE_PAIR
from passersby.model.zones import ALL, STAND_IN, Zones
from passersby.privacy.hierarchy.columns import Index
from passersby.privacy.hierarchy.tree import Place, Tree

UNION, EACH = -2, -1
"""In place of the resolutions of cells: all zones together, and each by itself."""


@dataclass(frozen=True, eq=False)
class ZoneTree(Tree):
    """A tree whose cells are stand-ins of zones; that of their union is their one parent."""

    pair: ClassVar = ZONE_PAIR

    zones: Zones

    def place(self, level: int, nodes: Index) -> Place:
        """Return the names of `nodes` at `level`."""
        names = [ALL] if self.resolutions[level] == UNION else self.zones.names
        return {ZONE[0]: np.array(names, dtype=object)[nodes]}


def build(zones: Zones, *, union: bool) -> ZoneTree:
    """Return the tree over zones, with their union above them if that is wanted and they are several."""
    none, each = np.empty(0, dtype=np.intp), zones.stand_ins
    if len(zones) == 1 or not union:
        return ZoneTree((EACH,), (each,), (none,), zones)
    whole = np.unique(parent(each, 0, of=STAND_IN))
    return ZoneTree((UNION, EACH), (whole, each), (none, np.zeros(len(zones), dtype=np.intp)), zones)
