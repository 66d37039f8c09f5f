"""Discrete Gaussian noise, from OpenDP and from nowhere else.

The mechanism is the discrete Gaussian of Canonne, Kamath & Steinke (2020), "The Discrete Gaussian for
Differential Privacy", on vectors of 64-bit integers under the L2 distance; its cost is OpenDP's privacy
map, in zero-concentrated differential privacy (Bun & Steinke 2016). No parameter, setting or
environment variable chooses a seed; scales come from a plan alone.

Counts are integers in thousandths, so scales and sensitivities are in thousandths as well.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import lru_cache
from importlib.metadata import version
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import opendp.prelude as dp

from passersby.errors import IntegrityError, UsageError
from passersby.model.cost import MICRO, MechanismEvent, MicroRho

dp.enable_features("contrib")

Integers = npt.NDArray[np.int64]

KIND: Final = "discrete_gaussian"
"""Kind of the mechanism events that `event` makes, as the ledger knows it."""

UNIT: Final = 1000
"""Weights are whole thousandths, so one device-hour is 1000 in every vector before the noise."""

MAX_SCALE: Final = float(1 << 50)
"""Largest scale that is taken: far above any plan, far below where 64-bit results would saturate."""

_CHUNK = 20_000
"""Values for one call of OpenDP, about a fifth of a second: its lists of Python integers stay small."""

_SCALE_BITS = 16
"""Significant bits of a scale. Short scales are exact in reports and draw up to 15% faster; rounding up
costs at most 0.003% of noise."""


class Sampler(Protocol):
    """What adds noise to a vector. Tests put a seeded one in its place; the store refuses its releases."""

    @property
    def name(self) -> str:
        """Name that a release carries."""

    def gaussian(self, values: Integers, scale: float) -> Integers:
        """Return `values`, of any shape, with independent discrete Gaussian noise of `scale` on each."""


class OpenDPSampler:
    """OpenDP's discrete Gaussian, in threads: OpenDP draws outside Python's global lock.

    Threads and not processes: they draw about as fast (measured on two shared cores: 153,000 a second,
    processes 167,000 after 1.2 s of starting), counts without noise never leave the process, and a script
    that asks a question needs no `__main__` guard.

    Args:
        threads: how many draw at once; 0 means one for each core.
    """

    name = "opendp"

    def __init__(self, threads: int = 0) -> None:
        self._threads = threads or os.cpu_count() or 1

    def gaussian(self, values: Integers, scale: float) -> Integers:
        """Return `values` with noise.

        Raises:
            TypeError: the values are not 64-bit integers.
            UsageError: the scale is zero, negative, not finite or too large.
            IntegrityError: a result reached the limits of 64-bit integers.
        """
        if values.dtype != np.int64:
            msg = f"noise is added to int64 values, not to {values.dtype}"
            raise TypeError(msg)
        measurement(scale)  # checks the scale, also where there is nothing to add noise to
        flat = np.ascontiguousarray(values).reshape(-1)
        noisy = np.empty_like(flat)

        def draw(start: int) -> None:
            part = slice(start, start + _CHUNK)
            noisy[part] = measurement(scale)(flat[part])

        with ThreadPoolExecutor(self._threads) as pool:
            for _ in pool.map(draw, range(0, len(flat), _CHUNK)):
                pass
        limits = np.iinfo(np.int64)
        if len(flat) and (noisy.max() == limits.max or noisy.min() == limits.min):
            raise IntegrityError("A noisy count does not fit 64 bits.", "Report this: no plan reaches it.")
        return noisy.reshape(values.shape)


def implementation() -> str:
    """Return the name and version of what draws the noise, for labels."""
    return f"OpenDP {version('opendp')}, make_gaussian over vectors of i64 under the L2 distance"


def measurement(scale: float) -> dp.Measurement:
    """Return OpenDP's measurement that adds noise of `scale` to a vector of int64.

    OpenDP itself accepts a scale of 0, which adds no noise at infinite cost: refused here.

    Raises:
        UsageError: the scale is zero, negative, not finite or above `MAX_SCALE`.
    """
    if not 0 < scale <= MAX_SCALE:  # false for NaN
        raise UsageError("The scale of the noise is not a positive number.", "Plan the question again.")
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64")
    return dp.m.make_gaussian(*space, scale=float(scale))


def sensitivity(squared_bound: int) -> float:
    """Return 1000 * sqrt(C2), rounded up to a float: the L2 sensitivity of a vector of thousandths.

    Raises:
        UsageError: the squared bound is not positive.
    """
    if squared_bound < 1:
        raise UsageError("The bound on a device's contribution is not positive.", "Plan the question again.")
    value = UNIT * math.sqrt(squared_bound)
    while Fraction(value) ** 2 < squared_bound * UNIT**2:
        value = math.nextafter(value, math.inf)
    return value


def rho(scale: float, sensitivity: float) -> float:
    """Return OpenDP's cost in zCDP of noise of `scale` on a vector of that L2 sensitivity."""
    return float(measurement(scale).map(sensitivity))  # type: ignore[no-untyped-call]  # OpenDP's maps have no annotations


@lru_cache(maxsize=1024)
def scale_for(squared_bound: int, cost: MicroRho) -> float:
    """Return the smallest short scale whose cost is at most `cost`: sensitivity / sqrt(2 rho), rounded up.

    Raises:
        UsageError: the cost is zero, or so small that the scale would exceed `MAX_SCALE`.
    """
    if cost.value == 0:
        raise UsageError("A level of the hierarchy has no budget.", "Ask with a larger epsilon.")
    bound = sensitivity(squared_bound)
    scale = _short(bound / math.sqrt(2 * cost.rho))
    while Fraction(rho(scale, bound)) > Fraction(cost.value, MICRO):
        scale = _short(math.nextafter(scale, math.inf))
    return scale


def event(scale: float, sensitivity: float, share: MicroRho, what: str) -> MechanismEvent:
    """Return the mechanism event of one noise addition, charged `share`.

    Raises:
        IntegrityError: the noise costs more than its share.
    """
    if Fraction(rho(scale, sensitivity)) > Fraction(share.value, MICRO):
        raise IntegrityError(
            "The noise of a level would cost more than was planned.", "Nothing was drawn; report this."
        )
    return MechanismEvent(KIND, scale, sensitivity, share.value, what)


def _short(scale: float) -> float:
    """Return `scale` rounded up to `_SCALE_BITS` significant bits."""
    mantissa, exponent = math.frexp(scale)
    return math.ldexp(math.ceil(math.ldexp(mantissa, _SCALE_BITS)), exponent - _SCALE_BITS)
