"""Lists of places: GeoJSON and CSV, good and bad."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from passersby.errors import BadRecord, UnreadableFile, WrongSchema
from passersby.sensitive.places import Places, merge, read, stored


def geojson(tmp_path: Path, *features: Any) -> Path:
    path = tmp_path / "list.bin"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return path


def feature(geometry: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": {"category": "clinic", **properties}}


def point(lon: float, lat: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [lon, lat]}


SQUARE = [[8.0, 47.0], [8.01, 47.0], [8.01, 47.01], [8.0, 47.01], [8.0, 47.0]]
HOLE = [[8.004, 47.004], [8.006, 47.004], [8.006, 47.006], [8.004, 47.006], [8.004, 47.004]]


def test_points_and_polygons_become_edges(tmp_path: Path) -> None:
    polygon = {"type": "Polygon", "coordinates": [SQUARE, HOLE]}
    places = read(geojson(tmp_path, feature(point(8.5, 47.5), name="A"), feature(polygon, name="B")))
    assert places.names == ("A", "B")
    assert places.categories == ("clinic", "clinic")
    assert places.solid.tolist() == [False, True]
    assert places.first.tolist() == [0, 1, 9]
    assert places.edges[0].tolist() == [8.5, 47.5, 8.5, 47.5]


def test_each_part_of_a_multipolygon_is_a_place_of_its_own(tmp_path: Path) -> None:
    moved = [[lon + 0.1, lat] for lon, lat in SQUARE]
    places = read(geojson(tmp_path, feature({"type": "MultiPolygon", "coordinates": [[SQUARE], [moved]]})))
    assert places.solid.tolist() == [True, True]


def test_a_single_feature_is_a_list(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(feature(point(1, 2))))
    assert len(read(path)) == 1


def test_a_ring_that_crosses_itself_covers_both_loops(tmp_path: Path) -> None:
    bowtie = [[8.0, 47.0], [8.01, 47.01], [8.01, 47.0], [8.0, 47.01], [8.0, 47.0]]
    places = read(geojson(tmp_path, feature({"type": "Polygon", "coordinates": [bowtie]})))
    assert places.solid.all()
    assert len(places) == 2


def test_overlapping_polygons_stay_covered_where_they_overlap(tmp_path: Path) -> None:
    moved = [[lon + 0.005, lat] for lon, lat in SQUARE]
    places = read(geojson(tmp_path, feature({"type": "MultiPolygon", "coordinates": [[SQUARE], [moved]]})))
    xs = places.edges[:, [0, 2]]
    assert len(places) == 1
    assert xs.min() == 8.0
    assert xs.max() == pytest.approx(8.015)


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": [181, 0]},
        {"type": "Point", "coordinates": [0, 90.5]},
        {"type": "Point", "coordinates": []},
        {"type": "Point", "coordinates": ["a", "b"]},
        {"type": "Point"},
        {"type": "LineString", "coordinates": [[0, 0], [1, 1]]},
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
        None,
        "Point",
    ],
)
def test_a_geometry_that_is_none_is_named_by_its_number(tmp_path: Path, geometry: Any) -> None:
    with pytest.raises(BadRecord, match="Place 2 of the list"):
        read(geojson(tmp_path, feature(point(1, 2)), feature(geometry)))


@pytest.mark.parametrize("properties", [[1], "clinic", 5])
def test_properties_that_are_none_are_named_by_their_number(tmp_path: Path, properties: Any) -> None:
    with pytest.raises(BadRecord, match="Place 1 of the list"):
        read(geojson(tmp_path, {**feature(point(1, 2)), "properties": properties}))


def test_nan_is_no_coordinate(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text(
        '{"type":"Feature","properties":{"category":"a"},"geometry":{"type":"Point","coordinates":[NaN,1]}}'
    )
    with pytest.raises(BadRecord, match="Place 1"):
        read(path)


def test_a_place_without_a_category_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRecord, match="Place 1 of the list has no category"):
        read(geojson(tmp_path, {**feature(point(1, 2)), "properties": {"name": "x"}}))


def test_an_empty_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRecord, match="holds no place"):
        read(geojson(tmp_path))


@pytest.mark.parametrize("depth", [1, 100_000])
def test_broken_json_is_refused(tmp_path: Path, depth: int) -> None:
    path = tmp_path / "list"
    path.write_text('{"type": "FeatureCollection", "features": ' + "[" * depth)
    with pytest.raises(BadRecord, match="not valid JSON"):
        read(path)


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile):
        read(tmp_path / "nothing")


def test_a_binary_file_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(UnreadableFile):
        read(path)


@pytest.mark.parametrize(
    "header", ["lat,lon,name,category", "Latitude,Longitude,name,type", "lat,lng,name,facility_type"]
)
def test_csv_columns_have_several_names(tmp_path: Path, header: str) -> None:
    path = tmp_path / "list"
    path.write_text(f"{header}\n47.5,8.5,A,clinic\n", encoding="utf-8-sig")
    places = read(path)
    assert places.edges.tolist() == [[8.5, 47.5, 8.5, 47.5]]
    assert places.names == ("A",)


@pytest.mark.parametrize(
    "row", ["91,8,A,clinic", "47,181,A,clinic", ",8,A,clinic", "x,8,A,clinic", "47,8,A,", "nan,8,A,c"]
)
def test_a_bad_line_of_a_csv_is_named(tmp_path: Path, row: str) -> None:
    path = tmp_path / "list"
    path.write_text(f"lat,lon,name,category\n47,8,A,clinic\n{row}\n")
    with pytest.raises(BadRecord, match="Line 3"):
        read(path)


def test_a_csv_without_categories_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("lat,lon,name\n47,8,A\n")
    with pytest.raises(WrongSchema, match="category"):
        read(path)


def test_places_survive_parquet(tmp_path: Path) -> None:
    polygon = {"type": "Polygon", "coordinates": [SQUARE, HOLE]}
    places = read(geojson(tmp_path, feature(polygon, name="Ä"), feature(point(1, 2))))
    pq.write_table(places.to_table(), tmp_path / "p.parquet")
    again = stored(tmp_path / "p.parquet")
    assert again.names == places.names
    assert np.array_equal(again.edges, places.edges)
    assert np.array_equal(again.first, places.first)
    assert np.array_equal(again.solid, places.solid)


def test_merging_keeps_every_place() -> None:
    one = Places.of([("a", "x", False, np.zeros((1, 4)))])
    two = Places.of([("b", "y", True, np.ones((3, 4)))])
    both = merge([one, two])
    assert both.names == ("a", "b")
    assert both.first.tolist() == [0, 1, 4]
    assert len(merge([])) == 0
