"""Flows by hand and by numpy: which trips and moves count, where and when, and how many at most."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import duckdb
import h3.api.numpy_int as h3i
import numpy as np
import pyarrow as pa
import pytest

from passersby.measures import consecutive_flows
from passersby.measures.base import Measure, Scope
from passersby.measures.catalogue import get
from passersby.model.period import DAY, HOUR, parse_span
from passersby.model.schema import PRESENCE, TRIPS

OFFSET = 20_700
MONDAY = parse_span("2026-W20", OFFSET).start
SCOPE = Scope(parse_span("2026-W20", OFFSET), 6, "day", (), OFFSET)

HERE, THERE, ABROAD = (
    int(c) for c in sorted(h3i.grid_disk(h3i.latlng_to_cell(-16.9, 179.99, 6), 1).tolist())[:3]
)
A1, A2 = (int(h3i.cell_to_center_child(child, 10)) for child in sorted(h3i.cell_to_children(HERE, 7))[:2])
B, OUT = (int(h3i.cell_to_center_child(cell, 10)) for cell in (THERE, ABROAD))
AREA = (HERE, THERE)

Rows = list[tuple[int, ...]]


def run(
    name: str, scope: Scope, rows: Rows, area: tuple[int, ...] = AREA, resolution: int | None = None
) -> Rows:
    """Return (device, keys.., value) of trips, without their length, or of presence; all of one period."""
    measure = get(name)
    connection = duckdb.connect()
    schema = TRIPS if measure.tables == ("trips",) else PRESENCE
    padded = [(*row, *([1] * (len(schema) - len(row)))) for row in rows]
    connection.register("given", pa.table([list(c) for c in zip(*padded, strict=True)], schema=schema))
    connection.execute(f"CREATE VIEW {measure.tables[0]} AS SELECT * FROM given")
    connection.register("area", pa.table({"cell": pa.array(area, pa.int64())}))
    found = connection.execute(measure.rows(scope, resolution or scope.resolution)).fetchall()
    connection.close()
    return sorted((device, *rest) for device, _, *rest in found)


def at(day: int, clock: str) -> int:
    """Return a local time of day of the week as epoch s."""
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return MONDAY + day * DAY + hours * HOUR + minutes * 60 + seconds


TRIPS_BY_HAND: Rows = [
    (1, A1, B, at(0, "07:59:59"), at(0, "08:30:00")),
    (1, B, A2, at(0, "17:00:00"), at(0, "17:20:00")),
    (1, A2, A1, at(0, "23:59:59"), at(1, "00:20:00")),  # within one cell, over midnight
    (1, A1, B, at(1, "07:00:00"), at(1, "07:30:00")),
    (1, B, OUT, at(1, "12:00:00"), at(1, "13:00:00")),  # leaves the area
    (1, OUT, A1, at(1, "18:00:00"), at(1, "19:00:00")),  # enters it
    (2, A1, B, at(0, "07:10:00"), at(6, "23:59:00")),  # silent for a week
    (2, OUT, OUT + 8, at(6, "10:00:00"), at(6, "11:00:00")),
    (3, B, A1, at(-1, "23:59:59"), at(0, "00:30:00")),  # departs before the span
]


def test_flows_by_hand() -> None:
    monday, tuesday = MONDAY, MONDAY + DAY
    assert run("flows", SCOPE, TRIPS_BY_HAND) == sorted(
        [
            (1, HERE, THERE, monday, 1),
            (1, THERE, HERE, monday, 1),
            (1, HERE, HERE, monday, 1),
            (1, HERE, THERE, tuesday, 1),
            (2, HERE, THERE, monday, 1),
        ]
    )


def test_outflows_and_inflows_by_hand() -> None:
    monday, tuesday = MONDAY, MONDAY + DAY
    assert run("outflows", SCOPE, TRIPS_BY_HAND) == sorted(
        [
            *[(1, HERE, monday, 1)] * 2,
            (1, THERE, monday, 1),
            (1, HERE, tuesday, 1),
            (2, HERE, monday, 1),
        ]
    )
    assert run("inflows", SCOPE, TRIPS_BY_HAND) == sorted(
        [
            (1, THERE, monday, 1),
            *[(1, HERE, monday, 1)] * 2,
            (1, THERE, tuesday, 1),
            (2, THERE, monday, 1),
        ]
    )


def test_the_departure_s_local_hour_is_filtered_and_filed() -> None:
    seven = replace(SCOPE, every="hour", filters=(("hour", ("7",)),))
    assert run("flows", seven, TRIPS_BY_HAND) == [
        (1, HERE, THERE, at(0, "07:00:00"), 1),
        (1, HERE, THERE, at(1, "07:00:00"), 1),
        (2, HERE, THERE, at(0, "07:00:00"), 1),
    ]


def test_a_coarser_level_keeps_the_area_and_merges_pairs() -> None:
    fine = replace(SCOPE, resolution=7)
    area = tuple(int(h3i.cell_to_parent(cell, 7)) for cell in (A1, A2))
    assert run("flows", fine, TRIPS_BY_HAND, area, resolution=6) == [(1, HERE, HERE, MONDAY, 1)]
    assert run("flows", fine, TRIPS_BY_HAND, area) == [(1, area[1], area[0], MONDAY, 1)]


@pytest.mark.parametrize("every", ["hour", "daypart", "day", "week"])
def test_outflows_and_inflows_are_the_margins_of_the_matrix(every: str) -> None:
    """By numpy and h3's own parents: the matrix, its sums of rows and its sums of columns."""
    dice = np.random.default_rng(5)
    cells = sorted(int(c) for c in h3i.grid_disk(h3i.latlng_to_cell(47.4, 8.5, 6), 2))
    fine = [int(h3i.cell_to_center_child(cell, 10)) for cell in cells]
    ends = dice.integers(0, len(cells), (2, 500))
    departure = MONDAY + dice.integers(-DAY, 8 * DAY, 500)
    columns = (
        np.arange(500) % 9,
        np.array(fine)[ends[0]],
        np.array(fine)[ends[1]],
        departure,
        departure + 60,
    )
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    scope, inside = replace(SCOPE, every=every), cells[:12]

    starts = scope.starts
    matrix = np.zeros((len(cells), len(cells), len(starts)), np.int64)
    within = (departure >= MONDAY) & (departure < MONDAY + 7 * DAY) & (ends < 12).all(axis=0)
    bucket = np.searchsorted(starts, departure[within], side="right") - 1
    np.add.at(matrix, (*ends[:, within], bucket), 1)

    place = {cell: i for i, cell in enumerate(cells)}
    found = np.zeros_like(matrix)
    margins = np.zeros((2, len(cells), len(starts)), np.int64)
    for _, origin, destination, start, value in run("flows", scope, rows, tuple(inside)):
        found[place[origin], place[destination], starts.index(start)] += value
    for i, name in enumerate(("outflows", "inflows")):
        for _, cell, start, value in run(name, scope, rows, tuple(inside)):
            margins[i, place[cell], starts.index(start)] += value
    np.testing.assert_array_equal(found, matrix)
    np.testing.assert_array_equal(margins[0], matrix.sum(axis=1))
    np.testing.assert_array_equal(margins[1], matrix.sum(axis=0))
    assert np.trace(matrix).sum() > 0


@pytest.mark.parametrize(
    ("every", "filters", "of_pairs", "of_ends"),
    [
        ("hour", (), {7: 42 + 4, 6: 42 * 2, 5: 42 * 2}, 42 * 2),
        ("daypart", (), {7: 42 + 4, 6: 42 * 2 + 8, 5: 42 * 3}, 42 * 3),
        ("day", (), {8: 42 + 4, 7: 42 + 4, 6: 42 * 2 + 8, 5: 42 * 4 + 16, 4: 42 * 4 + 16}, 42 * 8),
        ("week", (), {7: 42 * 4 + 4, 6: 42 * 8 + 8, 5: 42 * 16 + 16, 0: 42 * 16 + 16}, 42 * 42),
        ("day", (("hour", ("7", "8")),), {7: 14 + 4, 6: 14 * 2, 5: 14 * 2}, 14 * 2),
        ("week", (("hour", ("7", "8")),), {7: 14 * 4 + 4, 6: 14 * 8 + 8, 5: 14 * 14}, 14 * 14),
        ("day", (("weekday", ("sat", "sun")),), {7: 16 + 4, 6: 16 * 2 + 8, 5: 16 * 4 + 16}, 16 * 8),
        ("day", (("daypart", ("morning",)), ("weekday", ("mon",))), {7: 3 + 4, 6: 3 * 3}, 3 * 3),
    ],
)
def test_trips_have_a_public_bound_at_each_level(
    every: str, filters: tuple[tuple[str, tuple[str, ...]], ...], of_pairs: dict[int, int], of_ends: int
) -> None:
    weeks = replace(SCOPE, every=every, filters=filters)
    two = replace(weeks, span=parse_span("2026-W20..2026-W21", OFFSET))
    for span in (weeks, two):
        for name in ("outflows", "inflows"):
            assert get(name).bound(span) == get(name).squared_bound(span, 4) == of_ends
        for resolution, c2 in of_pairs.items():
            assert get("flows").squared_bound(span, resolution) == c2
            assert get("flows").bound(replace(span, resolution=resolution)) == c2


def test_a_commuter_counts_in_full_at_every_level() -> None:
    """Five ways there and five back, and all others of 42 in the week in one pair each, or at coarser levels
    in one pair with the way back.
    """
    fine = 2 * 5**2 + 32
    assert fine <= get("flows").squared_bound(replace(SCOPE, every="week"), 7)
    assert get("flows").squared_bound(replace(SCOPE, every="week"), 5) >= 10**2 + 4 * 8**2


@pytest.mark.parametrize("every", ["hour", "daypart", "day", "week"])
@pytest.mark.parametrize("filters", [(), (("hour", ("8",)),)])
def test_moves_are_bounded_as_trips_or_by_what_the_definition_allows(
    every: str, filters: tuple[tuple[str, tuple[str, ...]], ...]
) -> None:
    scope = replace(SCOPE, resolution=7, every=every, filters=filters)
    own = [get("consecutive-flows").squared_bound(scope, level) for level in (7, 6, 5)]
    of_trips = [get("flows").squared_bound(scope, level) for level in (7, 6, 5)]
    # one hour a day lets a device make one move a day, perhaps always the same one
    assert own == ([7**2 if every == "week" else 7] * 3 if filters else of_trips)


def test_consecutive_flows_by_hand() -> None:
    seen: Rows = [
        (1, MONDAY - HOUR, OUT),  # another period
        (1, MONDAY, A1),  # the first of its period: from nowhere
        (1, MONDAY + HOUR, A2),  # in the same cell
        (1, MONDAY + 2 * HOUR, B),
        (1, MONDAY + 3 * HOUR, B),
        (1, MONDAY + 60 * HOUR, A1),  # nothing seen for more than two days
        (1, MONDAY + 61 * HOUR, OUT),
        (1, MONDAY + 62 * HOUR, A1),
        (2, MONDAY + 62 * HOUR, B),  # never seen before
        (2, MONDAY + 168 * HOUR, A1),  # another period
    ]
    assert run("consecutive-flows", SCOPE, seen) == [
        (1, HERE, THERE, MONDAY, 1),
        (1, THERE, HERE, MONDAY + 2 * DAY, 1),
    ]
    # A question about Wednesday knows what was seen on Monday.
    wednesday = replace(SCOPE, span=parse_span("2026-05-13", OFFSET), every="hour")
    assert get("consecutive-flows").days(wednesday) == SCOPE.span.days(OFFSET)
    assert run("consecutive-flows", wednesday, seen) == [(1, THERE, HERE, MONDAY + 60 * HOUR, 1)]
    two = replace(SCOPE, filters=(("hour", ("2",)),))
    assert run("consecutive-flows", two, seen) == [(1, HERE, THERE, MONDAY, 1)]


def test_consecutive_flows_within_a_coarse_cell_lie_on_its_diagonal() -> None:
    seen: Rows = [
        (1, MONDAY, A1),
        (1, MONDAY + HOUR, A2),
        (1, MONDAY + 2 * HOUR, A2),
        (1, MONDAY + 3 * HOUR, B),
    ]
    fine = replace(SCOPE, resolution=7)
    area = tuple(int(h3i.cell_to_parent(cell, 7)) for cell in (A1, A2, B))
    assert run("consecutive-flows", fine, seen, area, resolution=6) == sorted(
        [(1, HERE, HERE, MONDAY, 1), (1, HERE, THERE, MONDAY, 1)]
    )
    assert len(run("consecutive-flows", fine, seen, area)) == 2


@pytest.mark.parametrize(
    ("every", "filters"),
    [
        ("hour", ()),
        ("daypart", ()),
        ("day", ()),
        ("day", (("hour", ("3", "4", "5", "9", "17", "18")),)),
        ("day", (("daypart", ("night", "afternoon")),)),
    ],
)
def test_a_device_that_goes_to_and_fro_reaches_the_bound(
    every: str, filters: tuple[tuple[str, tuple[str, ...]], ...]
) -> None:
    """Each hour in the other of two cells; in hours that are not asked for it is in the first."""
    scope = replace(SCOPE, span=parse_span("2026-05-12..2026-05-13", OFFSET), every=every, filters=filters)
    measure = get("consecutive-flows")
    place = A1
    seen: Rows = [(1, MONDAY, A1)]
    for hour in range(scope.span.start, scope.span.end, HOUR):
        place = B if place == A1 and hour in scope.selected else A1
        seen.append((1, hour, place))
    assert _squares(measure, scope, seen) == consecutive_flows._most(scope, to_and_fro=True)
    coarse = replace(scope, resolution=0)  # both cells lie in one
    together = Counter(scope.bucket_of(hour) for hour in scope.selected)
    assert sum(n**2 for n in together.values()) == consecutive_flows._most(coarse, to_and_fro=False)


def test_to_and_fro_for_a_week_is_half_of_an_hour_s_worth() -> None:
    most = {
        every: consecutive_flows._most(replace(SCOPE, every=every), to_and_fro=True)
        for every in get("consecutive-flows").grains
    }
    assert most == {"hour": 168, "daypart": 168 * 3, "day": 168 * 12, "week": 168 * 84}


def _squares(measure: Measure, scope: Scope, seen: Rows) -> int:
    keys: Counter[tuple[int, ...]] = Counter()
    for _, *key, value in run(measure.name, scope, seen):
        keys[tuple(key)] += value
    return sum(value**2 for value in keys.values())
