"""Distances on the sphere, and the speed above which a move is an error of a fix."""

from __future__ import annotations

import numpy as np

from passersby.compiled import compiled

EARTH_M = 6_371_008.8
"""Mean radius of the Earth, (2a + b) / 3 of WGS 84 (IUGG; Moritz 2000, Geodetic Reference System 1980)."""

MOST_M_E5 = EARTH_M * np.pi / 180e5
"""Metres of 1e-5 degrees of latitude, and of longitude on the equator: the most that either can be."""

TELEPORT_M_S = 70.0
"""Above this speed (252 km/h) a move counts as a teleport."""


@compiled
def metres(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Return the great-circle distance of two points in 1e-5 degrees (haversine; radius `EARTH_M`)."""
    a, b = np.radians(lat / 1e5), np.radians(other_lat / 1e5)
    east = np.radians((other_lon - lon) / 1e5)
    half = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(east / 2) ** 2
    return float(2 * EARTH_M * np.arcsin(np.sqrt(min(half, 1.0))))
