"""Classes of a map's colours, and numbers for people."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

COLOURS = ("#e3eef0", "#b7d8d6", "#7fbcbb", "#43979f", "#1f6f82", "#144a63", "#0d2c45")
"""Light to dark, distinguishable without colour vision (one hue, rising darkness)."""


def classes(values: np.ndarray[Any, np.dtype[np.float64]]) -> list[float]:
    """Return rising class limits, rounded to two digits, on a scale that suits skewed counts."""
    shown = values[np.isfinite(values) & (values > 0)]
    if len(shown) == 0:
        return [0.0, 1.0]
    limits = np.geomspace(max(shown.min(), shown.max() / 1000), shown.max(), len(COLOURS) + 1)
    rounded = sorted({round_two(float(limit)) for limit in limits[1:-1]})
    return [0.0, *rounded, max(float(shown.max()), rounded[-1] * 1.01 if rounded else 1.0)]


def round_two(value: float) -> float:
    """Return `value` with two significant digits."""
    return 0.0 if value == 0 else round(value, 1 - math.floor(math.log10(abs(value))))


def number(value: float) -> str:
    """Return a number for people: thousands separated, decimals only where small."""
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"
