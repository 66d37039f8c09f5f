"""A map of zones: each has the colour of its own value, whatever its parts and holes."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from shapely.geometry import MultiPolygon, Point, box

from passersby.model.schema import ZONE, ZONE_PAIR, rows_of
from passersby.model.zones import Zones
from passersby.render import ground
from passersby.render.caption import Caption
from passersby.render.classes import LAND, classes, palette
from passersby.render.map import _cells
from passersby.render.pooled import by_cell
from passersby.render.shapes import zone_centre

pytestmark = pytest.mark.slow

CITY = box(8.4, 47.2, 8.6, 47.4)
SHAPES = {
    "a ring": box(8.0, 47.0, 9.0, 47.6).difference(CITY),
    "city": CITY,
    "two parts": MultiPolygon([box(9.2, 47.0, 9.6, 47.2), box(9.2, 47.4, 9.6, 47.6)]),
    "z last": box(9.8, 47.0, 10.2, 47.6),
}
VALUES = {"a ring": 10.0, "city": 10_000.0, "two parts": 100.0, "z last": 1000.0}
INSIDE = {"a ring": (8.2, 47.3), "city": (8.5, 47.3), "two parts": (9.4, 47.5), "z last": (10.0, 47.3)}


def _caption() -> Caption:
    zones = Zones.from_shapes(SHAPES, finest=8)
    return Caption("", "", "devices", "week", "", 0, zones=zones.canonical(), resolution=zones.resolution)


def test_each_zone_has_the_colour_of_its_value() -> None:
    made = [(name, 0, value, value - 1, value + 1, int(value), "") for name, value in VALUES.items()]
    schema = rows_of(ZONE, binned=False)
    rows = pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in made], schema=schema)
    caption = _caption()
    numbered, place = ground.of(rows, caption)
    cells = by_cell(numbered)
    figure = Figure(figsize=(16, 10), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    _cells(axes, cells, place, caption)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    pixels = imread(io.BytesIO(buffer.getvalue()), format="png")[:, :, :3]
    limits = classes(cells.mean)
    colours = [0.88 * np.array(to_rgb(colour)) + 0.12 * np.array(to_rgb(LAND)) for colour in palette(limits)]
    for name, value in VALUES.items():
        x, y = axes.transData.transform(INSIDE[name])
        found = pixels[len(pixels) - round(y), round(x)]
        step = min(int(np.searchsorted(limits, value, side="right")) - 1, len(colours) - 1)
        apart = [float(np.abs(found - colour).sum()) for colour in colours]
        assert int(np.argmin(apart)) == step, name


def test_pairs_of_zones_are_pairs_of_numbers_with_names() -> None:
    names = sorted(SHAPES)
    made = [(one, other, 0, 1.0, 0.5, 1.5, 1, "") for one in names for other in names]
    schema = rows_of(ZONE_PAIR, binned=False)
    rows = pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in made], schema=schema)
    numbered, place = ground.of(rows, _caption())
    ends = list(zip(numbered["origin"].to_pylist(), numbered["destination"].to_pylist(), strict=True))
    assert [(place.name(i), place.name(j)) for i, j in ends] == [row[:2] for row in made]
    assert [place.way(i, j) for i, j in ends[:2]] == ["a ring", "a ring → city"]
    assert place.centre(names.index("city")) == pytest.approx((8.5, 47.3), abs=0.01)


def test_a_zone_s_centre_lies_in_it() -> None:
    for shape in SHAPES.values():
        assert shape.contains(Point(zone_centre(shape)))
