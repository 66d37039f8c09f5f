"""Zones as cells: each centre in one zone, borders counted, what is wrong said."""

from __future__ import annotations

import h3.api.numpy_int as h3i
import numpy as np
import pytest
from shapely.geometry import MultiPolygon, Point, Polygon, box

from passersby.errors import BadRecord, UsageError
from passersby.model.zones import ALL, MOST_CELLS, Zones

WEST, EAST = box(8.0, 47.0, 8.5, 47.4), box(8.5, 47.0, 9.0, 47.4)


def test_a_cell_belongs_to_the_zone_of_its_centre() -> None:
    zones = Zones.from_shapes({"west": WEST, "east": EAST}, finest=7)
    assert zones.names == ("east", "west")
    assert zones.resolution == 7
    for name, cells in zip(zones.names, zones.cells, strict=True):
        shape = {"west": WEST, "east": EAST}[name]
        centres = [h3i.cell_to_latlng(cell) for cell in cells]
        assert all(shape.contains(Point(lon, lat)) for lat, lon in centres)
    everything = Zones.from_shapes({"both": WEST.union(EAST)}, finest=7)
    assert sorted(sum(zones.cells, ())) == list(everything.cells[0])


def test_found_by_cell() -> None:
    zones = Zones.from_shapes({"west": WEST, "east": EAST}, finest=7)
    outside = h3i.latlng_to_cell(46.0, 8.2, 7)
    cells = np.array([zones.cells[1][0], outside, zones.cells[0][-1]], dtype=np.int64)
    zone, inside = zones.find(cells)
    assert inside.tolist() == [True, False, True]
    assert [zones.names[zone[i]] for i in (0, 2)] == ["west", "east"]


def test_the_border_is_the_share_of_cells_that_it_crosses() -> None:
    zones = Zones.from_shapes({"west": WEST}, finest=7)
    outlines = [Polygon([(lon, lat) for lat, lon in h3i.cell_to_boundary(c)]) for c in zones.cells[0]]
    crossed = sum(not WEST.contains_properly(outline) for outline in outlines)
    assert 0 < crossed < len(outlines)
    assert zones.border == (crossed / len(outlines),)
    finer = Zones.from_shapes({"west": WEST}, finest=8)
    assert finer.border[0] < zones.border[0]


def test_large_zones_are_held_in_coarser_cells() -> None:
    zones = Zones.from_shapes({"country": box(6.0, 45.8, 10.5, 47.8)})
    assert zones.resolution == 8
    assert len(zones.cells[0]) <= MOST_CELLS * 1.1


def test_parts_and_holes() -> None:
    holed = Polygon(box(8, 47, 9, 47.5).exterior.coords, [box(8.4, 47.2, 8.6, 47.3).exterior.coords])
    zones = Zones.from_shapes({"all": MultiPolygon([holed, box(10, 47, 10.2, 47.2)])}, finest=8)
    cells = set(zones.cells[0])
    assert int(h3i.latlng_to_cell(47.1, 10.1, 8)) in cells
    assert int(h3i.latlng_to_cell(47.25, 8.5, 8)) not in cells


def test_the_canonical_form_is_compacted_and_tells_zones_apart() -> None:
    one = Zones.from_shapes({"a": WEST, "b": EAST}, finest=7)
    other = Zones.from_shapes({"a": EAST, "b": WEST}, finest=7)
    assert one.sha256 != other.sha256
    assert one.sha256 == Zones.from_shapes({"b": EAST, "a": WEST}, finest=7).sha256
    assert sum(map(len, one.canonical().values())) < sum(map(len, one.cells))
    assert one.area == other.area


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"a": WEST, "b": box(8.3, 47.1, 8.7, 47.2)}, "overlap"),
        ({"a": Point(8, 47)}, "not a valid polygon"),
        ({"a": Polygon([(8, 47), (9, 48), (9, 47), (8, 48)])}, "not a valid polygon"),
        ({" ": WEST}, "no proper name"),
        ({ALL: WEST}, "no proper name"),
    ],
)
def test_bad_zones_are_said(shapes: dict[str, Polygon], words: str) -> None:
    with pytest.raises(BadRecord, match=words):
        Zones.from_shapes(shapes, finest=7)


def test_no_zones_and_too_small_ones() -> None:
    with pytest.raises(UsageError, match="0 zones"):
        Zones.from_shapes({})
    with pytest.raises(UsageError, match="too small"):
        Zones.from_shapes({"dot": Point(8.01, 47.01).buffer(1e-6)})
