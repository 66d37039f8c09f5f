"""Days by their network of places, by isomorphism with the 17 networks of Schneider et al. (2013)."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from proof.plain.asked import Asked, Row, above
from proof.plain.devices import of_days

Edges = frozenset[tuple[int, int]]


def _network(text: str) -> Edges:
    return frozenset((int(edge[0]), int(edge[1])) for edge in text.split())


NETWORKS = tuple(
    map(
        _network,
        (
            "",
            "01 10",
            "01 02 10 20",
            "01 12 20",
            "01 02 10 21",
            "01 03 12 20 30",
            "01 12 23 30",
            "01 02 03 10 20 30",
            "01 02 10 13 20 31",
            "01 04 12 23 30 40",
            "01 12 23 34 40",
            "01 03 04 12 20 30 40",
            "01 03 12 20 34 40",
            "01 05 12 23 34 40 50",
            "01 12 23 34 45 50",
            "01 03 12 20 34 45 50",
            "01 02 03 10 20 34 45 50",
        ),
    )
)
"""Edges from place to place, row by row as in the matrices of the authors' program; place 0 is the first."""

CLOSED, OPEN = len(NETWORKS), len(NETWORKS) + 1


def class_of(walk: Sequence[int]) -> int:
    """Return the number of the class of a day: its places in order, of which neighbours may be the same."""
    names = {place: i for i, place in enumerate(dict.fromkeys(walk))}
    edges = frozenset((names[a], names[b]) for a, b in itertools.pairwise(walk) if a != b)
    found = _isomorphic(edges, len(names))
    if found is not None:
        return found
    return CLOSED if walk[0] == walk[-1] else OPEN


@functools.cache
def _isomorphic(edges: Edges, places: int) -> int | None:
    """Return which of the 17 networks is this one by other names for its places, or None."""
    for i, network in enumerate(NETWORKS):
        if len({0, *itertools.chain(*network)}) == places and _degrees(network) == _degrees(edges):
            for other in itertools.permutations(range(places)):
                if {(other[a], other[b]) for a, b in edges} == network:
                    return i
    return None


def _degrees(edges: Edges) -> list[tuple[int, int]]:
    """Return the moves into and out of each place, sorted: no other names change them."""
    into, out = Counter(b for _, b in edges), Counter(a for a, _ in edges)
    return sorted((into[place], out[place]) for place in into.keys() | out.keys())


def motifs(world: Any, asked: Asked, resolution: int) -> Iterable[Row]:
    """Yield each phone's days by class."""
    for phone, cell, day, visits in of_days(world, asked):
        walk = [stay.cell for stay in sorted(visits, key=lambda stay: stay.arrival)]
        yield phone, above(cell, resolution), asked.scope.bucket_of(day), class_of(walk), 1


DEFINITIONS = {"motifs": motifs}
