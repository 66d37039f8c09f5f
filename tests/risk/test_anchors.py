"""Most visited places, home and work against their definitions in plain Python."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passersby.risk import anchors
from passersby.risk.grid import RESOLUTIONS, coarse
from risk.given import CELLS, Row, traces

MONDAY = 29_640_960  # 2026-05-11T00:00:00Z, epoch minutes
OFFSET = -7200
ROWS = st.lists(
    st.tuples(st.integers(1, 6), st.integers(MONDAY, MONDAY + 3 * 10_080), st.integers(0, 8)),
    min_size=1,
    max_size=120,
)


def plain(rows: list[Row], kind: str, resolution: int) -> dict[int, object]:
    """Return each device's anchor of a kind, if it has one."""
    hours: dict[int, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for device, minute, number in rows:
        cell = int(coarse(CELLS[number : number + 1], resolution)[0])
        hours[device][cell].add((minute + OFFSET // 60) // 60)
    found: dict[int, object] = {}
    for device, seen in hours.items():
        if kind != "home and work":
            ranked = sorted(seen, key=lambda cell: (-len(seen[cell]), cell))
            found[device] = frozenset(ranked[: int(kind[-1])])
            continue
        night = {c: sum(h % 24 >= 22 or h % 24 < 7 for h in hs) for c, hs in seen.items()}
        office = {c: sum(9 <= h % 24 < 17 and (h // 24 + 3) % 7 < 5 for h in hs) for c, hs in seen.items()}
        if any(night.values()) and any(office.values()):
            pair = (min(s, key=lambda cell: (-s[cell], cell)) for s in (night, office))
            found[device] = tuple(pair)
    return found


@given(rows=ROWS)
@settings(max_examples=80)
def test_sets_are_those_of_the_definitions(rows: list[Row]) -> None:
    with traces(rows) as given_:
        found = anchors.sizes(given_, offset=OFFSET)
    for resolution in RESOLUTIONS:
        for kind in anchors.KINDS:
            mine = plain(rows, kind, resolution)
            shared = Counter(mine.values())
            wanted = [shared[mine[device]] for device in sorted(mine)]
            assert found[kind, resolution].tolist() == wanted


@pytest.mark.parametrize(
    ("hours", "has_both"),
    [
        ((22, 9), True),
        ((6, 16), True),
        ((21, 9), False),
        ((7, 9), False),
        ((22, 8), False),
        ((22, 17), False),
    ],
)
def test_nights_and_hours_of_work_begin_and_end_on_the_hour(hours: tuple[int, int], has_both: bool) -> None:
    rows = [(1, MONDAY + 60 * hour, number) for number, hour in enumerate(hours)]
    with traces(rows) as given_:
        assert len(anchors.sizes(given_, offset=0)["home and work", 11]) == has_both


def test_nobody_works_on_saturday() -> None:
    for day, has_both in ((4, True), (5, False), (6, False), (7, True)):
        rows = [(1, MONDAY + 60 * 22, 0), (1, MONDAY + 1440 * day + 60 * 12, 1)]
        with traces(rows) as given_:
            assert len(anchors.sizes(given_, offset=0)["home and work", 11]) == has_both
