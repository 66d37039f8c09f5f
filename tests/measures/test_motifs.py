"""Motifs: the SQL's class of a day against isomorphism, for every network that could be confused."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import h3.api.numpy_int as h3i
import pytest

from measures.answered import MINUTE, MONDAY, Stay, answer, cell_at, rows_of, scope
from passersby.measures.catalogue import get
from passersby.measures.motifs import MOTIFS, NETWORKS
from passersby.model.period import DAY, HOUR
from proof.plain.motifs import CLOSED, OPEN, class_of

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "motifs.md"
CELLS = sorted(int(cell) for cell in h3i.grid_disk(cell_at(51.5, -0.1), 3))
LABELS = [each.label for each in MOTIFS.bins]

Walk = tuple[int, ...]
State = tuple[frozenset[tuple[int, int]], int, int]
"""Moves that were made, number of places, and where the device is: places are numbered as they come."""


def _day(walk: Sequence[int], device: int = 1, day: int = 0) -> list[Stay]:
    """Return stays of ten minutes, five minutes apart, from midnight."""
    first, step = day * DAY, 15 * MINUTE
    return [
        Stay(device, CELLS[place], first + i * step, first + i * step + 10 * MINUTE)
        for i, place in enumerate(walk)
    ]


def _classes(walks: Sequence[Walk]) -> list[int]:
    """Return the class of each walk by the SQL, a device-day each."""
    stays = [stay for device, walk in enumerate(walks) for stay in _day(walk, device)]
    rows = rows_of(MOTIFS, scope("day"), stays)
    assert [(row[0], row[3], row[5]) for row in rows] == [(i, MONDAY, 1) for i in range(len(walks))]
    return [row[4] for row in rows]


def _walks(moves: int) -> Iterable[Walk]:
    """Yield each way to make so many moves, but for names of places."""
    if not moves:
        yield (0,)
        return
    for walk in _walks(moves - 1):
        yield from ((*walk, place) for place in range(max(walk) + 2) if place != walk[-1])


def _reached(places: int, moves: int) -> dict[State, Walk]:
    """Return a walk for each network that any walk, however long, makes of at most so many distinct moves."""
    first: State = (frozenset(), 1, 0)
    found: dict[State, Walk] = {first: (0,)}
    todo = [first]
    while todo:
        made, number, here = todo.pop()
        for place in range(min(number + 1, places)):
            after = (made | {(here, place)}, max(number, place + 1), place)
            if place != here and len(after[0]) <= moves and after not in found:
                found[after] = (*found[made, number, here], place)
                todo.append(after)
    return found


def test_every_day_of_up_to_eight_moves_has_the_class_of_its_network() -> None:
    """All ways to make them: up to nine places, closed or not."""
    walks = [walk for moves in range(9) for walk in _walks(moves)]
    assert len(walks) == 5296  # Bell numbers: 1 + 1 + 2 + 5 + 15 + 52 + 203 + 877 + 4140
    found = _classes(walks)
    assert found == [class_of(walk) for walk in walks]
    assert set(found) == set(range(len(LABELS)))


@pytest.mark.slow
def test_no_longer_day_is_mistaken_for_one_of_the_17() -> None:
    """However long a day is: its class is that of its moves, and none of the 17 has more than eight."""
    most = [max(getattr(it, name) for it in NETWORKS) for name in ("places", "moves")]
    assert most == [6, 8]
    walks = list(_reached(*most).values())
    assert len(walks) > 50_000
    found = _classes(walks)
    assert found == [class_of(walk) for walk in walks]
    assert set(found) == set(range(len(LABELS)))


@pytest.mark.parametrize(
    ("walk", "label"),
    [
        ("H", "1 place"),
        ("HH", "1 place"),
        ("HWH", "tour of 1"),
        ("HWHWHWH", "tour of 1"),
        ("HWHW", "tour of 1"),  # ends elsewhere, but its network is that of a tour
        ("HWHSH", "tours of 1+1"),
        ("WHSHW", "tours of 1+1"),  # the same seen from work
        ("HWSH", "tour of 2"),
        ("HWSHSWH", "other closed"),  # a tour of 2 both ways round
        ("HWHSWH", "tour of 2 + way back"),
        ("HWSHWH", "tour of 2 + way back"),
        ("HWSHXH", "tours of 2+1"),
        ("HWSXH", "tour of 3"),
        ("HWHSHXH", "tours of 1+1+1"),
        ("HWLWHSH", "row of 4"),  # lunch from work, then shopping from home
        ("HWLWSWH", "tours of 1+1+1"),  # seen from work
        ("HWSXHYH", "tours of 3+1"),
        ("HWSXYH", "tour of 4"),
        ("HWSHXHYH", "tours of 2+1+1"),
        ("HWSHXYH", "tours of 2+2"),
        ("HWSXYHZH", "tours of 4+1"),
        ("HWSXYZH", "tour of 5"),
        ("HWSXHYZH", "tours of 3+2"),
        ("HWSXHYHZH", "tours of 3+1+1"),
        ("HWSHXYHZH", "other closed"),  # tours of 2+2+1: rarer than 0.5%
        ("HWHSHXHYH", "other closed"),  # four tours of 1
        ("HWSXYZAH", "other closed"),  # seven places
        ("HW", "other open"),
        ("HWS", "other open"),
        ("HWHS", "other open"),
    ],
)
def test_days_by_hand(walk: str, label: str) -> None:
    days = {place: i for i, place in enumerate(dict.fromkeys(walk))}
    assert [LABELS[each] for each in _classes([tuple(days[place] for place in walk)])] == [label]


def test_the_page_s_days_are_of_the_networks_that_it_says() -> None:
    rows = re.findall(r"^\| `(.+)` \| (\d) \| (\d) \| ([A-F ]+) \|$", PAGE.read_text(), re.MULTILINE)
    assert [label for label, *_ in rows] == LABELS[:CLOSED]
    walks = [tuple("ABCDEF".index(place) for place in day.split()) for *_, day in rows]
    assert _classes(walks) == [class_of(walk) for walk in walks] == list(range(CLOSED))
    for walk, (_, places, moves, _) in zip(walks, rows, strict=True):
        assert (len(set(walk)), len(set(itertools.pairwise(walk)))) == (int(places), int(moves))


def test_the_17_are_in_the_order_of_the_authors_and_named_once() -> None:
    assert len(set(LABELS)) == len(LABELS) == 19
    assert [LABELS[i] for i in (CLOSED, OPEN)] == ["other closed", "other open"]
    assert [it.places for it in NETWORKS] == [1, 2, *[3] * 3, *[4] * 4, *[5] * 4, *[6] * 4]


def test_days_begin_and_end_at_midnight() -> None:
    """A night at home closes both days that it touches; one that ends at midnight only its own."""
    home, work = CELLS[:2]
    night = Stay(1, home, DAY - 2 * HOUR, DAY + 7 * HOUR)
    at_work = [Stay(1, work, day * DAY + 9 * HOUR, day * DAY + 17 * HOUR) for day in (0, 1)]
    morning = Stay(1, home, 6 * HOUR, 8 * HOUR)
    closed, one_way = LABELS.index("tour of 1"), LABELS.index("other open")
    assert answer(MOTIFS, scope("day"), [morning, at_work[0], night, at_work[1]]) == {
        (0, closed): 1,
        (24, one_way): 1,
    }
    assert answer(MOTIFS, scope(), [morning, at_work[0], night._replace(departure=DAY), at_work[1]]) == {
        (0, closed): 1,
        (0, LABELS.index("1 place")): 1,
    }


def test_a_week_ends_on_sunday_at_midnight() -> None:
    """A stay is cut there: each part closes the day of its own week."""
    home, work = CELLS[:2]
    week = 7 * DAY
    stays = [
        Stay(1, home, week - 18 * HOUR, week - 15 * HOUR),
        Stay(1, work, week - 14 * HOUR, week - 6 * HOUR),
        Stay(1, home, week - 5 * HOUR, week),
        Stay(1, home, week, week + 7 * HOUR),
        Stay(1, work, week + 8 * HOUR, week + 9 * HOUR),
    ]
    both = {(6 * 24, LABELS.index("tour of 1")): 1, (7 * 24, LABELS.index("other open")): 1}
    assert answer(MOTIFS, scope("day", period="2026-W20..2026-W21"), stays) == both
    assert len(MOTIFS.days(scope("day", period="2026-05-17"))) == 7
    assert answer(MOTIFS, scope("day", period="2026-05-17"), stays[:3]) == {
        (144, LABELS.index("tour of 1")): 1
    }


def test_a_local_day_is_that_of_the_deployment() -> None:
    home, work = CELLS[:2]
    stays = [Stay(1, home, 20 * HOUR, 21 * HOUR), Stay(1, work, DAY + HOUR, DAY + 2 * HOUR)]
    assert answer(MOTIFS, scope("day"), stays) == {(0, 0): 1, (24, 0): 1}
    assert answer(MOTIFS, scope("day", offset=6 * HOUR), stays) == {(18, LABELS.index("other open")): 1}


def test_a_gap_and_a_return_to_the_same_place_are_no_move() -> None:
    home = CELLS[0]
    stays = [Stay(1, home, 0, HOUR), Stay(1, home, 5 * HOUR, 6 * HOUR), Stay(1, home, 20 * HOUR, DAY)]
    assert answer(MOTIFS, scope("day"), stays) == {(0, 0): 1}


def test_devices_are_counted_apart_and_days_without_a_stay_are_not() -> None:
    stays = [*_day((0, 1, 0), device=1), *_day((0, 1, 0), device=2), *_day((0, 1, 2, 0), device=1, day=2)]
    found: Counter[tuple[int, ...]] = Counter()
    for start, each in itertools.product((0, 24, 48), range(len(LABELS))):
        found[start, each] = 0
    found[0, LABELS.index("tour of 1")], found[48, LABELS.index("tour of 2")] = 2, 1
    assert answer(get("motifs"), scope("day"), stays) == +found
