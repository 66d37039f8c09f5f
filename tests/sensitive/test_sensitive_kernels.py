"""Which fixes beside those at sensitive places go, against a plain loop."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passersby.model.period import WEEK, Period
from passersby.sensitive import kernels

WEEK_END = Period.parse("2026-W21").span(0).start

PINGS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(WEEK_END - 4000, WEEK_END + 4000), st.booleans()),
    max_size=25,
).map(lambda rows: sorted(rows, key=lambda row: row[:2]))


def plain_withheld(rows: list[tuple[int, int, bool]], offset: int) -> list[bool]:
    fixes = [(key, [row[2] for row in group]) for key, group in groupby(rows, key=lambda row: row[:2])]
    inside = [any(flags) for _, flags in fixes]
    gone = list(inside)
    for i, ((device, t), _) in enumerate(fixes):
        for j in (i - 1, i + 1):
            if not inside[i] and 0 <= j < len(fixes) and inside[j] and fixes[j][0][0] == device:
                other = fixes[j][0][1]
                same_period = Period.containing(t, offset) == Period.containing(other, offset)
                gone[i] = gone[i] or (same_period and abs(t - other) <= 1800)
    return [flag for flag, (_, flags) in zip(gone, fixes, strict=True) for _ in flags]


@given(rows=PINGS, offset=st.sampled_from([0, 3600, -1800]))
def test_fixes_at_places_go_with_their_direct_neighbours(
    rows: list[tuple[int, int, bool]], offset: int
) -> None:
    device = np.array([row[0] for row in rows], dtype=np.int64)
    t = np.array([row[1] for row in rows], dtype=np.int32)
    inside = np.array([row[2] for row in rows], dtype=np.bool_)
    assert kernels.withheld(device, t, inside, offset).tolist() == plain_withheld(rows, offset)


@pytest.mark.parametrize(("gap", "gone"), [(1800, True), (1801, False)])
def test_a_neighbour_goes_when_at_most_half_an_hour_away(gap: int, gone: bool) -> None:
    start = WEEK_END - WEEK // 2
    t = np.array([start, start + gap], dtype=np.int32)
    found = kernels.withheld(np.zeros(2, np.int64), t, np.array([True, False]), 0)
    assert found.tolist() == [True, gone]


def test_a_neighbour_in_another_period_stays() -> None:
    t = np.array([WEEK_END - 1, WEEK_END], dtype=np.int32)
    assert kernels.withheld(np.zeros(2, np.int64), t, np.array([True, False]), 0).tolist() == [True, False]
    assert kernels.withheld(np.zeros(2, np.int64), t, np.array([True, False]), 60).tolist() == [True, True]


def test_all_rows_of_a_neighbouring_fix_go() -> None:
    t = np.array([100, 100, 200], dtype=np.int32) + np.int32(WEEK_END)
    found = kernels.withheld(np.zeros(3, np.int64), t, np.array([False, False, True]), 0)
    assert found.tolist() == [True, True, True]
