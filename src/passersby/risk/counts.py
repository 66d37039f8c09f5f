"""Who was among the counted? Membership inference on counts, had a file been published as counts alone.

The game of Pyrgelis, Troncoso, De Cristofaro 2018 ("Knock Knock, Who's There? Membership Inference on
Aggregate Location Data", NDSS): of the drawn devices a third is counted by step of time and cell, a second
third is the attacker's idea of what counts look like, and the attacker says of each of the first and the last
third whether it was counted. The attacker is strong: all of a device's times and cells are known. The score
adds up over them how far the published count lies above the expected one, rare cells weighing more. The area
under the curve (AUC) is the chance that a device that was counted gets a higher score than one that was not:
50% is guessing.

The same group is counted in three ways: exactly; with counts below 20 left out; with noise under
differential privacy (epsilon 1, delta 1e-7, a device's whole trace as the unit). The noise is drawn to play
the game; nothing of it is published.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from passersby.risk.grid import Step, bins, coarse, local
from passersby.risk.guessing import Floats, Ints, auc, reach, scores
from passersby.risk.linking import LEAST
from passersby.risk.traces import Trace

GRAINS = (Step("hour", 7), Step("day", 5), Step("week", 4))
"""Steps by which is counted: as fine as a release may be, and two coarser ones."""
FLOOR = 20
EPSILON, DELTA = 1.0, 1e-7
GAMES = 5

EXACT, FLOORED, NOISY = "exact counts", "counts of 20 or more", "counts with noise, ε = 1"
WAYS = (EXACT, FLOORED, NOISY)


@dataclass(frozen=True)
class Guessed:
    """How well membership is guessed in one way of counting, over all games.

    `low` and `high` are the 95% interval of one game for the draw of targets: wider than that of all games.
    `error` is the sum of absolute errors of the published counts over the sum of the true ones.
    """

    step: Step
    way: str
    auc: float
    low: float
    high: float
    error: float

    @property
    def text(self) -> str:
        """What came out, in words."""
        lost = f"{self.error:.0%} of the counts" if self.error <= 1 else "more than the counts themselves"
        return f"{self.auc:.0%} right ({self.low:.0%} to {self.high:.0%}), {lost} wrong or missing"


def guess(sample: Trace, *, offset: int, seed: int) -> tuple[Guessed, ...]:
    """Play the games with the drawn devices; none where they are fewer than `linking.LEAST`."""
    if len(sample.starts()) - 1 < LEAST:
        return ()
    return tuple(found for step in GRAINS for found in _played(sample, step, offset, seed))


def _played(sample: Trace, step: Step, offset: int, seed: int) -> list[Guessed]:
    starts = sample.starts()
    devices = len(starts) - 1
    owner = np.repeat(np.arange(devices), np.diff(starts))
    when, where = bins(local(sample.minute, offset), step.time), coarse(sample.cell, step.resolution)
    rows = np.unique(np.stack([owner, when, where], axis=1), axis=0)
    _, key = np.unique(rows[:, 1:], axis=0, return_inverse=True)
    owner, key = rows[:, 0], key.ravel()
    rng = np.random.default_rng([seed, GRAINS.index(step)])
    third = devices // 3
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for _ in range(GAMES):
        group = np.empty(devices, dtype=np.int64)
        group[rng.permutation(devices)] = np.minimum(np.arange(devices) // third, 2)
        inside, known = group[owner] == 0, group[owner] == 1
        expected = np.bincount(key[known], minlength=key.max() + 1).astype(np.float64)
        true = np.bincount(key[inside], minlength=len(expected)).astype(np.float64)
        for way in WAYS:
            published = _published(way, true, owner[inside], key[inside], rng)
            reference = np.where(expected >= FLOOR, expected, 0.0) if way == FLOORED else expected
            score = scores(owner, (published - reference)[key], expected[key], devices)
            error = float(np.abs(published - true).sum() / true.sum())
            found[way].append((auc(score[group == 0], score[group == 2]), error))
    half = reach(third, devices - 2 * third)
    results = []
    for way, games in found.items():
        area, error = np.mean(games, axis=0).tolist()
        results.append(Guessed(step, way, area, max(0.0, area - half), min(1.0, area + half), error))
    return results


def _published(way: str, true: Floats, owner: Ints, key: Ints, rng: np.random.Generator) -> Floats:
    if way == EXACT:
        return true
    if way == FLOORED:
        return np.where(true >= FLOOR, true, 0.0)
    # each device's counts are scaled down to a norm that half of the devices have, then noise is added
    norm = np.sqrt(np.bincount(owner))
    most = float(np.median(norm[norm > 0]))
    weight = np.minimum(1.0, most / np.maximum(norm, 1.0))[owner]
    bounded = np.bincount(key, weight, minlength=len(true))
    noise: Floats = rng.normal(0, most / math.sqrt(2 * _rho(EPSILON, DELTA)), len(true))
    return bounded + noise


def _rho(epsilon: float, delta: float) -> float:
    """Return the rho of zero-concentrated privacy that implies (epsilon, delta) (Bun, Steinke 2016, 1.3)."""
    log = math.log(1 / delta)
    return (math.sqrt(log + epsilon) - math.sqrt(log)) ** 2
