"""Who was among the counted, of a release as it was published: membership inference on the very numbers.

The release is fixed and holds everybody of the raw file: there is nobody who was not counted. So each target
plays alone, with a coin: either the release is shown as it is, or with what this device added taken out
(rounded down to nothing where the count falls below the smallest that is told). Everybody else stays. What
the attacker sees differs by this one device and by nothing else, noise and all: the game that differential
privacy is about, with the noise that was really drawn. For counts that are sums, and for noise that is
added to them, the second world is exactly what would have been published without the device and with the
same noise.

Attackers, each knowing all times and places of the target:

- "half": knows also half of the devices, the reference, and expects twice their counts. The attacker of
  Pyrgelis, Troncoso, De Cristofaro 2018 (NDSS), with the score of `counts`.
- "everybody else": knows all other devices. The attacker against whom differential privacy is defined;
  exact counts cannot withstand it.
- "nothing": has the release alone, and expects at each place and time the share of the place times the
  share of the time. After Guan, Guépin, Creţu, de Montjoye 2024 (PoPETs), "A Zero Auxiliary Knowledge
  Membership Inference Attack on Aggregate Location Data": they draw synthetic traces from the released
  marginals, count them with and without the target, and train a classifier. Here visits are independent, so
  that the mean of such counts is known without drawing, and the score is linear: simpler, and weaker.

The last one is also played without raw data: made-up devices, each in one place a step drawn from the
released counts, are added to the release or not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passersby.risk.guessing import Floats, Ints, auc, reach, scores, summed
from passersby.risk.releases.raw import Drawn, Grid
from passersby.risk.releases.release import Release

LEAST = 100
"""Targets on each side without whom there is no game."""
MADE_UP = 2000
STEPS = 40
"""Steps of time in which a made-up device is seen, at most."""

HALF, OTHERS, NOTHING, MADE = "half", "everybody else", "nothing", "nothing, of made-up devices"
KNOWS = {
    HALF: "all times and places of the target, and those of half of the devices",
    OTHERS: "all times and places of the target, and those of everybody else",
    NOTHING: "all times and places of the target, and else the release alone",
    MADE: "all times and places of a target, made up, and else the release alone",
}


@dataclass(frozen=True)
class Guessed:
    """How often an attacker is right about `targets` devices: the area under the curve, its 95% interval."""

    knows: str
    targets: int
    auc: float
    low: float
    high: float


@dataclass(frozen=True)
class Seen:
    """What is seen at each row of the targets: in the world they are in, and in that without them."""

    with_it: Floats
    without: Floats


def floor_of(release: Release) -> float:
    """Return the count below which a release tells none: its smallest one, where that is more than 1."""
    told = release.value[release.shown]
    positive = told[told > 0]
    return 0.0 if release.noisy or not len(positive) or positive.min() <= 1 else float(positive.min())


def floored(values: Floats, floor: float) -> Floats:
    """Return counts as a release with this floor shows them: small ones are 0."""
    return np.where(values >= floor, values, 0.0) if floor else values


def seen(values: Floats, drawn: Drawn, floor: float) -> Seen:
    """Return the worlds of the targets; `values` are the published counts, NaN where none is told."""
    at = values[drawn.key]
    return Seen(np.nan_to_num(at), np.nan_to_num(floored(at - drawn.n, floor)))


def guess(release: Release, grid: Grid, drawn: Drawn) -> tuple[Guessed, ...]:
    """Play with the drawn devices; () where a side would have fewer than `LEAST`."""
    values = grid.values(release)
    expected = marginal(np.nan_to_num(values), grid)[drawn.key]
    floor = floor_of(release)
    worlds = seen(values, drawn, floor)
    games = (
        *knowing(drawn, worlds, floor),
        played(NOTHING, drawn, _usual(drawn, worlds, expected, floor)),
    )
    return tuple(game for game in games if game is not None)


def knowing(drawn: Drawn, worlds: Seen, floor: float) -> tuple[Guessed | None, Guessed | None]:
    """Return the games of the attackers who know half of the devices, and everybody else."""
    half = 2 * drawn.reference[drawn.key]
    return (
        played(HALF, drawn, _usual(drawn, worlds, half, floor)),
        played(OTHERS, drawn, _likelihood(drawn, worlds, floor)),
    )


def _published(drawn: Drawn, worlds: Seen) -> Floats:
    return np.where(drawn.out[drawn.owner], worlds.without, worlds.with_it)


def _usual(drawn: Drawn, worlds: Seen, expected: Floats, floor: float) -> Floats:
    """Return the score of `counts` where such counts are expected without the target, before any floor."""
    published = _published(drawn, worlds)
    return scores(drawn.owner, published, floored(expected, floor), np.maximum(expected, 0), drawn.targets)


def _likelihood(drawn: Drawn, worlds: Seen, floor: float) -> Floats:
    """Return the likelihood ratio (Neyman, Pearson 1933), up to a factor, for noise alike everywhere."""
    others = drawn.true[drawn.key] - drawn.n
    reference = floored(others, floor)
    more = floored(others + drawn.n, floor) - reference
    part = more * (_published(drawn, worlds) - reference) - more**2 / 2
    return summed(drawn.owner, part, drawn.targets)


def played(knows: str, drawn: Drawn, score: Floats) -> Guessed | None:
    """Return how well scores tell who is in from who is out; None for fewer than `LEAST` a side.

    Who adds to no count that is told, in whichever world, is guessed about all the same.
    """
    there = (
        np.bincount(drawn.owner, minlength=drawn.targets) > 0
    )  # but not who was never at the places at the times
    return _guessed(knows, score[there & ~drawn.out], score[there & drawn.out])


def _guessed(knows: str, members: Floats, others: Floats) -> Guessed | None:
    if min(len(members), len(others)) < LEAST:
        return None
    area, half = auc(members, others), reach(len(members), len(others))
    return Guessed(knows, len(members) + len(others), area, max(0.0, area - half), min(1.0, area + half))


def marginal(values: Floats, grid: Grid) -> Floats:
    """Return the counts that shares of places and shares of times would give; none below 0."""
    table = np.maximum(values, 0).reshape(len(grid.starts), len(grid.places))
    total = max(float(table.sum()), 1.0)
    return np.outer(table.sum(axis=1), table.sum(axis=0)).ravel() / total


def made_up(release: Release, *, seed: int) -> Guessed | None:
    """Play with made-up devices and the release alone; None where it tells too little.

    A device is in up to `STEPS` steps of time, drawn by their totals, and in each in one place, drawn by its
    counts. Only places that are told are drawn: what is not told hides it altogether.
    """
    told = release.shown & (release.value > 0)
    places, place = np.unique(release.place[told], return_inverse=True)
    starts, start = np.unique(release.start[told], return_inverse=True)
    value = release.value[told]
    if not len(value):
        return None
    order = np.lexsort((place, start))
    place, start, value = place[order], start[order], value[order]
    by_place, by_start = summed(place, value, len(places)), summed(start, value, len(starts))
    expected = by_place[place] * by_start[start] / value.sum()
    rng = np.random.default_rng([seed, len(places)])
    owner, row = _walks(value, by_start, rng, min(STEPS, len(starts)))
    inside = rng.random(MADE_UP) < 0.5
    published = value[row] + inside[owner]
    score = scores(owner, published, expected[row], expected[row], MADE_UP)
    return _guessed(MADE, score[inside], score[~inside])


def _walks(value: Floats, by_start: Floats, rng: np.random.Generator, steps: int) -> tuple[Ints, Ints]:
    """Return (device, row of the release) for made-up devices; rows are sorted by start."""
    # the largest keys of a race of exponentials are a draw without replacement, by weight
    race = rng.exponential(size=(MADE_UP, len(by_start))) / by_start
    chosen = np.argpartition(race, steps - 1, axis=1)[:, :steps]
    ends = np.cumsum(value)
    before = np.concatenate([[0.0], np.cumsum(by_start)])[:-1]
    at = before[chosen] + rng.random(chosen.shape) * by_start[chosen]
    row = np.minimum(np.searchsorted(ends, at.ravel(), side="right"), len(value) - 1)
    return np.repeat(np.arange(MADE_UP), steps), row.astype(np.int64)
