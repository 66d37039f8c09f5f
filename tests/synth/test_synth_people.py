from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passersby.synth.country import Country, Places
from passersby.synth.people import BUSIEST, EMPLOYED, HOME, PAST_NIGHTS, WORK, People, power_law, settle

SHARES = (0.2, 0.5, 0.3)


@pytest.fixture(scope="module")
def people(country: Country, places: Places, root: int) -> People:
    return settle(country, places, np.uint64(root), 40_000, 60.0, SHARES)


def test_homes_follow_the_population(country: Country, people: People) -> None:
    got = np.bincount(people.home_city, minlength=len(country.cities))
    expected = country.population / country.population.sum() * 40_000
    assert np.all(np.abs(got - expected) < 5 * np.sqrt(expected) + 1)


def test_homes_lie_in_their_city(country: Country, people: People) -> None:
    away = np.hypot(
        people.home_lat - country.lat[people.home_city], people.home_lon - country.lon[people.home_city]
    )
    assert np.quantile(away, 0.99) < 0.4
    assert np.median(away) < 0.06


def test_most_work_near_home_and_some_far(country: Country, places: Places, people: People) -> None:
    assert people.works.mean() == pytest.approx(EMPLOYED, abs=0.01)
    office = places.city[people.slots[people.works, WORK]]
    home = people.home_city[people.works]
    assert 0.3 < (office == home).mean() < 0.9
    expected = np.diff(country.gravity()[0].astype(float), prepend=0)[0]
    assert (office[home == 0] == 0).mean() == pytest.approx(expected, abs=0.03)


def test_the_rest_know_their_home_only(people: People) -> None:
    others = ~people.works
    assert np.all(people.known[others] == 1)
    assert np.all(people.slots[others] == -1)
    assert np.all(people.visits[:, HOME] == PAST_NIGHTS)
    assert np.all(people.visits[:, 1:] == 0)
    assert np.all(people.known[people.works] == 2)


@given(mean=st.floats(0.1, 500))
def test_rates_have_the_mean_asked_for(mean: float) -> None:
    draws = (np.arange(200_000) + 0.5) / 200_000
    rates = power_law(mean, draws)
    assert rates.mean() == pytest.approx(mean, rel=0.03)
    assert rates.max() <= BUSIEST / 2


def test_rates_follow_a_power_law(people: People) -> None:
    rates = people.rate.astype(float)
    tail = np.log(rates[rates < 1_000] / rates.min())
    assert 1 / tail.mean() == pytest.approx(1.6, rel=0.1)  # Hill's estimate, cut tail
    assert rates.max() > 20 * np.median(rates)


def test_suppliers_overlap(people: People) -> None:
    held = np.stack([people.members >> s & 1 for s in range(3)])
    assert np.all(held.sum(axis=0) >= 1)
    assert 0.4 < (held.sum(axis=0) > 1).mean() < 0.6
    expected = [share + 0.3 * (1 - share) for share in SHARES]
    np.testing.assert_allclose(held.mean(axis=1), expected, atol=0.01)


def test_a_device_takes_few_bytes(people: People) -> None:
    assert sum(column.nbytes for column in people) / len(people.rate) < 256


def test_a_device_does_not_depend_on_how_many_others_there_are(
    country: Country, places: Places, people: People, root: int
) -> None:
    few = settle(country, places, np.uint64(root), 100, 60.0, SHARES)
    for name in few._fields:
        np.testing.assert_array_equal(getattr(few, name), getattr(people, name)[:100])
