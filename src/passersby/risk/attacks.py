"""The worst case over all that an attacker may know: eight attacks, exact, on files of a few hundred devices.

Pellungrini, Pappalardo, Pratesi, Monreale 2017, "A Data Mining Approach to Assess Privacy Risk in Human
Mobility Data", ACM TIST 9:3. The attacker knows k facts of a person; the risk of a person is the greatest of
1 / (people whom those facts fit), over all k facts of the person that may be known. A person with fewer
than k facts is known by all of them. The facts are

    location     visits: places, as often as they are known (a set with repetitions)
    sequence     visits in their order
    time         visits with their step in time
    unique       places
    frequency    places with the number of visits
    probability  places with the share of visits
    proportion   places with the number of visits, relative to the most visited one of those known
    home-work    the two most visited places, of equal ones the one of lower number

The search is exact and pruned: rarest facts are tried first, and it ends where no fewer people are left than
all of a person's facts together fit. The results are sorted: they do not say whose they are.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from operator import and_
from typing import Any

import numpy as np
import numpy.typing as npt

KINDS = ("location", "sequence", "time", "unique", "frequency", "probability", "proportion", "home-work")

Floats = npt.NDArray[np.float64]
Visit = tuple[int, int]
"""A place and a step in time."""
Track = Sequence[Visit]
"""Visits of one person in their order."""


def risks(kind: str, tracks: Sequence[Track], points: int, *, tolerance: float = 0.0) -> Floats:
    """Return the risk of each person, sorted, for an attacker who knows `points` facts.

    Args:
        kind: one of `KINDS`.
        tracks: each person's visits, in their order.
        points: facts that are known, at least 1; of no meaning for home-work.
        tolerance: of frequency, probability and proportion: a known number fits x where it lies in
            [x (1 - tolerance), x (1 + tolerance)].

    Raises:
        KeyError: there is no such attack.
    """
    attacks: dict[str, Callable[[], list[int]]] = {
        "location": lambda: _by_facts([Counter(place for place, _ in track) for track in tracks], points),
        "sequence": lambda: [_sequence(track, tracks, points) for track in tracks],
        "time": lambda: _by_facts([Counter(track) for track in tracks], points),
        "unique": lambda: _by_facts([Counter({place for place, _ in track}) for track in tracks], points),
        "frequency": lambda: _by_numbers(_visits(tracks), points, tolerance),
        "probability": lambda: _by_numbers(_probabilities(tracks), points, tolerance),
        "proportion": lambda: _proportion(_visits(tracks), points, tolerance),
        "home-work": lambda: _home_work(tracks),
    }
    return np.sort(1.0 / np.array(attacks[kind](), dtype=np.float64))


def _visits(tracks: Sequence[Track]) -> list[Mapping[int, float]]:
    return [Counter(place for place, _ in track) for track in tracks]


def _probabilities(tracks: Sequence[Track]) -> list[Mapping[int, float]]:
    return [
        {place: number / len(track) for place, number in Counter(place for place, _ in track).items()}
        for track in tracks
    ]


def _within(known: float, other: float, tolerance: float) -> bool:
    return other - other * tolerance <= known <= other + other * tolerance


def _by_facts(people: Sequence[Counter[Any]], points: int) -> list[int]:
    """Return the fewest people whom `points` facts fit; a fact may be known as often as it is there."""
    at_least: dict[object, int] = defaultdict(int)
    for number, facts in enumerate(people):
        for fact, times in facts.items():
            for repeated in range(1, min(times, points) + 1):
                at_least[fact, repeated] |= 1 << number
    found = []
    for facts in people:
        # knowing a fact twice is an item of its own, of which the first time is a part
        options = [
            [at_least[fact, repeated] for repeated in range(1, min(times, points) + 1)]
            for fact, times in facts.items()
        ]
        found.append(_fewest(options, min(points, sum(facts.values()))))
    return found


def _by_numbers(people: Sequence[Mapping[int, float]], points: int, tolerance: float) -> list[int]:
    """Return the fewest people whom `points` places with their numbers fit."""
    having: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for number, facts in enumerate(people):
        for place, value in facts.items():
            having[place].append((number, value))
    found = []
    for facts in people:
        options = [
            [_mask(n for n, other in having[place] if _within(value, other, tolerance))]
            for place, value in facts.items()
        ]
        found.append(_fewest(options, min(points, len(facts))))
    return found


def _mask(numbers: Iterable[int]) -> int:
    return reduce(lambda mask, number: mask | 1 << number, numbers, 0)


def _fewest(options: Sequence[Sequence[int]], points: int) -> int:
    """Return the fewest bits that `points` facts leave set.

    `options[i][m - 1]` is the set of people who have fact i at least m times.
    """
    ordered = sorted(options, key=lambda masks: masks[-1].bit_count())
    behind = [0] * (len(ordered) + 1)  # how many facts are left from here on
    for i in range(len(ordered) - 1, -1, -1):
        behind[i] = behind[i + 1] + len(ordered[i])
    every = reduce(and_, (masks[-1] for masks in ordered))
    bound = every.bit_count()
    best = -1

    def search(i: int, left: int, people: int) -> None:
        nonlocal best
        if left == 0:
            number = people.bit_count()
            best = number if best < 0 else min(best, number)
            return
        for at in range(i, len(ordered)):
            if best == bound or behind[at] < left:
                return
            for times in range(min(left, len(ordered[at])), 0, -1):
                search(at + 1, left - times, people & ordered[at][times - 1])

    search(0, points, -1 & ((1 << _width(ordered)) - 1))
    return best


def _width(options: Sequence[Sequence[int]]) -> int:
    return max(mask.bit_length() for masks in options for mask in masks)


def _sequence(track: Track, tracks: Sequence[Track], points: int) -> int:
    """Return the fewest people who made `points` visits in the order in which this person did.

    A sequence of places is found in a track where its places follow one another with others between; the
    earliest way of finding each is enough, here and in the track that it is taken from.
    """
    places = [[place for place, _ in other] for other in tracks]
    own = [place for place, _ in track]
    bound = sum(_contains(other, own) for other in places)
    best = len(tracks)

    def search(start: int, left: int, people: Sequence[tuple[int, int]]) -> None:
        nonlocal best
        if left == 0:
            best = min(best, len(people))
            return
        tried = set()
        for at in range(start, len(own) - left + 1):
            if best == bound:
                return
            place = own[at]
            if place in tried:
                continue
            tried.add(place)
            rest = []
            for person, position in people:
                try:
                    rest.append((person, places[person].index(place, position) + 1))
                except ValueError:
                    continue
            search(at + 1, left - 1, rest)

    search(0, min(points, len(own)), [(person, 0) for person in range(len(tracks))])
    return best


def _contains(track: Sequence[int], wanted: Sequence[int]) -> bool:
    visits = iter(track)
    return all(place in visits for place in wanted)


def _proportion(people: Sequence[Mapping[int, float]], points: int, tolerance: float) -> list[int]:
    """Return the fewest people with the same proportions; every choice is looked at.

    What is relative to the most visited of the known places can fit more people when more is known, so that
    nothing can be pruned but where one person alone is left.
    """
    having: dict[int, int] = defaultdict(int)
    for number, facts in enumerate(people):
        for place in facts:
            having[place] |= 1 << number
    return [_fewest_proportions(facts, people, having, points, tolerance) for facts in people]


def _fewest_proportions(
    facts: Mapping[int, float],
    people: Sequence[Mapping[int, float]],
    having: Mapping[int, int],
    points: int,
    tolerance: float,
) -> int:
    best = len(people)
    ordered = sorted(facts, key=lambda place: having[place].bit_count())
    for known in itertools.combinations(ordered, min(points, len(facts))):
        mask = reduce(and_, (having[place] for place in known))
        fitting = sum(
            _alike(facts, other, known, tolerance) for n, other in enumerate(people) if mask >> n & 1
        )
        best = min(best, fitting)
        if best == 1:
            break
    return best


def _alike(
    facts: Mapping[int, float], other: Mapping[int, float], known: Sequence[int], tolerance: float
) -> bool:
    mine, theirs = max(facts[place] for place in known), max(other[place] for place in known)
    return all(_within(facts[place] / mine, other[place] / theirs, tolerance) for place in known)


def _home_work(tracks: Sequence[Track]) -> list[int]:
    pairs = [
        frozenset(place for place, _ in sorted(visits.items(), key=lambda item: (-item[1], item[0]))[:2])
        for visits in _visits(tracks)
    ]
    return [sum(pair <= other for other in pairs) for pair in pairs]
