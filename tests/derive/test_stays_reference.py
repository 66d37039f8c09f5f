"""Stays and trips against a slow reference that is written differently, and against trackintel."""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from collections import Counter
from dataclasses import replace
from typing import Any, NamedTuple

import h3.api.numpy_int as h3i
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passersby.derive.stays import TRACKINTEL, Rules, derive

START = 1_780_000_200
RADIUS = 6_371_008.8
KINDS = (np.int64, np.int32, np.int32, np.int32, np.int32, np.int64, np.int32)


class Row(NamedTuple):
    """A ping, in the kernel's order of columns."""

    device: int
    t: int
    lat: int
    lon: int
    accuracy: int
    cell: int
    delivery: int


def columns(rows: list[Row]) -> tuple[Any, ...]:
    by_name = zip(*rows, strict=True) if rows else [()] * len(KINDS)
    return tuple(np.array(column, kind) for column, kind in zip(by_name, KINDS, strict=True))


@functools.cache
def cell_at(lat: int, lon: int) -> int:
    return int(h3i.latlng_to_cell(lat / 1e5, lon / 1e5, 10))


def point(place: tuple[float, float]) -> tuple[float, float, float]:
    lat, lon = (math.radians(value / 1e5) for value in place)
    return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)


def apart(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Metres by the chord through the sphere."""
    return 2 * RADIUS * math.asin(min(1.0, math.dist(point(a), point(b)) / 2))


def dominant(cells: list[int]) -> int:
    for resolution in range(4, 11):
        parents = [int(h3i.cell_to_parent(cell, resolution)) for cell in cells]
        counts = Counter(parents)
        best = min(counts, key=lambda parent: (-counts[parent], parent))
        cells = [cell for cell, parent in zip(cells, parents, strict=True) if parent == best]
    return cells[0]


def middle(fixes: list[Row]) -> tuple[float, float]:
    turns = [((fix.lon - fixes[0].lon + 18_000_000) % 36_000_000) - 18_000_000 for fix in fixes]
    return sum(fix.lat for fix in fixes) / len(fixes), fixes[0].lon + sum(turns) / len(fixes)


def kept(rows: list[Row], rules: Rules) -> list[Row]:
    """What counts of one device's rows."""
    best = {
        t: min(same, key=lambda r: (r.delivery, r.cell, r[2:]))
        for t, same in itertools.groupby(sorted(rows, key=lambda r: r.t), key=lambda r: r.t)
    }
    fixes = [fix for fix in best.values() if fix.accuracy <= rules.roaming_m]

    def fast(a: Row, b: Row) -> bool:
        return apart(a[2:4], b[2:4]) / (b.t - a.t) > rules.speed_m_s

    found: list[Row] = []
    for fix, ahead in itertools.zip_longest(fixes, fixes[1:]):
        if not (found and ahead and fast(found[-1], fix) and fast(fix, ahead)):
            found.append(fix)
    return found


def pieces(fixes: list[Row], rules: Rules) -> list[tuple[list[Row], int]]:
    """Stays of one device as (fixes, departure), before they are merged."""
    found = []
    while fixes:
        gaps = [i for i in range(1, len(fixes)) if fixes[i].t - fixes[i - 1].t > rules.gap_s]
        left = [i for i in range(1, len(fixes)) if apart(fixes[0][2:4], fixes[i][2:4]) > rules.roaming_m]
        end = min([*gaps, *left], default=len(fixes))
        departure = fixes[end - 1].t
        if rules.departure == "next" and end in left and end not in gaps:
            departure = fixes[end].t
        counts = rules.include_last if end == len(fixes) else end not in gaps or rules.gap == "close"
        if counts and departure - fixes[0].t >= rules.least_s:
            found.append((fixes[:end], departure))
        fixes = fixes[end:]
    return found


def reference(
    rows: list[Row], rules: Rules, excluded: set[int]
) -> tuple[list[tuple[float, ...]], list[tuple[int, ...]]]:
    """Stays and trips as rows."""
    stays: list[tuple[float, ...]] = []
    trips: list[tuple[int, ...]] = []
    for device in sorted({row.device for row in rows} - excluded):
        merged: list[tuple[list[Row], int]] = []
        for fixes, departure in pieces(kept([r for r in rows if r.device == device], rules), rules):
            near = merged and fixes[0].t - merged[-1][1] <= rules.gap_s
            if rules.merge and near and _cell(merged[-1][0]) == _cell(fixes):
                merged[-1] = merged[-1][0] + fixes, departure
            else:
                merged.append((fixes, departure))
        stays += [
            (device, _cell(f), f[0].t, departure, len(f), *(RADIUS * part for part in point(middle(f))))
            for f, departure in merged
        ]
        for (one, left), (other, _) in itertools.pairwise(merged):
            if _cell(one) != _cell(other):
                metres = apart(middle(one), middle(other))
                trips.append((device, _cell(one), _cell(other), left, other[0].t, round(metres)))
    return stays, trips


def _cell(fixes: list[Row]) -> int:
    return dominant([fix.cell for fix in fixes])


CENTRES = [(4_737_000, 854_000), (10, 17_999_990), (8_990_000, 0), (-8_999_900, 9_000_000)]


@st.composite
def worlds(draw: st.DrawFn) -> list[Row]:
    """Rows of few devices that dwell, jitter, jump and vanish around one place."""
    lat, lon = draw(st.sampled_from(CENTRES))
    rows = []
    t = dict.fromkeys((-5, 0, 7), START)
    here = (0, 0)
    for _ in range(draw(st.integers(0, 45))):
        device = draw(st.sampled_from([-5, 0, 0, 0, 7]))
        t[device] += draw(st.sampled_from([0, 1, 60, 300, 300, 600, 1200, 3600, 3601]))
        here = draw(st.sampled_from([here, here, here, (0, 0), (0, 300), (400, 0), (40_000, 3)]))
        jitter = draw(st.sampled_from([0, 7, 60, 131])), draw(st.sampled_from([0, -20, 90, 178]))
        north = lat - here[0] - jitter[0]
        east = (lon + here[1] + jitter[1] + 18_000_000) % 36_000_000 - 18_000_000
        accuracy = draw(st.sampled_from([-1, -1, -1, 10, 150, 151, 2000]))
        cell = cell_at(north, east)
        rows.append(Row(device, t[device], north, east, accuracy, cell, draw(st.integers(1, 2))))
    return draw(st.permutations(rows))


RULES = st.builds(
    Rules,
    roaming_m=st.sampled_from([60, 150, 200]),
    least_s=st.sampled_from([1, 300, 600]),
    gap_s=st.sampled_from([600, 3600]),
    speed_m_s=st.sampled_from([3.0, 70.0, math.inf]),
    gap=st.sampled_from(["close", "drop"]),
    departure=st.sampled_from(["last", "next"]),
    include_last=st.booleans(),
    merge=st.booleans(),
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(rows=worlds(), rules=RULES, excluded=st.sets(st.sampled_from([-5, 1, 7])))
def test_stays_and_trips_are_those_of_the_reference(
    rows: list[Row], rules: Rules, excluded: set[int]
) -> None:
    rows = sorted(rows, key=lambda row: row[:2])  # rows of one fix stay in any order
    found, moved = derive(columns(rows), np.array(sorted(excluded), np.int64), rules)
    stays, trips = reference(rows, rules, excluded)
    rows_found = list(zip(*(column.tolist() for column in found), strict=True))
    assert [row[:5] for row in rows_found] == [row[:5] for row in stays]
    for row, expected in zip(rows_found, stays, strict=True):
        assert row[5:] == pytest.approx(expected[5:], abs=1)
    got = list(zip(*(column.tolist() for column in moved), strict=True))
    assert [row[:5] for row in got] == [row[:5] for row in trips]
    assert [row[5] for row in got] == pytest.approx([row[5] for row in trips], abs=1)


def _walks(devices: int, size: int) -> list[Row]:
    """Devices that dwell at places and move between them, seen at irregular times."""
    rng = np.random.default_rng(11)
    rows: list[Row] = []
    for device in range(devices):
        t, lat, lon = START, 4_737_000, 854_000
        while size * device <= len(rows) < size * (device + 1):
            for _ in range(int(rng.integers(1, 15))):
                t += int(
                    rng.choice([20, 60, 300, 900, 3600, 3601, 9000], p=[0.1, 0.3, 0.3, 0.2, 0.03, 0.03, 0.04])
                )
                near = rng.normal(0, 60, 2).astype(int)
                rows.append(Row(device, t, lat + int(near[0]), lon + int(near[1]), -1, 0, 1))
            lat, lon = lat + int(rng.normal(0, 400)), lon + int(rng.normal(0, 600))
    return [row._replace(cell=cell_at(row.lat, row.lon)) for row in rows]


@pytest.mark.parametrize("include_last", [False, True])
def test_trackintel_finds_the_same_stays(include_last: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what trackintel and its libraries warn of is theirs
        ti = pytest.importorskip(
            "trackintel", reason="trackintel is not installed; it is no dependency: pip install trackintel"
        )
        gpd, pd = (pytest.importorskip(name) for name in ("geopandas", "pandas"))

        rows = _walks(devices=25, size=300)
        frame = pd.DataFrame(rows)
        times = pd.to_datetime(frame.t, unit="s", utc=True)
        places = gpd.points_from_xy(frame.lon / 1e5, frame.lat / 1e5, crs="EPSG:4326")
        fixes = gpd.GeoDataFrame({"user_id": frame.device, "tracked_at": times}, geometry=places)
        _, theirs = ti.Positionfixes(fixes).generate_staypoints(
            method="sliding",
            dist_threshold=TRACKINTEL.roaming_m,
            time_threshold=TRACKINTEL.least_s / 60,
            gap_threshold=TRACKINTEL.gap_s / 60,
            include_last=include_last,
            exclude_duplicate_pfs=False,
        )
        epoch, second = pd.Timestamp(0, tz="UTC"), pd.Timedelta(seconds=1)
        wanted = [
            (user, (began - epoch) // second, (ended - epoch) // second)
            for user, began, ended in zip(theirs.user_id, theirs.started_at, theirs.finished_at, strict=True)
        ]
    found, _ = derive(columns(rows), None, replace(TRACKINTEL, include_last=include_last))
    assert len(wanted) > 300
    assert (
        list(zip(*(c.tolist() for c in (found.device, found.arrival, found.departure)), strict=True))
        == wanted
    )
