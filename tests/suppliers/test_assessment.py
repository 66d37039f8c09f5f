"""The assessment of a supplier, before it is recorded."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from passersby.errors import BadRecord
from passersby.model.period import DAY, parse_day
from passersby.suppliers import templates
from passersby.suppliers.assessment import from_record, parse

FILLED: dict[str, Any] = {
    "supplier": "example-2026",
    "ownership": "Example Holding SE",
    "assessed_at": "2026-02-01",
    "next_due": "2027-02-01",
    "assessor": "Office of R. Rossi",
    "consent_sample": ["record 8271", "record 11902"],
    "evidence_sha256": "cd" * 32,
    "result": "pass",
    "conditions": "",
}
REQUIRED = set(FILLED) - {"conditions", "consent_sample"}


def toml(values: dict[str, Any]) -> str:
    return "\n".join(f"{name} = {value!r}" for name, value in values.items())


def test_a_filled_assessment_comes_back_from_its_record() -> None:
    assessment = parse(toml(FILLED))
    assert assessment.good
    assert assessment.due == parse_day("2027-02-01") * DAY
    assert from_record(assessment.to_record()) == assessment


@pytest.mark.parametrize(
    ("result", "good"), [("pass", True), ("conditional", True), ("fail", False), ("ambiguous", False)]
)
def test_which_results_are_good(result: str, good: bool) -> None:
    assert parse(toml(FILLED | {"result": result, "conditions": "by May"})).good is good


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"result": "fine"}, "`result` must be one of"),
        ({"result": "conditional"}, "`conditions` is not filled in"),
        ({"next_due": "2027-02-03"}, "`next_due` must be later"),
        ({"next_due": "2026-02-01"}, "`next_due` must be later"),
        ({"evidence_sha256": "evidence.zip"}, "`evidence_sha256`"),
        ({"consent_sample": "all"}, "`consent_sample` must be a list"),
        ({"stars": 5}, "no field `stars`"),
    ],
)
def test_what_is_not_valid_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRecord, match=words):
        parse(toml(FILLED | change))


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_a_field_that_is_empty_is_named(name: str) -> None:
    with pytest.raises(BadRecord, match=f"`{name}` is not filled in"):
        parse(toml(FILLED | {name: ""}))


def test_the_template_has_every_field_and_is_refused_as_it_is() -> None:
    assert set(tomllib.loads(templates.assessment())) == set(FILLED)
    with pytest.raises(BadRecord, match="`supplier` is not filled in"):
        parse(templates.assessment())


@pytest.mark.parametrize("missing", ["", *sorted(REQUIRED)])
def test_the_template_is_valid_once_all_of_it_is_filled(missing: str) -> None:
    lines = templates.assessment().splitlines()
    for i, line in enumerate(lines):
        name = line.partition(" = ")[0]
        if "FILL IN" in line and name in FILLED and name != missing:
            lines[i] = f"{name} = {FILLED[name]!r}"
    if missing:
        with pytest.raises(BadRecord, match=f"`{missing}` is not filled in"):
            parse("\n".join(lines))
    else:
        assert parse("\n".join(lines)) == parse(toml(FILLED))
