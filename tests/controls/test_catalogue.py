"""The catalogue of controls is whole, and claims nothing that is not in the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from controls import mutating
from passersby.custody.reports import controls
from passersby.custody.reports.controls import CLASSES, ENFORCED, Control

GROUPS, CONTROLS = controls.catalogue()
CHECKS = [check for each in CONTROLS for check in each.checks]
AT_BEST_RECORDED = {"A1", "A8", "B1", "B5", "C7", "D2", "G2", "H7", "H9", "I2", "K4"}
"""Controls that no software can enforce."""
NUMBERS = {"A": 8, "B": 5, "C": 8, "D": 3, "E": 4, "F": 5, "G": 6, "H": 9, "I": 6, "J": 6, "K": 4}


def test_every_control_is_there_once_in_order() -> None:
    wanted = [f"{letter}{number}" for letter, last in NUMBERS.items() for number in range(1, last + 1)]
    assert [each.id for each in CONTROLS] == wanted
    assert list(GROUPS) == list(NUMBERS)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda each: each.id)
def test_a_control_says_whose_work_it_is(control: Control) -> None:
    assert control.kind in CLASSES
    assert control.text.endswith(".")
    assert control.source
    assert (control.id in AT_BEST_RECORDED) <= (control.kind != ENFORCED)
    if control.kind != ENFORCED:
        assert control.how.endswith("."), "who does what?"
    else:
        assert control.checks, "an enforced control names where"


@pytest.mark.parametrize("check", CHECKS, ids=lambda each: f"{each.function}")
def test_functions_lines_and_tests_are_there(check: controls.Check) -> None:
    text = mutating.file_of(check).read_text(encoding="utf-8")
    own = mutating.segment(check, text)
    ast.parse(text.replace(own, own.replace(check.line, check.without)))
    path, _, name = check.test.partition("::")
    tests = (mutating.ROOT / path).read_text(encoding="utf-8")
    assert re.search(rf"^def {name.partition('[')[0]}\(", tests, flags=re.MULTILINE), check.test


def test_the_reference_is_what_the_catalogue_says() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "controls.md"
    assert page.read_text(encoding="utf-8") == controls.page(), (
        "run python -m passersby.custody.reports.controls > docs/reference/controls.md"
    )


def test_the_reference_claims_no_more_than_its_classes() -> None:
    text = controls.page()
    assert "designed to meet" in text
    assert "not legal advice" in text
    assert not re.search(r"\bcompl(y|ies|iant|iance)\b", text)
    for each in CONTROLS:
        row = next(line for line in text.splitlines() if line.startswith(f"| {each.id} |"))
        assert ("The software makes it so" in row) == (each.kind == ENFORCED)
