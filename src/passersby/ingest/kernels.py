"""Compiled passes over one partition's pings, sorted by (device, t) in file order.

A *fix* is all rows of one device and second. Nothing looks across the boundary of a period.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from passersby.compiled import compiled
from passersby.model.motion import MOST_M_E5, TELEPORT_M_S, metres
from passersby.model.period import DAY, WEEK

NEIGHBOUR_S = 1800
"""The fix before and the fix after a stay at a sensitive place go with it when at most this far away."""

_FIRST_MONDAY = 4 * DAY

Ints = npt.NDArray[np.int64]
Small = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]


@compiled
def _near(device: Ints, t: Small, one: int, other: int, offset: int, seconds: int) -> bool:
    """Tell whether two rows are of one device and period, and at most `seconds` apart."""
    if device[one] != device[other] or abs(np.int64(t[one]) - np.int64(t[other])) > seconds:
        return False
    shift = offset - _FIRST_MONDAY
    return bool((np.int64(t[one]) + shift) // WEEK == (np.int64(t[other]) + shift) // WEEK)


@compiled
def withheld(device: Ints, t: Small, inside: Flags, offset: int) -> Flags:
    """Return which rows must go: fixes with a row inside a sensitive place, and their direct neighbours.

    The fix directly before a run of inside fixes shows where it was entered, the one after it where it
    was left; they go when at most `NEIGHBOUR_S` from the run and in the same period.
    """
    n = len(device)
    out = np.zeros(n, dtype=np.bool_)
    before, before_inside = -1, False
    start = 0
    while start < n:
        end = start + 1
        hit = inside[start]
        while end < n and device[end] == device[start] and t[end] == t[start]:
            hit = hit or inside[end]
            end += 1
        if hit:
            out[start:end] = True
        if before >= 0 and hit != before_inside and _near(device, t, before, start, offset, NEIGHBOUR_S):
            out[before:end] = True
        before, before_inside = start, hit
        start = end
    return out


@compiled
def first_of_fix(device: Ints, t: Small) -> Flags:
    """Return which rows are the first of their fix."""
    out = np.ones(len(device), dtype=np.bool_)
    for i in range(1, len(device)):
        out[i] = device[i] != device[i - 1] or t[i] != t[i - 1]
    return out


@compiled
def summary(device: Ints, t: Small, lat_e5: Small, lon_e5: Small, offset: int) -> tuple[int, int]:
    """Return the number of devices, and of moves within a period that are faster than `TELEPORT_M_S`."""
    devices = teleports = 0
    for i in range(len(device)):
        if i == 0 or device[i] != device[i - 1]:
            devices += 1
            continue
        if not _near(device, t, i - 1, i, offset, WEEK):
            continue
        north, east_e5 = abs(np.int64(lat_e5[i]) - lat_e5[i - 1]), abs(np.int64(lon_e5[i]) - lon_e5[i - 1])
        if (north + east_e5) * MOST_M_E5 <= TELEPORT_M_S * (np.int64(t[i]) - np.int64(t[i - 1])):
            continue  # the way along meridian and equator is no shorter, and needs no trigonometry
        moved = metres(lat_e5[i - 1], lon_e5[i - 1], lat_e5[i], lon_e5[i])
        teleports += int(moved > TELEPORT_M_S * (np.int64(t[i]) - np.int64(t[i - 1])))
    return devices, teleports
