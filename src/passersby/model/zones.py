"""Zones: named polygons, held as H3 cells. A cell belongs to the zone that its centre lies in.

Zones are measured as such, and not as sums of noisy cells. What is lost is at their borders: a device in a
cell that the border crosses counts where the cell's centre lies. `border` says how much of each zone that
concerns.

In SQL a zone has a *stand-in*: a number with the form of an H3 cell, with a base cell that H3 does not have
(its last one is 121). It is one of resolution `STAND_IN`, and where it takes the place of a cell of the lake,
a child of that one. So a measure's SQL, which asks for parents of cells by arithmetic, finds zones where it
looks for cells, and cells outside all zones stay what they are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import h3.api.numpy_int as h3i
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import rfc8785
import shapely

from passersby.errors import BadRecord, UsageError
from passersby.model.cells import FINEST, Cells
from passersby.model.place import Area

MOST_CELLS = 400_000
"""Cells of all zones together stay below this where a coarser resolution still tells the zones apart."""

MOST_ZONES = 20_000
"""Most zones of one question."""

STAND_IN = 6
"""Resolution of the stand-ins: that of reference locations (`measures.base.HOME_RESOLUTION`)."""

_BASE_CELL = (1 << 59) | (127 << 45)
"""Mode 1 (a cell), of a base cell that there is not."""

ALL = "all zones"
"""Name of the row that stands for all zones, where they are too small to be told apart."""


@dataclass(frozen=True)
class Zones:
    """Zones that do not overlap. Build them with `from_shapes`.

    Args:
        names: sorted, each once.
        cells: of each zone, sorted, all at `resolution`.
        resolution: of the cells.
        border: of each zone the share of its cells that its border crosses.
    """

    names: tuple[str, ...]
    cells: tuple[tuple[int, ...], ...]
    resolution: int
    border: tuple[float, ...]

    @classmethod
    def from_shapes(cls, shapes: dict[str, Any], *, finest: int = FINEST) -> Zones:
        """Return the zones of polygons by name, in longitude and latitude, in cells of a fitting resolution.

        Args:
            shapes: shapely polygons or multipolygons by name.
            finest: finest resolution of the cells.

        Raises:
            BadRecord: a zone is not a valid polygon, or two of them overlap.
            UsageError: there are no zones, too many, or one has no cell's centre in it.
        """
        if not 1 <= len(shapes) <= MOST_ZONES:
            raise UsageError(f"There are {len(shapes):,} zones.", f"Give 1 to {MOST_ZONES:,}.")
        for name, shape in shapes.items():
            if not name.strip() or name == ALL or not name.isprintable():
                raise BadRecord("A zone has no proper name.", "Name the column of names with --zone-name.")
            if shape.geom_type not in {"Polygon", "MultiPolygon"} or shape.is_empty or not shape.is_valid:
                raise BadRecord(f"The zone {name!r} is not a valid polygon.", "Repair the file's geometry.")
        resolution = _resolution(shapes, finest)
        names = tuple(sorted(shapes))
        cells = tuple(tuple(_cells(shapes[name], resolution).tolist()) for name in names)
        _require_apart(names, cells)
        border = tuple(_crossed(shapes[name], np.array(own)) for name, own in zip(names, cells, strict=True))
        return cls(names, cells, resolution, border)

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def area(self) -> Area:
        """All zones together."""
        return Area.from_cells(self._flat[0])

    @cached_property
    def _flat(self) -> tuple[Cells, npt.NDArray[np.intp]]:
        """All cells, sorted, and the zone of each."""
        flat = np.concatenate([np.array(own, dtype=np.int64) for own in self.cells])
        zone = np.repeat(np.arange(len(self)), [len(own) for own in self.cells])
        order = np.argsort(flat)
        return flat[order], zone[order]

    def find(self, cells: Cells) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """Return the number of the zone of each cell at `resolution`, and whether it is in any."""
        known, zone = self._flat
        place = np.minimum(np.searchsorted(known, cells), len(known) - 1)
        return zone[place], known[place] == cells

    @property
    def stand_ins(self) -> Cells:
        """The stand-in of each zone, rising."""
        return _stand_ins(len(self), STAND_IN)

    @cached_property
    def table(self) -> pa.Table:
        """The table `zone_cells(cell, zone)` of SQL: each cell, and as a cell of the lake its stand-in."""
        cells, zone = self._flat
        return pa.table({"cell": cells, "zone": _stand_ins(len(self), FINEST)[zone]})

    def least_cells(self) -> int:
        """Return the number of cells of the smallest zone."""
        return min(map(len, self.cells))

    def canonical(self) -> dict[str, list[str]]:
        """Return the compacted cells of each zone by name: part of a question's canonical form."""
        return self._canonical

    @cached_property
    def _canonical(self) -> dict[str, list[str]]:
        return {
            name: Area.from_cells(np.array(own, dtype=np.int64)).names()
            for name, own in zip(self.names, self.cells, strict=True)
        }

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of the canonical form."""
        return hashlib.sha256(rfc8785.dumps(self.canonical())).hexdigest()


def _stand_ins(zones: int, resolution: int) -> Cells:
    """Return the stand-ins of so many zones: their numbers are in the digits down to `STAND_IN`."""
    numbers = np.arange(zones, dtype=np.int64) << (3 * (15 - STAND_IN))
    unused = (1 << (3 * (15 - resolution))) - 1
    return _BASE_CELL + (resolution << 52) + numbers + unused


def _resolution(shapes: dict[str, Any], finest: int) -> int:
    """Return the finest resolution at which all zones together have fewer than `MOST_CELLS` cells."""
    size = sum(_km2(shape) for shape in shapes.values())
    for resolution in range(finest, 0, -1):
        if size / h3i.average_hexagon_area(resolution, "km^2") <= MOST_CELLS:
            return resolution
    return 0


def _km2(shape: Any) -> float:  # noqa: ANN401  (shapely's geometries)
    _, south, _, north = shape.bounds
    return float(shape.area * 111.2**2 * np.cos(np.radians((south + north) / 2)))


def _cells(shape: Any, resolution: int) -> Cells:  # noqa: ANN401
    found = [np.empty(0, dtype=np.int64)]
    for part in shapely.get_parts(shape):
        rings = [[(lat, lon) for lon, lat, *_ in ring.coords] for ring in (part.exterior, *part.interiors)]
        found.append(np.asarray(h3i.h3shape_to_cells(h3i.LatLngPoly(*rings), resolution)).astype(np.int64))
    return np.unique(np.concatenate(found))


def _require_apart(names: tuple[str, ...], cells: tuple[tuple[int, ...], ...]) -> None:
    owner: dict[int, int] = {}
    for number, own in enumerate(cells):
        if not own:
            raise UsageError(
                f"The zone {names[number]!r} is too small to hold one cell's centre.",
                "Join it with a neighbour, or ask for fewer zones at a time.",
            )
        for cell in own:
            if owner.setdefault(cell, number) != number:
                raise BadRecord(
                    f"The zones {names[owner[cell]]!r} and {names[number]!r} overlap.",
                    "Give zones that do not overlap: a device is in one of them at a time.",
                )


def _crossed(shape: Any, cells: Cells) -> float:  # noqa: ANN401
    """Return the share of the cells that the zone's border crosses: whose neighbours or outline leave it."""
    inside = set(cells.tolist())
    edge = [c for c in inside if not inside.issuperset(h3i.grid_disk(c, 1).tolist())]
    outlines = [shapely.Polygon([(lon, lat) for lat, lon in h3i.cell_to_boundary(c)]) for c in edge]
    crossed = ~shapely.contains_properly(shape, outlines) if outlines else np.zeros(0, dtype=bool)
    return float(crossed.sum()) / len(cells)
