"""Who was among the counted, of a release as it was published: membership inference on the very numbers.

The release is fixed and holds everybody of the raw file: there is nobody who was not counted. So each target
plays alone, in two worlds: the release is shown as it is, or with what this device added taken out (and left
out where the count falls below the smallest that is told). Everybody else stays. What the attacker sees
differs by this one device and by nothing else: for counts that are sums, and noise that is added to them,
the second world is what would have been published without the device and with the same noise.

The attacker says "counted" or "not counted" in each world by a rule that is fixed before: the likelihood
ratio of the counts at the target's places and times (Neyman, Pearson 1933). That is stricter than the area
under the curve, by which `counts` tells its games. There all is drawn anew for each game; here one error, of
the attacker's idea or of the noise, is shared by all who were at the same places, and an area would take
what is common to all of them for knowledge: among people who all do the same it would be 100%. Who can only
guess is right in one of the two worlds: 50%.

Attackers, each knowing all times and places of the target:

- "half": knows also half of the other devices, and expects their counts, scaled to the sum of what is
  published. The attacker of Pyrgelis, Troncoso, De Cristofaro 2018 (NDSS), with the score of `counts`.
- "everybody else": knows all other devices. The attacker against whom differential privacy is defined;
  exact counts cannot withstand it.
- "nothing": has the release alone, and expects at each place and time the share of the place times the
  share of the time. After Guan, Guépin, Creţu, de Montjoye 2024 (PoPETs), "A Zero Auxiliary Knowledge
  Membership Inference Attack on Aggregate Location Data": they draw synthetic traces from the released
  marginals, count them with and without the target, and train a classifier. Here visits are independent, so
  that the mean of such counts is known without drawing, and the score is a sum: simpler, and weaker.

The last one is also played without raw data: made-up devices, whose steps and places are drawn from the
same shares, are added to the release or not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passersby.risk.guessing import Floats, Ints, scores, summed
from passersby.risk.rates import wilson
from passersby.risk.releases.raw import Drawn, Grid
from passersby.risk.releases.release import Release

LEAST = 100
"""Targets without whom there is no game."""
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
    """How often an attacker is right about `targets` devices in both worlds, with its 95% interval.

    The interval (Wilson's) is that for the draw of devices; the release, and its noise, are one.
    """

    knows: str
    targets: int
    right: float
    low: float
    high: float


@dataclass(frozen=True)
class World:
    """What is seen at each row of the targets, and what the attacker expects there without the target."""

    seen: Floats
    expected: Floats


def floor_of(release: Release) -> float:
    """Return the count below which a release tells none: its smallest one, where that is more than 1."""
    told = release.value[release.shown]
    positive = told[told > 0]
    return 0.0 if release.noisy or not len(positive) or positive.min() <= 1 else float(positive.min())


def guess(release: Release, grid: Grid, drawn: Drawn) -> tuple[Guessed, ...]:
    """Play with the drawn devices; () where there are fewer than `LEAST`."""
    values = grid.values(release)
    floor = floor_of(release)
    start, place = np.divmod(drawn.key, len(grid.places))
    shares = Shares.of(np.nan_to_num(values).reshape(len(grid.starts), len(grid.places)))
    added = drawn.n.astype(np.float64)
    in_it, without = seen(values, drawn, floor)
    alone = _played(
        NOTHING,
        drawn,
        World(in_it, shares.expected(drawn.owner, start, place, np.zeros_like(added))),
        World(without, shares.expected(drawn.owner, start, place, -added)),
        floor,
    )
    return tuple(game for game in (*knowing(values, drawn, floor), alone) if game is not None)


def knowing(values: Floats, drawn: Drawn, floor: float) -> tuple[Guessed, ...]:
    """Return the games of the attackers who know half of the devices, and everybody else.

    `values` are the published counts by number, NaN where none is told.
    """
    in_it, without = seen(values, drawn, floor)
    games = []
    told = ~np.isnan(values)
    scale = float(values[told].sum()) / max(float(drawn.known[told].sum()), 1.0)
    half = max(scale, 1.0) * (drawn.known[drawn.key] - drawn.mine)
    for knows, expected in ((HALF, half), (OTHERS, drawn.others)):
        games.append(_played(knows, drawn, World(in_it, expected), World(without, expected), floor))
    return tuple(game for game in games if game is not None)


def seen(values: Floats, drawn: Drawn, floor: float) -> tuple[Floats, Floats]:
    """Return what is published at each row of the targets, as it is and without the target; 0: not told."""
    at = values[drawn.key]
    return np.nan_to_num(at), np.nan_to_num(_floored(at - drawn.n, floor))


def _floored(values: Floats, floor: float) -> Floats:
    return np.where(values >= floor, values, 0.0) if floor else values


def _played(knows: str, drawn: Drawn, in_it: World, without: World, floor: float) -> Guessed | None:
    if drawn.targets < LEAST:
        return None
    right = np.zeros(drawn.targets)
    for world, sign in ((in_it, 1), (without, -1)):
        right += _right(_ratio(knows, drawn.owner, drawn.n, world, floor, drawn.targets), sign) / 2
    return _guessed(knows, right)


def _ratio(knows: str, owner: Ints, n: Ints | int, world: World, floor: float, devices: int) -> Floats:
    """Return the likelihood ratio of "counted", up to a factor: above 0 the attacker says so.

    Who knows everybody else is uncertain of the noise alone, which is alike everywhere; the others of the
    people, whose number varies as much as it is large.
    """
    expected = np.maximum(world.expected, 0)
    usual = _floored(expected, floor)
    more = _floored(expected + n, floor) - usual
    excess = more * (world.seen - usual) - more**2 / 2
    return scores(owner, excess, np.zeros_like(expected) if knows == OTHERS else expected, devices)


def _right(ratio: Floats, sign: int) -> Floats:
    """Return 1 where the sign of a ratio is right, 0 where it is wrong, 1/2 where it says nothing."""
    return (np.sign(ratio) * sign + 1) / 2


def _guessed(knows: str, right: Floats) -> Guessed:
    share = float(right.mean())
    return Guessed(knows, len(right), share, *wilson(share, len(right)))


@dataclass(frozen=True)
class Shares:
    """Totals of a release by start and by place: what an attacker has who has the release alone."""

    starts: Floats
    places: Floats

    @classmethod
    def of(cls, table: Floats) -> Shares:
        """Return the totals of counts (start, place); negative ones count as 0."""
        table = np.maximum(table, 0)
        return cls(table.sum(axis=1), table.sum(axis=0))

    def expected(self, owner: Ints, start: Ints, place: Ints, change: Floats) -> Floats:
        """Return at each row the share of its place times that of its start, in its device's world.

        `change` is what the counts of each row are changed by in that world: it changes the totals too.
        """
        by_start = self.starts[start] + _of_same(owner, start, change)
        by_place = self.places[place] + _of_same(owner, place, change)
        devices = int(owner.max(initial=-1)) + 1
        total = self.starts.sum() + summed(owner, change, devices)[owner]
        found: Floats = np.maximum(by_start, 0) * np.maximum(by_place, 0) / np.maximum(total, 1.0)
        return found


def _of_same(owner: Ints, group: Ints, change: Floats) -> Floats:
    """Return at each row the sum of the changes of the rows of the same device and group."""
    _, number = np.unique(owner * (int(group.max(initial=0)) + 1) + group, return_inverse=True)
    sums = summed(number, change, int(number.max(initial=-1)) + 1)
    return np.asarray(sums[number], dtype=np.float64)


def made_up(release: Release, *, seed: int) -> Guessed | None:
    """Play with made-up devices and the release alone; None where it tells no count above 0.

    A device is in up to `STEPS` steps of time, drawn by their totals, and in each in one place, drawn by its
    total. A count that is not told shows nothing of it.
    """
    places, place = np.unique(release.place, return_inverse=True)
    starts, start = np.unique(release.start, return_inverse=True)
    value = np.maximum(np.nan_to_num(release.value), 0)
    shares = Shares(summed(start, value, len(starts)), summed(place, value, len(places)))
    if not value.any():
        return None
    rng = np.random.default_rng([seed, len(places)])
    owner, at, where = _walks(shares, rng)
    code = start * len(places) + place
    order = np.argsort(code)
    near = order[np.minimum(np.searchsorted(code[order], at * len(places) + where), len(code) - 1)]
    there = code[near] == at * len(places) + where
    floor = floor_of(release)
    # no row means nobody in an exact release that tells all it has, and untold in any other
    untold = np.where(there, ~release.shown[near], bool(floor) or release.noisy or not release.shown.all())
    shown = np.where(there, np.nan_to_num(release.value[near]), 0.0)
    right = np.zeros(MADE_UP)
    for added, sign in ((1.0, 1), (0.0, -1)):
        change = np.where(untold, 0.0, added)
        world = World(shown + change, shares.expected(owner, at, where, change))
        right += _right(_ratio(MADE, owner, 1, world, floor, MADE_UP), sign) / 2
    return _guessed(MADE, right)


def _walks(shares: Shares, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """Return (device, start, place) of made-up devices, the latter two as numbers."""
    visited = np.flatnonzero(shares.starts > 0)
    steps = min(STEPS, len(visited))
    # the first of a race of exponentials are a draw without replacement, by weight
    race = rng.exponential(size=(MADE_UP, len(visited))) / shares.starts[visited]
    start = visited[np.argpartition(race, steps - 1, axis=1)[:, :steps]].ravel()
    ends = np.cumsum(shares.places)
    where = np.searchsorted(ends, rng.random(len(start)) * ends[-1], side="right")
    return np.repeat(np.arange(MADE_UP), steps), start, np.minimum(where, len(ends) - 1)
