"""H3 arithmetic on arrays of 64-bit cells.

H3 (Uber, https://h3geo.org/docs/core-library/h3Indexing) packs mode, resolution, base cell and one
digit of three bits per resolution into 64 bits. The top bit of a cell is 0, so a cell fits a signed
BIGINT. Containment is *logical*: a child belongs to its parent by index, its outline may cross it.
"""

from __future__ import annotations

import h3.api.numpy_int as h3i
import h3ronpy
import h3ronpy.vector
import numpy as np
import numpy.typing as npt

Cells = npt.NDArray[np.int64]
Degrees = npt.NDArray[np.float64]

FINEST = 10
"""Resolution of the cells in pings and presence (edge about 66 m)."""

COARSEST = 4
"""Coarsest resolution that a question may ask for, and the resolution of the hierarchy's roots."""

_DIGIT_BITS = 3
_MAX_RESOLUTION = 15
_RESOLUTION_SHIFT = 52


def cells_at(lat: Degrees, lon: Degrees, resolution: int) -> Cells:
    """Return the cell at `resolution` of each position, in degrees; positions are finite.

    The library lets other threads run meanwhile.
    """
    return np.asarray(h3ronpy.vector.coordinates_to_cells(lat, lon, resolution)).view(np.int64)


def parent(cells: Cells, resolution: int, *, of: int) -> Cells:
    """Return the ancestors at `resolution` of `cells`, which are all at resolution `of`.

    The same formula, `c - c % 2^k + 2^k - 1 - ((of - r) << 52)` with `k = 3 * (15 - r)`, is used in SQL
    (`parent_sql`); tests hold both against `h3.cell_to_parent`, pentagons too.
    """
    if not 0 <= resolution <= of <= _MAX_RESOLUTION:
        msg = f"cannot go from resolution {of} to {resolution}"
        raise ValueError(msg)
    if resolution == of:
        return cells
    below = np.int64((1 << (_DIGIT_BITS * (_MAX_RESOLUTION - resolution))) - 1)
    # setting bits is `c - c % 2^k + 2^k - 1` of a number that is not negative, without its division
    return (cells | below) - np.int64((of - resolution) << _RESOLUTION_SHIFT)


def centre(cells: Cells, resolution: int, *, of: int) -> Cells:
    """Return the descendant at `resolution` in the middle of each of `cells`, which are at `of`."""
    digits = (1 << _DIGIT_BITS * (resolution - of)) - 1
    in_place = digits << _DIGIT_BITS * (_MAX_RESOLUTION - resolution)
    return cells - np.int64(in_place) + np.int64((resolution - of) << _RESOLUTION_SHIFT)


def parent_sql(column: str, resolution: int, *, of: int = FINEST) -> str:
    """Return SQL for the ancestor at `resolution` of a cell at `of`: arithmetic that every engine has.

    Raises:
        ValueError: the ancestor would be finer than the cell.
    """
    if not 0 <= resolution <= of <= _MAX_RESOLUTION:
        msg = f"cannot go from resolution {of} to {resolution}"
        raise ValueError(msg)
    if resolution == of:
        return column
    step = 1 << (_DIGIT_BITS * (_MAX_RESOLUTION - resolution))
    drop = (of - resolution) << _RESOLUTION_SHIFT
    return f"({column} - {column} % {step} + {step - 1} - {drop})"


def resolution_of(cells: Cells) -> npt.NDArray[np.int64]:
    """Return the resolution of each cell."""
    return (cells >> np.int64(_RESOLUTION_SHIFT)) & np.int64(15)


def to_text(cell: int) -> str:
    """Return the usual hexadecimal name of a cell."""
    return f"{cell:x}"


def from_text(name: str) -> int:
    """Return the cell of a hexadecimal name.

    Raises:
        ValueError: the name is not a valid H3 cell.
    """
    cell = int(name, 16)
    if not h3i.is_valid_cell(cell):
        msg = f"{name!r} is not an H3 cell"
        raise ValueError(msg)
    return cell


def children(cells: Cells, resolution: int) -> Cells:
    """Return the sorted descendants at `resolution` of all `cells` (of any coarser resolution).

    Raises:
        ValueError: a cell is finer than `resolution`.
    """
    if np.any(resolution_of(cells) > resolution):
        msg = f"a cell has no descendants at the coarser resolution {resolution}"
        raise ValueError(msg)
    found = h3ronpy.change_resolution(cells.astype(np.uint64), resolution)
    return np.unique(np.asarray(found).view(np.int64))


def compact(cells: Cells) -> Cells:
    """Return the smallest sorted set of cells that covers exactly `cells` (all of one resolution)."""
    if len(cells) == 0:
        return np.empty(0, dtype=np.int64)
    unsigned = np.unique(cells).astype(np.uint64)
    return np.sort(np.asarray(h3i.compact_cells(unsigned)).astype(np.int64))
