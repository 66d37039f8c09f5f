from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passersby.synth import dice
from passersby.synth.country import Country, Places
from passersby.synth.people import HOME, SLOTS, People, settle
from passersby.synth.walk import DAY, LEGS, day, metres, travel_s

DAYS = 14
DEVICES = 400

Plan = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def people(country: Country, places: Places, root: int) -> People:
    return settle(country, places, np.uint64(root), DEVICES, 10.0, (1.0,))


@pytest.fixture(scope="module")
def plans(places: Places, people: People, root: int) -> list[list[Plan]]:
    """Legs of every device on every day; day 5 and 6 of each week are a weekend."""
    return [list(_week(places, people, root, device)) for device in range(DEVICES)]


def _week(places: Places, people: People, root: int, device: int) -> Iterator[Plan]:
    state, legs = np.zeros(1, dtype=np.uint64), np.zeros((LEGS, 6))
    for number in range(DAYS):
        dice.begin(state, np.uint64(root), device, number)
        n = day(places, people, device, number % 7 > 4, state, legs)
        yield legs[:n].copy()


def test_legs_cover_each_day_without_a_hole(plans: list[list[Plan]]) -> None:
    for week in plans:
        for legs in week:
            assert legs[0, 0] == 0
            assert legs[-1, 1] == DAY
            np.testing.assert_array_equal(legs[1:, 0], legs[:-1, 1])
            assert np.all(legs[:, 1] > legs[:, 0])


def test_nobody_jumps(plans: list[list[Plan]]) -> None:
    for week in plans:
        legs = np.concatenate(week)
        np.testing.assert_allclose(legs[1:, 2:4], legs[:-1, 4:6], atol=1e-9)


def test_stays_do_not_move_and_ways_have_plausible_speeds(plans: list[list[Plan]]) -> None:
    speeds = []
    for legs in (legs for week in plans for legs in week):
        assert np.all(legs[0::2, 2:4] == legs[0::2, 4:6])
        for start, end, *points in legs[1::2]:
            speeds.append(metres(*points) / (end - start) * 3.6)
    assert max(speeds) < 220
    assert 3 < np.median(speeds) < 40


def test_people_sleep_at_home(plans: list[list[Plan]], people: People) -> None:
    nights = [
        np.allclose(legs[0, 2:4], (people.home_lat[d], people.home_lon[d]))
        for d in range(DEVICES)
        for legs in plans[d]
    ]
    assert 0.85 < np.mean(nights) < 0.995


def test_work_is_for_weekdays(plans: list[list[Plan]], people: People, places: Places) -> None:
    desks = people.slots[:, 1]
    at_work = np.zeros(DAYS)
    for device in np.flatnonzero(people.works):
        desk = (places.lat[desks[device]], places.lon[desks[device]])
        for number, legs in enumerate(plans[device]):
            at_work[number] += np.any(np.all(legs[0::2, 2:4] == desk, axis=1))
    share = at_work / people.works.sum()
    weekend = np.arange(DAYS) % 7 > 4
    assert share[~weekend].min() > 0.6
    assert share[weekend].max() < 0.5 * share[~weekend].min()


def test_jump_lengths_are_heavy_tailed(plans: list[list[Plan]]) -> None:
    jumps = np.array([metres(*leg[2:]) for week in plans for legs in week for leg in legs[1::2]])
    middle, high, top = np.quantile(jumps, [0.5, 0.9, 0.99])
    assert high / middle > 4  # an exponential law gives 3.3, and 6.6 for the next
    assert top / middle > 15


def test_new_places_come_ever_more_slowly(country: Country, places: Places, root: int) -> None:
    people = settle(country, places, np.uint64(root), DEVICES, 10.0, (1.0,))
    state, legs, known = np.zeros(1, dtype=np.uint64), np.zeros((LEGS, 6)), []
    for number in range(28):
        for device in range(DEVICES):
            dice.begin(state, np.uint64(root), device, number)
            day(places, people, device, number % 7 > 4, state, legs)
        known.append(people.distinct.astype(float).mean())
    assert known[6] < known[13] < known[27]
    growth = np.log((known[27] - known[13]) / known[13]) / np.log(2)
    assert growth < -0.05  # S(t) ~ t^mu with mu < 1 (Song et al. find 0.6)


def test_visits_are_concentrated_on_few_places(plans: list[list[Plan]], people: People) -> None:
    assert plans
    ranked = -np.sort(-people.visits.astype(float), axis=1)
    share = ranked / ranked.sum(axis=1, keepdims=True)
    assert share[:, 0].mean() > 2 * share[:, 2].mean()
    assert people.visits[:, HOME].mean() == pytest.approx(ranked[:, 0].mean(), rel=0.2)


def test_no_slot_is_lost_when_memory_is_full(country: Country, places: Places, root: int) -> None:
    people = settle(country, places, np.uint64(root), 20, 10.0, (1.0,))
    desks = people.slots[:, 1].copy()
    state, legs = np.zeros(1, dtype=np.uint64), np.zeros((LEGS, 6))
    for number in range(200):
        for device in range(20):
            dice.begin(state, np.uint64(root), device, number)
            day(places, people, device, number % 7 > 4, state, legs)
    assert people.known.max() == SLOTS
    np.testing.assert_array_equal(people.slots[people.works, 1], desks[people.works])
    for device in range(20):
        used = people.slots[device, 1 : people.known[device]]
        assert len(set(used.tolist())) == len(used)
    assert np.all(people.slots[:, HOME] == -1)


@given(a=st.floats(1, 2e6), b=st.floats(1, 2e6))
def test_a_longer_way_takes_longer_and_never_beats_an_aeroplane(a: float, b: float) -> None:
    near, far = sorted((a, b))
    assert far / travel_s(far) <= 450 / 3.6
    if far < 500_000:
        assert travel_s(near) <= travel_s(far) or near < 1_000 <= far


def test_ways_cross_the_antimeridian() -> None:
    assert metres(0.0, 179.9, 0.0, -179.9) == pytest.approx(0.2 * 111_195, rel=1e-6)
