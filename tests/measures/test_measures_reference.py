from __future__ import annotations

from pathlib import Path

import pytest

from passersby.measures.catalogue import CATALOGUE
from passersby.measures.reference import markdown

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "measures.md"


def test_the_page_is_what_the_catalogue_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown()


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_page_has_each_measure_with_its_bound(name: str) -> None:
    measure, text = CATALOGUE[name], markdown()
    assert f"## `{name}`\n\n{measure.definition}" in text
    for every in measure.grains:
        assert f"| {every} | " in text


def test_the_bounds_of_a_week_are_those_of_the_mechanism() -> None:
    text = markdown()
    assert "| hour | 168 | 168 | 20 |" in text
    assert "| week | 1 | 28,224 | 20 |" in text
    assert "| day | 7 | 168 | 140 |" in text
