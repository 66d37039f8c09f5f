"""Areas: a box, a polygon or named cells, always held as compacted H3 cells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import h3.api.numpy_int as h3i
import numpy as np

from passersby.errors import BadRecord, EmptyArea, UsageError
from passersby.model import cells as h3cells
from passersby.model.cells import Cells

MAX_CELLS = 2_000_000
"""Most cells that an area may have at the resolution asked for; more would not fit a question."""


@dataclass(frozen=True)
class Area:
    """A set of H3 cells, compacted and sorted: equal areas are equal values.

    Build it with `from_cells`, `from_bbox` or `from_geojson`.
    """

    compacted: tuple[int, ...]

    @classmethod
    def from_cells(cls, cells: Cells) -> Area:
        """Return the area of `cells`, which may be of different resolutions but not overlap."""
        array = np.unique(np.asarray(cells, dtype=np.int64))
        if len(array) == 0:
            msg = "The area holds no cell."
            raise EmptyArea(msg, "Give a larger area or a finer resolution.")
        finest = int(h3cells.resolution_of(array).max())
        flat = h3cells.children(array, finest)
        return cls(tuple(int(c) for c in h3cells.compact(flat)))

    @classmethod
    def from_names(cls, names: list[str]) -> Area:
        """Return the area of cells given by their hexadecimal names.

        Raises:
            UsageError: a name is not an H3 cell.
        """
        try:
            return cls.from_cells(np.array([h3cells.from_text(n) for n in names], dtype=np.int64))
        except ValueError:
            msg = "The area names something that is not an H3 cell."
            raise UsageError(msg, "Write cells as 15 hexadecimal digits, e.g. 871fa4c6bffffff.") from None

    @classmethod
    def from_bbox(cls, west: float, south: float, east: float, north: float, resolution: int) -> Area:
        """Return the cells at `resolution` whose centre lies in the box (degrees; east of west).

        Raises:
            UsageError: the box is empty, outside the globe, crosses the antimeridian or is too large.
        """
        numbers = (west, south, east, north)
        if not all(np.isfinite(numbers)) or not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
            msg = "The box is not west,south,east,north in degrees."
            raise UsageError(msg, "Write it as 5.9,45.8,10.5,47.8; split a box at the antimeridian.")
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        return cls.from_geojson({"type": "Polygon", "coordinates": [ring]}, resolution)

    @classmethod
    def from_geojson(cls, geojson: Mapping[str, Any], resolution: int) -> Area:
        """Return the cells at `resolution` whose centre lies in the polygons of `geojson`.

        Accepts Polygon, MultiPolygon, Feature, FeatureCollection and GeometryCollection (RFC 7946).

        Raises:
            BadRecord: it holds anything but valid polygons.
            UsageError: no centre of a cell lies in it, or more than `MAX_CELLS` do.
        """
        found: list[Cells] = []
        for polygon in _polygons(geojson):
            try:
                shape = h3i.LatLngPoly(*[[(lat, lon) for lon, lat, *_ in ring] for ring in polygon])
                found.append(np.asarray(h3i.h3shape_to_cells(shape, resolution)).astype(np.int64))
            except (ValueError, TypeError) as error:
                msg = "The GeoJSON holds a polygon that is not valid."
                raise BadRecord(msg, "Rings are lists of [longitude, latitude] (RFC 7946).") from error
        cells = np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)
        if len(cells) > MAX_CELLS:
            msg = f"The area has {len(cells):,} cells at resolution {resolution}; {MAX_CELLS:,} is the most."
            raise UsageError(msg, "Ask for a coarser resolution or a smaller area.")
        return cls.from_cells(cells)

    @cached_property
    def _array(self) -> Cells:
        return np.array(self.compacted, dtype=np.int64)

    @property
    def finest(self) -> int:
        """Finest resolution among its cells."""
        return int(h3cells.resolution_of(self._array).max())

    def at(self, resolution: int) -> Cells:
        """Return its sorted cells at `resolution`.

        Raises:
            UsageError: a cell of the area is finer than `resolution`, or there are too many.
        """
        own = h3cells.resolution_of(self._array)
        if own.max() > resolution:
            msg = "A cell of the area is finer than the resolution asked for."
            raise UsageError(msg, "Ask for a finer resolution, or give the area in coarser cells.")
        if int((7.0 ** (resolution - own)).sum()) > MAX_CELLS:
            msg = f"The area has more than {MAX_CELLS:,} cells at resolution {resolution}."
            raise UsageError(msg, "Ask for a coarser resolution or a smaller area.")
        return h3cells.children(self._array, resolution)

    def contains(self, other: Area) -> bool:
        """Tell whether every cell of `other` lies, by index, in a cell of this area."""
        mine = set(self.compacted)
        for cell in other.compacted:
            resolution = (cell >> 52) & 15
            lineage = (int(h3i.cell_to_parent(cell, r)) for r in range(resolution + 1))
            if not any(ancestor in mine for ancestor in lineage):
                return False
        return True

    def names(self) -> list[str]:
        """Return the hexadecimal names of its compacted cells, sorted by cell."""
        return [h3cells.to_text(cell) for cell in self.compacted]

    def size_km2(self) -> float:
        """Return its area in square kilometres (spherical, exact per cell)."""
        return float(sum(h3i.cell_area(cell, "km^2") for cell in self.compacted))


def parse_area(text: str, resolution: int) -> Area:
    """Return the area of a command-line text: four numbers, or cell names separated by commas.

    Raises:
        UsageError: the text is neither.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        return Area.from_names(parts)
    if len(numbers) != 4:
        msg = "The area is neither a box nor a list of cells."
        raise UsageError(msg, "Write west,south,east,north, or H3 cells, or the name of a GeoJSON file.")
    west, south, east, north = numbers
    return Area.from_bbox(west, south, east, north, resolution)


def parse_geojson(text: str, resolution: int) -> Area:
    """Return the area of a GeoJSON document.

    Raises:
        BadRecord: the text is not GeoJSON with polygons.
    """
    try:
        document = json.loads(text)
    except ValueError:
        msg = "The area file is not JSON."
        raise BadRecord(msg, "Give a GeoJSON file with polygons (RFC 7946).") from None
    return Area.from_geojson(document, resolution)


def _polygons(geojson: Mapping[str, Any]) -> list[list[list[list[float]]]]:
    """Return every polygon (list of rings) in a GeoJSON object."""
    match geojson:
        case {"type": "Polygon", "coordinates": list(rings)}:
            return [rings]
        case {"type": "MultiPolygon", "coordinates": list(polygons)}:
            return cast("list[list[list[list[float]]]]", polygons)
        case {"type": "Feature", "geometry": dict(geometry)}:
            return _polygons(geometry)
        case {"type": "FeatureCollection", "features": list(parts)} | {
            "type": "GeometryCollection",
            "geometries": list(parts),
        }:
            return [polygon for part in parts for polygon in _polygons(part)]
    msg = "The GeoJSON holds something that is not a polygon."
    raise BadRecord(msg, "Keep only Polygon and MultiPolygon features.")
