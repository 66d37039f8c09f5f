"""No ping within the buffer passes, wherever it lies, and none far outside is lost."""

from __future__ import annotations

from pathlib import Path

import h3.api.numpy_int as h3i
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from passersby.errors import BadRecord
from passersby.sensitive.cover import MAX_ACCURACY_M, Cover, pairs
from passersby.sensitive.places import Places, read

EARTH_M = 6_371_008.8


def distance_m(
    lon: float, lat: float, lons: NDArray[np.float64], lats: NDArray[np.float64]
) -> NDArray[np.float64]:
    a, b, c, d = np.radians(lon), np.radians(lat), np.radians(lons), np.radians(lats)
    h = np.sin((d - b) / 2) ** 2 + np.cos(b) * np.cos(d) * np.sin((c - a) / 2) ** 2
    return np.asarray(2 * EARTH_M * np.arcsin(np.sqrt(h)))


def points(*lonlat: tuple[float, float]) -> Places:
    return Places.of(("", "x", False, np.array([[lon, lat, lon, lat]])) for lon, lat in lonlat)


def polygon(ring: NDArray[np.float64]) -> Places:
    return Places.of([("", "x", True, np.hstack([ring, np.roll(ring, -1, axis=0)]))])


def cover_of(places: Places, buffer_m: int = 100) -> Cover:
    return Cover([(places, pairs(places, buffer_m))], buffer_m)


def hits(
    cover: Cover, lons: NDArray[np.float64], lats: NDArray[np.float64], accuracy: NDArray[np.int32]
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Return the cover's verdicts and the positions as they are stored."""
    lon_e5, lat_e5 = np.round(lons * 1e5).astype(np.int32), np.round(lats * 1e5).astype(np.int32)
    cells = np.array([h3i.latlng_to_cell(y / 1e5, x / 1e5, 10) for x, y in zip(lon_e5, lat_e5, strict=True)])
    t = np.zeros(len(cells), dtype=np.int32)
    return cover.hits(lat_e5, lon_e5, cells.astype(np.int64), accuracy, t), lon_e5 / 1e5, lat_e5 / 1e5


def around(
    rng: np.random.Generator, lon: float, lat: float, metres: float, n: int
) -> tuple[NDArray[np.float64], ...]:
    away, angle = metres * np.sqrt(rng.random(n)), rng.uniform(0, 2 * np.pi, n)
    degree = EARTH_M * np.pi / 180
    lats = lat + away * np.sin(angle) / degree
    lons = lon + away * np.cos(angle) / (degree * np.cos(np.radians(lat)))
    return (lons + 180) % 360 - 180, lats


@given(
    lon=st.floats(-180, 180),
    lat=st.floats(-84, 84),
    buffer_m=st.sampled_from([25, 100, 533, 2000]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=40)
def test_every_ping_within_the_buffer_of_a_point_is_hit_and_no_far_one(
    lon: float, lat: float, buffer_m: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    cover = cover_of(points((lon, lat)), buffer_m)
    accuracy = rng.choice(np.array([-1, 0, 1, 99, 100, 101, 500, 501, 1999, 2000, 9000], dtype=np.int32), 400)
    lons, lats = around(rng, lon, lat, 1.3 * (buffer_m + 400), 400)
    found, lons, lats = hits(cover, lons, lats, accuracy)
    reach = buffer_m + np.clip(accuracy, 0, MAX_ACCURACY_M)
    away = distance_m(lon, lat, lons, lats)
    assert found[away <= reach].all()
    assert not found[away > reach * 1.02 + 3].any()


@given(
    lat=st.floats(-70, 70),
    size=st.sampled_from([15.0, 80.0, 400.0, 3000.0]),
    corners=st.integers(3, 9),
    buffer_m=st.sampled_from([25, 100]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=40)
def test_every_ping_in_or_near_a_polygon_is_hit_and_no_far_one(
    lat: float, size: float, corners: int, buffer_m: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    degree = EARTH_M * np.pi / 180
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radius = size * rng.uniform(0.3, 1, corners)
    plane = np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)
    scale = np.array([degree * np.cos(np.radians(lat)), degree])
    lons, lats = around(rng, 10.0, lat, size + 4 * buffer_m, 400)
    cover = cover_of(polygon(plane / scale + np.array([10.0, lat])), buffer_m)
    found, lons, lats = hits(cover, lons, lats, np.full(400, -1, dtype=np.int32))
    shape = shapely.Polygon(plane)
    if not shape.is_valid:
        return
    away = shapely.distance(
        shape, shapely.points((np.stack([lons, lats], axis=1) - np.array([10.0, lat])) * scale)
    )
    assert found[away <= buffer_m * 0.995].all()
    assert not found[away > buffer_m * 1.02 + 3 + size * 0.002].any()


def test_the_hole_of_a_polygon_is_free_beyond_the_buffer() -> None:
    outer = np.array([[8.0, 47.0], [8.1, 47.0], [8.1, 47.1], [8.0, 47.1]])
    inner = np.array([[8.04, 47.04], [8.06, 47.04], [8.06, 47.06], [8.04, 47.06]])
    edges = np.concatenate([np.hstack([ring, np.roll(ring, -1, axis=0)]) for ring in (outer, inner)])
    cover = cover_of(Places.of([("", "x", True, edges)]))
    lons, lats = np.array([8.05, 8.0405, 8.02, 8.2]), np.array([47.05, 47.05, 47.02, 47.05])
    found, _, _ = hits(cover, lons, lats, np.zeros(4, dtype=np.int32))
    assert found.tolist() == [False, True, True, False]


def test_pings_next_to_the_edges_of_cells_are_tested_from_both_sides() -> None:
    cell = h3i.latlng_to_cell(47.0, 8.0, 10)
    for lat, lon in h3i.cell_to_boundary(int(cell)):
        cover = cover_of(points((lon, lat)), 25)
        lons, lats = around(np.random.default_rng(3), lon, lat, 24.0, 200)
        found, _, _ = hits(cover, lons, lats, np.zeros(200, dtype=np.int32))
        assert found.all()


def test_a_pentagon_is_covered() -> None:
    pentagon = min(int(c) for c in h3i.get_pentagons(10))
    lat, lon = h3i.cell_to_latlng(pentagon)
    lons, lats = around(np.random.default_rng(4), lon, lat, 99.0, 300)
    found, _, _ = hits(cover_of(points((lon, lat))), lons, lats, np.zeros(300, dtype=np.int32))
    assert found.all()


def test_places_on_the_antimeridian_and_at_the_pole_are_covered() -> None:
    cover = cover_of(points((179.9999, 10.0), (20.0, 89.9)))
    lons, lats = np.array([-179.9999, 179.9995, 20.0]), np.array([10.0, 10.0, 89.9])
    found, _, _ = hits(cover, lons, lats, np.zeros(3, dtype=np.int32))
    assert found.all()


def test_a_vague_ping_is_suppressed_further_out() -> None:
    cover = cover_of(points((8.0, 47.0)))
    lons, lats = around(np.random.default_rng(5), 8.0, 47.0, 1.0, 1)
    lats = lats + 500 / (EARTH_M * np.pi / 180)
    sharp, _, _ = hits(cover, lons, lats, np.array([30], dtype=np.int32))
    vague, _, _ = hits(cover, lons, lats, np.array([450], dtype=np.int32))
    assert (sharp.tolist(), vague.tolist()) == ([False], [True])


def test_several_lists_work_as_one() -> None:
    near, far = points((8.0, 47.0)), points((9.0, 47.0), (10.0, 47.0))
    cover = Cover([(near, pairs(near, 100)), (far, pairs(far, 100))], 100)
    lons = np.array([8.0, 9.0, 10.0, 11.0])
    found, _, _ = hits(cover, lons, np.full(4, 47.0), np.zeros(4, dtype=np.int32))
    assert found.tolist() == [True, True, True, False]
    assert len(cover.cells()) > 30


def test_without_a_list_nothing_is_hit() -> None:
    found, _, _ = hits(Cover([], 100), np.array([8.0]), np.array([47.0]), np.zeros(1, dtype=np.int32))
    assert not found.any()


def test_a_polygon_of_a_whole_country_is_refused() -> None:
    ring = np.array([[6.0, 45.0], [12.0, 45.0], [12.0, 49.0], [6.0, 49.0]])
    with pytest.raises(BadRecord, match=r"Polygon 1 .* km2"):
        pairs(polygon(ring), 100)


@pytest.mark.slow
def test_the_facilities_of_san_francisco(real_data: Path) -> None:
    places = read(real_data / "sf_health" / "sf_health_facilities.csv")
    cover = cover_of(places)
    rng = np.random.default_rng(6)
    lons, lats = rng.uniform(-122.52, -122.36, 100_000), rng.uniform(37.7, 37.82, 100_000)
    found, lons, lats = hits(cover, lons, lats, np.zeros(100_000, dtype=np.int32))
    away = np.min([distance_m(x, y, lons, lats) for x, y, _, _ in places.edges], axis=0)
    assert len(places) == 78
    assert found[away <= 100].all()
    assert not found[away > 105].any()
