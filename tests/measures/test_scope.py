"""A measure's SQL and its public bounds against a plain reading of the definition."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter
from dataclasses import replace

import duckdb
import h3.api.numpy_int as h3i
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passersby.errors import UnknownName
from passersby.measures.base import Measure, Scope
from passersby.measures.catalogue import CATALOGUE, get
from passersby.model.period import DAY, HOUR, WEEK, Period, parse_span
from passersby.model.question import FILTERS
from passersby.model.schema import PRESENCE, STAYS, TRIPS

WEEKDAYS = FILTERS["weekday"]
FILTER = st.one_of(
    st.just(()),
    st.sets(st.sampled_from(WEEKDAYS), min_size=1).map(lambda v: (("weekday", tuple(v)),)),
    st.sets(st.sampled_from(FILTERS["daypart"]), min_size=1).map(lambda v: (("daypart", tuple(v)),)),
    st.sets(st.sampled_from(FILTERS["hour"]), min_size=1).map(lambda v: (("hour", tuple(v)),)),
)
SCOPES = st.builds(
    Scope,
    span=st.sampled_from(["2026-W20", "2026-W20..2026-W21", "2026-05-13", "2026-05-16..2026-05-19"]).map(
        lambda text: parse_span(text, 20700)
    ),
    resolution=st.sampled_from([4, 6, 7]),
    every=st.sampled_from(["hour", "daypart", "day", "week"]),
    filters=FILTER,
    offset=st.just(20700),
)
CENTRE = h3i.latlng_to_cell(27.7, 85.3, 10)
CELLS = sorted(int(c) for c in h3i.grid_disk(h3i.latlng_to_cell(27.7, 85.3, 7), 2))
FINE = [h3i.cell_to_center_child(cell, 10) for cell in CELLS]


def world(scope: Scope, seed: int) -> list[tuple[int, int, int]]:
    """Return random presence rows (device, hour, cell) around the scope's span, one a device-hour."""
    rng = np.random.default_rng(seed)
    hours = np.arange(scope.span.start - DAY, scope.span.end + DAY, HOUR)
    return [
        (device, int(hour), FINE[rng.integers(len(FINE))])
        for device in range(3)
        for hour in rng.choice(hours, size=min(40, len(hours)), replace=False)
    ]


def selected(scope: Scope, hour: int) -> bool:
    local = dt.datetime.fromtimestamp(hour, dt.timezone(dt.timedelta(seconds=scope.offset)))
    place = {
        "hour": str(local.hour),
        "weekday": WEEKDAYS[local.weekday()],
        "daypart": FILTERS["daypart"][local.hour // 6],
    }
    inside = scope.span.start <= hour < scope.span.end
    return inside and all(place[name] in values for name, values in scope.filters)


def bucket(scope: Scope, hour: int) -> int:
    zone = dt.timezone(dt.timedelta(seconds=scope.offset))
    local = dt.datetime.fromtimestamp(hour, zone)
    midnight = local.replace(hour=0)
    start = {
        "hour": local,
        "daypart": local.replace(hour=local.hour - local.hour % 6),
        "day": midnight,
        "week": midnight - dt.timedelta(days=local.weekday()),
    }[scope.every]
    return int(start.timestamp())


def run(
    measure: Measure,
    scope: Scope,
    rows: list[tuple[int, int, int]],
    area: list[int],
    stays: list[tuple[int, int, int, int]] | None = None,
    resolution: int | None = None,
) -> list[tuple[int, ...]]:
    """Return the rows of a measure over presence (device, hour, cell) and stays (device, cell, from, to).

    By default each device-hour is a stay too.
    """
    devices, hours, cells = (list(column) for column in zip(*rows, strict=True))
    presence = pa.table({"device": devices, "hour": hours, "cell": cells, "pings": [1] * len(rows)}, PRESENCE)
    if stays is None:
        stays = [(device, cell, hour, hour + HOUR) for device, hour, cell in rows]
    who, where, since, until = (list(column) for column in zip(*stays, strict=True))
    columns = {"device": who, "cell": where, "arrival": since, "departure": until, "pings": [1] * len(stays)}
    columns |= {name: [0] * len(stays) for name in ("x_m", "y_m", "z_m")}
    connection = duckdb.connect()
    connection.register("presence", presence)
    connection.register("stays", pa.table(columns, STAYS))
    connection.register("trips", pa.table(_trips(stays), TRIPS))
    connection.register("area", pa.table({"cell": pa.array(area, pa.int64())}))
    connection.register("hours", pa.table({"hour": pa.array(scope.selected, pa.int64())}))
    found = connection.execute(
        measure.rows(scope, scope.resolution if resolution is None else resolution)
    ).fetchall()
    connection.close()
    return sorted(found)


def _trips(stays: list[tuple[int, int, int, int]]) -> dict[str, list[int]]:
    """Return the moves between stays that follow each other, each of 1 km."""
    moves = [
        (one[0], one[1], other[1], one[3], other[2], 1000)
        for one, other in itertools.pairwise(sorted(stays, key=lambda stay: (stay[0], stay[2])))
        if one[0] == other[0] and one[1] != other[1]
    ]
    return {name: [move[i] for move in moves] for i, name in enumerate(TRIPS.names)}


@given(SCOPES, st.integers(0, 10_000))
@settings(max_examples=40)
def test_presence_counts_each_selected_device_hour_once(scope: Scope, seed: int) -> None:
    rows = world(scope, seed)
    area = sorted({h3i.cell_to_parent(cell, scope.resolution) for cell in FINE[:8]})
    expected = sorted(
        (
            device,
            Period.containing(hour, scope.offset).span(scope.offset).start,
            h3i.cell_to_parent(cell, scope.resolution),
            bucket(scope, hour),
            1,
        )
        for device, hour, cell in rows
        if selected(scope, hour) and h3i.cell_to_parent(cell, scope.resolution) in area
    )
    assert run(get("presence"), scope, rows, area) == expected


@given(SCOPES, st.integers(0, 10_000))
@settings(max_examples=40)
def test_visitors_counts_a_device_once_a_cell_and_bucket(scope: Scope, seed: int) -> None:
    rows = world(scope, seed)
    area = sorted({h3i.cell_to_parent(cell, scope.resolution) for cell in FINE[:8]})
    expected = {
        (
            device,
            Period.containing(hour, scope.offset).span(scope.offset).start,
            h3i.cell_to_parent(cell, scope.resolution),
            bucket(scope, hour),
            1,
        )
        for device, hour, cell in rows
        if selected(scope, hour) and h3i.cell_to_parent(cell, scope.resolution) in area
    }
    assert run(get("visitors"), scope, rows, area) == sorted(expected)


LAPSES = st.lists(
    st.tuples(
        st.sampled_from([600, 1799, 1800, 3600, 5400, 30 * HOUR]), st.sampled_from([0, 60, 1800, 7200])
    ),
    min_size=1,
    max_size=30,
)


@given(SCOPES, LAPSES, st.integers(-2 * HOUR, 8 * DAY))
@settings(max_examples=60)
def test_stay_presence_counts_the_longest_stay_of_each_selected_hour(
    scope: Scope, lapses: list[tuple[int, int]], begins: int
) -> None:
    stays: list[tuple[int, int, int, int]] = []
    now = scope.span.start + begins
    for number, (stayed, moved) in enumerate(lapses):
        stays.append((7, FINE[number % len(FINE)], now, now + stayed))
        now += stayed + moved
    area = sorted({h3i.cell_to_parent(cell, scope.resolution) for cell in FINE[:8]})
    expected = []
    for hour in (hour for hour in range(scope.span.start, scope.span.end, HOUR) if selected(scope, hour)):
        inside = [
            (min(until, hour + HOUR) - max(since, hour), -since, cell) for _, cell, since, until in stays
        ]
        overlap, _, cell = max(inside)
        parent = h3i.cell_to_parent(cell, scope.resolution)
        if overlap > 0 and parent in area:
            period = Period.containing(hour, scope.offset).span(scope.offset).start
            expected.append((7, period, parent, bucket(scope, hour), 1))
    assert run(get("stay-presence"), scope, [(7, 0, FINE[0])], area, stays) == sorted(expected)


def test_stays_are_read_from_the_beginning_of_the_period() -> None:
    scope = Scope(parse_span("2026-05-14..2026-05-19", 0), 6, "day", (), 0)
    first, last = (parse_span(day, 0).days(0)[0] for day in ("2026-05-11", "2026-05-24"))
    assert get("stay-presence").days(scope) == tuple(range(first, last + 1))
    assert get("presence").days(scope) == scope.span.days(0)


@pytest.mark.parametrize("offset", [0, 20_700, -16_200])
def test_hours_in_sql_begin_at_the_offset(offset: int) -> None:
    scope = Scope(parse_span("2026-W20", offset), 6, "day", (), offset)
    t = scope.span.start + 5 * HOUR
    sql = f"SELECT t, {scope.hour_sql('t')} FROM unnest([{t - 1}, {t}, {t + 3599}]) AS u(t)"
    with duckdb.connect() as connection:
        found = connection.execute(sql).fetchall()
    assert found == [(t - 1, t - HOUR), (t, t), (t + 3599, t)]


@given(SCOPES)
@settings(max_examples=60)
def test_public_bounds_follow_from_the_selected_hours(scope: Scope) -> None:
    hours = [h for h in range(scope.span.start, scope.span.end, HOUR) if selected(scope, h)]
    weeks = itertools.groupby(hours, key=lambda h: Period.containing(h, scope.offset))
    assert scope.hours == max((len(list(group)) for _, group in weeks), default=0)
    days = {(hour + scope.offset) // DAY for hour in hours}
    in_week = Counter(Period.containing(day * DAY - scope.offset, scope.offset) for day in days)
    assert scope.days == max(in_week.values(), default=0)
    assert scope.starts == tuple(sorted({bucket(scope, hour) for hour in hours}))
    counts = [len(list(group)) for _, group in itertools.groupby(hours, key=lambda h: bucket(scope, h))]
    assert scope.bucket_hours == max(counts, default=0)


@given(SCOPES, st.sampled_from(sorted(CATALOGUE)), st.integers(0, 10_000), st.integers(1, 4))
@settings(max_examples=60)
def test_no_device_exceeds_the_bound_at_any_resolution(
    scope: Scope, name: str, seed: int, places: int
) -> None:
    """A device in every hour, in few cells: the worst that a device can do."""
    rng = np.random.default_rng(seed)
    hours = range(scope.span.start, scope.span.end, HOUR)
    rows = [(1, hour, FINE[rng.integers(places)]) for hour in hours]
    measure = get(name)
    scope = replace(
        scope,
        resolution=min(scope.resolution, measure.finest),
        every=scope.every if scope.every in measure.grains else measure.grains[0],
        filters=scope.filters if measure.filtered else (),
    )
    area = sorted({h3i.cell_to_parent(cell, scope.resolution) for cell in FINE})
    for resolution in range(4, scope.resolution + 1):
        if measure.additive and resolution != scope.resolution:
            continue
        found = run(measure, scope, rows, area, resolution=resolution)
        for period in {row[1] for row in found}:
            keys: Counter[tuple[int, ...]] = Counter()
            for _, p, *key, value in found:
                keys[tuple(key)] += value if p == period else 0
            assert measure.clips or sum(v * v for v in keys.values()) <= measure.bound(scope)


def test_the_bound_of_presence_is_reached() -> None:
    scope = Scope(parse_span("2026-W20", 0), 7, "day", (), 0)
    rows = [(1, hour, CENTRE) for hour in range(scope.span.start, scope.span.end, HOUR)]
    found = run(get("presence"), scope, rows, [h3i.cell_to_parent(CENTRE, 7)])
    days = {start: sum(1 for row in found if row[3] == start) for *_, start, _ in found}
    assert sum(n * n for n in days.values()) == get("presence").bound(scope) == 168 * 24


def test_an_unknown_measure_is_named_by_no_error() -> None:
    with pytest.raises(UnknownName) as caught:
        get("homes")
    assert "homes" not in str(caught.value)


def test_every_measure_says_what_it_is() -> None:
    for measure in CATALOGUE.values():
        assert measure.definition.endswith(".")
        assert measure.unit
        assert measure.source
        assert measure.version >= 1
        labels = [each.label for each in (*measure.bins, *measure.derived)]
        assert len(set(labels)) == len(labels)
        assert not any(mark in label for label in labels for mark in ',"\n')  # a CSV file has no quotes
    assert WEEK % HOUR == 0


@pytest.mark.parametrize("measure", CATALOGUE.values(), ids=lambda measure: measure.name)
def test_floors_are_in_devices_or_events_and_not_in_parts_of_them(measure: Measure) -> None:
    assert measure.floor(20, 3) in {20, 60}
    assert {each.factor for each in measure.released_bins if each.counted} == {measure.factor}
