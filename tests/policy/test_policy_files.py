"""The Cedar files: a mistake in them is found before anything is decided."""

from __future__ import annotations

import re

import pytest

from passersby.errors import IntegrityError
from passersby.model.purposes import BROADER, PROHIBITED
from passersby.policy import decision
from passersby.policy.decision import Decider

WORDS = re.findall(r"\b(?:context|resource|principal)\.(\w+)", decision.policy_text())


@pytest.mark.parametrize("word", sorted(set(WORDS)))
def test_a_misspelt_attribute_is_found_before_anything_is_decided(word: str) -> None:
    with pytest.raises(IntegrityError, match="nothing is decided"):
        Decider(policies=re.sub(rf"\.{word}\b", f".{word}x", decision.policy_text()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('Role::"analyst"', 'Role::"analist"'),
        ('Action::"RunAggregate"', 'Action::"RunAggregates"'),
        ('Purpose::"passersby:ReIdentification"', 'Purpose::"passersby:Reidentification"'),
        ('Purpose::"dpv:SellDataToThirdParties"', 'Purpose::"dpv:SellProducts"'),
        ("Passersby::Licence\n", "Passersby::Person\n"),
        ("permit (", "permitt ("),
        ("context.now < resource.expires", 'context.now < "resource.expires"'),
    ],
)
def test_a_damaged_policy_is_not_loaded(old: str, new: str) -> None:
    assert old in decision.policy_text()
    with pytest.raises(IntegrityError):
        Decider(policies=decision.policy_text().replace(old, new))


def test_a_forbid_that_is_gone_is_noticed() -> None:
    text = decision.policy_text()
    with pytest.raises(IntegrityError):
        Decider(policies=text[: text.index('@id("never-enforce')])


def test_no_policies_and_a_damaged_schema_are_not_loaded() -> None:
    with pytest.raises(IntegrityError):
        Decider(policies="")
    with pytest.raises(IntegrityError):
        Decider(schema="namespace Passersby {")


def test_the_policies_and_the_vocabulary_prohibit_the_same() -> None:
    assert set(re.findall(r'Purpose::"([^"]+)"', decision.policy_text())) == PROHIBITED
    assert BROADER.keys() >= PROHIBITED


def test_there_is_one_action_and_no_word_for_a_device() -> None:
    code = re.sub(r"//.*", "", decision.schema_text() + decision.policy_text())
    assert re.findall(r"\baction (\w+)", code) == ["RunAggregate"]
    assert not re.search(r"device|ping|order|disclos", code, re.IGNORECASE)
