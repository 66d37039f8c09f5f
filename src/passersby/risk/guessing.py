"""How well a guess tells members from others: the score of an attack on counts, the area under its curve."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def summed(number: Ints, values: Floats, size: int) -> Floats:
    """Return the sum of the values of each number from 0 to before `size`."""
    return np.asarray(np.bincount(number, values, minlength=size), dtype=np.float64)


def scores(owner: Ints, excess: Floats, expected: Floats, devices: int) -> Floats:
    """Return how far counts at each device's places lie above what is expected, rare places weighing more.

    Args:
        owner: number of the device of each row (a device, a time and a place of its own).
        excess: by how much the published count of each row's time and place is above the usual one.
        expected: the count that the attacker expects to be true there.
        devices: number of devices.
    """
    return summed(owner, excess / (expected + 1), devices)


def auc(members: Floats, others: Floats) -> float:
    """Return the chance that a member's score is above another's, ties counting half (Mann, Whitney 1947)."""
    every = np.sort(others)
    below, up_to = (np.searchsorted(every, members, side=side).mean() for side in ("left", "right"))
    return float((below + up_to) / 2 / len(every))


def reach(members: int, others: int) -> float:
    """Return half of the 95% interval of the area for so many of each, where the scores tell nothing."""
    return 1.96 * math.sqrt((members + others + 1) / (12 * members * others))
