"""What a definition in plain Python knows of a question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h3.api.numpy_int as h3i

Row = tuple[int, ...]
"""(phone, keys.., value)"""


@dataclass(frozen=True)
class Asked:
    """A question's scope and the cells of its area at the asked resolution."""

    scope: Any
    area: frozenset[int]

    def inside(self, cell: int) -> bool:
        """Tell whether a cell (resolution 10) lies in the area."""
        return int(h3i.cell_to_parent(cell, self.scope.resolution)) in self.area

    def reads(self, hour: int) -> bool:
        """Tell whether the question reads an hour."""
        return bool(self.scope.span.start <= hour < self.scope.span.end and self.scope._selected(hour))


def above(cell: int, resolution: int) -> int:
    """Return the ancestor of a cell, by h3 itself."""
    return int(h3i.cell_to_parent(cell, resolution))
