"""Texts of refusals: constant, complete, and the same in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from passersby.errors import BudgetSpent, PeriodOpen, Refusal
from passersby.policy import explain
from passersby.policy.refusals import DECISION, GATE, REFUSALS, markdown, refusal

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "refusals.md"


@pytest.mark.parametrize("code", REFUSALS)
def test_each_code_is_a_refusal_with_its_texts(code: str) -> None:
    made = refusal(code)
    assert isinstance(made, Refusal)
    assert made.exit_code == 5
    assert (made.code, (made.message, made.next_step)) == (code, REFUSALS[code])
    assert made.message.endswith(".")
    assert made.next_step.endswith(".")
    assert "{" not in made.message + made.next_step


def test_two_codes_have_classes_of_their_own() -> None:
    assert isinstance(refusal("period-open"), PeriodOpen)
    assert isinstance(refusal("budget-spent"), BudgetSpent)


def test_an_unknown_code_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="no refusal"):
        refusal("nope")


def test_the_order_of_the_page_is_the_order_of_the_rules() -> None:
    assert list(DECISION) == ["unknown-licence", "licence-revoked", *explain.RULES, "denied"]


def test_the_gates_own_codes() -> None:
    assert GATE.keys() >= {
        "unknown-measure",
        "bad-filter",
        "bad-resolution",
        "period-open",
        "budget-spent",
        "device-level-request",
        "release-withdrawn",
    }
    assert GATE.keys().isdisjoint(DECISION)


def test_texts_differ() -> None:
    assert len({message for message, _ in REFUSALS.values()}) == len(REFUSALS)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), "run `python -m passersby.policy.refusals`"
