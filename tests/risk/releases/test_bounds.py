"""Counts that are not told: planted ones are found, and bounds are those of trying all that is possible."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passersby.risk.releases import bounds as tested
from passersby.risk.releases.bounds import System, bounds, narrowed
from passersby.risk.releases.release import TOTAL, Release
from risk.releases.given import CHILDREN, HOME, Row, release


def _family(hour: int, hidden: int, told: int = 30, own: int = 3) -> list[Row]:
    """Return a cell with its children; `hidden` of these have `own` people each and are not told."""
    rows: list[Row] = [(HOME, hour, hidden * own + (7 - hidden) * told)]
    rows += [(child, hour, None if i < hidden else told) for i, child in enumerate(CHILDREN)]
    return rows


def test_a_total_less_its_parts_gives_away_the_one_that_is_left() -> None:
    found = bounds([release(row for hour in range(24) for row in _family(hour, 1))])
    assert found is not None
    assert (found.hidden, found.wholes, found.smallest) == (24, 24, 30)
    assert found.exact.rate == found.few.rate == 1


def test_two_that_are_left_are_not_determined() -> None:
    found = bounds([release(row for hour in range(24) for row in _family(hour, 2))])
    assert found is not None
    assert found.exact.rate is None
    assert found.few.rate is None  # 0 to 6 each


def test_what_is_not_told_is_below_the_smallest_that_is() -> None:
    rows = _family(0, 2, own=15)
    assert narrowed_of([release(rows)]) == [(1, 29)] * 2


def test_cells_that_are_simply_not_there_are_found_too() -> None:
    rows = [row for hour in range(24) for row in _family(hour, 1) if row[2] is not None]
    found = bounds([release(rows)])
    assert found is not None
    assert found.hidden == 24
    assert found.exact.rate == 1
    whole = [row for hour in range(24) for row in _family(hour, 1, own=0) if row[2] is not None]
    nothing = bounds([release(whole)])
    assert nothing is not None
    assert nothing.hidden == 0


def test_a_day_less_its_hours() -> None:
    hours: list[Row] = [
        (c, h, None if (i + h) % 24 == 0 else 10) for i, c in enumerate(CHILDREN * 4) for h in range(24)
    ]
    hours = list({row[:2]: row for row in hours}.values())
    days: list[Row] = [
        (c, 0, 23 * 10 + 2 if any(r[0] == c and r[2] is None for r in hours) else 240) for c in CHILDREN
    ]
    found = bounds([release(hours), release(days, step=1440)])
    assert found is not None
    assert found.hidden == 7
    assert found.wholes == 7
    told = narrowed_of([release(hours), release(days, step=1440)])
    assert told == [(2, 2)] * 7


def narrowed_of(releases: list[Release]) -> list[tuple[int, int]]:
    """Return the bounds of hidden counts, as the tool never tells them."""
    caught: list[tuple[int, int]] = []
    inner = tested.narrowed

    def watch(system: System) -> tuple[np.ndarray, np.ndarray] | None:
        found = inner(system)
        assert found is not None
        mine = system.low != system.high
        caught.extend(zip(found[0][mine].tolist(), found[1][mine].tolist(), strict=True))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tested, "narrowed", watch)
        bounds(releases)
    return caught


def test_places_by_name_with_a_total() -> None:
    rows: list[Row] = [(TOTAL, h, 12 + 2 * 40) for h in range(30)]
    rows += [(place, h, None if place == 5 else 40) for place in (5, 6, 7) for h in range(30)]
    found = bounds([release(rows, h3=False)])
    assert found is not None
    assert found.exact.rate == 1
    assert found.few.rate is None


def test_distinct_visitors_do_not_add_up() -> None:
    rows = [row for hour in range(24) for row in _family(hour, 0)]
    rows = [(place, hour, value - 20 if place == HOME and value else value) for place, hour, value in rows]
    found = bounds([release(rows)])
    assert found is not None
    assert found.wholes == 0
    assert found.agree == 0


def test_what_one_release_hides_and_another_tells() -> None:
    one = release((child, hour, None) for child in CHILDREN for hour in range(5))
    other = release((child, hour, 7) for child in CHILDREN for hour in range(5))
    found = bounds([one, other])
    assert found is not None
    assert (found.hidden, found.exact.rate) == (35, 1)


def test_no_whole_no_bounds() -> None:
    assert bounds([release((child, hour, 9) for child in CHILDREN for hour in range(5))]) is None


@st.composite
def trees(draw: st.DrawFn) -> tuple[System, list[int]]:
    """Return a whole with parts, one of which has parts itself; some of them unknown."""
    parts = draw(st.integers(1, 3))
    sub = draw(st.integers(1, 3))
    cap = draw(st.integers(1, 3))
    leaves = draw(st.lists(st.integers(0, 3), min_size=parts - 1 + sub, max_size=parts - 1 + sub))
    first = sum(leaves[parts - 1 :])
    values = [first + sum(leaves[: parts - 1]), first, *leaves]
    hidden = [draw(st.booleans()) and value <= cap for value in values]
    low = [0 if h else v for h, v in zip(hidden, values, strict=True)]
    high = [cap if h else v for h, v in zip(hidden, values, strict=True)]
    equation = [0] * parts + [1] * sub
    part = [1, *range(2, 1 + parts), *range(1 + parts, 1 + parts + sub)]
    ints = [np.array(column, dtype=np.int64) for column in (low, high, [0, 1], equation, part)]
    return System(*ints), values


@settings(max_examples=60, deadline=None)
@given(trees())
def test_bounds_are_those_of_trying_everything(tree: tuple[System, list[int]]) -> None:
    system, _ = tree
    worlds = [
        world
        for world in itertools.product(
            *(range(a, b + 1) for a, b in zip(system.low.tolist(), system.high.tolist(), strict=True))
        )
        if all(
            world[whole]
            == sum(world[p] for p, e in zip(system.part, system.equation, strict=True) if e == number)
            for number, whole in enumerate(system.whole)
        )
    ]
    found = narrowed(system)
    assert found is not None
    low, high = found
    assert low.tolist() == [min(column) for column in zip(*worlds, strict=True)]
    assert high.tolist() == [max(column) for column in zip(*worlds, strict=True)]


def test_contradictions_are_told() -> None:
    ints = [np.array(column, dtype=np.int64) for column in ([5, 1, 1], [5, 2, 2], [0], [0, 0], [1, 2])]
    assert narrowed(System(*ints)) is None


def test_more_parts_than_are_held_are_not_narrowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tested, "MOST_PARTS", 100)
    with pytest.raises(tested.TooManyParts):
        bounds([release(row for hour in range(24) for row in _family(hour, 1))])
