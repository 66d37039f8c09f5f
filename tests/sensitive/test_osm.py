"""Places from OpenStreetMap extracts: tags, geometry of each kind, and files that are no extracts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import osmium
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from osmium.osm import Node, mutable

from passersby.errors import BadRecord, UnreadableFile, UsageError
from passersby.sensitive import osm
from passersby.sensitive.places import Places

CORNERS = [(8.0, 47.0), (8.01, 47.0), (8.01, 47.01), (8.0, 47.01)]
HOLE = [(8.004, 47.004), (8.006, 47.004), (8.006, 47.006), (8.004, 47.006)]


def extract(
    path: Path,
    *,
    nodes: dict[int, tuple[tuple[float, float], dict[str, str]]],
    ways: dict[int, tuple[list[int], dict[str, str]]] | None = None,
    relations: dict[int, tuple[list[tuple[str, int, str]], dict[str, str]]] | None = None,
) -> Path:
    with osmium.SimpleWriter(str(path), overwrite=True) as out:
        for number, (location, tags) in nodes.items():
            out.add_node(mutable.Node(id=number, location=location, tags=tags))
        for number, (refs, tags) in (ways or {}).items():
            out.add_way(mutable.Way(id=number, nodes=refs, tags=tags))
        for number, (members, tags) in (relations or {}).items():
            out.add_relation(mutable.Relation(id=number, members=members, tags=tags))
    return path


def corners(points: list[tuple[float, float]], first: int) -> dict[int, Any]:
    return {first + i: (point, {}) for i, point in enumerate(points)}


def outline(places: Places, row: int) -> list[list[float]]:
    part = places.edges[places.first[row] : places.first[row + 1]]
    found: list[list[float]] = np.round(part, 6).tolist()
    return found


def area_of(places: Places) -> float:
    """Return the area of all polygons together, in square degrees."""
    found = [
        shapely.Polygon(places.edges[places.first[i] : places.first[i + 1], :2])
        for i in range(len(places))
        if places.solid[i]
    ]
    return float(shapely.union_all(found).area)


def test_a_node_is_a_point_a_closed_way_a_polygon_an_open_one_a_line(tmp_path: Path) -> None:
    path = extract(
        tmp_path / "x.osm.pbf",
        nodes={
            1: ((8.5, 47.5), {"amenity": "hospital", "name": "A"}),
            2: ((8.6, 47.5), {"amenity": "cafe"}),
            **corners(CORNERS, 10),
        },
        ways={
            5: ([10, 11, 12, 13, 10], {"amenity": "school"}),
            6: ([10, 11, 12], {"barrier": "border_control", "landuse": "military"}),
        },
    )
    places = osm.read(path)
    assert places.categories == ("medical", "schools", "military-police")
    assert (places.names[0], places.solid.tolist()) == ("A", [False, True, False])
    assert outline(places, 0) == [[8.5, 47.5, 8.5, 47.5]]
    assert len(outline(places, 1)) == 4
    assert outline(places, 2) == [[8.0, 47.0, 8.01, 47.0], [8.01, 47.0, 8.01, 47.01]]


def test_a_relation_is_what_its_ways_enclose_holes_included(tmp_path: Path) -> None:
    path = extract(
        tmp_path / "x.osm.pbf",
        nodes={**corners(CORNERS, 10), **corners(HOLE, 20)},
        ways={
            5: ([10, 11, 12], {}),
            6: ([12, 13, 10], {}),
            7: ([20, 21, 22, 23, 20], {}),
        },
        relations={
            9: (
                [("w", 5, "outer"), ("w", 6, "outer"), ("w", 7, "inner")],
                {"type": "multipolygon", "amenity": "prison"},
            )
        },
    )
    places = osm.read(path)
    assert set(places.categories) == {"correctional"}
    assert area_of(places) == pytest.approx(1e-4)


def test_of_a_relation_that_the_extract_cuts_the_ways_are_lines(tmp_path: Path) -> None:
    path = extract(
        tmp_path / "x.osm.pbf",
        nodes={**corners(CORNERS, 10), 30: ((8.2, 47.2), {})},
        ways={5: ([10, 11, 12], {}), 6: ([12, 13, 99], {})},
        relations={
            9: ([("w", 5, "outer"), ("w", 6, ""), ("w", 77, ""), ("n", 30, "label")], {"amenity": "hospital"})
        },
    )
    places = osm.read(path)
    assert not places.solid.any()
    assert sorted({(x, y) for x, y, _, _ in places.edges.round(6).tolist()}) == [
        (8.0, 47.0),
        (8.01, 47.0),
        (8.01, 47.01),
        (8.2, 47.2),
    ]


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ({"healthcare:speciality": "oncology; abortion"}, ["reproductive-health", "medical"]),
        ({"social_facility": "shelter"}, ["welfare"]),
        ({"social_facility": "shelter", "social_facility:for": "woman;homeless"}, ["shelters", "welfare"]),
        ({"military": "barracks"}, ["military-police"]),
        ({"military": "no"}, []),
        ({"healthcare": "midwife"}, ["reproductive-health", "medical"]),
        ({"shop": "cannabis", "amenity": "courthouse"}, []),
        ({"lgbtq": "welcome", "amenity": "bar"}, []),
    ],
)
def test_tags_name_categories(tags: dict[str, str], found: list[str]) -> None:
    assert osm.categories_of(tags, osm.chosen(())) == found


def test_categories_can_be_chosen(tmp_path: Path) -> None:
    path = extract(
        tmp_path / "x.osm.pbf",
        nodes={
            1: ((8.5, 47.5), {"amenity": "courthouse"}),
            2: ((8.6, 47.5), {"amenity": "hospital"}),
        },
    )
    assert osm.read(path).categories == ("medical",)
    assert osm.read(path, ["government"]).categories == ("government",)
    with pytest.raises(BadRecord, match="no place"):
        osm.read(path, ["unions"])
    with pytest.raises(UsageError, match="no category"):
        osm.read(path, ["hospitals"])


@given(data=st.binary(max_size=200), cut=st.integers(0, 400))
@settings(max_examples=30)
def test_a_damaged_extract_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, cut: int
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "x.osm.pbf"
    extract(path, nodes={1: ((8.5, 47.5), {"amenity": "hospital"})})
    whole = path.read_bytes()
    path.write_bytes(whole[: min(cut, len(whole) - 1)] + data)
    if osm.is_pbf(path):
        with pytest.raises((UnreadableFile, BadRecord)):
            osm.read(path)


@pytest.mark.slow
def test_helsinki(real_data: Path) -> None:
    """Every object that has a tag of the table lies in a place of the list."""
    path = real_data / "osm_helsinki" / "Helsinki.osm.pbf"
    places = osm.read(path)
    assert len(places) >= 30
    assert {"religious", "medical", "schools"} <= set(places.categories)
    known = {tuple(point) for point in places.edges[:, :2].round(7).tolist()}
    seen = 0
    for node in osmium.FileProcessor(str(path), osmium.osm.NODE):
        if isinstance(node, Node) and osm.categories_of(dict(node.tags), osm.chosen(())):
            seen += 1
            assert (round(node.lon, 7), round(node.lat, 7)) in known
    assert seen > 10
