"""A supplier's contract: each field is asked for by name, and some things cannot be said at all."""

from __future__ import annotations

import dataclasses
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passersby.config import Config
from passersby.errors import BadRecord, Refusal
from passersby.model.period import parse_day
from passersby.model.purposes import BROADER, is_prohibited
from passersby.suppliers import templates
from passersby.suppliers.contract import BASES, METHODS, Contract, from_record, parse

FILLED: dict[str, Any] = {
    "id": "example-2026",
    "name": "Example GmbH",
    "jurisdiction": "DE",
    "schema": "veraset",
    "collection_method": "sdk",
    "original_source": "Weather app of Example GmbH",
    "upstream": ["Broker AG"],
    "basis": "consent",
    "purposes": ["dpv:ImproveTransportMobility", "dpv:AcademicResearch"],
    "notice_version": "2026-01",
    "notice_sha256": "ab" * 32,
    "notice_language": "de-CH",
    "dates_from": "2026-01-01",
    "dates_to": "2026-06-30",
    "raw_days": 30,
    "derived_days": 90,
    "utc_offset": "+02:00",
    "expected_devices": 20000,
}
REQUIRED = set(FILLED) - {"upstream", "utc_offset", "expected_devices"}


def toml(values: dict[str, Any]) -> str:
    def text(value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        return str(value) if isinstance(value, (int, float)) else repr(value)

    return "\n".join(f"{name} = {text(value)}" for name, value in values.items())


def test_a_filled_contract() -> None:
    contract = parse(toml(FILLED))
    assert contract.id == "example-2026"
    assert contract.purposes == ("dpv:AcademicResearch", "dpv:ImproveTransportMobility")
    assert (contract.dates_from, contract.dates_to) == (parse_day("2026-01-01"), parse_day("2026-06-30"))
    assert (contract.raw_days, contract.derived_days) == (30, 90)
    assert (contract.naive_offset, contract.expected_devices) == (7200, 20000)
    assert (contract.original_source, contract.upstream) == ("Weather app of Example GmbH", ("Broker AG",))
    assert contract.needs_consent
    assert not contract.synthetic


def test_what_may_be_left_out() -> None:
    contract = parse(toml({name: FILLED[name] for name in REQUIRED}))
    assert (contract.upstream, contract.naive_offset, contract.expected_devices) == ((), 0, None)


def test_synthetic_data_has_no_notice() -> None:
    values = FILLED | {"collection_method": "synthetic", "basis": "synthetic-or-test-data"}
    contract = parse(toml({name: value for name, value in values.items() if "notice" not in name}))
    assert contract.synthetic
    assert not contract.needs_consent
    assert (contract.notice_version, contract.notice_sha256, contract.notice_language) == ("", "", "")


def test_days_may_be_toml_dates() -> None:
    text = toml(FILLED).replace("'2026-01-01'", "2026-01-01")
    assert parse(text) == parse(toml(FILLED))


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_a_field_that_is_missing_is_named(name: str) -> None:
    with pytest.raises(BadRecord, match=f"`{name}` is missing"):
        parse(toml({key: value for key, value in FILLED.items() if key != name}))


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_a_field_that_is_empty_is_named(name: str) -> None:
    empty: Any = [] if name == "purposes" else ""
    with pytest.raises(BadRecord, match=f"`{name}` is not filled in"):
        parse(toml(FILLED | {name: empty}))


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(BadRecord, match="there is no field `device_model`, `retention`"):
        parse(toml(FILLED | {"retention": 30, "device_model": "x"}))


@pytest.mark.parametrize(
    "word",
    [
        "bidstream",
        "Bid-Stream",
        "BID_STREAM",
        "bid stream",
        "OpenRTB 2.5",
        "cell-tower",
        "Cell towers",
        "cell_id",
        "Acme RTB feed",
        "ad exchange",
        "base stations",
        "call detail records",
    ],
)
@pytest.mark.parametrize("field", ["collection_method", "original_source", "upstream"])
def test_bidstream_and_cell_towers_are_refused_wherever_they_stand(word: str, field: str) -> None:
    values = FILLED | {field: [word] if field == "upstream" else word, "basis": "synthetic-or-test-data"}
    with pytest.raises(Refusal, match="never taken") as refused:
        parse(toml(values))
    towers = "cell" in word.lower() or word in {"base stations", "call detail records"}
    assert refused.value.code == ("cell-towers" if towers else "bidstream")


def test_a_name_that_holds_the_letters_of_an_auction_is_taken() -> None:
    assert parse(toml(FILLED | {"original_source": "Hertbach Apps"})).original_source == "Hertbach Apps"


def test_bidstream_is_refused_before_anything_else_is_said() -> None:
    with pytest.raises(Refusal, match="never taken"):
        parse(toml({"original_source": "x", "collection_method": "bidstream", "unknown": 1}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": "two words"}, "`id`"),
        ({"id": "-x"}, "`id`"),
        ({"id": 7}, "`id` must be a text"),
        ({"collection_method": "satellite"}, "`collection_method` must be one of"),
        ({"basis": "because"}, "`basis` must be one of"),
        ({"purposes": ["dpv:Curiosity"]}, "`purposes` names something that is no purpose"),
        ({"purposes": ["AcademicResearch"]}, "`purposes` names something that is no purpose"),
        ({"purposes": ["dpv:AcademicResearch", "dpv:AcademicResearch"]}, "`purposes` names something twice"),
        ({"purposes": "dpv:AcademicResearch"}, "`purposes` must be a list"),
        ({"purposes": ["passersby:ImmigrationEnforcement"]}, "`purposes` names a purpose that is prohibited"),
        ({"notice_sha256": "AB" * 32}, "`notice_sha256`"),
        ({"notice_sha256": "ab"}, "`notice_sha256`"),
        ({"notice_language": "German!"}, "`notice_language`"),
        ({"jurisdiction": "Germany"}, "`jurisdiction`"),
        ({"dates_from": "01.02.2026"}, "`dates_from` must be a date"),
        ({"dates_to": "2025-12-31"}, "`dates_to` is earlier"),
        ({"raw_days": 0}, "`raw_days` must lie between 1 and 30"),
        ({"raw_days": 31}, "`raw_days` must lie between 1 and 30"),
        ({"derived_days": 91}, "`derived_days` must lie between 1 and 90"),
        ({"raw_days": True}, "`raw_days` must be a whole number"),
        ({"raw_days": 2.5}, "`raw_days` must be a whole number"),
        ({"raw_days": "indefinite"}, "`raw_days`.*indefinitely"),
        ({"derived_days": "for ever"}, "`derived_days`.*indefinitely"),
        ({"utc_offset": "CET"}, "`utc_offset`"),
        ({"upstream": ["a", ""]}, "`upstream` must be a list of texts"),
        ({"expected_devices": -1}, "`expected_devices`"),
    ],
)
def test_what_is_not_valid_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRecord, match=words):
        parse(toml(FILLED | change))


def test_retention_follows_the_deployment() -> None:
    values = toml(FILLED | {"raw_days": 45, "derived_days": 120})
    contract = parse(values, config=Config(raw_days=60, derived_days=120))
    assert (contract.raw_days, contract.derived_days) == (45, 120)
    with pytest.raises(BadRecord, match="`raw_days`"):
        parse(toml(FILLED), config=Config(raw_days=29))


def test_a_file_that_is_no_toml_is_refused_without_a_word_of_it() -> None:
    with pytest.raises(BadRecord, match=r"not valid TOML \(line 1, column") as caught:
        parse("secret = = 1")
    assert "secret" not in str(caught.value)


def test_generated_data_may_try_out_the_consent_path() -> None:
    contract = parse(toml(FILLED | {"collection_method": "synthetic", "basis": "consent"}))
    assert contract.synthetic
    assert contract.needs_consent


def test_errors_carry_no_values() -> None:
    with pytest.raises(BadRecord) as caught:
        parse(toml(FILLED | {"jurisdiction": "Ruritania"}))
    assert "Ruritania" not in str(caught.value)


PURPOSES = [term for term in BROADER if not is_prohibited(term)]


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    basis = draw(st.sampled_from(BASES))
    test = basis == "synthetic-or-test-data"
    start = draw(st.integers(0, 40000))
    words = st.text("abc äß-", min_size=1).filter(str.strip).map(str.strip)
    return Contract(
        id=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)),
        name=draw(words),
        schema=draw(words),
        collection_method=draw(st.sampled_from(METHODS)),
        basis=basis,
        dates_from=start,
        dates_to=start + draw(st.integers(0, 1000)),
        purposes=tuple(sorted(draw(st.sets(st.sampled_from(PURPOSES), min_size=1)))),
        notice_version="" if test else draw(words),
        notice_sha256="" if test else "0a" * 32,
        notice_language="" if test else "pt-BR",
        raw_days=draw(st.integers(1, 30)),
        derived_days=draw(st.integers(1, 90)),
        jurisdiction="US-CA",
        original_source=draw(words),
        upstream=tuple(draw(st.lists(words, unique=True, max_size=3))),
        naive_offset=900 * draw(st.integers(-56, 56)),
        expected_devices=draw(st.none() | st.integers(1, 10**10)),
    )


@given(contract=contracts())
def test_a_contract_comes_back_from_its_record(contract: Contract) -> None:
    assert from_record(contract.to_record()) == contract


def test_a_record_holds_every_field() -> None:
    contract = parse(toml(FILLED))
    names = {field.name for field in dataclasses.fields(contract)} - {"naive_offset"} | {"utc_offset"}
    assert set(contract.to_record()) == names == set(FILLED)


def fill(template: str, values: dict[str, Any]) -> str:
    """Fill the lines that are marked, as a person would, and touch nothing else."""
    lines = []
    for line in template.splitlines():
        name = line.partition(" = ")[0]
        lines.append(f"{name} = {values[name]!r}" if "FILL IN" in line and name in values else line)
    return "\n".join(lines)


def test_the_template_is_valid_once_filled() -> None:
    contract = parse(fill(templates.contract(), FILLED))
    assert (contract.id, contract.raw_days, contract.upstream) == ("example-2026", 30, ())


def test_the_template_marks_every_field_that_is_needed() -> None:
    lines = templates.contract().splitlines()
    marked = {line.partition(" = ")[0] for line in lines if "FILL IN" in line and " = " in line}
    assert marked == REQUIRED - {"raw_days", "derived_days"}
    assert set(tomllib.loads(templates.contract())) == set(FILLED)


@pytest.mark.parametrize("name", sorted(REQUIRED - {"raw_days", "derived_days"}))
def test_the_template_is_refused_while_a_field_is_not_filled(name: str) -> None:
    values = {key: value for key, value in FILLED.items() if key != name}
    with pytest.raises(BadRecord, match=f"`{name}` is not filled in"):
        parse(fill(templates.contract(), values))
