"""How much privacy was lost at least, from one run with many canaries: pure arithmetic.

Steinke, Nasr & Jagielski (2023), "Privacy Auditing with One (1) Training Run", NeurIPS 2023. Each of m
canaries is put into the data or left out by a fair coin of its own. Who sees the result guesses the coins of
r of them and is right v times. Under (epsilon, delta)-DP, with W binomial of r trials and chance
e^epsilon / (1 + e^epsilon) (their theorem 5.2):

    P(v or more right) <= P(W >= v) + 2 m delta max over i of P(v > W >= v - i) / i

An epsilon for which that is less than 1 - confidence is refuted, and with it every smaller one. m and r are
fixed before the run: a choice of r after it would need another bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from passersby.errors import UsageError

Floats = npt.NDArray[np.float64]
Coins = npt.NDArray[np.bool_]

_STEPS = 40
"""Halvings of an interval of length 1: the bound is exact to 1e-12, from below."""


@dataclass(frozen=True)
class Guessed:
    """How the guesses went: `correct` of `guesses` were right, of `canaries` that could be guessed at."""

    canaries: int
    guesses: int
    correct: int

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.guesses <= self.canaries:
            raise UsageError(
                "There are more right guesses than guesses, or more guesses than canaries.", "Count again."
            )


def guess(scores: Floats, included: Coins, guesses: int) -> Guessed:
    """Guess that the highest scores belong to canaries that were in, the lowest to those that were not.

    Args:
        scores: one for each canary, higher where it rather was in; equal ones in an order that does not
            depend on the coins.
        included: what the coins said.
        guesses: how many guesses to make; half of them each way.
    """
    order, half = np.argsort(scores, kind="stable"), guesses // 2
    right = int(included[order[len(order) - half :]].sum()) + int((~included[order[:half]]).sum())
    return Guessed(len(scores), 2 * half, right)


def p_value(seen: Guessed, epsilon: float, delta: float) -> float:
    """Return the most that the chance of so many right guesses can be under (epsilon, delta)-DP."""
    chances = _binomial(seen.guesses, epsilon)
    v = seen.correct
    short = np.cumsum(chances[:v][::-1]) / np.arange(1, v + 1)
    return min(1.0, float(chances[v:].sum() + 2 * seen.canaries * delta * short.max(initial=0.0)))


def lower_bound(seen: Guessed, *, delta: float, confidence: float) -> float:
    """Return the largest epsilon that the guesses refute at `delta`, rounded down; 0 where they refute none.

    Raises:
        UsageError: the confidence does not lie between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise UsageError("A confidence lies between 0 and 1.", "Give one such as 0.95.")
    low = 0.0
    while p_value(seen, low + 1, delta) < 1 - confidence:
        low += 1
    high = low + 1
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if p_value(seen, middle, delta) < 1 - confidence else (low, middle)
    return low


def _binomial(trials: int, epsilon: float) -> Floats:
    """Return the chances of 0 to `trials` successes, each of chance e^epsilon / (1 + e^epsilon)."""
    k = np.arange(trials + 1)
    factorial = np.array([math.lgamma(i + 1) for i in range(trials + 1)])
    ways = factorial[trials] - factorial - factorial[::-1]
    found: Floats = np.exp(ways - (trials - k) * epsilon - trials * math.log1p(math.exp(-epsilon)))
    return found
