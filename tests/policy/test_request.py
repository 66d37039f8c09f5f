"""A question as policy sees it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passersby.policy.request import micro_ceiling, micro_floor


@given(epsilon=st.floats(1e-9, 1e6), cap=st.floats(1e-9, 1e6))
def test_rounding_never_lets_more_epsilon_through(epsilon: float, cap: float) -> None:
    if micro_ceiling(epsilon) <= micro_floor(cap):
        assert epsilon <= cap
    assert micro_ceiling(epsilon) / 1e6 - epsilon == pytest.approx(0, abs=2e-6)


@pytest.mark.parametrize("epsilon", [0.1, 0.29, 0.3, 1.0, 1.1, 2.5, 0.000001])
def test_a_short_decimal_is_exact(epsilon: float) -> None:
    assert micro_ceiling(epsilon) == micro_floor(epsilon) == round(epsilon * 1e6)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, float("nan"), float("-inf")])
def test_what_is_no_epsilon(epsilon: float) -> None:
    assert micro_ceiling(epsilon) == micro_floor(epsilon) == 0
