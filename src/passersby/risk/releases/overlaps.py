"""Attacks that need nothing but the counts: small ones, differences, and the mean of repeated ones.

The attacker is assumed to know the released files and nothing else. A difference is taken between two
releases for the same place and time: of everybody and of a group, or before and after a correction, it is
the count of those who are in one of them alone. Repeated counts with noise of their own are averaged: the
error falls with the root of their number, whatever was promised for each of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from passersby.risk.guessing import Floats
from passersby.risk.rates import Rate, share
from passersby.risk.releases.release import Release

BANDS = (0, 1, 2, 5, 10, 20)
"""Counts are told from each of these to before the next."""
BAND_NAMES = ("0 or less", "1", "2 to 4", "5 to 9", "10 to 19", "20 or more")

SAME = 0.99
"""Two releases that agree in this share of their common counts are taken for counts of the same people."""

_LEAST = 20
"""Common counts from which on a noise is estimated."""


@dataclass(frozen=True)
class Small:
    """The counts of one release by `BANDS`, as shares of those told; `untold` are shares of all its rows."""

    counts: int
    noisy: bool
    bands: tuple[Rate, ...]
    untold: Rate


@dataclass(frozen=True)
class Differences:
    """Counts that two releases tell of the same place and time: how far they differ, by `BANDS`.

    `few` is the share of differences of 1 to 19 people.
    """

    common: int
    bands: tuple[Rate, ...]
    few: Rate


@dataclass(frozen=True)
class Averaged:
    """What the mean of releases with noise leaves of it.

    `releases` tell `common` counts of the same places and times. `noise` is the standard deviation of one
    release's noise, from how far they differ, with its 95% interval `low` to `high`; `left` that of the mean.
    """

    releases: int
    common: int
    noise: float
    low: float
    high: float

    @property
    def left(self) -> float:
        """The standard deviation of the mean's error."""
        return self.noise / math.sqrt(self.releases)


def small(release: Release) -> Small:
    """Return the counts of a release by their size."""
    told = release.value[release.shown]
    return Small(
        len(told),
        release.noisy,
        _banded(told),
        share(len(release.value) - len(told), len(release.value), exact=True),
    )


def _banded(values: Floats) -> tuple[Rate, ...]:
    which = np.searchsorted(BANDS, values, side="right")
    counts = np.bincount(np.maximum(which, 1), minlength=len(BANDS) + 1)[1:]
    return tuple(share(int(count), len(values), exact=True) for count in counts)


def both(one: Release, other: Release) -> tuple[Floats, Floats]:
    """Return the counts that two releases tell of the same places and times."""
    if one.step != other.step or one.h3 != other.h3:
        return np.empty(0), np.empty(0)
    found = _told(one).join(_told(other), on=["place", "start"], suffix="_other")
    return found["value"].to_numpy(), found["value_other"].to_numpy()


def _told(release: Release) -> pl.DataFrame:
    shown = release.shown
    return pl.DataFrame(
        {"place": release.place[shown], "start": release.start[shown], "value": release.value[shown]}
    )


def differences(releases: Sequence[Release]) -> Differences | None:
    """Return how far exact releases differ where two of them tell the same; None where no two do."""
    found = [
        np.abs(a - b)
        for one, other in itertools.combinations((r for r in releases if not r.noisy), 2)
        for a, b in [both(one, other)]
    ]
    far = np.concatenate([np.empty(0), *found])
    if not len(far):
        return None
    some = int(((far >= 1) & (far < BANDS[-1])).sum())
    return Differences(len(far), _banded(far), share(some, len(far), exact=True))


def populations(releases: Sequence[Release]) -> list[list[Release]]:
    """Return exact releases in groups of those that do not contradict each other."""
    groups: list[list[Release]] = []
    for release in releases:
        if not release.noisy:
            fitting = (group for group in groups if all(_agree(release, other) for other in group))
            group = next(fitting, None)
            if group is None:
                groups.append([release])
            else:
                group.append(release)
    return groups


def _agree(one: Release, other: Release) -> bool:
    a, b = both(one, other)
    return one.h3 == other.h3 and (not len(a) or float((a == b).mean()) >= SAME)


def averaged(releases: Sequence[Release]) -> Averaged | None:
    """Return what averaging leaves of the noise of releases of the same counts.

    None where fewer than two have noise, where they tell fewer than `_LEAST` counts in common, or where they
    are the same numbers: the same noise again tells nothing new.
    """
    noisy = [release for release in releases if release.noisy]
    if len(noisy) < 2 or len({(release.step, release.h3) for release in noisy}) > 1:
        return None
    found = _told(noisy[0])
    for number, release in enumerate(noisy[1:]):
        found = found.join(_told(release), on=["place", "start"], suffix=f"_{number}")
    values = found.drop("place", "start").to_numpy()
    if len(values) < _LEAST:
        return None
    noise = math.sqrt(float(values.var(axis=1, ddof=1).mean()))
    if noise == 0:
        return None
    reach = 1.96 / math.sqrt(2 * len(values) * (len(noisy) - 1))
    return Averaged(len(noisy), len(values), noise, noise * max(0.0, 1 - reach), noise * (1 + reach))
