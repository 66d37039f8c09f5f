"""Weights from a release and a census: strata, caps, what stands beside a row, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import h3.api.numpy_int as h3i
import numpy as np
import pytest

from gate.censuses import FIVES, ROOT, WEEK, Row, census, residents, zones
from passersby.errors import Refusal
from passersby.gate import weighting
from passersby.measures.catalogue import CATALOGUE
from passersby.measures.weighted import can_be_weighted
from passersby.model.census import Census, Weighting
from passersby.model.period import Span, parse_span
from passersby.model.release import Release
from passersby.model.zones import ALL
from passersby.policy.refusals import REFUSALS


def make(release: Release, people: Census, cap: int = 10_000, span: Span = WEEK) -> Any:
    return weighting.make(release, span, Weighting(people, release.id, cap))


def test_a_weight_is_people_over_devices() -> None:
    rows: list[Row] = [(cell, 100.0 * (i + 1), 5.0) for i, cell in enumerate(FIVES)]
    found = make(residents(rows), census(dict.fromkeys(FIVES, 60000)))
    assert found.largest == 600
    np.testing.assert_allclose(found.full, [600 / (i + 1) for i in range(7)])
    np.testing.assert_array_equal(found.used, [round(1000 / (i + 1)) for i in range(7)])
    assert found.error == pytest.approx(0.05)
    assert found.strata == 7
    assert found.coverage == pytest.approx(2800 / 420_000)
    assert abs(found.bias) < 0.002  # of rounding to thousandths alone
    assert found.mean == pytest.approx(150, rel=0.002)


def test_people_of_finer_cells_are_added_up() -> None:
    sixes = {int(c): 10 for cell in FIVES for c in h3i.cell_to_children(cell, 6)}
    found = make(residents([(cell, 100.0, 5.0) for cell in FIVES]), census(sixes))
    np.testing.assert_array_equal(found.population, [70] * 7)
    assert found.resolution == 5


def test_a_cap_takes_and_says_so() -> None:
    rows: list[Row] = [(cell, 100.0 if i else 1000.0, 5.0) for i, cell in enumerate(FIVES)]
    found = make(residents(rows), census(dict.fromkeys(FIVES, 60000)), cap=150)
    assert found.largest == 150
    np.testing.assert_array_equal(found.used, [400, *[1000] * 6])
    np.testing.assert_array_equal(found.capped, [False, *[True] * 6])
    # six of seven sevenths keep a quarter
    assert found.bias == pytest.approx((1 + 6 * 0.25) / 7 - 1)
    assert found.facts()["cells_capped"] == pytest.approx(6 / 7, abs=1e-4)
    _, bias = found.beside(np.array([FIVES[0], FIVES[1], ROOT]))
    np.testing.assert_allclose(bias, [0, -0.75, found.bias])


def test_cells_that_are_not_exact_are_joined() -> None:
    # Four cells have an error of a fifth, together of a tenth: one stratum, apart from the exact ones.
    rows: list[Row] = [(cell, 100.0, 20.0 if i < 4 else 5.0) for i, cell in enumerate(FIVES)]
    found = make(residents(rows), census({cell: 1000 * (i + 1) for i, cell in enumerate(FIVES)}))
    np.testing.assert_allclose(found.full, [25] * 4 + [50, 60, 70])
    assert found.strata == 4
    assert found.error == pytest.approx(0.1)


def test_what_is_left_joins_the_least_exact() -> None:
    rows: list[Row] = [(cell, 100.0, 22.0 if not i else 1.0 + i) for i, cell in enumerate(FIVES)]
    found = make(residents(rows), census(dict.fromkeys(FIVES, 1000)))
    assert found.strata == 5  # the first took the last, which was not enough, and the one before
    assert found.error == pytest.approx(np.sqrt(22**2 + 7**2 + 6**2) / 300)


def test_suppressed_cells_weigh_nothing_and_are_counted() -> None:
    rows: list[Row] = [(cell, 100.0 if i else None, 5.0) for i, cell in enumerate(FIVES)]
    found = make(residents(rows), census({cell: 3000 if not i else 1000 for i, cell in enumerate(FIVES)}))
    assert found.left_out == pytest.approx(1 / 3)
    assert found.bias == pytest.approx(-1 / 3)
    assert FIVES[0] not in found.table()["home"].to_pylist()
    coverage, bias = found.beside(np.array([FIVES[0], FIVES[1], ROOT]))
    np.testing.assert_allclose(coverage, [np.nan, 0.1, 0.1])
    np.testing.assert_allclose(bias, [-1, 0, -1 / 3])


def test_a_cell_that_was_not_split_is_one_stratum() -> None:
    release = residents([(ROOT, 700.0, 20.0)])
    found = make(release, census({FIVES[0]: 7000, FIVES[1]: 7000}))
    np.testing.assert_allclose(found.full, [20] * 7)
    assert found.population.tolist() == [7000, 7000, 0, 0, 0, 0, 0]
    finer = np.array([int(h3i.cell_to_center_child(FIVES[0], 8)), int(h3i.cell_to_center_child(FIVES[3], 8))])
    coverage, bias = found.beside(finer)
    np.testing.assert_allclose(coverage, [0.05, np.nan])  # nobody lives in the other one
    np.testing.assert_allclose(bias, [0, np.nan])
    elsewhere = np.array([int(h3i.latlng_to_cell(0.0, 0.0, 6))])
    assert np.isnan(found.beside(elsewhere)).all()


def test_zones_are_strata() -> None:
    cells = {"a, b": FIVES[:3], "c": FIVES[3:]}
    release = zones({"a, b": (300.0, 10.0), "c": (100.0, 5.0)}, cells)
    people = Census.parse('zone,population\n"a, b",3000\nc,4000\n')
    found = make(release, people)
    np.testing.assert_allclose(found.full, [10] * 21 + [40] * 28)  # homes are cells of resolution 6
    assert found.beside_all(np.array(FIVES[:4]), 5) == pytest.approx((400 * 0.8125 / 4000, 0), abs=0.001)
    union = make(zones({ALL: (400.0, 10.0)}, cells), people)
    np.testing.assert_allclose(union.full, [17.5] * 49)


GOOD: list[Row] = [(cell, 100.0, 5.0) for cell in FIVES]
PEOPLE = census(dict.fromkeys(FIVES, 1000))


@pytest.mark.parametrize(
    ("release", "people", "span", "code"),
    [
        (residents(GOOD, measure="visitors"), PEOPLE, WEEK, "bad-residents"),
        (residents(GOOD, definition=0), PEOPLE, WEEK, "bad-residents"),
        (residents(GOOD), PEOPLE, parse_span("2026-W24", 0), "bad-residents"),  # too old
        (residents(GOOD), PEOPLE, parse_span("2026-W23..2026-W24", 0), "bad-residents"),
        (residents(GOOD), census({ROOT: 1000}), WEEK, "bad-residents"),  # finer than the census
        (residents(GOOD), Census.parse("zone,population\na,1\n"), WEEK, "bad-residents"),
        (residents([(ROOT, 100.0, 11.0)]), PEOPLE, WEEK, "bad-residents"),  # all together not exact
        (residents([(cell, None, 1.0) for cell in FIVES]), PEOPLE, WEEK, "bad-residents"),
        (residents(GOOD), census({int(h3i.latlng_to_cell(0, 0, 5)): 1}), WEEK, "bad-census"),
        (zones({"c": (100.0, 5.0)}, {"c": FIVES}), PEOPLE, WEEK, "bad-residents"),
        (
            zones({"c": (100.0, 5.0)}, {"c": FIVES}),
            Census.parse("zone,population\nd,1\n"),
            WEEK,
            "bad-census",
        ),
    ],
)
def test_refused(release: Release, people: Census, span: Span, code: str) -> None:
    with pytest.raises(Refusal) as caught:
        make(release, people, span=span)
    assert caught.value.code == code


def test_the_measures_that_can_be_weighted_are_those_that_the_refusal_names() -> None:
    able = {name for name, measure in CATALOGUE.items() if can_be_weighted(measure)}
    said = REFUSALS["not-weighted"][1].lower()
    assert {name for name in CATALOGUE if re.search(rf"(?<![\w-]){name}(?![\w-])", said)} == able
