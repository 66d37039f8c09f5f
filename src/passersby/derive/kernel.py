"""Compiled loops over sorted pings: merge deliveries, and find the dominant cell of each device-hour.

Pings of one device-hour are a handful of neighbours in sorted order, so one pass with a small buffer
does what SQL needs a window for each resolution for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from passersby.compiled import compiled
from passersby.model.cells import COARSEST, FINEST
from passersby.model.period import HOUR

Ints = npt.NDArray[np.int64]
Small = npt.NDArray[np.int32]

_DIGIT_BITS = 3
_MAX_RESOLUTION = 15
_SHORT = 32
"""Up to here insertion sort beats the general one."""


@compiled
def merged(left: Any, right: Any) -> Ints:  # noqa: ANN401  (tuples of arrays that Numba types)
    """Return the order of the rows of two sorted (device, t), one after the other, as one sorted whole."""
    device, time = left
    device_r, time_r = right
    order = np.empty(len(device) + len(device_r), np.int64)
    i = j = 0
    for k in range(len(order)):
        if j == len(device_r) or (
            i < len(device)
            and (device[i] < device_r[j] or (device[i] == device_r[j] and time[i] <= time_r[j]))
        ):
            order[k] = i
            i += 1
        else:
            order[k] = len(device) + j
            j += 1
    return order


@compiled
def presence(columns: Any, excluded: Ints, offset: int, out: Any) -> int:  # noqa: ANN401  (see `merge`)
    """Write one row for each device-hour into `out`; return their number.

    Of pings with the same device and time the one of the lowest delivery counts, the others are
    duplicates. An hour starts where (t + offset) % 3600 = 0.

    Args:
        columns: (device int64, t int32, cell int64, delivery int32), sorted by (device, t); devices
            are whole.
        excluded: sorted devices that give no rows.
        offset: seconds east of UTC.
        out: (device int64, hour int32, cell int64, pings int32), as long as the input.
    """
    device, time, cell, delivery = columns
    out_device, out_hour, out_cell, out_pings = out
    buffer = np.empty(HOUR, np.int64)
    rows = i = skip = 0
    while i < len(device):
        who = device[i]
        start = time[i] - (time[i] + offset) % HOUR
        held, i = _hour(device, time, cell, delivery, i, start + HOUR, buffer)
        while skip < len(excluded) and excluded[skip] < who:
            skip += 1
        if skip < len(excluded) and excluded[skip] == who:
            continue
        sort(buffer, held)
        out_cell[rows], out_pings[rows] = dominant(buffer, held)
        out_device[rows], out_hour[rows] = who, start
        rows += 1
    return rows


@compiled
def _hour(  # noqa: PLR0917  (columns, not options)
    device: Ints, time: Small, cell: Ints, delivery: Small, first: int, end: int, buffer: Ints
) -> tuple[int, int]:
    """Put the cells of a device-hour into `buffer`, without duplicates; return their number and the end."""
    held = 0
    i = first
    # the last test never stops a sorted file; it keeps a damaged one inside the buffer
    while i < len(device) and device[i] == device[first] and time[i] < end and held < len(buffer):
        best = i
        i += 1
        while i < len(device) and device[i] == device[best] and time[i] == time[best]:
            if delivery[i] < delivery[best] or (delivery[i] == delivery[best] and cell[i] < cell[best]):
                best = i
            i += 1
        buffer[held] = cell[best]
        held += 1
    return held, i


@compiled
def sort(buffer: Ints, held: int) -> None:
    """Sort the first `held` values of a buffer in place."""
    if held > _SHORT:
        buffer[:held] = np.sort(buffer[:held])
        return
    for i in range(1, held):
        value = buffer[i]
        j = i - 1
        while j >= 0 and buffer[j] > value:
            buffer[j + 1] = buffer[j]
            j -= 1
        buffer[j + 1] = value


@compiled
def dominant(cells: Ints, held: int) -> tuple[int, int]:
    """Return the dominant of `held` sorted cells and the number of pings in it.

    Sorted cells of one resolution are sorted at every coarser one too, so that a cell's descendants
    are neighbours. Only a strictly longer run wins: ties go to the lowest id.
    """
    low, high = 0, held
    for resolution in range(COARSEST, FINEST + 1):
        shift = _DIGIT_BITS * (_MAX_RESOLUTION - resolution)
        most, best = 0, low
        i = low
        while i < high:
            run = i
            ancestor = cells[i] >> shift
            while i < high and cells[i] >> shift == ancestor:
                i += 1
            if i - run > most:
                most, best = i - run, run
        low, high = best, best + most
    return cells[low], high - low
