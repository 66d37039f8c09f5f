"""The one-run bound: published values, brute force, and how often it is wrong where privacy is as claimed."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from passersby.errors import UsageError
from passersby.risk.one_run import Guessed, guess, lower_bound, p_value


@pytest.mark.parametrize(
    ("seen", "delta", "published"),
    [(Guessed(1000, 100, 75), 1e-4, 0.673), (Guessed(100_000, 1510, 1439), 1e-5, 2.675)],
    ids=["appendix D", "section 7"],
)
def test_the_papers_own_numbers_come_out(seen: Guessed, delta: float, published: float) -> None:
    assert lower_bound(seen, delta=delta, confidence=0.95) == pytest.approx(published, abs=1e-3)


@given(st.data())
def test_p_values_are_those_of_the_theorem(data: st.DataObject) -> None:
    r = data.draw(st.integers(0, 12))
    v, m = data.draw(st.integers(0, r)), data.draw(st.integers(r, 40))
    odds = data.draw(st.fractions(1, 20, max_denominator=9))
    delta = Fraction(1, data.draw(st.integers(9, 999)))
    chance = odds / (1 + odds)
    ways = [math.comb(r, k) * chance**k * (1 - chance) ** (r - k) for k in range(r + 1)]
    # P(v > W >= v - i), for every i from 1 to m, summed anew each time
    short = [sum(ways[max(0, v - i) : v], Fraction(0)) * 2 / i for i in range(1, m + 1)]
    expected = min(Fraction(1), sum(ways[v:]) + m * delta * max(short, default=Fraction(0)))
    assert p_value(Guessed(m, r, v), math.log(odds), float(delta)) == pytest.approx(float(expected))


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0, 3.0])
def test_the_bound_is_wrong_as_rarely_as_it_says(epsilon: float) -> None:
    """Randomised response is the worst mechanism: each guess is right with the largest chance there is."""
    r, chance = 200, 1 / (1 + math.exp(-epsilon))
    least = next(v for v in range(r + 1) if p_value(Guessed(r, r, v), epsilon, 0) < 0.05)
    above, below = (lower_bound(Guessed(r, r, v), delta=0, confidence=0.95) for v in (least, least - 1))
    assert below <= epsilon < above
    assert 0.02 < binom.sf(least - 1, r, chance) < 0.05


def test_delta_is_allowed_for() -> None:
    """With chance delta a canary is given away; what is then seen must not count against epsilon."""
    m, r, delta, chance = 200, 20, 0.02, 1 / (1 + math.exp(-1))
    given_away = binom.pmf(np.arange(r), m, delta)

    def wrong(allowed: float) -> float:
        bad = [v for v in range(r + 1) if lower_bound(Guessed(m, r, v), delta=allowed, confidence=0.95) > 1]
        many = sum(p * binom.pmf([v - k for v in bad], r - k, chance).sum() for k, p in enumerate(given_away))
        return float(many)

    assert wrong(delta) <= 0.05 < wrong(0.0)


def test_more_right_guesses_show_more() -> None:
    bounds = [lower_bound(Guessed(2000, 200, v), delta=1e-7, confidence=0.95) for v in range(90, 201, 5)]
    assert bounds == sorted(bounds)
    assert bounds[2] == 0.0  # as blind guessing does
    assert 4 < bounds[-1] < 5  # even if all are right: 0.05 ** (1 / 200) is the chance of one
    assert lower_bound(Guessed(0, 0, 0), delta=1e-7, confidence=0.95) == 0.0


def test_more_confidence_shows_less() -> None:
    first, second = (lower_bound(Guessed(2000, 200, 150), delta=1e-7, confidence=c) for c in (0.95, 0.999))
    assert 0 < second < first


def test_highest_scores_are_guessed_to_be_in_and_lowest_to_be_out() -> None:
    scores, included = np.array([0.3, -2.0, 5.0, 1.0]), np.array([False, False, True, False])
    assert guess(scores, included, 2) == Guessed(4, 2, 2)
    assert guess(-scores, included, 2) == Guessed(4, 2, 0)
    assert guess(scores, included, 3) == Guessed(4, 2, 2)  # as many each way
    assert guess(scores, included, 0) == Guessed(4, 0, 0)
    assert guess(np.zeros(4), ~included, 4).correct == 1  # first half out, second half in


@pytest.mark.parametrize("seen", [(10, 5, 6), (10, 11, 6), (10, 5, -1)])
def test_impossible_counts_are_refused(seen: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError):
        Guessed(*seen)


@pytest.mark.parametrize("confidence", [0.0, 1.0, math.nan])
def test_a_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(UsageError):
        lower_bound(Guessed(10, 5, 5), delta=0, confidence=confidence)
