"""Compiled: which pings beside those at sensitive places reveal that somebody went there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from passersby.compiled import compiled
from passersby.model.period import DAY, WEEK

NEIGHBOUR_S = 1800
"""The fix before and the fix after a stay at a sensitive place go with it when at most this far away."""

_FIRST_MONDAY = 4 * DAY

Ints = npt.NDArray[np.int64]
Small = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]


@compiled
def near(device: Ints, t: Small, one: int, other: int, offset: int, seconds: int) -> bool:
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
        if before >= 0 and hit != before_inside and near(device, t, before, start, offset, NEIGHBOUR_S):
            out[before:end] = True
        before, before_inside = start, hit
        start = end
    return out
