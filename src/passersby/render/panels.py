"""Draws what stands at the right of a map: times, bins or ratios, and the largest cells or flows."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from passersby.model.period import instant_text
from passersby.render.caption import Caption
from passersby.render.classes import COLOURS, INK, QUIET
from passersby.render.ground import Ground
from passersby.render.pooled import Floats, Pooled, by_bin, by_start, counted, of_label

Box = tuple[float, float, float, float]

_UPPER: Box = (0.73, 0.57, 0.24, 0.27)
_LOWER: Box = (0.73, 0.09, 0.24, 0.37)
_WHOLE: Box = (0.73, 0.09, 0.24, 0.75)

_MOST_LABELS = 12
"""Labels of bins that have room in letters of the usual size."""


def of_cells(figure: Figure, rows: pa.Table, cells: Pooled, place: Ground, caption: Caption) -> None:
    """Draw the panels of a map of cells or zones.

    Above: bins, or the first ratio or quantile where there is only one bin to add up, or times. Below: the
    ratio or quantile that goes with bins, or the largest cells. A single bucket has no times to draw.
    """
    binned, several = len(caption.counted) > 1, len(np.unique(rows["start"].to_numpy())) > 1
    if binned:
        _histogram(figure.add_axes(_UPPER), rows, caption)
        if caption.derived:
            _statistic(figure, _LOWER, rows, cells, place, caption)
            return
    elif caption.derived:
        _statistic(figure, _UPPER, rows, cells, place, caption)
    elif several:
        _profile(figure.add_axes(_UPPER), by_start(rows), caption, place.what)
    most, box = (10, _LOWER) if binned or caption.derived or several else (20, _WHOLE)
    largest = cells.largest(most)
    names = [place.name(int(cell)) for cell in cells.key[largest]]
    title = f"{len(largest)} largest {place.what}: {caption.unit} {caption.each}"
    _bars(_named(figure, box, names, title), cells.mean[largest], cells.half[largest])


def of_pairs(figure: Figure, rows: pa.Table, pairs: Pooled, place: Ground, caption: Caption) -> None:
    """Draw the panels of a map of flows: bins or times, and the largest flows between different places.

    Where none of those is shown, the largest flows within them stand there.
    """
    binned, several = len(caption.counted) > 1, len(np.unique(rows["start"].to_numpy())) > 1
    if binned:
        _histogram(figure.add_axes(_UPPER), rows, caption)
    elif several:
        _profile(figure.add_axes(_UPPER), by_start(counted(rows, caption.counted)), caption, "pairs")
    most, box = (10, _LOWER) if binned or several else (20, _WHOLE)
    largest, what = pairs.largest(most, pairs.between), "between"
    if not len(largest):
        largest, what = pairs.largest(most), "within"
    names = [place.way(*pair) for pair in pairs.key[largest].tolist()]
    title = f"{len(largest)} largest flows {what} {place.what}: {caption.unit} {caption.each}"
    _bars(_named(figure, box, names, title), pairs.mean[largest], pairs.half[largest])


def _profile(axes: Axes, buckets: Pooled, caption: Caption, places: str) -> None:
    axes.set_title(
        f"All shown {places}: {caption.unit} every {caption.every}, 95% interval", loc="left", fontsize=10
    )
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
    axes.set_ylim(0, None if len(x) == 0 else 1.08 * float(np.nanmax(buckets.mean + buckets.half)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    _plain(axes)


def _histogram(axes: Axes, rows: pa.Table, caption: Caption) -> None:
    """Draw the counted bins in their order, all that is shown together."""
    bins = by_bin(rows, caption.counted)
    x = np.arange(len(bins.key))
    axes.set_title(f"All that is shown: {caption.unit} {caption.each}", loc="left", fontsize=10)
    axes.bar(x, bins.mean, color=COLOURS[2], width=0.8)
    axes.errorbar(x, bins.mean, yerr=bins.half, fmt="none", ecolor=INK, elinewidth=1.1, capsize=2.5)
    numbers = all(each.high < math.inf for each in caption.bins[:-1])
    ticks = x[:: -(-len(x) // _MOST_LABELS)] if numbers else x  # a name does not follow from its neighbours
    labels = [caption.counted[i] for i in ticks]
    turned = sum(map(len, labels)) > 36
    axes.set_xticks(ticks, labels, rotation=35 if turned else 0, ha="right" if turned else "center")
    if len(ticks) > _MOST_LABELS:
        axes.tick_params(axis="x", labelrotation=60, labelsize=7)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    _plain(axes)
    axes.grid(visible=False, axis="x")


def _named(figure: Figure, box: Box, names: list[str], title: str) -> Axes:
    """Return axes within a box for values that have names at their left, the first on top."""
    left, bottom, width, height = box
    room = min(0.55 * width, 0.02 + 0.0042 * max(map(len, names), default=0))  # a letter is 0.42% wide
    figure.text(left + width, bottom + height + 0.012, title, ha="right", fontsize=10)
    axes = figure.add_axes((left + room, bottom, width - room, height))
    axes.set_yticks(np.arange(len(names))[::-1], names)
    axes.set_ylim(-0.7, max(len(names), 1) - 0.3)
    return axes


def _bars(axes: Axes, mean: Floats, half: Floats) -> None:
    y = np.arange(len(mean))[::-1]
    axes.barh(y, mean, color=COLOURS[2], height=0.66)
    axes.errorbar(mean, y, xerr=half, fmt="none", ecolor=INK, elinewidth=1.1, capsize=2.5)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_major_locator(MaxNLocator(3))
    _plain(axes)


def _statistic(
    figure: Figure, box: Box, rows: pa.Table, cells: Pooled, place: Ground, caption: Caption
) -> None:
    """Draw the first ratio or quantile of the largest cells as dots with their intervals."""
    largest, what = cells.key[cells.largest(10)], caption.statistic
    mean, reach = of_label(rows, largest, what)
    names = [place.name(int(cell)) for cell in largest]
    over = f", mean of all {caption.every}s" if len(np.unique(rows["start"].to_numpy())) > 1 else ""
    title = f"{len(largest)} largest {place.what}: {what}{over}"
    axes = _named(figure, box, names, title)
    y = np.arange(len(largest))[::-1]
    axes.errorbar(
        mean, y, xerr=reach, fmt="o", color=COLOURS[4], ecolor=INK, markersize=5, elinewidth=1.1, capsize=2.5
    )
    axes.xaxis.set_major_locator(MaxNLocator(4))
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=QUIET, length=2)
    axes.grid(visible=True, axis="both", color="#eef1f3", zorder=0)
    axes.set_axisbelow(True)
