"""Membership in a release: planted leaks are found, noise resists, who can only guess is right by half."""

from __future__ import annotations

import math
from statistics import NormalDist

import h3.api.numpy_int as h3i
import numpy as np

from passersby.privacy.accounting import micro_rho_for
from passersby.privacy.noise import OpenDPSampler, scale_for
from passersby.risk.releases import equal
from passersby.risk.releases.membership import (
    HALF,
    NOTHING,
    OTHERS,
    Guessed,
    Shares,
    floor_of,
    guess,
    made_up,
)
from passersby.risk.releases.raw import Drawn, Grid
from passersby.risk.releases.release import Release
from risk.releases.given import DAY, HOME, release

HOURS = 24
PLACES = np.sort(np.asarray(h3i.cell_to_children(HOME, 9)).astype(np.int64))
"""343 cells."""
GRID = Grid(PLACES, DAY + 60 * np.arange(HOURS), 60, 9)


def _drawn(places: np.ndarray) -> Drawn:
    """Return devices that are in one place an hour; `places` (device, hour) are numbers of places."""
    devices = len(places)
    owner = np.repeat(np.arange(devices), HOURS)
    key = (np.arange(HOURS) * len(PLACES) + places).ravel()
    n = np.ones(len(key), dtype=np.int64)
    true = np.bincount(key, minlength=GRID.size).astype(float)
    coin = np.random.default_rng(9).random(devices) < 0.5
    known = np.bincount(key[coin[owner]], minlength=GRID.size).astype(float)
    return Drawn("devices", 0.0, true, owner, key, n, true[key] - 1, known, coin[owner].astype(float))


def _as_release(values: np.ndarray, *, noisy: bool = False) -> Release:
    rows = (
        (
            place,
            hour,
            None if np.isnan(values[hour * len(PLACES) + i]) else float(values[hour * len(PLACES) + i]),
        )
        for hour in range(HOURS)
        for i, place in enumerate(PLACES.tolist())
    )
    return release(rows, noisy=noisy)


def _played(drawn: Drawn, values: np.ndarray, *, noisy: bool = False) -> dict[str, Guessed]:
    return {game.knows: game for game in guess(_as_release(values, noisy=noisy), GRID, drawn)}


def _anywhere(devices: int, seed: int, places: int = 343) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, places, (devices, HOURS))


def test_exact_counts_cannot_withstand_who_knows_everybody_else() -> None:
    drawn = _drawn(_anywhere(5000, 1, places=7))
    found = _played(drawn, drawn.true)
    assert found[OTHERS].right == 1
    assert found[HALF].right < 0.6


def test_rare_places_give_members_away() -> None:
    drawn = _drawn(_anywhere(600, 2))
    found = _played(drawn, drawn.true)
    assert found[HALF].low > 0.55
    made = made_up(_as_release(drawn.true), seed=1)
    assert made is not None
    assert made.low > 0.55


def test_made_up_devices_stand_out_as_theory_has_it() -> None:
    values = np.random.default_rng(11).poisson(30, GRID.size).astype(float)
    found = made_up(_as_release(values), seed=3)
    assert found is not None
    # 24 counts of variance 30 are shifted by 1 each: the normal distribution's share below sqrt(24 / 30) / 2
    theory = NormalDist().cdf(math.sqrt(HOURS / 30) / 2)
    assert abs(found.right - theory) < 0.06  # 2,000 devices: five standard errors


def test_people_who_all_do_the_same_cannot_be_told_apart() -> None:
    drawn = _drawn(np.tile(np.arange(HOURS) % 7, (2000, 1)))
    found = _played(drawn, drawn.true)
    assert found[HALF].right == found[NOTHING].right == 0.5
    assert found[HALF].low < 0.5 < found[HALF].high


def test_without_signal_guessing_stays_guessing() -> None:
    drawn = _drawn(_anywhere(300, 3))
    noise = np.random.default_rng(4).normal(0, 1e5, GRID.size)
    found = _played(drawn, drawn.true + noise, noisy=True)
    for game in found.values():
        assert abs(game.right - 0.5) < 0.02  # a device is 24 of 1e5 sqrt(24): a handful of worlds differ
    great = _as_release(np.random.default_rng(5).poisson(1e6, GRID.size).astype(float))
    made = made_up(great, seed=2)
    assert made is not None
    assert abs(made.right - 0.5) < 0.05


def test_the_mechanisms_noise_resists_who_knows_everybody_else() -> None:
    drawn = _drawn(_anywhere(1000, 6))
    # the whole trace of a device as the unit: 24 counts of one
    scale = scale_for(HOURS, micro_rho_for(1.0, 1e-7))
    values = OpenDPSampler().gaussian(drawn.true.astype(np.int64), scale).astype(float)
    found = _played(drawn, values, noisy=True)
    # theory: 0.54. A device's noise is the sum of 24 of 8,232 draws, about 130; in both worlds only those are
    # guessed right whose sum is within 12: a twelfth, and never a fifth
    assert found[OTHERS].right < 0.6
    assert _played(drawn, drawn.true)[OTHERS].right == 1, "the control"


def test_a_floor_is_seen_in_the_release_and_hides_what_is_below() -> None:
    drawn = _drawn(_anywhere(900, 7))
    floor = float(np.median(drawn.true))
    kept = np.where(drawn.true >= floor, drawn.true, np.nan)
    assert floor_of(_as_release(kept)) == floor
    assert floor_of(_as_release(drawn.true, noisy=True)) == 0
    every = np.where(drawn.true >= 1000, drawn.true, np.nan)
    every[0] = 2000.0
    assert _played(drawn, every)[HALF].right < 0.55


def test_what_is_expected_is_from_what_the_devices_own_world_shows() -> None:
    table = np.random.default_rng(12).poisson(4, (5, 6)).astype(float)
    owner, start, place = np.array([0, 0, 0, 1]), np.array([0, 1, 1, 2]), np.array([3, 3, 4, 5])
    change = np.array([1.0, 2.0, 1.0, -1.0])
    found = Shares.of(table).expected(owner, start, place, change)
    for device in (0, 1):
        mine = owner == device
        world = table.copy()
        np.add.at(world, (start[mine], place[mine]), change[mine])
        plain = np.outer(world.sum(axis=1), world.sum(axis=0)) / world.sum()
        np.testing.assert_allclose(found[mine], plain[start[mine], place[mine]])


def test_few_devices_are_no_game() -> None:
    drawn = _drawn(_anywhere(99, 8))
    assert guess(_as_release(drawn.true), GRID, drawn) == ()
    assert made_up(_as_release(np.zeros(GRID.size)), seed=1) is None


def test_both_ways_of_hiding_have_the_same_error() -> None:
    drawn = _drawn(_anywhere(60, 10)[np.arange(120) % 60])
    found = equal.compare(drawn, seed=1)
    assert {c.floor for c in found} <= set(equal.FLOORS)
    for floored, noisy in zip(found[::2], found[1::2], strict=True):
        assert (floored.way, noisy.way) == (equal.FLOORED, equal.NOISY)
        # the mean of 8,232 draws of |noise| has a standard error of 1%
        assert abs(floored.error - noisy.error) < 0.08 * floored.error
        assert [g.knows for g in floored.games] == [HALF, OTHERS]
