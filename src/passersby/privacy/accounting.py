"""From (epsilon, delta) to integer micro-rho and back, through OpenDP's conversion.

A charge is a whole number of 1e-6 rho of zero-concentrated differential privacy (Bun & Steinke 2016).
OpenDP turns it into (epsilon, delta) by Canonne, Kamath & Steinke (2020), and rounds against the
spender. Charges of the same device and week add up; so do those of several weeks, for a device that is
there in all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

import opendp.prelude as dp

from passersby.errors import UsageError
from passersby.model.cost import MICRO, MicroRho
from passersby.privacy.noise import measurement

PERIODS = (1, 4, 52)
"""Numbers of periods that the composed loss is reported for: a week, four weeks, a year."""


@lru_cache(maxsize=4096)
def micro_rho_for(epsilon: float, delta: float) -> MicroRho:
    """Return the largest whole micro-rho that costs at most `epsilon` at `delta`.

    Raises:
        UsageError: epsilon or delta is not a usable number, or epsilon is too small for one micro-rho.
    """
    _check_epsilon(epsilon)
    _check_delta(delta)
    low, high = 0, 1
    while epsilon_for(MicroRho(high), delta) <= epsilon:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if epsilon_for(MicroRho(middle), delta) <= epsilon:
            low = middle
        else:
            high = middle
    if low == 0:
        raise UsageError("The epsilon is too small to be charged.", "Ask with a larger epsilon.")
    return MicroRho(low)


@lru_cache(maxsize=16384)
def epsilon_for(cost: MicroRho, delta: float, periods: int = 1) -> float:
    """Return the epsilon at `delta` of a cost that is paid in each of `periods` periods, rounded up.

    Raises:
        UsageError: delta is not between 0 and 1, or the number of periods is not positive.
    """
    _check_delta(delta)
    if periods < 1:
        raise UsageError("The number of periods is not positive.", "Give at least one period.")
    total = Fraction(cost.value * periods, MICRO)
    if total == 0:
        return 0.0
    noise = measurement(1.0)
    distance = math.sqrt(2 * total)
    # With scale 1 the cost in rho is distance^2 / 2; OpenDP must not see less than the exact total.
    while Fraction(noise.map(distance)) < total:  # type: ignore[no-untyped-call]  # OpenDP's maps have no annotations
        distance = math.nextafter(distance, math.inf)
    fixed = dp.c.make_fix_delta(dp.c.make_zCDP_to_approxDP(noise), delta)
    return float(fixed.map(distance)[0])  # type: ignore[no-untyped-call]  # OpenDP's maps have no annotations


def epsilon_to_ask(cost: MicroRho, delta: float, most: float) -> float:
    """Return an epsilon of four digits that pays for `cost`, rounded up; `most` where that is less."""
    return min(most, _four_digits(epsilon_for(cost, delta), math.ceil))


def epsilon_within(cost: MicroRho, delta: float) -> float:
    """Return an epsilon of four digits that costs at most `cost`, rounded down."""
    return _four_digits(epsilon_for(cost, delta), math.floor)


def _four_digits(value: float, rounding: Callable[[Decimal], int]) -> float:
    step = Decimal(10) ** (Decimal(value).adjusted() - 3)
    return float(rounding(Decimal(value) / step) * step)


def composed(cost: MicroRho, delta: float, periods: tuple[int, ...] = PERIODS) -> dict[int, float]:
    """Return epsilon at `delta` over numbers of periods, each rounded up to three digits for print."""
    return {n: math.ceil(1000 * epsilon_for(cost, delta, n)) / 1000 for n in periods}


def _check_epsilon(epsilon: float) -> None:
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise UsageError("The epsilon is not a positive number.", "Give, for example, --epsilon 1.")


def _check_delta(delta: float) -> None:
    if not 0 < delta < 1:
        raise UsageError("The delta does not lie between 0 and 1.", "Use the deployment's delta, 1e-7.")
