"""The sampler: OpenDP's forms, its refusals, its distribution, and costs that are never above plan."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from passersby.errors import IntegrityError, UsageError
from passersby.model.cost import MechanismEvent, MicroRho
from passersby.privacy import noise
from passersby.privacy.noise import OpenDPSampler


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf, 2.0 * noise.MAX_SCALE])
@pytest.mark.parametrize("size", [0, 3])
def test_scale_that_is_not_positive_and_finite_is_refused(scale: float, size: int) -> None:
    with pytest.raises(UsageError, match="scale"):
        OpenDPSampler(1).gaussian(np.zeros(size, dtype=np.int64), scale)


@pytest.mark.parametrize("kind", [np.int32, np.uint64, np.float64])
def test_anything_but_int64_is_refused(kind: type) -> None:
    with pytest.raises(TypeError, match="int64"):
        OpenDPSampler(1).gaussian(np.zeros(3, dtype=kind), 1.0)


def test_counts_beyond_64_bits_are_refused() -> None:
    with pytest.raises(IntegrityError, match="64 bits"):
        OpenDPSampler(1).gaussian(np.full(50, np.iinfo(np.int64).max), 100.0)


def test_no_values_stay_no_values() -> None:
    assert OpenDPSampler().gaussian(np.zeros((0, 168), dtype=np.int64), 5.0).shape == (0, 168)


@pytest.mark.parametrize("threads", [1, 3])
def test_shape_order_and_type_are_kept(threads: int) -> None:
    values = np.arange(24_000, dtype=np.int64).reshape(3, 5, 1600) * 1_000_000
    noisy = OpenDPSampler(threads).gaussian(values, 3.0)
    assert noisy.dtype == np.int64
    assert noisy.shape == values.shape
    assert np.abs(noisy - values).max() < 40
    assert not np.array_equal(noisy, values)


def test_columns_of_a_transposed_array_keep_their_places() -> None:
    values = (np.arange(12, dtype=np.int64).reshape(3, 4) * 1000).T
    assert np.abs(OpenDPSampler(1).gaussian(values, 1.0) - values).max() < 20


def test_noise_is_a_discrete_gaussian_of_its_scale() -> None:
    scale = 2.5
    drawn = OpenDPSampler(2).gaussian(np.zeros(40_000, dtype=np.int64), scale)
    support = np.arange(-7, 8)
    weight = np.exp(-(np.arange(-60, 61) ** 2) / (2 * scale**2))
    chance = np.exp(-(support**2) / (2 * scale**2)) / weight.sum()
    expected = np.append(chance, 1 - chance.sum()) * len(drawn)
    observed = np.append([(drawn == k).sum() for k in support], (np.abs(drawn) > 7).sum())
    # The generator cannot be seeded: one failure in ten million runs is accepted.
    assert stats.chisquare(observed, expected).pvalue > 1e-7


def test_two_draws_differ() -> None:
    zeros = np.zeros(64, dtype=np.int64)
    assert not np.array_equal(OpenDPSampler(2).gaussian(zeros, 1e5), OpenDPSampler(2).gaussian(zeros, 1e5))


@given(st.integers(1, 10**9))
def test_sensitivity_is_never_below_the_exact_root(squared: int) -> None:
    bound = noise.sensitivity(squared)
    assert Fraction(bound) ** 2 >= squared * 10**6
    assert bound <= 1000 * math.sqrt(squared) * (1 + 1e-14)


@settings(max_examples=60)
@example(2, 1_000_000)  # here the exact scale is short, and the rounded sensitivity costs a little more
@example(168, 3_360_000)
@given(st.integers(1, 30_000), st.integers(1, 3_000_000))
def test_scale_costs_at_most_its_share_and_hardly_less(squared: int, micro: int) -> None:
    scale, bound = noise.scale_for(squared, MicroRho(micro)), noise.sensitivity(squared)
    exact = Fraction(bound) ** 2 / (2 * Fraction(scale) ** 2) * 10**6
    assert exact <= micro
    assert Fraction(noise.rho(scale, bound)) <= Fraction(micro, 10**6)
    assert exact > micro * (1 - 1e-4)


def test_event_states_what_the_ledger_needs() -> None:
    scale = noise.scale_for(168, MicroRho(5000))
    event = noise.event(scale, noise.sensitivity(168), MicroRho(5000), "presence level 6")
    assert event == MechanismEvent(
        "discrete_gaussian", scale, noise.sensitivity(168), 5000, "presence level 6"
    )


def test_noise_that_costs_more_than_its_share_is_refused() -> None:
    scale = noise.scale_for(168, MicroRho(5000))
    with pytest.raises(IntegrityError, match="more than was planned"):
        noise.event(scale, noise.sensitivity(168), MicroRho(4999), "presence level 6")
    with pytest.raises(IntegrityError, match="more than was planned"):
        noise.event(math.sqrt(scale), noise.sensitivity(168), MicroRho(5000), "presence level 6")


def test_level_without_budget_is_refused() -> None:
    with pytest.raises(UsageError, match="no budget"):
        noise.scale_for(168, MicroRho(0))


def test_bound_that_is_not_positive_is_refused() -> None:
    with pytest.raises(UsageError, match="not positive"):
        noise.sensitivity(0)
