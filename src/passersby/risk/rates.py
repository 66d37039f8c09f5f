"""Shares of devices with their intervals, and the mask over small groups: nothing else is ever reported."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from passersby.errors import InputError

SMALLEST = 20
"""A group of fewer devices is masked: only that it has fewer is told."""

_Z = 1.959964
"""Two-sided 95% of the normal distribution."""


@dataclass(frozen=True)
class Rate:
    """A share of devices, from 0 to 1, with a 95% interval; None where fewer than `SMALLEST` are meant.

    `low` and `high` of a masked share are the bounds that are known anyway.
    """

    rate: float | None
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        """Return the share for programs, in four digits."""
        rate = None if self.rate is None else round(self.rate, 4)
        return {"rate": rate, "low": round(self.low, 4), "high": round(self.high, 4)}

    @property
    def text(self) -> str:
        """The share in words."""
        if self.rate is None:
            return f"under {percent(self.high)}"
        return f"{percent(self.rate)} ({percent(self.low)} to {percent(self.high)})"


def percent(share: float) -> str:
    """Return a share in percent: whole, and near 0 and 100 with one digit, never rounded up to 100."""
    number = 100 * share
    if 98 < number < 100:
        return f"{math.floor(10 * number) / 10:.1f}%"
    return f"{number:.1f}%" if 0 < number < 2 else f"{number:.0f}%"


def share(count: int, of: int, *, exact: bool = False) -> Rate:
    """Return `count` of `of` devices as a rate.

    The interval is Wilson's (1927): resampling devices that were drawn with equal chances gives a binomial
    count, whose percentiles have no width where all or none of them are meant; Wilson's interval has one.

    Args:
        count: devices that are meant.
        of: devices that were looked at.
        exact: every device was looked at, and nothing was drawn: the interval is the share itself.
    """
    if count < SMALLEST:
        return Rate(None, 0.0, min(1.0, SMALLEST / max(of, 1)))
    part = count / of
    if exact:
        return Rate(part, part, part)
    return Rate(part, *wilson(part, of))


def wilson(part: float, of: int) -> tuple[float, float]:
    """Return the 95% interval of a share that was found among so many draws."""
    spread = _Z**2 / of
    middle = (part + spread / 2) / (1 + spread)
    half = math.sqrt(part * (1 - part) * spread + spread**2 / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def rounded(count: int, of: int) -> Rate:
    """Return `count` of all `of` devices of a file, the count rounded to a multiple of `SMALLEST`.

    For figures that hang on a list that anybody may write: a list with one house more must not tell by its
    difference who was there.
    """
    near = min(SMALLEST * round(count / SMALLEST), of // SMALLEST * SMALLEST)
    return share(near, of, exact=True)


def spread(sizes: npt.NDArray[np.int64], edges: tuple[int, ...]) -> list[Rate]:
    """Return the share of devices whose group has a size from each edge to before the next one."""
    which = np.searchsorted(edges, sizes, side="right")
    counts = np.bincount(which, minlength=len(edges) + 1)[1:]
    return [share(int(count), len(sizes)) for count in counts]


def require_enough(devices: int) -> None:
    """Do nothing if there are enough devices to speak of a rate.

    Raises:
        InputError: there are fewer than `SMALLEST`.
    """
    if devices < SMALLEST:
        raise InputError(
            f"The file has rows of fewer than {SMALLEST} devices: any figure would be about single people.",
            "Give a file with more devices.",
        )
