"""Public bins: their labels and edges, and the SQL that finds them."""

from __future__ import annotations

import math

import duckdb
import pytest

from passersby.model.bins import Bin, bin_sql, histogram, whole_numbers


def test_a_histogram_has_a_bin_between_edges_and_an_open_one() -> None:
    assert histogram(0, 0.5, 2, unit="km") == (
        Bin("0-0.5 km", 0, 0.5),
        Bin("0.5-2 km", 0.5, 2),
        Bin("2+ km", 2, math.inf),
    )
    assert histogram(0, 10, 20, unit="min", closed=True) == (Bin("0-10 min", 0, 10), Bin("10-20 min", 10, 20))


def test_whole_numbers_have_a_bin_each() -> None:
    assert whole_numbers(1, 3, "places") == (
        Bin("1 places", 1, 2),
        Bin("2 places", 2, 3),
        Bin("3+ places", 3, math.inf),
    )


def test_bins_count_single_things_unless_said_otherwise() -> None:
    assert all(each.counted and each.factor == 1 for each in histogram(0, 1, unit="km"))


def _bins_of(numbers: list[float], bins: tuple[Bin, ...], kind: str) -> list[int]:
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT {bin_sql('number', bins)} AS bin, typeof(bin) FROM unnest($1::{kind}[]) AS n(number)",
            [numbers],
        ).fetchall()
    assert {kind for _, kind in found} == {"BIGINT"}
    return [number for number, _ in found]


@pytest.mark.parametrize("closed", [True, False])
def test_an_edge_belongs_to_the_bin_above_it(closed: bool) -> None:
    edges = (0, 0.1, 1, 2.5, 10)
    bins = histogram(*edges, unit="km", closed=closed)
    numbers = [before for edge in edges[1:] for before in (math.nextafter(edge, 0), edge)]
    last = len(bins) - 1
    expected = [min(i, last) for i in (0, 1, 1, 2, 2, 3, 3, 4)]
    assert _bins_of(numbers, bins, "DOUBLE") == expected
    assert _bins_of([-5, 0, 1e12], bins, "DOUBLE") == [0, 0, last]


def test_whole_numbers_are_found_in_their_own_bin() -> None:
    assert _bins_of([0, 1, 2, 3, 4, 900], whole_numbers(1, 4, "places"), "BIGINT") == [0, 0, 1, 2, 3, 3]
