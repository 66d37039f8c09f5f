"""Draws a release: a map of cells or zones, or of flows between them, and what goes with it at its right."""

from __future__ import annotations

import io
import math
from typing import Any

import matplotlib as mpl
import numpy as np
import pyarrow as pa
import shapely
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PatchCollection, PathCollection
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patches import Polygon as PolygonPatch
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from shapely.geometry.polygon import orient

from passersby.model.schema import PAIR, place_of
from passersby.render import arrows, ground, panels
from passersby.render.caption import Caption
from passersby.render.classes import HATCH, INK, LAND, QUIET, WATER, classes, number, palette
from passersby.render.ground import Ground
from passersby.render.pooled import Pooled, by_cell, by_pair, counted
from passersby.render.shapes import east_of, outlines_in, together
from passersby.render.towns import towns_in

Frame = tuple[float, float, float, float]


def draw(rows: pa.Table, caption: Caption) -> bytes:
    """Return a PNG (1,600 x 1,000 pixels) of `rows` (one of `model.schema.ROW_SCHEMAS`)."""
    with mpl.rc_context(
        {"font.family": "DejaVu Sans", "font.size": 9, "text.color": INK, "axes.edgecolor": HATCH}
    ):
        figure = Figure(figsize=(16, 10), dpi=100, facecolor="white")
        FigureCanvasAgg(figure)
        _words(figure, caption)
        axes = figure.add_axes((0.03, 0.05, 0.64, 0.85), facecolor=WATER)
        rows, place = ground.of(rows, caption)
        if place_of(rows) == PAIR:
            pairs = by_pair(counted(rows, caption.counted))
            _flows(axes, pairs, place, caption)
            panels.of_pairs(figure, rows, pairs, place, caption)
        else:
            cells = by_cell(counted(rows, caption.counted))
            _cells(axes, cells, place, caption)
            panels.of_cells(figure, rows, cells, place, caption)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _words(figure: Figure, caption: Caption) -> None:
    figure.text(0.03, 0.955, caption.title, fontsize=20, weight="bold")
    figure.text(0.03, 0.925, caption.subtitle, fontsize=11, color=QUIET)
    figure.text(0.03, 0.018, caption.promise, fontsize=9, color=QUIET)


def _cells(axes: Axes, cells: Pooled, place: Ground, caption: Caption) -> None:
    shapes = together([place.shape(int(cell)) for cell in cells.key])
    frame = _base(axes, shapes)
    shown = np.isfinite(cells.mean)
    limits = classes(cells.mean)
    colours = palette(limits)
    norm = BoundaryNorm(limits, len(colours), clip=True)
    _outlines(
        axes, [s for s, ok in zip(shapes, shown, strict=True) if not ok], facecolor="none", hatch="//////"
    )
    drawn = _outlines(axes, [s for s, ok in zip(shapes, shown, strict=True) if ok])
    drawn.set(cmap=ListedColormap(colours), norm=norm, alpha=0.88)
    drawn.set_array(cells.mean[shown])
    _names(axes, frame)
    _legend(axes, limits, colours, caption)


def _flows(axes: Axes, pairs: Pooled, place: Ground, caption: Caption) -> None:
    frame = _base(axes, together([place.shape(int(cell)) for cell in np.unique(pairs.key)]))
    shown = np.unique(pairs.key[np.isfinite(pairs.mean)])
    ends = [east_of(place.shape(int(cell)), frame[0]) for cell in shown]
    _outlines(axes, ends, facecolor="none", edgecolor="#d3dadd", linewidth=0.5)
    _names(axes, frame)
    arrows.draw(axes, pairs, place, caption)


def _base(axes: Axes, shapes: list[Any]) -> Frame:
    """Draw the land around some cells, and borders that lie over them; return the frame."""
    frame = _frame(axes, shapely.GeometryCollection(shapes).bounds)
    land = [PolygonPatch(np.asarray(p.exterior.coords)) for p in outlines_in(*frame)]
    axes.add_collection(PatchCollection(land, facecolor=LAND, edgecolor="#9aa7b0", linewidth=0.9, zorder=1))
    over = [PolygonPatch(patch.get_xy(), fill=False) for patch in land]
    axes.add_collection(PatchCollection(over, facecolor="none", edgecolor="#6d7c86", linewidth=0.7, zorder=4))
    return frame


def _frame(axes: Axes, bounds: Frame) -> Frame:
    """Frame the cells with a margin, at the true shape of their latitude, filling the axes."""
    west, south, east, north = bounds
    stretch = 1 / math.cos(math.radians((south + north) / 2))
    width, height = (east - west) * 1.06, (north - south) * 1.06 * stretch
    ratio = (0.64 * 16) / (0.85 * 10)
    width, height = max(width, height * ratio), max(height, width / ratio) / stretch
    x, y = (west + east) / 2, (south + north) / 2
    frame = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    axes.set(xlim=(frame[0], frame[2]), ylim=(frame[1], frame[3]), xticks=[], yticks=[], aspect=stretch)
    return frame


def _outlines(axes: Axes, shapes: list[Any], **style: Any) -> PathCollection:  # noqa: ANN401 (style words)
    """Draw shapes, each as one path with all its parts and holes, so that each takes one value."""
    words = {"edgecolor": HATCH if style else "white", "linewidth": 0.3, "zorder": 2 if style else 3, **style}
    collection = PathCollection([_path(shape) for shape in shapes], **words)
    axes.add_collection(collection)
    return collection


def _path(shape: Any) -> Path:  # noqa: ANN401
    """Return a shape as a path; holes turn the other way, so that they are not filled."""
    parts = [orient(part) for part in shapely.get_parts(shape)]
    rings = [ring for part in parts for ring in (part.exterior, *part.interiors)]
    return Path.make_compound_path(*(Path(np.asarray(ring.coords), closed=True) for ring in rings))


def _names(axes: Axes, frame: Frame) -> None:
    for name, lat, lon in towns_in(frame, 14):
        text = axes.annotate(
            name, (lon, lat), (0, 4), textcoords="offset points", ha="center", fontsize=8, zorder=6
        )
        text.set_path_effects([withStroke(linewidth=2.4, foreground="white", alpha=0.85)])
        axes.plot(lon, lat, "o", color=INK, markersize=2.2, zorder=6)


def _legend(axes: Axes, limits: list[float], colours: list[str], caption: Caption) -> None:
    handles = [Patch(facecolor="none", edgecolor=HATCH, hatch="//////", label="suppressed")]
    handles += [
        Patch(facecolor=colour, edgecolor="white", label=f"{number(low)} to {number(high)}")
        for colour, low, high in zip(colours, limits[:-1], limits[1:], strict=True)
    ]
    legend = axes.legend(
        handles=handles[::-1],
        title=f"{caption.unit}\n{caption.each}",
        loc="lower left",
        fontsize=8,
    )
    legend.get_frame().set(edgecolor="none", alpha=1)
    legend.set_zorder(7)
