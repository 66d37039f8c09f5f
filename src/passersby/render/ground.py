"""What rows of cells or zones lie on: the shape and the name of each, by one number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from passersby.model.schema import PLACE, ZONE, place_of
from passersby.render.caption import Caption
from passersby.render.shapes import cell_shape, zone_shape
from passersby.render.towns import nearest_town


@dataclass(frozen=True)
class Ground:
    """Shape and name of a number in the column `cell`; `what` is what the numbers stand for."""

    what: str
    shape: Callable[[int], Any]
    name: Callable[[int], str]


CELLS = Ground("cells", cell_shape, lambda cell: f"near {nearest_town(cell)}")


def of(rows: pa.Table, caption: Caption) -> tuple[pa.Table, Ground]:
    """Return rows of cells as they are; rows of zones with the numbers of their names in `cell`."""
    if place_of(rows) != ZONE:
        return rows, CELLS
    names, number = np.unique(np.array(rows[ZONE[0]].to_pylist(), dtype=object), return_inverse=True)
    place = rows.schema.get_field_index(ZONE[0])
    return rows.set_column(place, PLACE[0], pa.array(number, pa.int64())), Ground(
        "zones",
        lambda i: zone_shape(caption.zones, caption.resolution, names[i]),
        lambda i: str(names[i]),
    )
