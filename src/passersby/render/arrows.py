"""Draws flows between cells or zones: arrows from origin to destination, wide and dark where they are large.

Arrows bend to one side, so that the two directions of a pair lie beside each other. What begins and ends in
one of them is a dot at its centre. Suppressed pairs are not drawn.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch

from passersby.render.caption import Caption
from passersby.render.classes import COLOURS, classes, number, palette
from passersby.render.ground import Ground
from passersby.render.pooled import Pooled
from passersby.render.shapes import Place

MOST = 300
"""Most arrows and dots: more cannot be told apart."""

_COLOURS = COLOURS[2:]
_BEND = 0.16


def draw(axes: Axes, pairs: Pooled, ground: Ground, caption: Caption) -> None:
    """Draw the largest flows, smaller ones first, and their legend."""
    drawn = pairs.largest(MOST)
    limits = classes(pairs.mean[drawn], len(_COLOURS))
    colours = palette(limits, _COLOURS)
    steps = np.clip(np.searchsorted(limits, pairs.mean[drawn], side="right") - 1, 0, len(colours) - 1)
    west, _ = axes.get_xlim()
    at = {int(cell): _place(ground.centre(int(cell)), west) for cell in np.unique(pairs.key[drawn])}
    ends = [(int(origin), int(destination)) for origin, destination in pairs.key[drawn]]
    dots = {origin: step for (origin, end), step in zip(ends, steps.tolist(), strict=True) if origin == end}
    for (origin, destination), step in reversed(list(zip(ends, steps.tolist(), strict=True))):
        if origin == destination:
            _point(axes, at[origin], step, colours[step])
        else:
            room = 1 + _dot(dots[destination]) / 2 if destination in dots else 1
            _arrow(axes, at[origin], at[destination], step, colours[step], room)
    shown = int(np.isfinite(pairs.mean).sum())
    few = "" if len(drawn) == shown else f"\nlargest {len(drawn):,} of {shown:,} shown pairs"
    title = f"{caption.unit} {caption.each}\narrow: between {ground.what} · dot: within one{few}"
    _legend(axes, limits, colours, title)


def _place(centre: Place, west: float) -> Place:
    """Return a centre, on the axes' side of the antimeridian."""
    lon, lat = centre
    return (lon if lon >= west else lon + 360), lat


def _arrow(axes: Axes, origin: Place, destination: Place, step: int, colour: str, room: float) -> None:
    """Draw one arrow that ends `room` points before its destination."""
    axes.add_patch(
        FancyArrowPatch(
            origin,
            destination,
            connectionstyle=f"arc3,rad={_BEND}",
            arrowstyle="-|>",
            mutation_scale=6 + 2 * step,
            shrinkA=0,
            shrinkB=room,
            linewidth=_width(step),
            color=colour,
            alpha=0.85,
            capstyle="butt",
            joinstyle="miter",
            zorder=3 + step / 10,
        )
    )


def _point(axes: Axes, place: Place, step: int, colour: str) -> None:
    axes.plot(
        *place,
        "o",
        markersize=_dot(step),
        color=colour,
        markeredgecolor="white",
        markeredgewidth=0.7,
        zorder=5,
    )


def _dot(step: int) -> float:
    return 4 + 2 * step


def _width(step: int) -> float:
    return (0.8, 1.4, 2.2, 3.4, 5.0)[step]


def _legend(axes: Axes, limits: list[float], colours: list[str], title: str) -> None:
    handles, labels = [], []
    for step, colour in enumerate(colours):
        line = Line2D([], [], color=colour, linewidth=_width(step))
        dot = Line2D([], [], color=colour, marker="o", linewidth=0, markersize=_dot(step))
        handles.append((line, dot))
        labels.append(f"{number(limits[step])} to {number(limits[step + 1])}")
    legend = axes.legend(
        handles[::-1],
        labels[::-1],
        handler_map={tuple: HandlerTuple(ndivide=None, pad=0.6)},
        handlelength=4.5,
        title=title,
        loc="lower left",
        fontsize=8,
        title_fontsize=8,
    )
    legend.get_frame().set(edgecolor="none", alpha=1)
    legend.set_zorder(7)
