"""Compiled passes over one partition's pings, sorted by (device, t) in file order.

A *fix* is all rows of one device and second. Nothing looks across the boundary of a period.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from passersby.compiled import compiled
from passersby.model.motion import MOST_M_E5, TELEPORT_M_S, metres
from passersby.model.period import WEEK
from passersby.sensitive.kernels import near

Ints = npt.NDArray[np.int64]
Small = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]


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
        if not near(device, t, i - 1, i, offset, WEEK):
            continue
        north, east_e5 = abs(np.int64(lat_e5[i]) - lat_e5[i - 1]), abs(np.int64(lon_e5[i]) - lon_e5[i - 1])
        if (north + east_e5) * MOST_M_E5 <= TELEPORT_M_S * (np.int64(t[i]) - np.int64(t[i - 1])):
            continue  # the way along meridian and equator is no shorter, and needs no trigonometry
        moved = metres(lat_e5[i - 1], lon_e5[i - 1], lat_e5[i], lon_e5[i])
        teleports += int(moved > TELEPORT_M_S * (np.int64(t[i]) - np.int64(t[i - 1])))
    return devices, teleports
