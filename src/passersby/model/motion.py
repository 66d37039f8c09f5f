"""Distances on the sphere, and the speed above which a move is an error of a fix."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from passersby.compiled import compiled

Metres = npt.NDArray[np.int32]

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


def earth_centred(
    lat_e5: npt.NDArray[np.float64], lon_e5: npt.NDArray[np.float64]
) -> tuple[Metres, Metres, Metres]:
    """Return x, y and z on the sphere, to the nearest metre, of positions in 1e-5 degrees.

    Distances between such points are chords: shorter than the way along the sphere by 0.1 m at 30 km, by
    0.1% at 1,000 km.
    """
    lat, lon = np.radians(lat_e5 / 1e5), np.radians(lon_e5 / 1e5)
    around = EARTH_M * np.cos(lat)
    parts = (around * np.cos(lon), around * np.sin(lon), EARTH_M * np.sin(lat))
    x, y, z = (np.rint(part).astype(np.int32) for part in parts)
    return x, y, z
