from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from passersby.errors import UnknownName, UsageError
from passersby.synth.country import METRES_PER_DEGREE, Country, Places, found_places


def test_cities_are_real_and_largest_first(country: Country) -> None:
    assert country.cities[0] == "Zürich"
    assert country.name == "Switzerland"
    assert np.all(np.diff(country.population) <= 0)
    assert country.population.min() >= 5_000
    assert np.all((country.lat > 45.7) & (country.lat < 47.9) & (country.lon > 5.9) & (country.lon < 10.6))


def test_the_least_population_decides_which_cities_there_are(country: Country) -> None:
    large = Country.load("ch", minimum_population=100_000)
    assert large.cities == tuple(country.cities[i] for i in np.flatnonzero(country.population >= 100_000))


def test_only_the_largest_cities_are_kept(country: Country, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passersby.synth.country.LARGEST", 7)
    assert Country.load("CH", minimum_population=15_000).cities == country.cities[:7]


def test_an_unknown_country_is_named() -> None:
    with pytest.raises(UnknownName, match="'XX'"):
        Country.load("XX")


def test_a_country_without_such_a_city_is_refused() -> None:
    with pytest.raises(UsageError, match="no city of 10,000,000"):
        Country.load("CH", minimum_population=10_000_000)


def test_distances_agree_with_a_known_one(country: Country) -> None:
    distance = country.distances_m()
    bern, zurich = country.cities.index("Bern"), country.cities.index("Zürich")
    assert distance[bern, zurich] == pytest.approx(95_000, rel=0.03)
    np.testing.assert_allclose(distance, distance.T)


def test_gravity_is_population_over_squared_distance(country: Country) -> None:
    chance = np.diff(country.gravity().astype(float), axis=1, prepend=0)
    np.testing.assert_allclose(chance.sum(axis=1), 1, atol=1e-5)
    bern, basel, geneva = (country.cities.index(n) for n in ("Bern", "Basel", "Geneva"))
    reach = country.distances_m()[bern] + 2 * country.radius_m[bern]
    expected = (country.population[basel] / country.population[geneva]) * (reach[geneva] / reach[basel]) ** 2
    assert chance[bern, basel] / chance[bern, geneva] == pytest.approx(expected, rel=1e-2)
    assert chance[bern, bern] == chance[bern].max()


def test_people_live_at_an_exponential_density(country: Country) -> None:
    city = np.zeros(40_000, dtype=np.int32)
    lat, lon = country.scatter(city, np.random.default_rng(1))
    north = (lat - country.lat[0]) * METRES_PER_DEGREE
    east = (lon - country.lon[0]) * METRES_PER_DEGREE * np.cos(np.radians(country.lat[0]))
    scaled = np.hypot(north, east) / country.radius_m[0]
    assert scaled.mean() == pytest.approx(2, rel=0.02)  # Gamma(2, 1)
    assert (scaled < 1).mean() == pytest.approx(1 - 2 / np.e, abs=0.01)


def test_points_near_the_antimeridian_stay_on_the_globe() -> None:
    fiji = Country.load("FJ")
    moved = dataclasses.replace(fiji, lon=np.full_like(fiji.lon, 179.999))
    _, lon = moved.scatter(np.zeros(1_000, dtype=np.int32), np.random.default_rng(1))
    assert np.all((lon >= -180) & (lon < 180))
    assert 0.2 < (lon < 0).mean() < 0.8


def test_places_are_sorted_by_city_in_proportion_to_people(country: Country, places: Places) -> None:
    assert np.all(np.diff(places.city) >= 0)
    number = np.diff(places.start)
    assert number.min() >= 20
    assert number[0] / number[9] == pytest.approx(country.population[0] / country.population[9], rel=0.01)
    assert places.start[-1] == len(places.lat) == len(places.lon)


def test_places_depend_on_the_seed(country: Country, places: Places) -> None:
    assert not np.array_equal(found_places(country, 1).lat, found_places(country, 2).lat)
    np.testing.assert_array_equal(found_places(country, 20260511).lat, places.lat)
