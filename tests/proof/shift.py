"""How far one phone moves noisy numbers, measured: the loss that an attacker sees who knows all others.

For two worlds that differ in one phone the mechanism gives two normal distributions of the same variance
whose means lie d apart, so that the loss of a level is rho = d^2 / (2 variance) (Bun & Steinke 2016). Both
are estimated from draws of the real noise, along the direction in which the phone moves the vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from passersby.engines.base import Engine
from passersby.privacy.noise import Integers, Sampler
from proof.small import Ask, Fix, SmallLake, planned, vectors


def rho_seen(
    engine: Engine, folder: Path, fixes: Sequence[Fix], ask: Ask, sampler: Sampler, runs: int
) -> tuple[float, float]:
    """Return the loss that is seen when phone 0 leaves, and the loss that is charged, both in rho.

    Args:
        engine: runs the SQL.
        folder: new folder for the worlds' presence.
        fixes: the pings of all phones.
        ask: the question.
        sampler: draws the noise, all runs of a level in one call.
        runs: draws of each of the two worlds.
    """
    asked = planned(ask)
    others = [fix for fix in fixes if fix.phone != 0]
    whole, _ = vectors(engine, SmallLake(folder / "whole", fixes, ask.offset), asked)
    without, _ = vectors(engine, SmallLake(folder / "without", others, ask.offset), asked)
    levels = (
        (whole[level.resolution], without[level.resolution], level.scale) for level in asked.plan.levels
    )
    return sum(_rho(a, b, scale, sampler, runs) for a, b, scale in levels), asked.plan.cost.rho


def _rho(whole: Integers, without: Integers, scale: float, sampler: Sampler, runs: int) -> float:
    keys = np.nonzero(whole - without)
    direction = (whole - without)[keys] / np.linalg.norm((whole - without)[keys])
    sides = [
        sampler.gaussian(np.tile(values[keys], (runs, 1)), scale) @ direction for values in (whole, without)
    ]
    variance = (sides[0].var(ddof=1) + sides[1].var(ddof=1)) / 2
    return float((sides[0].mean() - sides[1].mean()) ** 2 / (2 * variance))
