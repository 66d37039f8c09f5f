"""What rows of cells or zones lie on: shape, centre and name of each, by one number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa

from passersby.model.schema import NAMED, PAIR, PLACE, ZONE, place_of
from passersby.render.caption import Caption
from passersby.render.shapes import Place, bearing, cell_centre, cell_shape, zone_centre, zone_shape
from passersby.render.towns import nearest_town


@dataclass(frozen=True)
class Ground:
    """Shape, centre and name of a number in the column `cell`, and the name of the way from one to another.

    `what` is what the numbers stand for. A way that ends where it began has the name of the place.
    """

    what: str
    shape: Callable[[int], Any]
    centre: Callable[[int], Place]
    name: Callable[[int], str]
    way: Callable[[int, int], str]


def of(rows: pa.Table, caption: Caption) -> tuple[pa.Table, Ground]:
    """Return rows of cells as they are; rows of zones with the numbers of their names in place of cells."""
    place = place_of(rows)
    if place not in NAMED:
        return rows, CELLS
    columns = [rows[name].to_pylist() for name in place]
    names: list[str] = sorted(set().union(*columns))
    numbers = {name: i for i, name in enumerate(names)}
    for name, new, column in zip(place, PLACE if place == ZONE else PAIR, columns, strict=True):
        number = pa.array([numbers[each] for each in column], pa.int64())
        rows = rows.set_column(rows.schema.get_field_index(name), new, number)
    shape = cache(lambda i: zone_shape(caption.zones, caption.resolution, names[i]))
    return rows, Ground(
        "zones",
        shape,
        lambda i: zone_centre(shape(i)),
        lambda i: names[i],
        lambda i, j: names[i] if i == j else f"{names[i]} → {names[j]}",
    )


def _near(cell: int) -> str:
    return f"near {nearest_town(cell)}"


def _way(origin: int, destination: int) -> str:
    """Return the towns near two cells, or the one near both and the direction of the way."""
    if origin == destination:
        return _near(origin)
    here, there = nearest_town(origin), nearest_town(destination)
    return f"{here} → {there}" if here != there else f"near {here}, {bearing(origin, destination)}"


CELLS = Ground("cells", cell_shape, cell_centre, _near, _way)
