"""What a definition in plain Python knows of a question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import h3.api.numpy_int as h3i

Row = tuple[int, ...]
"""(phone, keys.., value)"""

_HOMES, _TOGETHER = 6, -2


ZONES = 2**62
"""A number from here on is one of a zone, above those of all cells."""


class CellInZone(int):
    """A cell of resolution 10 with the number of the zone that it lies in."""

    zone: int

    def __new__(cls, cell: int, zone: int) -> Self:
        """Return the cell, which is equal to the bare one."""
        found = super().__new__(cls, cell)
        found.zone = zone
        return found


@dataclass(frozen=True)
class Asked:
    """A question's scope and the cells of its area at the asked resolution, or the numbers of its zones."""

    scope: Any
    area: frozenset[int]

    def inside(self, cell: int) -> bool:
        """Tell whether a cell (resolution 10) lies in the area."""
        return above(cell, self.scope.resolution) in self.area

    def reads(self, hour: int) -> bool:
        """Tell whether the question reads an hour."""
        return bool(self.scope.span.start <= hour < self.scope.span.end and self.scope._selected(hour))


def above(cell: int, resolution: int) -> int:
    """Return the ancestor of a cell, by h3 itself; its zone, if it lies in one.

    Zones stand where cells of resolution 6 or coarser are asked for; finer ones are places within them. At
    the level of all zones together (-2) there is one.
    """
    if cell >= ZONES:
        return ZONES if resolution == _TOGETHER else cell
    if isinstance(cell, CellInZone) and resolution <= _HOMES:
        return above(cell.zone, resolution)
    return int(h3i.cell_to_parent(cell, resolution))
