"""A census table: what is read, and what is not."""

from __future__ import annotations

import h3.api.numpy_int as h3i
import pytest

from passersby.errors import BadRecord
from passersby.model.census import Census

CELLS = [f"{int(cell):x}" for cell in sorted(h3i.cell_to_children(h3i.latlng_to_cell(47.4, 8.5, 4), 5))]
FINE = f"{int(h3i.latlng_to_cell(47.4, 8.5, 7)):x}"


def test_cells_and_people() -> None:
    census = Census.parse(f"cell,population\n{CELLS[1]},0\n {CELLS[0]} , 12\n\n")
    assert census.people == ((CELLS[0], 12), (CELLS[1], 0))
    assert census.resolution == 5
    assert census.total == 12


def test_zones_may_have_commas_in_their_names() -> None:
    census = Census.parse('\ufeffzone,population\n"Bern, town",7\n')
    assert census.people == (("Bern, town", 7),)
    assert census.resolution is None


def test_the_hash_is_of_what_it_says_and_not_of_the_file() -> None:
    one = Census.parse(f"cell,population\n{CELLS[0]},1\n{CELLS[1]},2\n")
    same = Census.parse(f"cell,population\r\n{CELLS[1].upper()},2\r\n{CELLS[0]},01\r\n")
    assert one.sha256 == same.sha256
    assert one.sha256 != Census.parse(f"cell,population\n{CELLS[0]},1\n{CELLS[1]},3\n").sha256
    assert Census.parse("zone,population\na,1\n").sha256 != Census.parse("zone,population\nb,1\n").sha256


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "other columns"),
        ("cell,people\n", "other columns"),
        ("cell,population\n", "no row"),
        (f"cell,population\n{CELLS[0]},-1\n", "Line 2 .* no whole number"),
        (f"cell,population\n{CELLS[0]},NaN\n", "Line 2 .* no whole number"),
        (f"cell,population\n{CELLS[0]},\n", "Line 2 .* no whole number"),
        (f"cell,population\n{CELLS[0]},1.5\n", "Line 2 .* no whole number"),
        (f"cell,population\n{CELLS[0]},1e3\n", "Line 2 .* no whole number"),
        (f"cell,population\n{CELLS[0]},99999999999999\n", "Line 2 .* no whole number"),
        (f"cell,population\n{CELLS[0]},1\n{CELLS[0]},1\n", "Line 3 .* there before"),
        (f"cell,population\n{CELLS[0]},1,2\n", "Line 2 .* number of columns"),
        (f"cell,population\n{CELLS[0]}\n", "Line 2 .* number of columns"),
        ("cell,population\nBern,1\n", "Line 2 .* no name of an H3 cell"),
        ("cell,population\n0,1\n", "Line 2 .* no name of an H3 cell"),
        (f"cell,population\n{FINE},1\n", "finer than resolution 6"),
        (f"cell,population\n{CELLS[0]},1\n{int(h3i.latlng_to_cell(0, 0, 4)):x},1\n", "several resolutions"),
        ("zone,population\n ,1\n", "no proper name"),
        ("zone,population\na,0\n", "Nobody lives"),
        ('zone,population\n"a,1\n', "not valid CSV"),
    ],
)
def test_what_is_no_census(text: str, why: str) -> None:
    with pytest.raises(BadRecord, match=why) as caught:
        Census.parse(text)
    assert "cell" in caught.value.next_step
