"""Draws a release as a hexagon map with legend, intervals and suppressed cells hatched."""

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
from matplotlib.collections import PatchCollection, PolyCollection
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patches import Polygon as PolygonPatch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from passersby.model.period import instant_text
from passersby.render.caption import Caption
from passersby.render.classes import COLOURS, classes, number
from passersby.render.pooled import Pooled, by_cell, by_start
from passersby.render.shapes import cell_shape, outlines_in
from passersby.render.towns import nearest_town, towns_in

INK, QUIET, WATER, LAND, HATCH = "#1d2b36", "#5c6b76", "#eef2f4", "#fbfaf7", "#b8c0c6"


def draw(rows: pa.Table, caption: Caption) -> bytes:
    """Return a PNG (1,600 x 1,000 pixels) of `rows` (`model.schema.ROWS`)."""
    with mpl.rc_context(
        {"font.family": "DejaVu Sans", "font.size": 9, "text.color": INK, "axes.edgecolor": HATCH}
    ):
        figure = Figure(figsize=(16, 10), dpi=100, facecolor="white")
        FigureCanvasAgg(figure)
        _words(figure, caption)
        cells = by_cell(rows)
        _map(figure, cells, caption)
        _profile(figure.add_axes((0.73, 0.57, 0.24, 0.27)), by_start(rows), caption)
        _busiest(figure.add_axes((0.80, 0.09, 0.17, 0.37)), cells, caption)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _words(figure: Figure, caption: Caption) -> None:
    figure.text(0.03, 0.955, caption.title, fontsize=20, weight="bold")
    figure.text(0.03, 0.925, caption.subtitle, fontsize=11, color=QUIET)
    figure.text(0.03, 0.018, caption.promise, fontsize=9, color=QUIET)


def _map(figure: Figure, cells: Pooled, caption: Caption) -> None:
    axes = figure.add_axes((0.03, 0.05, 0.64, 0.85), facecolor=WATER)
    shapes = [cell_shape(int(cell)) for cell in cells.key]
    west, south, east, north = _frame(axes, shapely.GeometryCollection(shapes).bounds)
    land = [PolygonPatch(np.asarray(p.exterior.coords)) for p in outlines_in(west, south, east, north)]
    axes.add_collection(PatchCollection(land, facecolor=LAND, edgecolor="#9aa7b0", linewidth=0.9, zorder=1))
    shown = np.isfinite(cells.mean)
    limits = classes(cells.mean)
    palette = [COLOURS[int(i)] for i in np.linspace(0, len(COLOURS) - 1, len(limits) - 1)]
    norm = BoundaryNorm(limits, len(palette), clip=True)
    _hexagons(
        axes, [s for s, ok in zip(shapes, shown, strict=True) if not ok], facecolor="none", hatch="//////"
    )
    drawn = _hexagons(axes, [s for s, ok in zip(shapes, shown, strict=True) if ok])
    drawn.set(cmap=ListedColormap(palette), norm=norm, alpha=0.88)
    drawn.set_array(cells.mean[shown])
    over = [PolygonPatch(patch.get_xy(), fill=False) for patch in land]
    axes.add_collection(PatchCollection(over, facecolor="none", edgecolor="#6d7c86", linewidth=0.7, zorder=4))
    _town_names(axes, (west, south, east, north))
    _legend(axes, limits, palette, caption)


def _frame(axes: Axes, bounds: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
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


def _hexagons(axes: Axes, shapes: list[Any], **style: Any) -> PolyCollection:  # noqa: ANN401 (style words)
    rings = [np.asarray(part.exterior.coords) for shape in shapes for part in shapely.get_parts(shape)]
    words = {"edgecolor": HATCH if style else "white", "linewidth": 0.3, "zorder": 2 if style else 3, **style}
    collection = PolyCollection(rings, **words)
    axes.add_collection(collection)
    return collection


def _town_names(axes: Axes, frame: tuple[float, float, float, float]) -> None:
    for name, lat, lon in towns_in(frame, 14):
        text = axes.annotate(
            name, (lon, lat), (0, 4), textcoords="offset points", ha="center", fontsize=8, zorder=6
        )
        text.set_path_effects([withStroke(linewidth=2.4, foreground="white", alpha=0.85)])
        axes.plot(lon, lat, "o", color=INK, markersize=2.2, zorder=6)


def _legend(axes: Axes, limits: list[float], palette: list[str], caption: Caption) -> None:
    handles = [Patch(facecolor="none", edgecolor=HATCH, hatch="//////", label="suppressed")]
    handles += [
        Patch(facecolor=colour, edgecolor="white", label=f"{number(low)} to {number(high)}")
        for colour, low, high in zip(palette, limits[:-1], limits[1:], strict=True)
    ]
    legend = axes.legend(
        handles=handles[::-1],
        title=f"{caption.unit}\nper {caption.every}, mean",
        loc="lower left",
        fontsize=8,
    )
    legend.get_frame().set(edgecolor="none", alpha=1)
    legend.set_zorder(7)


def _profile(axes: Axes, buckets: Pooled, caption: Caption) -> None:
    axes.set_title(f"All shown cells, every {caption.every}, with 95% interval", loc="left", fontsize=10)
    x = np.arange(len(buckets.key))
    axes.fill_between(
        x, buckets.mean - buckets.half, buckets.mean + buckets.half, color=COLOURS[1], step=None
    )
    axes.plot(
        x, buckets.mean, color=COLOURS[5], linewidth=1.4, marker="o" if len(x) < 32 else "", markersize=3
    )
    names = [instant_text(int(start), caption.offset) for start in buckets.key]
    ticks = [i for i, name in enumerate(names) if len(x) <= 14 or "T00:00" in name]
    ticks = ticks[:: max(1, len(ticks) // 7)]
    axes.set_xticks(ticks, [names[i][5:10] for i in ticks], color=QUIET)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    _plain(axes)


def _busiest(axes: Axes, cells: Pooled, caption: Caption) -> None:
    title = f"Ten largest cells: {caption.unit} per {caption.every}, mean"
    axes.set_title(title, loc="right", fontsize=10)
    order = np.argsort(-np.nan_to_num(cells.mean, nan=-np.inf))[:10]
    order = order[np.isfinite(cells.mean[order])][::-1]
    y = np.arange(len(order))
    axes.barh(y, cells.mean[order], color=COLOURS[2], height=0.66)
    axes.errorbar(
        cells.mean[order], y, xerr=cells.half[order], fmt="none", ecolor=INK, elinewidth=1.1, capsize=2.5
    )
    axes.set_yticks(y, [f"near {nearest_town(int(cells.key[i]))}" for i in order])
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=QUIET, length=2)
    axes.grid(visible=True, axis="both", color="#eef1f3", zorder=0)
    axes.set_axisbelow(True)
