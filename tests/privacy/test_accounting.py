"""Micro-rho and epsilon, both ways, through OpenDP."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passersby.errors import UsageError
from passersby.model.cost import MicroRho
from passersby.privacy.accounting import composed, epsilon_for, micro_rho_for

DELTA = 1e-7


@settings(max_examples=12)
@given(st.floats(0.01, 8))
def test_micro_rho_is_the_largest_that_costs_at_most_epsilon(epsilon: float) -> None:
    cost = micro_rho_for(epsilon, DELTA)
    assert epsilon_for(cost, DELTA) <= epsilon
    assert epsilon_for(MicroRho(cost.value + 1), DELTA) > epsilon


def test_one_epsilon_is_the_known_number_of_micro_rho() -> None:
    # The bound of Canonne, Kamath & Steinke (2020), proposition 12, minimised over alpha, gives 0.02019.
    assert 20_150 < micro_rho_for(1.0, DELTA).value < 20_230


def _cks20(rho: float, delta: float) -> float:
    """Return the least epsilon over a grid of alpha: an upper bound that OpenDP must come close to."""
    alphas = (1 + 10 ** (i / 500) for i in range(-500, 2000))
    return min(rho * a + math.log(1 / (a * delta)) / (a - 1) + math.log1p(-1 / a) for a in alphas)


@pytest.mark.parametrize("micro", [1_000, 20_000, 250_000, 2_000_000])
@pytest.mark.parametrize("delta", [1e-6, 1e-7, 1e-9])
def test_conversion_agrees_with_its_paper(micro: int, delta: float) -> None:
    assert epsilon_for(MicroRho(micro), delta) == pytest.approx(_cks20(micro / 1e6, delta), rel=2e-4)


@given(st.integers(1, 3_000_000), st.integers(1, 60))
@settings(max_examples=25)
def test_periods_compose_by_adding_rho(micro: int, periods: int) -> None:
    assert epsilon_for(MicroRho(micro), DELTA, periods) == epsilon_for(MicroRho(micro * periods), DELTA)


def test_composed_table_is_rounded_up_over_1_4_and_52_periods() -> None:
    cost = micro_rho_for(1.0, DELTA)
    table = composed(cost, DELTA)
    assert list(table) == [1, 4, 52]
    for periods, shown in table.items():
        exact = epsilon_for(cost, DELTA, periods)
        assert exact <= shown < exact + 0.001
    assert table[1] == 1.0


def test_nothing_costs_nothing() -> None:
    assert epsilon_for(MicroRho(0), DELTA) == 0


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan, math.inf, -math.inf])
def test_epsilon_that_is_no_positive_number_is_refused(epsilon: float) -> None:
    with pytest.raises(UsageError, match="epsilon"):
        micro_rho_for(epsilon, DELTA)


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-7, math.nan, math.inf])
def test_delta_outside_0_and_1_is_refused(delta: float) -> None:
    with pytest.raises(UsageError, match="delta"):
        epsilon_for(MicroRho(1), delta)
    with pytest.raises(UsageError, match="delta"):
        micro_rho_for(1.0, delta)


def test_epsilon_too_small_for_one_micro_rho_is_refused() -> None:
    with pytest.raises(UsageError, match="too small"):
        micro_rho_for(1e-6, DELTA)


def test_no_period_is_refused() -> None:
    with pytest.raises(UsageError, match="periods"):
        epsilon_for(MicroRho(1), DELTA, 0)
