"""Kernels of the sensitive-place test: a table of cells and the distance of a ping to an outline.

Distances are taken in a plane about the ping (equirectangular, radius 6,371,008.8 m). Within the few
kilometres that matter the plane errs by less than 0.4 % up to 85 degrees of latitude, the sphere
by less than 0.57 % against the WGS 84 ellipsoid: `slack` adds 1 % and 2 m. Nearer to the poles every
candidate counts as a hit.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from passersby.compiled import compiled
from passersby.model.motion import EARTH_M

_DEGREE_M = np.pi / 180 * EARTH_M
_POLAR = 85.0
_EMPTY = np.int64(-1)
_MIX = np.int64(-7046029254386353131)  # 2^64 / golden ratio: Fibonacci hashing (Knuth, TAOCP 6.4)


Metres = TypeVar("Metres", float, npt.NDArray[np.float64])


def slack(metres: Metres) -> Metres:
    """Return distances with the margin for the errors of the plane and the sphere."""
    return metres * 1.01 + 2


@compiled
def _slot(keys: npt.NDArray[np.int64], key: int, shift: int) -> np.int64:
    mask = len(keys) - 1
    at = np.int64(((np.int64(key) * _MIX) >> shift) & mask)
    while keys[at] != key and keys[at] != _EMPTY:
        at = (at + 1) & mask
    return at


@compiled
def _fill(
    keys: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], cells: npt.NDArray[np.int64], shift: int
) -> None:
    for i in range(len(cells)):
        at = _slot(keys, cells[i], shift)
        keys[at] = cells[i]
        rows[at] = i


def table(cells: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    """Return an open-addressing table (keys, rows, shift) that finds the row of each distinct cell."""
    bits = max(4, int(2 * len(cells)).bit_length())
    keys = np.full(1 << bits, _EMPTY, dtype=np.int64)
    rows = np.zeros(1 << bits, dtype=np.int64)
    shift = 63 - bits
    _fill(keys, rows, cells, shift)
    return keys, rows, shift


@compiled
def _touches(
    lon: float,
    lat: float,
    edges: npt.NDArray[np.float64],
    solid: bool,  # noqa: FBT001  (a compiled loop takes no keywords)
    reach: float,
) -> bool:
    """Tell whether a place lies within `reach` metres of a ping, or encloses it (even-odd rule)."""
    wide = np.cos(np.radians(lat)) * _DEGREE_M
    inside = False
    for k in range(len(edges)):
        east = (edges[k, 0] - lon + 540.0) % 360.0 - 180.0
        x1, y1 = east * wide, (edges[k, 1] - lat) * _DEGREE_M
        dx = (edges[k, 2] - edges[k, 0]) * wide
        dy = (edges[k, 3] - edges[k, 1]) * _DEGREE_M
        length = dx * dx + dy * dy
        along = 0.0 if length == 0.0 else min(1.0, max(0.0, -(x1 * dx + y1 * dy) / length))
        x, y = x1 + along * dx, y1 + along * dy
        if x * x + y * y <= reach * reach:
            return True
        if (y1 > 0) != (y1 + dy > 0) and x1 - y1 * dx / dy > 0:
            inside = not inside
    return solid and inside


@compiled
def hits(  # noqa: PLR0913, PLR0917  (flat arrays are what a compiled kernel takes)
    lon: npt.NDArray[np.float64],
    lat: npt.NDArray[np.float64],
    cells: npt.NDArray[np.int64],
    reach: npt.NDArray[np.float64],
    keys: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    shift: int,
    first: npt.NDArray[np.int64],
    near: npt.NDArray[np.int64],
    place_first: npt.NDArray[np.int64],
    edges: npt.NDArray[np.float64],
    solid: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:
    """Return for each ping whether a place lies within its `reach` (m) or encloses it.

    Row r of the table lists the places `near[first[r]:first[r + 1]]`; a row without any is a cell
    that lies wholly in a place.
    """
    out = np.zeros(len(cells), dtype=np.bool_)
    for i in range(len(cells)):
        at = _slot(keys, cells[i], shift)
        if keys[at] == _EMPTY:
            continue
        row = rows[at]
        if first[row] == first[row + 1] or abs(lat[i]) > _POLAR:
            out[i] = True
            continue
        for j in range(first[row], first[row + 1]):
            p = near[j]
            if _touches(lon[i], lat[i], edges[place_first[p] : place_first[p + 1]], solid[p], reach[i]):
                out[i] = True
                break
    return out
