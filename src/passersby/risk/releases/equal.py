"""Leaving out small counts, or adding noise, at the same error: what each leaves to an attacker.

The raw file is counted by the release's places and times, and published twice: without the counts below a
floor, and with noise on every count, zeros too, of which so much is added that the sum of absolute errors is
the same. Then the attackers of `membership` play against both. The noise is continuous and is drawn to play
the game: nothing of it is published. The comparison is of counts that are equally wrong on the whole; where
the errors lie differs (a floor takes away the small counts, noise blurs all).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from passersby.risk.releases.membership import Guessed, knowing
from passersby.risk.releases.raw import Drawn

FLOORS = (5, 10, 20)
FLOORED, NOISY = "counts below the floor left out", "noise on every count"


@dataclass(frozen=True)
class Compared:
    """One way at one floor: `error` is the sum of absolute errors by that of counts; `noise` its deviation.

    `games` are those of the attacker who knows half, and of the one who knows everybody else.
    """

    floor: int
    way: str
    error: float
    noise: float
    games: tuple[Guessed, ...]


def compare(drawn: Drawn, *, seed: int) -> tuple[Compared, ...]:
    """Return both ways for each floor that leaves out something, but not everything."""
    total = float(drawn.true.sum())
    rng = np.random.default_rng([seed, len(drawn.true)])
    found = []
    for floor in FLOORS:
        lost = float(drawn.true[drawn.true < floor].sum())
        if not 0 < lost < total:
            continue
        kept = np.where(drawn.true >= floor, drawn.true, np.nan)
        # the mean of |noise| is its deviation times the root of 2 / pi
        noise = lost / len(drawn.true) * math.sqrt(math.pi / 2)
        blurred = drawn.true + rng.normal(0, noise, len(drawn.true))
        found.append(Compared(floor, FLOORED, lost / total, 0.0, knowing(kept, drawn, floor)))
        error = float(np.abs(blurred - drawn.true).sum()) / total
        found.append(Compared(floor, NOISY, error, noise, knowing(blurred, drawn, 0)))
    return tuple(comparison for comparison in found if comparison.games)
