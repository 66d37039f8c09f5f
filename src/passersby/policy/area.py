"""The area of a licence, in cells of resolution 5 (about 250 square kilometres each)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h3
import numpy as np
import numpy.typing as npt

from passersby.errors import UsageError
from passersby.model import cells as h3cells
from passersby.model.place import Area
from passersby.model.record import Fields

RESOLUTION = 5
"""Resolution in which areas are licensed and compared."""

_FORMS = ("bbox", "geojson", "cells")
_MOST_CELLS = 250_000
_HALF_A_TURN = 180.0
_RADIUS_KM = 6371.0


def coarse(area: Area) -> tuple[int, ...]:
    """Return the sorted cells of resolution 5 that hold a part of an area, by index.

    A cell counts if it is in the area, holds a finer cell of the area, or lies in a coarser one.
    """
    cells = np.array(area.compacted, dtype=np.int64)
    own = h3cells.resolution_of(cells)
    parts = [h3cells.children(cells[own < RESOLUTION], RESOLUTION)]
    finer = np.unique(own[own >= RESOLUTION]).tolist()
    parts += [h3cells.parent(cells[own == resolution], RESOLUTION, of=resolution) for resolution in finer]
    return tuple(np.unique(np.concatenate(parts)).tolist())


def read(fields: Fields, resolution: int, folder: Path) -> tuple[int, ...]:
    """Return the sorted cells of resolution 5 that a licence's `area` table covers.

    A box or shape is cut into cells of the licence's finest resolution first, so that a question about
    the same box lies within the licence, at resolution 5 and finer. Where that would be more than
    250,000 cells (a large country), coarser ones are taken, and some on its border may be left out.

    Args:
        fields: the table, with exactly one of `bbox`, `geojson` (a path) and `cells`.
        resolution: finest resolution of the licence.
        folder: folder that a relative path starts from.

    Raises:
        BadRecord: there is not exactly one form, or it is not valid; the message names it.
    """
    given = [form for form in _FORMS if fields.peek(form) is not None]
    if len(given) != 1:
        raise fields.error("bbox", "or `geojson` or `cells` must stand there, exactly one of them")
    try:
        area = _area(fields, given[0], resolution, folder)
    except UsageError as error:
        raise fields.error(given[0], f"gives no area ({error.message.rstrip('.')})") from None
    fields.done()
    return coarse(area)


def _area(fields: Fields, form: str, resolution: int, folder: Path) -> Area:
    if form == "cells":
        area = Area.from_names(list(fields.texts("cells")))
        if area.finest > RESOLUTION:
            raise fields.error("cells", "must be cells of resolution 5 or coarser")
        return area
    if form == "bbox":
        west, south, east, north = box = _box(fields)
        points = np.array([[west, south], [east, north]])
        return Area.from_bbox(*box, resolution=_cut(fields, form, points, resolution))
    document = _document(fields, folder)
    points = np.array(list(_positions(document)), dtype=np.float64).reshape(-1, 2)
    return Area.from_geojson(document, _cut(fields, form, points, resolution) if len(points) else resolution)


def _cut(fields: Fields, form: str, points: npt.NDArray[np.float64], resolution: int) -> int:
    """Return the finest resolution at which the points' box has at most `_MOST_CELLS` cells."""
    (west, south), (east, north) = points.min(axis=0), points.max(axis=0)
    if east - west >= _HALF_A_TURN:
        raise fields.error(form, "is wider than half the globe; give it in `cells`")
    share = np.deg2rad(east - west) * (np.sin(np.deg2rad(north)) - np.sin(np.deg2rad(south)))
    while resolution > RESOLUTION and share * _RADIUS_KM**2 > _MOST_CELLS * h3.average_hexagon_area(
        resolution
    ):
        resolution -= 1
    return resolution


def _positions(node: Any) -> Iterator[tuple[float, float]]:  # noqa: ANN401  (any part of a JSON document)
    """Yield the (longitude, latitude) pairs of a GeoJSON object."""
    match node:
        case dict():
            for key in ("coordinates", "geometry", "geometries", "features"):
                yield from _positions(node.get(key))
        case [float() | int() as lon, float() | int() as lat, *_]:
            yield float(lon), float(lat)
        case list():
            for part in node:
                yield from _positions(part)


def _box(fields: Fields) -> tuple[float, float, float, float]:
    numbers = fields.numbers("bbox")
    if len(numbers) != 4:
        raise fields.error("bbox", "must be [west, south, east, north]")
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _document(fields: Fields, folder: Path) -> dict[str, Any]:
    path = folder / fields.text("geojson")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise fields.error("geojson", "names a file that is not there or is not JSON") from None
    if not isinstance(document, dict):
        raise fields.error("geojson", "names a file that is not GeoJSON")
    return document
