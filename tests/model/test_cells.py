"""H3 arithmetic against the H3 library itself."""

from __future__ import annotations

import h3.api.numpy_int as h3i
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passersby.model import cells

PENTAGONS = [int(cell) for cell in h3i.get_pentagons(10)]
PLACES = st.tuples(st.floats(-89.9, 89.9), st.floats(-180, 180))


@given(st.lists(PLACES, min_size=1, max_size=30), st.integers(0, 10))
def test_parents_are_those_of_h3(places: list[tuple[float, float]], resolution: int) -> None:
    fine = np.array([h3i.latlng_to_cell(lat, lon, 10) for lat, lon in places], dtype=np.int64)
    expected = [h3i.cell_to_parent(int(cell), resolution) for cell in fine]
    assert cells.parent(fine, resolution, of=10).tolist() == expected
    assert set(cells.resolution_of(cells.parent(fine, resolution, of=10)).tolist()) == {resolution}


@pytest.mark.parametrize("resolution", range(10))
def test_parents_of_pentagons_and_their_children(resolution: int) -> None:
    around = np.array([int(c) for p in PENTAGONS for c in h3i.grid_disk(p, 2)], dtype=np.int64)
    expected = [h3i.cell_to_parent(int(cell), resolution) for cell in around]
    assert cells.parent(around, resolution, of=10).tolist() == expected


def test_children_and_compact_are_inverse() -> None:
    root = np.array([h3i.latlng_to_cell(47, 8, 5)], dtype=np.int64)
    fine = cells.children(root, 8)
    assert len(fine) == 7**3
    assert cells.compact(fine).tolist() == root.tolist()
    assert cells.compact(fine[1:]).tolist() != root.tolist()


def test_children_of_cells_of_any_resolution_are_those_of_the_library() -> None:
    pentagons = [int(c) for c in h3i.get_pentagons(3)]
    roots = [*pentagons, *(int(c) for r in (2, 4, 6) for c in h3i.grid_disk(h3i.latlng_to_cell(47, 8, r), 1))]
    expected = {int(c) for root in roots for c in h3i.cell_to_children(root, 6)}
    assert cells.children(np.array(roots, dtype=np.int64), 6).tolist() == sorted(expected)
    with pytest.raises(ValueError, match="coarser"):
        cells.children(np.array(roots, dtype=np.int64), 5)


def test_a_pentagon_has_six_children() -> None:
    assert len(cells.children(np.array([h3i.get_pentagons(4)[0]], dtype=np.int64), 5)) == 6


def test_nothing_stays_nothing() -> None:
    empty = np.empty(0, dtype=np.int64)
    assert len(cells.children(empty, 7)) == len(cells.compact(empty)) == 0


def test_names_round_trip() -> None:
    cell = h3i.latlng_to_cell(52.5, 13.4, 7)
    assert cells.from_text(cells.to_text(cell)) == cell
    with pytest.raises(ValueError, match="not an H3 cell"):
        cells.from_text("871f")


def test_a_coarse_cell_has_no_finer_parent() -> None:
    with pytest.raises(ValueError, match="cannot go"):
        cells.parent(np.zeros(1, dtype=np.int64), 8, of=7)


@pytest.mark.parametrize("of", [0, 6, 9])
def test_the_centre_is_that_of_the_library(of: int) -> None:
    places = ((47.4, 8.5), (64.7, 10.5), (-39.0, 0.0))
    some = np.array([int(h3i.latlng_to_cell(lat, lon, of)) for lat, lon in places])
    for resolution in (of, of + 1, 15):
        wanted = [int(h3i.cell_to_center_child(int(cell), resolution)) for cell in some]
        assert cells.centre(some, resolution, of=of).tolist() == wanted
