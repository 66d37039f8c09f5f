"""Areas from boxes, polygons and cells."""

from __future__ import annotations

import json

import h3.api.numpy_int as h3i
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passersby.errors import BadRecord, UsageError
from passersby.model.place import Area, parse_area, parse_geojson

ZURICH = Area.from_bbox(8.3, 47.2, 8.8, 47.6, 7)


def test_a_box_holds_the_cells_whose_centre_is_inside() -> None:
    for cell in ZURICH.at(7):
        lat, lon = h3i.cell_to_latlng(int(cell))
        assert 47.2 <= lat <= 47.6
        assert 8.3 <= lon <= 8.8


def test_equal_areas_are_equal_values() -> None:
    assert Area.from_cells(ZURICH.at(7)[::-1].copy()) == ZURICH
    assert hash(Area.from_cells(ZURICH.at(7))) == hash(ZURICH)


def test_containment_is_by_index() -> None:
    inner = Area.from_bbox(8.4, 47.3, 8.6, 47.5, 7)
    assert ZURICH.contains(inner)
    assert not inner.contains(ZURICH)
    assert ZURICH.contains(ZURICH)
    assert not ZURICH.contains(Area.from_bbox(9.5, 47.2, 9.9, 47.5, 7))


@given(st.sets(st.sampled_from([int(c) for c in ZURICH.at(7)]), min_size=1))
def test_an_area_contains_exactly_its_cells(chosen: set[int]) -> None:
    area = Area.from_cells(np.array(sorted(chosen), dtype=np.int64))
    assert set(area.at(7).tolist()) == chosen
    assert ZURICH.contains(area)


def test_names_round_trip() -> None:
    assert Area.from_names(ZURICH.names()) == ZURICH
    with pytest.raises(UsageError):
        Area.from_names(["zurich"])


@pytest.mark.parametrize(
    "text", ["8.8,47.2,8.3,47.6", "8.3,47.2,8.8", "a,b,c,d", "8.3,47.2,8.8,nan", "170,0,190,1", "1,1,1,1"]
)
def test_what_is_no_area_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_area(text, 7)


def test_text_may_be_a_box_or_cells() -> None:
    assert parse_area("8.3,47.2,8.8,47.6", 7) == ZURICH
    assert parse_area(",".join(ZURICH.names()), 7) == ZURICH


def test_geojson_in_every_shape_it_comes_in() -> None:
    ring = [[8.3, 47.2], [8.8, 47.2], [8.8, 47.6], [8.3, 47.6], [8.3, 47.2]]
    polygon = {"type": "Polygon", "coordinates": [ring]}
    feature = {"type": "Feature", "geometry": polygon, "properties": {}}
    for document in (
        polygon,
        {"type": "MultiPolygon", "coordinates": [[ring]]},
        feature,
        {"type": "FeatureCollection", "features": [feature]},
        {"type": "GeometryCollection", "geometries": [polygon]},
    ):
        assert parse_geojson(json.dumps(document), 7) == ZURICH


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        '{"type": "Point", "coordinates": [8, 47]}',
        '{"type": "Polygon", "coordinates": [[["a", "b"]]]}',
    ],
)
def test_geojson_without_valid_polygons_is_refused(text: str) -> None:
    with pytest.raises(BadRecord):
        parse_geojson(text, 7)


def test_a_hole_is_left_out() -> None:
    outer = [[8.3, 47.2], [8.8, 47.2], [8.8, 47.6], [8.3, 47.6], [8.3, 47.2]]
    hole = [[8.4, 47.3], [8.6, 47.3], [8.6, 47.5], [8.4, 47.5], [8.4, 47.3]]
    area = parse_geojson(json.dumps({"type": "Polygon", "coordinates": [outer, hole]}), 7)
    assert 0 < len(area.at(7)) < len(ZURICH.at(7))


def test_an_empty_area_is_refused() -> None:
    with pytest.raises(UsageError, match="no cell"):
        Area.from_bbox(8.3, 47.2, 8.3001, 47.2001, 5)


def test_a_cell_finer_than_the_question_is_refused() -> None:
    with pytest.raises(UsageError, match="finer"):
        ZURICH.at(6)


def test_too_many_cells_are_refused() -> None:
    with pytest.raises(UsageError, match="coarser"):
        Area.from_names([f"{h3i.latlng_to_cell(47, 8, 0):x}"]).at(8)
