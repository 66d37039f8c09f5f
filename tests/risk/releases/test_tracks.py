"""Tracks from counts: the cheapest assignment is found, who stays is followed, and who jumps about is not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from passersby.risk.releases.assignment import assigned
from passersby.risk.releases.raw import Grid
from passersby.risk.releases.tracks import recover
from risk.given import CELLS, Row, trace
from risk.releases.given import DAY

PARENTS = np.unique(CELLS - CELLS % (1 << 18) + ((1 << 18) - 1) - np.int64(2 << 52))
"""The seven cells of resolution 9 of the tests' cells."""
GRID = Grid(PARENTS, DAY + 60 * np.arange(24), 60, 9)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5).flatmap(lambda n: arrays(np.float64, (n, n), elements=st.integers(-9, 9))))
def test_the_cheapest_assignment_is_that_of_trying_all(cost: np.ndarray) -> None:
    n = len(cost)
    found = assigned(cost)
    assert sorted(found) == list(range(n))
    best = min(sum(cost[i, p[i]] for i in range(n)) for p in itertools.permutations(range(n)))
    assert cost[np.arange(n), found].sum() == best


def _days(at: np.ndarray) -> list[Row]:
    """Return a fix an hour; `at` (device, hour) are numbers of cells."""
    return [(d, DAY + 60 * h + 5, int(at[d, h])) for d in range(at.shape[0]) for h in range(24)]


def test_who_stays_is_followed_and_who_jumps_about_is_not() -> None:
    rng = np.random.default_rng(1)
    staying = trace(_days(np.repeat(rng.integers(0, 343, (40, 1)), 24, axis=1)))
    found = recover(staying, GRID, offset=0, seed=1)
    assert found is not None
    assert (found.devices, found.steps) == (40, 24)
    assert found.accuracy == found.high == 1
    assert found.metres == 0
    assert found.chance < 0.6
    jumping = recover(trace(_days(rng.integers(0, 343, (40, 24)))), GRID, offset=0, seed=1)
    assert jumping is not None
    assert jumping.accuracy < 0.6
    assert jumping.metres > 100


def test_gaps_are_filled_and_few_devices_are_not_followed() -> None:
    at = np.repeat(np.arange(40)[:, None] * 8, 24, axis=1)
    rows = [row for row in _days(at) if (row[0] + row[1] // 60) % 3]
    found = recover(trace(rows), GRID, offset=0, seed=1)
    assert found is not None
    assert found.accuracy == 1
    assert recover(trace(row for row in rows if row[0] < 19), GRID, offset=0, seed=1) is None


@pytest.mark.parametrize("step", [1440, 5, 1 << 40])
def test_steps_that_are_too_long_or_too_many(step: int) -> None:
    grid = Grid(PARENTS, np.array([DAY]), step, 9)
    assert recover(trace(_days(np.zeros((40, 24), dtype=int))), grid, offset=0, seed=1) is None
