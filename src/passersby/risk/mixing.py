"""A hash for compiled loops."""

from __future__ import annotations

import numpy as np

from passersby.compiled import compiled


@compiled
def mixed(key: np.uint64, value: np.uint64) -> np.uint64:
    """Return 64 bits that look random, from two numbers (splitmix64; Steele, Lea, Flood 2014)."""
    z = (key ^ value) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
