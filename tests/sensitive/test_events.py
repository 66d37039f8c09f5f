"""Events: places that are sensitive between two dates only, in the deployment's offset."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import h3.api.numpy_int as h3i
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passersby.errors import BadRecord
from passersby.sensitive.cover import Cover, pairs
from passersby.sensitive.places import Place, Places, read, stored

SQUARE = [[8.0, 47.0], [8.02, 47.0], [8.02, 47.02], [8.0, 47.02], [8.0, 47.0]]


def event(tmp_path: Path, **dates: Any) -> Path:
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [SQUARE]},
        "properties": {"category": "gathering", **dates},
    }
    path = tmp_path / "event.geojson"
    path.write_text(json.dumps(feature))
    return path


def at(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp())


def hit(cover: Cover, t: int, lon: float = 8.01, lat: float = 47.01) -> bool:
    cell = np.array([h3i.latlng_to_cell(lat, lon, 10)], dtype=np.int64)
    lat_e5, lon_e5 = (np.array([round(v * 1e5)], dtype=np.int32) for v in (lat, lon))
    zero = np.zeros(1, dtype=np.int32)
    return bool(cover.hits(lat_e5, lon_e5, cell, zero, np.array([t], dtype=np.int32))[0])


def cover_of(places: Places) -> Cover:
    return Cover([(places, pairs(places, 100))], 100)


@pytest.mark.parametrize(
    ("dates", "first", "last"),
    [
        (("2026-05-12", "2026-05-13"), "2026-05-12T00:00+02:00", "2026-05-13T23:59:59+02:00"),
        (("2026-05-12T14:00", "2026-05-12T18:30"), "2026-05-12T14:00+02:00", "2026-05-12T18:29:59+02:00"),
        (("2026-05-12T14:00+00:00", "2026-05-12T18:30Z"), "2026-05-12T14:00Z", "2026-05-12T18:29:59Z"),
    ],
)
def test_an_event_is_sensitive_from_its_first_to_its_last_instant(
    tmp_path: Path, dates: tuple[str, str], first: str, last: str
) -> None:
    places = read(event(tmp_path, **{"from": dates[0], "until": dates[1]}), offset=7200)
    cover = cover_of(places)
    assert [hit(cover, at(first) + s) for s in (-1, 0)] == [False, True]
    assert [hit(cover, at(last) + s) for s in (0, 1)] == [True, False]
    assert not hit(cover, at(first), lon=8.1)


@pytest.mark.parametrize(
    "dates",
    [
        {"from": "2026-05-12"},
        {"until": "2026-05-12"},
        {"from": "2026-05-12", "until": "2026-05-11"},
        {"from": "soon", "until": "later"},
        {"from": 5, "until": 6},
        {"from": "2026-05-12T10:00", "until": "2026-05-12T10:00"},
    ],
)
def test_dates_that_make_no_sense_stop_the_load(tmp_path: Path, dates: dict[str, Any]) -> None:
    with pytest.raises(BadRecord, match="no valid dates"):
        read(event(tmp_path, **dates))


def test_a_csv_has_dates_too(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(
        "lat,lon,category,from,until\n47.01,8.01,clinic,,\n47.5,8.5,protest,2026-05-12,2026-05-12\n"
    )
    places = read(path, offset=0)
    cover = cover_of(places)
    noon = at("2026-05-12T12:00Z")
    assert hit(cover, 0)
    assert [hit(cover, t, 8.5, 47.5) for t in (0, noon)] == [False, True]
    path.write_text("lat,lon,category,from,until\n47.01,8.01,clinic,2026-05-12,\n")
    with pytest.raises(BadRecord, match="Line 2"):
        read(path)


windows = st.tuples(st.integers(0, 50), st.integers(1, 50)).map(lambda p: (p[0], p[0] + p[1]))


@pytest.mark.slow
@given(st.lists(windows, min_size=1, max_size=6), st.booleans())
def test_events_and_lasting_places_over_one_another_are_their_union(
    tmp_path_factory: pytest.TempPathFactory, spans: list[tuple[int, int]], lasting: bool
) -> None:
    ring = np.array(SQUARE[:-1])
    edges = np.hstack([ring, np.roll(ring, -1, axis=0)])
    rows = [Place("", "x", True, edges, *span) for span in spans]
    if lasting:
        rows.append(Place("", "y", False, np.array([[8.5, 47.5, 8.5, 47.5]])))
    path = tmp_path_factory.mktemp("events") / "places.parquet"
    pq.write_table(Places.of(rows).to_table(), path)
    cover = cover_of(stored(path))
    for t in range(0, 101, 7):
        assert hit(cover, t) == any(a <= t < b for a, b in spans)
        assert hit(cover, t, 8.5, 47.5) == lasting
