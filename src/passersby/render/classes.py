"""Colours of a picture, classes of a map's values, and numbers for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

COLOURS = ("#e3eef0", "#b7d8d6", "#7fbcbb", "#43979f", "#1f6f82", "#144a63", "#0d2c45")
"""Light to dark, distinguishable without colour vision (one hue, rising darkness)."""

INK, QUIET, WATER, LAND, HATCH = "#1d2b36", "#5c6b76", "#eef2f4", "#fbfaf7", "#b8c0c6"


def classes(values: np.ndarray[Any, np.dtype[np.float64]], most: int = len(COLOURS)) -> list[float]:
    """Return rising limits of at most so many classes, rounded to two digits, that suit skewed counts."""
    shown = values[np.isfinite(values) & (values > 0)]
    if len(shown) == 0:
        return [0.0, 1.0]
    limits = np.geomspace(max(shown.min(), shown.max() / 1000), shown.max(), most + 1)
    rounded = sorted({round_two(float(limit)) for limit in limits[1:-1]})
    return [0.0, *rounded, max(float(shown.max()), rounded[-1] * 1.01 if rounded else 1.0)]


def palette(limits: list[float], colours: Sequence[str] = COLOURS) -> list[str]:
    """Return a colour for each class between `limits`, light to dark."""
    return [colours[int(i)] for i in np.linspace(0, len(colours) - 1, len(limits) - 1)]


def round_two(value: float) -> float:
    """Return `value` with two significant digits."""
    return 0.0 if value == 0 else round(value, 1 - math.floor(math.log10(abs(value))))


def number(value: float) -> str:
    """Return a number for people: thousands separated, decimals only where small."""
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"
