"""Measures with a reference location, on small worlds with the expected rows written out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import h3.api.numpy_int as h3i
import pyarrow as pa
import pytest

from passersby.config import Config
from passersby.engines.duckdb import DuckDB
from passersby.errors import Refusal
from passersby.gate.request import Request, check
from passersby.measures.base import Scope
from passersby.measures.catalogue import get
from passersby.model.motion import EARTH_M
from passersby.model.period import DAY, HOUR, WEEK, parse_span
from passersby.model.schema import PRESENCE, STAYS

OFFSET = 2 * HOUR
MONDAY = parse_span("2026-W20", OFFSET).start
CENTRE = int(h3i.latlng_to_cell(46.95, 7.45, 6))
A, B, C = sorted(int(cell) for cell in h3i.grid_disk(CENTRE, 1))[:3]
"""Three cells of resolution 6, the lowest first."""

Seen = tuple[int, int, int, Sequence[int]]
"""(device, cell of resolution 6, day from the first Monday, local hours of the day)"""


def asked(every: str = "whole", period: str = "2026-W20..2026-W23", resolution: int = 6) -> Scope:
    return Scope(parse_span(period, OFFSET), resolution, every, (), OFFSET)


def fine(cell: int) -> int:
    return int(h3i.cell_to_center_child(cell, 10))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDB]:
    engine = DuckDB(tmp_path_factory.mktemp("spill"), threads=1, memory_mb=256)
    yield engine
    engine.close()


def presence(seen: Sequence[Seen]) -> pa.Table:
    rows = [
        (device, MONDAY + day * DAY + hour * HOUR, fine(cell), 1)
        for device, cell, day, hours in seen
        for hour in hours
    ]
    columns = zip(PRESENCE, zip(*rows, strict=True), strict=True)
    return pa.table([pa.array(column, field.type) for field, column in columns], schema=PRESENCE)


def rows(
    engine: DuckDB,
    name: str,
    scope: Scope,
    seen: Sequence[Seen] | pa.Table,
    area: Sequence[int] = (A, B, C),
    resolution: int | None = None,
) -> list[tuple[int, ...]]:
    """Return the sorted rows of a measure of presence or of stays, without the period, which is one."""
    level = scope.resolution if resolution is None else resolution
    cells = sorted({int(h3i.cell_to_parent(cell, scope.resolution)) for cell in area})
    given = {
        get(name).tables[0]: seen if isinstance(seen, pa.Table) else presence(seen),
        "area": pa.table({"cell": pa.array(cells, pa.int64())}),
        "hours": pa.table({"hour": pa.array(scope.selected, pa.int64())}),
    }
    found = engine.query(get(name).rows(scope, level), {}, given)
    assert set(found["period"].to_pylist()) <= {scope.span.start}
    assert found.schema.names == ["device", "period", *get(name).keys, "value"]
    return sorted(tuple(row.values()) for row in found.drop_columns("period").to_pylist())


def test_home_is_the_cell_of_most_nights(engine: DuckDB) -> None:
    seen: list[Seen] = [
        (1, A, 0, range(19, 24)),  # ten night hours in one night
        (1, A, 1, range(5)),
        (1, B, 2, [20]),  # two hours in two nights
        (1, B, 3, [20]),
        (2, A, 0, range(7, 19)),  # never seen at night: no home
        (3, C, 0, [18, 7]),  # the hours beside the night
        (3, B, 4, [19]),
        (4, B, 6, [6]),  # one device, one hour
    ]
    assert rows(engine, "residents", asked(), seen) == [(d, B, MONDAY, 1) for d in (1, 3, 4)]


def test_a_night_goes_on_after_midnight(engine: DuckDB) -> None:
    # A: Monday evening and Tuesday before seven are one night. B: two nights, though one hour less.
    seen: list[Seen] = [(1, A, 0, [22, 23]), (1, A, 1, [0, 6]), (1, B, 1, [19]), (1, B, 3, [6])]
    assert rows(engine, "residents", asked(), seen) == [(1, B, MONDAY, 1)]


def test_ties_go_to_more_hours_and_then_to_the_lowest_cell(engine: DuckDB) -> None:
    seen: list[Seen] = [
        (1, A, 0, [20]),
        (1, B, 1, [20, 21]),
        (2, C, 0, [20]),
        (2, B, 1, [20]),
        (2, B, 1, [12, 13]),  # not at night
        (2, A, 3, [12, 13]),
    ]
    assert rows(engine, "residents", asked(), seen) == [(1, B, MONDAY, 1), (2, B, MONDAY, 1)]


def test_nights_are_cut_at_the_question_s_span(engine: DuckDB) -> None:
    # The night before the first Monday is of that Sunday: its hours after midnight count as a night.
    seen: list[Seen] = [(1, A, 0, [3]), (1, A, -1, [22]), (1, A, -2, [22]), (1, B, 7, [3]), (1, C, 8, [3])]
    assert rows(engine, "residents", asked(period="2026-W20"), seen) == [(1, A, MONDAY, 1)]


def test_a_home_outside_the_area_is_not_counted_by_nights_inside(engine: DuckDB) -> None:
    seen: list[Seen] = [(1, A, 0, [20]), (1, B, 1, [20]), (1, B, 2, [20])]
    assert rows(engine, "residents", asked(), seen, area=[A]) == []
    parent = int(h3i.cell_to_parent(B, 5))
    assert rows(engine, "residents", asked(resolution=5), seen, area=[B]) == [(1, parent, MONDAY, 1)]


def test_work_is_the_cell_of_most_working_days(engine: DuckDB) -> None:
    seen: list[Seen] = [
        (1, A, 0, [20]),
        (1, B, 0, range(9, 17)),  # eight hours on one working day
        (1, C, 1, [9]),  # two working days
        (1, C, 4, [16]),
        (1, B, 5, range(9, 17)),  # a weekend
        (1, B, 6, range(9, 17)),
        (1, B, 2, [8, 17]),  # beside the working hours
        (2, A, 0, [20]),  # no work
        (3, C, 0, [12]),  # no home
        (4, B, 1, [20, 10]),  # at home by day too
    ]
    assert rows(engine, "commuting", asked(), seen) == [(1, A, C, MONDAY, 1), (4, B, B, MONDAY, 1)]
    assert rows(engine, "commuting", asked(), seen, area=[A, B]) == [(4, B, B, MONDAY, 1)]


def test_pairs_of_coarser_cells_hold_those_of_their_children(engine: DuckDB) -> None:
    seen: list[Seen] = [(1, A, 0, [20, 10]), (2, B, 0, [20]), (2, C, 0, [10])]
    above = [int(h3i.cell_to_parent(cell, 4)) for cell in (A, B, C)]
    found = rows(engine, "commuting", asked(), seen, resolution=4)
    assert found == [(1, above[0], above[0], MONDAY, 1), (2, above[1], above[2], MONDAY, 1)]
    # At a coarser level the area is still that of the cells asked for.
    assert rows(engine, "commuting", asked(), seen, area=[A, B], resolution=4) == found[:1]


def test_catchment_counts_a_visitor_once_a_cell(engine: DuckDB) -> None:
    seen: list[Seen] = [
        (1, A, 0, [20]),
        (1, B, 1, range(8, 19)),
        (1, B, 9, [12]),
        (1, C, 27, [12]),
        (1, C, 28, [12]),  # after the four weeks
        (2, B, 0, [12]),  # no home
        (3, C, 0, [20]),
        (3, A, 0, [12]),
    ]
    at_home = [(1, A, A, MONDAY, 1), (3, C, C, MONDAY, 1)]
    visits = [(1, A, B, MONDAY, 1), (1, A, C, MONDAY, 1), (3, C, A, MONDAY, 1)]
    assert rows(engine, "catchment", asked(), seen) == sorted(at_home + visits)
    assert rows(engine, "catchment", asked(), seen, area=[A, B]) == [at_home[0], visits[0]]


def test_visitors_live_in_another_cell_of_the_question(engine: DuckDB) -> None:
    seen: list[Seen] = [
        (1, A, 0, [20]),
        (1, B, 1, [12, 13]),
        (1, B, 9, [12]),
        (2, B, 0, [20]),
        (3, B, 0, [12]),
    ]
    assert rows(engine, "visitors-not-residents", asked(), seen) == [(1, B, MONDAY, 1)]
    weekly = rows(engine, "visitors-not-residents", asked("week"), seen)
    assert weekly == [(1, B, MONDAY, 1), (1, B, MONDAY + WEEK, 1)]
    parent = int(h3i.cell_to_parent(B, 5))
    assert parent == int(h3i.cell_to_parent(A, 5))
    assert rows(engine, "visitors-not-residents", asked(), seen, resolution=5) == [(1, parent, MONDAY, 1)]
    assert rows(engine, "visitors-not-residents", asked(resolution=5), seen) == []


def test_cells_are_bounded_by_weeks() -> None:
    measure = get("catchment")
    bounds = [measure.bound(asked(period=span)) for span in ("2026-05-12", "2026-W20", "2026-W20..2026-W23")]
    assert bounds == [24, 25, 100]
    assert measure.squared_sensitivity(asked(), 6) == 200


def test_relocation_compares_the_homes_of_two_halves(engine: DuckDB) -> None:
    seen: list[Seen] = [
        (1, A, 0, [20]),
        (1, B, 13, [20]),
        (1, B, 14, [2]),  # the night of day 13 goes on into the second half: there it counts for B alone
        (1, C, 15, [20]),
        (1, C, 17, [20]),
        (2, B, 13, [20]),  # not seen again
        (3, A, 1, [20]),
        (3, A, 20, [20]),
    ]
    assert rows(engine, "relocation", asked(), seen) == [(1, A, C, MONDAY, 1), (3, A, A, MONDAY, 1)]
    # Three weeks: one before, two after.
    three = rows(engine, "relocation", asked(period="2026-W20..2026-W22"), seen)
    assert three == [(1, A, C, MONDAY, 1), (3, A, A, MONDAY, 1)]
    two = rows(engine, "relocation", asked(period="2026-W20..2026-W21"), seen)
    assert two == [(1, A, B, MONDAY, 1)]
    assert rows(engine, "relocation", asked(period="2026-W20"), seen) == []


def test_a_question_of_one_week_has_no_relocation() -> None:
    request = Request("relocation", "2026-W20", "whole", 6, None, 1.0, "", "", "")
    with pytest.raises(Refusal) as caught:
        check(request, Config())
    assert caught.value.code == "bad-period"
    with pytest.raises(Refusal, match="fits the measure"):
        check(replace(request, period="2026-05-12..2026-W21"), Config())  # cuts a week
    assert check(replace(request, period="2026-W20..2026-W21"), Config()).measure is get("relocation")


def test_displacement_follows_the_baseline_week_by_week(engine: DuckDB) -> None:
    seen: list[Seen] = [
        (1, A, 0, [20]),
        (1, A, 8, [20]),
        (1, B, 9, [20]),
        (1, B, 10, [20]),  # in the second week mostly elsewhere, but at home over the baseline
        (1, A, 1, [20]),
        (1, B, 15, [20]),
        (1, B, 23, [12]),  # the last week: seen by day only
        (2, C, 14, [20]),  # no home in the baseline
        (3, C, 13, [20]),
        (3, C, 27, [20]),
    ]
    home, elsewhere, unseen = 0, 1, 2
    status = {1: (home, elsewhere, elsewhere, unseen), 3: (unseen, home, unseen, home)}
    cells = {1: A, 3: C}
    expected = [
        (device, cells[device], MONDAY + week * WEEK, each, 1)
        for device, own in status.items()
        for week, each in enumerate(own)
    ]
    assert rows(engine, "displacement", asked("week"), seen) == expected
    assert get("displacement").bound(asked("week")) == 4
    one_parent = int(h3i.cell_to_parent(A, 5)) == int(h3i.cell_to_parent(B, 5))
    near = rows(engine, "displacement", asked("week", resolution=5), seen)
    assert [row[3] for row in near[:4]] == ([0, 0, 0, 2] if one_parent else [0, 1, 1, 2])


def test_who_is_seen_elsewhere_has_not_stayed_put(engine: DuckDB) -> None:
    seen: list[Seen] = [
        (1, A, 0, [20, 12]),
        (1, A, 1, [3, 23]),
        (1, B, 1, [12]),  # one hour elsewhere
        (1, A, 3, [12]),  # nothing on day 2
        (1, C, 9, [12]),
        (2, B, 4, [12]),  # no home
    ]
    stayed, left = 0, 1
    days = {0: stayed, 1: left, 3: stayed, 9: left}
    expected = [(1, A, MONDAY + day * DAY, bin_, 1) for day, bin_ in days.items()]
    assert rows(engine, "stay-put", asked("day"), seen) == expected
    weekly = rows(engine, "stay-put", asked("week"), seen)
    weeks = [(stayed, 0), (stayed, 0), (left, 0), (left, WEEK)]
    assert weekly == [(1, A, MONDAY + week, bin_, 1) for bin_, week in weeks]
    assert rows(engine, "stay-put", asked("day"), seen, area=[B, C]) == []


def test_days_in_one_bin_bound_stay_put() -> None:
    measure = get("stay-put")
    assert measure.bound(asked("day")) == 28
    assert measure.bound(asked("week")) == 4 * 7**2
    assert measure.bound(asked("week", period="2026-05-15..2026-05-19")) == 3**2 + 2**2


def test_time_at_home_is_a_share_of_hours_by_day(engine: DuckDB) -> None:
    seen: list[Seen] = [
        (1, A, 0, [20, 21, 22]),  # nights count for the home, not for its share
        (1, A, 0, [7, 18]),
        (1, B, 0, [12]),
        (1, B, 8, [12, 13]),
        (2, C, 1, [20, 10]),
        (3, C, 1, [20]),  # never seen by day: in no mean
    ]
    total, count = 0, 1
    assert rows(engine, "time-at-home", asked(), seen) == [
        (1, A, MONDAY, total, 40),
        (1, A, MONDAY, count, 100),
        (2, C, MONDAY, total, 100),
        (2, C, MONDAY, count, 100),
    ]
    weekly = rows(engine, "time-at-home", asked("week"), seen)
    assert [row[4] for row in weekly if row[0] == 1] == [66, 100, 0, 100]
    assert get("time-at-home").bound(asked("week")) == 80_000


Stayed = tuple[int, int, float, float, float]
"""(device, cell of resolution 6, km east of one point, hours from the first Monday: from, to)"""


def stays(made: Sequence[Stayed]) -> pa.Table:
    """Return stays on a line that touches the sphere at 47 degrees north, 180 degrees east."""
    x, z = -EARTH_M * math.cos(math.radians(47)), EARTH_M * math.sin(math.radians(47))
    rows = [
        (device, fine(cell), MONDAY + since * HOUR, MONDAY + until * HOUR, 1, x, -1000 * km, z)
        for device, cell, km, since, until in made
    ]
    columns = ([round(value) for value in column] for column in zip(*rows, strict=True))
    arrays = [pa.array(column, field.type) for field, column in zip(STAYS, columns, strict=True)]
    return pa.table(arrays, schema=STAYS)


def test_the_farthest_stay_of_each_day_counts(engine: DuckDB) -> None:
    made: list[Stayed] = [
        (1, A, 0, 20, 22),  # the home lies between two positions, weighted by the hours: 2 and 1
        (1, A, 0.9, 46, 47),
        (1, B, 4, 12, 13),  # Monday: 3.7 km
        (1, C, 60, 36, 37),
        (1, C, -99.8, 37, 38),  # Tuesday: 100.1 km
        (1, B, 4, 71.5, 77),  # from Wednesday into Thursday morning: a night of another cell
        (2, B, 7, 12, 13),  # no night, no home
    ]
    bins = {0: 2, 1: 7, 2: 2, 3: 2}
    expected = [(1, A, MONDAY + day * DAY, number, 1) for day, number in bins.items()]
    assert rows(engine, "max-distance-from-home", asked("day"), stays(made)) == expected
    weekly = rows(engine, "max-distance-from-home", asked("week"), stays(made))
    assert sorted(row[3] for row in weekly) == [2, 2, 2, 7]


def test_a_distance_on_an_edge_is_in_the_farther_bin(engine: DuckDB) -> None:
    made: list[Stayed] = [(1, A, 0, 20, 21), (1, B, 5, 12, 13), (1, B, 4.999, 36, 37), (1, B, 0, 60, 61)]
    found = rows(engine, "max-distance-from-home", asked("day"), stays(made))
    assert [row[3] for row in found] == [3, 2, 0]
    assert [each.label for each in get("max-distance-from-home").bins][2:4] == ["2-5 km", "5-10 km"]


def test_visits_lie_outside_the_usual_environment(engine: DuckDB) -> None:
    at_home: list[Seen] = [(1, A, day, [3, 20, 21]) for day in (0, 2, 9, 16, 23)]
    weekly: list[Seen] = [(1, B, day, range(9, 17)) for day in (1, 8, 15, 22)]  # usual
    journey: list[Seen] = [(1, C, 4, [20]), (1, C, 5, [1, 2, 12, 13]), (1, C, 6, [12])]
    outing: list[Seen] = [(1, C, 17, [11, 12, 19]), (1, A, 17, [20, 21])]  # back for most of the night
    seen = [*at_home, *weekly, *journey, *outing]
    # One night, that of day 4; the days at its ends are no same-day visits, days 6 and 17 are.
    assert rows(engine, "overnight-visits", asked(), seen) == [(1, A, C, MONDAY, 1)]
    assert rows(engine, "same-day-visits", asked(), seen) == [(1, A, C, MONDAY, 1)] * 2
    assert rows(engine, "same-day-visits", asked(), seen, area=[A, B]) == []
    assert get("overnight-visits").bound(asked()) == 28**2


def test_a_long_holiday_is_not_usual_and_one_week_without_work_is_no_matter(engine: DuckDB) -> None:
    at_home: list[Seen] = [(1, A, day, [20]) for day in (0, *range(14, 28))]
    holiday: list[Seen] = [(1, C, day, [2, 12, 20]) for day in range(1, 14)]  # 13 nights in two weeks
    work: list[Seen] = [(1, B, day, [12]) for day in (0, 14, 15, 21)]  # in three weeks of four
    seen = [*at_home, *holiday, *work]
    assert rows(engine, "overnight-visits", asked(), seen) == [(1, A, C, MONDAY, 1)] * 13
    assert rows(engine, "same-day-visits", asked(), seen) == []
