"""The eight attacks: the published values of a toy table, and their definitions in plain Python."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passersby.risk.attacks import KINDS, Track, risks

A, B, C, D = range(4)
DAY = 24
TOY: list[Track] = [
    [(A, 8), (B, 9), (C, 10), (D, DAY + 10)],
    [(A, 8), (C, 9), (A, DAY + 10), (B, DAY + 11)],
    [(B, 8), (C, 9), (A, DAY + 10), (D, DAY + 11)],
    [(C, DAY + 10), (B, DAY + 11), (D, DAY + 12)],
    [(C, DAY + 10), (D, DAY + 11), (A, 2 * DAY + 12)],
    [(A, DAY + 10), (B, DAY + 11)],
    [(A, DAY + 10), (A, DAY + 11), (D, DAY + 12)],
]
"""Seven people with four places, as in the examples of scikit-mobility 1.3 (BSD-3)."""

PUBLISHED = [
    ("location", 2, 0.0, "1/3 1/2 1/3 1/3 1/4 1/4 1/2"),
    ("location", 3, 0.0, "1/2 1 1/2 1/3 1/3 1/4 1"),
    ("sequence", 2, 0.0, "1/2 1/2 1 1/2 1 1/3 1/2"),
    ("unique", 2, 0.0, "1/3 1/4 1/3 1/3 1/4 1/4 1/4"),
    ("probability", 2, 0.0, "1/2 1 1/2 1 1 1 1"),
    ("probability", 2, 0.5, "1/3 1/2 1/3 1/3 1/4 1 1"),
    ("probability", 3, 0.5, "1/2 1 1/2 1/3 1/3 1 1"),
    ("proportion", 2, 0.0, "1/3 1 1/3 1/3 1/3 1/3 1"),
    ("proportion", 2, 0.5, "1/3 1/4 1/3 1/3 1/3 1/3 1/4"),
    ("proportion", 3, 0.5, "1/2 1/3 1/2 1/3 1/3 1/3 1/4"),
]


@pytest.mark.parametrize(("kind", "points", "tolerance", "published"), PUBLISHED)
def test_published_values(kind: str, points: int, tolerance: float, published: str) -> None:
    wanted = sorted(float(Fraction(text)) for text in published.split())
    found = risks(kind, TOY, points, tolerance=tolerance)
    assert found.tolist() == pytest.approx(wanted, abs=1e-12)


def test_home_and_work_are_the_most_visited_places() -> None:
    # scikit-mobility sorts the least visited first: its example has 1/4 four times and 1 three times
    tracks: list[Track] = [
        [(A, 1), (A, 2), (B, 3), (B, 4), (C, 5)],
        [(B, 1), (B, 2), (A, 3), (A, 4), (D, 5)],
        [(C, 1), (C, 2), (D, 3), (D, 4), (A, 5)],
        [(D, 1)],
    ]
    assert risks("home-work", tracks, 1).tolist() == [0.5, 0.5, 0.5, 1]


def _facts(kind: str, track: Track) -> list[object]:
    if kind in {"location", "sequence"}:
        return [place for place, _ in track]
    return [*track] if kind == "time" else [*sorted({place for place, _ in track})]


def _numbers(kind: str, track: Track, chosen: Sequence[object]) -> list[float]:
    visits = Counter[object](place for place, _ in track)
    numbers = [visits[place] / (len(track) if kind == "probability" else 1) for place in chosen]
    return [number / max(numbers) for number in numbers] if kind == "proportion" else numbers


def _fits(kind: str, own: Track, chosen: Sequence[object], other: Track, tolerance: float) -> bool:
    theirs = _facts(kind, other)
    if kind in {"location", "time"}:
        return not Counter(chosen) - Counter(theirs)
    if kind == "sequence":
        return any(list(c) == list(chosen) for c in itertools.combinations(theirs, len(chosen)))
    if kind == "unique" or not set(chosen) <= set(theirs):
        return set(chosen) <= set(theirs)
    pairs = zip(_numbers(kind, own, chosen), _numbers(kind, other, chosen), strict=True)
    return all(o * (1 - tolerance) - 1e-12 <= k <= o * (1 + tolerance) + 1e-12 for k, o in pairs)


def plain(kind: str, tracks: Sequence[Track], points: int, tolerance: float) -> list[float]:
    """Return the risks by trying every choice of facts."""
    found = []
    for track in tracks:
        every = _facts(kind, track)
        choices = itertools.combinations(every, min(points, len(every)))
        found.append(max(1 / sum(_fits(kind, track, c, t, tolerance) for t in tracks) for c in choices))
    return sorted(found)


TRACKS = st.lists(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=5), min_size=1, max_size=6
)


@pytest.mark.parametrize("kind", KINDS[:-1])
@given(tracks=TRACKS, points=st.integers(1, 4), tolerance=st.sampled_from([0.0, 0.25, 0.5]))
@settings(max_examples=60)
def test_the_pruned_search_finds_what_trying_all_finds(
    kind: str, tracks: list[Track], points: int, tolerance: float
) -> None:
    found = risks(kind, tracks, points, tolerance=tolerance)
    assert found.tolist() == pytest.approx(plain(kind, tracks, points, tolerance), abs=1e-12)


def test_nobody_is_named_by_the_order_of_the_results() -> None:
    for kind in KINDS:
        found = risks(kind, TOY, 2).tolist()
        assert found == sorted(found)
        assert risks(kind, TOY[::-1], 2).tolist() == found
