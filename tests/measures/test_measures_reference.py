from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import pytest

from passersby.measures.catalogue import CATALOGUE
from passersby.measures.reference import _measure, markdown
from passersby.model.bins import Bin

page = functools.cache(markdown)
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "measures.md"


def test_the_page_is_what_the_catalogue_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown()


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_page_has_each_measure_with_its_bound(name: str) -> None:
    measure, text = CATALOGUE[name], page()
    assert f"### `{name}`\n\n{measure.definition}" in text
    assert f"[{name}](#{name})" in text
    for every in measure.grains:
        assert f"| {every} | " in text


def test_the_bounds_of_a_week_are_those_of_the_mechanism() -> None:
    text = page()
    assert "| hour | 168 | 168 | 20 |" in text
    assert "| week | 1 | 28,224 | 20 |" in text
    assert "| day | 7 | 168 | 140 |" in text


def _entry(name: str) -> str:
    _, _, rest = page().partition(f"### `{name}`")
    return rest.partition("\n### ")[0].partition("\n## ")[0]


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_page_says_what_holds_for_each_measure(name: str) -> None:
    measure, text = CATALOGUE[name], _entry(name)
    for each in (*measure.bins, *measure.derived):
        assert f"`{each.label}`" in text
    assert ("nothing is clipped" in text) != bool(measure.clips)
    assert measure.clips in text
    assert ("pairs of cells" in text) == measure.pairs
    assert ("joins several weeks" in text) == measure.joint
    assert (f"Finest resolution: {measure.finest}." in text) == (measure.finest < 15)
    assert ("It takes filters." if measure.filtered else "It takes no filters.") in text
    assert ("and whole ones" in text) == (measure.least_weeks > 1)


def test_derived_rows_and_parts_are_put_in_words() -> None:
    assert "- Derived row `day-night`: `day` over `night`." in _entry("day-night-ratio")
    assert "- Derived row `introversion`: `inside` over all bins." in _entry("introversion")
    assert "- Derived row `median`: the value below which a share of 0.5 lies." in _entry("coverage")
    assert "- `inside`, `outside`: counted in whole parts of 0.01, and given in full." in _entry(
        "introversion"
    )
    assert "for 2026-W20..2026-W21 every whole" in _entry("change")
    assert "| whole | 1 | 28,224 | 20 |" in _entry("change")


def test_what_no_measure_here_may_have_is_said_as_well() -> None:
    made = replace(
        CATALOGUE["visitors"],
        pairs=True,
        joint=True,
        clips="more than ten trips count less",
        bins=(Bin("sum", factor=0.5, counted=False), Bin("count")),
        least_weeks=4,
    )
    text = _measure(made)
    assert "pairs of cells, from an origin to a destination" in text
    assert "- The bound clips: more than ten trips count less, so that estimates are biased low." in text
    assert "noise is made for twice it" in text
    assert "- `sum`: not added up for the floor." in text
    assert "| `--every` | buckets in 4 weeks |" in text
