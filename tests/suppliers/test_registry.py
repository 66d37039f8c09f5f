"""Suppliers in the register: who may add and stop them, and when their data may be taken."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.config import Config
from passersby.errors import BadRecord, IntegrityError, NotReady, Refusal, UnknownName, UsageError
from passersby.keys.signed import Actor
from passersby.model.period import DAY, parse_day
from passersby.store import tables
from passersby.store.database import Database
from passersby.suppliers import registry
from passersby.suppliers.assessment import Assessment
from passersby.suppliers.contract import Contract

NOW = 1_770_000_000  # 2026-02-02 02:40 UTC
TODAY = NOW // DAY
DUE = (TODAY + 365) * DAY

CONTRACT = Contract(
    id="example",
    name="Example GmbH",
    schema="veraset",
    collection_method="sdk",
    basis="consent",
    dates_from=parse_day("2026-01-01"),
    dates_to=parse_day("2026-06-30"),
    purposes=("dpv:AcademicResearch", "dpv:ImproveTransportMobility"),
    notice_version="1",
    notice_sha256="ab" * 32,
    notice_language="de",
    raw_days=30,
    derived_days=90,
    jurisdiction="DE",
    original_source="Weather app",
)
SYNTHETIC = replace(CONTRACT, id="made-up", basis="synthetic-or-test-data", collection_method="synthetic")
PASSED = Assessment(
    supplier="example",
    ownership="Example Holding SE",
    assessed_at=TODAY,
    next_due=TODAY + 365,
    assessor="R. Rossi",
    consent_sample=("record 8271",),
    evidence_sha256="cd" * 32,
    result="pass",
)

Enrol = Callable[..., Actor]


@pytest.fixture
def cara(sqlite_database: Database, person: Enrol) -> Actor:
    return person(sqlite_database, "cara", "custodian")


def logged(session: Session, kind: str) -> list[dict[str, Any]]:
    bodies = [
        json.loads(b) for b in session.scalars(select(tables.LogEntry.body).order_by(tables.LogEntry.index))
    ]
    return [body for body in bodies if body["kind"] == kind]


def added(
    database: Database, actor: Actor, contract: Contract = CONTRACT, record: Assessment | None = PASSED
) -> int:
    with database.write() as session:
        number = registry.add(session, contract, actor=actor, now=NOW)
        if record is not None:
            registry.assess(session, contract.id, replace(record, supplier=contract.id), actor=actor, now=NOW)
    return number


def test_a_supplier_is_taken_once_it_is_added_and_assessed(database: Database, person: Enrol) -> None:
    cara = person(database, "cara", "custodian")
    number = added(database, cara)
    with database.read() as session:
        assert registry.require_ready(session, "example", now=NOW) == (number, CONTRACT)
        assert registry.get(session, "example") == (number, CONTRACT)


def test_adding_is_logged(sqlite_database: Database, cara: Actor) -> None:
    added(sqlite_database, cara)
    with sqlite_database.read() as session:
        row = session.scalars(select(tables.Supplier)).one()
        (entry,) = logged(session, "supplier.added")
        (assessed,) = logged(session, "supplier.assessed")
    assert (entry["supplier"], entry["basis"], entry["contract_sha256"]) == (
        "example",
        "consent",
        row.contract_sha256,
    )
    assert (assessed["supplier"], assessed["result"], assessed["next_due"]) == ("example", "pass", DUE)


def test_a_supplier_that_was_never_assessed_is_not_taken(sqlite_database: Database, cara: Actor) -> None:
    added(sqlite_database, cara, record=None)
    with sqlite_database.read() as session, pytest.raises(NotReady, match="never assessed") as caught:
        registry.require_ready(session, "example", now=NOW)
    assert "`passersby supplier assess example --file assessment.toml`" in caught.value.next_step


def test_an_assessment_is_overdue_from_its_date_on(sqlite_database: Database, cara: Actor) -> None:
    added(sqlite_database, cara)
    with sqlite_database.read() as session:
        registry.require_ready(session, "example", now=DUE - 1)
        with pytest.raises(NotReady, match="overdue"):
            registry.require_ready(session, "example", now=DUE)


@pytest.mark.parametrize("result", ["fail", "ambiguous"])
def test_a_bad_or_ambiguous_answer_suspends(sqlite_database: Database, cara: Actor, result: str) -> None:
    added(sqlite_database, cara)
    with sqlite_database.write() as session:
        registry.assess(session, "example", replace(PASSED, result=result), actor=cara, now=NOW + 1)
        with pytest.raises(NotReady, match="suspended"):
            registry.require_ready(session, "example", now=NOW + 2)
        (entry,) = logged(session, "supplier.suspended")
        assert entry["reason"] == f"assessment-{result}"
        registry.assess(session, "example", PASSED, actor=cara, now=NOW + 3)
        registry.require_ready(session, "example", now=NOW + 4)


def test_a_bad_answer_stands_even_if_the_suspension_is_edited_away(
    sqlite_database: Database, cara: Actor
) -> None:
    added(sqlite_database, cara, record=replace(PASSED, result="fail"))
    with sqlite_database.write() as session:
        session.scalars(select(tables.Supplier)).one().suspended = None
        session.flush()
        with pytest.raises(NotReady):
            registry.require_ready(session, "example", now=NOW)


def test_a_conditional_answer_is_taken(sqlite_database: Database, cara: Actor) -> None:
    added(
        sqlite_database, cara, record=replace(PASSED, result="conditional", conditions="a new notice by May")
    )
    with sqlite_database.read() as session:
        registry.require_ready(session, "example", now=NOW)


@pytest.mark.parametrize("role", ["custodian", "legal", "privacy", "overseer"])
def test_who_may_stop_a_supplier(sqlite_database: Database, cara: Actor, person: Enrol, role: str) -> None:
    added(sqlite_database, cara)
    olga = person(sqlite_database, "olga", role, by=cara)
    with sqlite_database.write() as session:
        registry.suspend(session, "example", reason="a complaint by N. N.", actor=olga, now=NOW)
        with pytest.raises(NotReady, match="suspended"):
            registry.require_ready(session, "example", now=NOW)
        (entry,) = logged(session, "supplier.suspended")
        assert "N. N." not in json.dumps(entry)
        with pytest.raises(UsageError, match="already"):
            registry.suspend(session, "example", reason="again", actor=olga, now=NOW)


@pytest.mark.parametrize("role", ["analyst", "releaser"])
def test_who_may_not(sqlite_database: Database, cara: Actor, person: Enrol, role: str) -> None:
    added(sqlite_database, cara)
    ben = person(sqlite_database, "ben", role, by=cara)
    with sqlite_database.write() as session:
        with pytest.raises(Refusal, match="role"):
            registry.add(session, replace(CONTRACT, id="other"), actor=ben, now=NOW)
        with pytest.raises(Refusal, match="role"):
            registry.assess(session, "example", PASSED, actor=ben, now=NOW)
        with pytest.raises(Refusal, match="role"):
            registry.suspend(session, "example", reason="x", actor=ben, now=NOW)


def test_a_name_is_not_identity(sqlite_database: Database, cara: Actor) -> None:
    claimed = Actor(cara.id, cara.roles, Ed25519PrivateKey.generate())
    with sqlite_database.write() as session, pytest.raises(IntegrityError):
        registry.add(session, CONTRACT, actor=claimed, now=NOW)


def test_a_suspension_needs_a_reason(sqlite_database: Database, cara: Actor) -> None:
    added(sqlite_database, cara)
    with sqlite_database.write() as session, pytest.raises(UsageError, match="reason"):
        registry.suspend(session, "example", reason=" ", actor=cara, now=NOW)


def test_an_unknown_supplier(sqlite_database: Database, cara: Actor) -> None:
    with sqlite_database.write() as session:
        for call in (
            lambda: registry.get(session, "nobody"),
            lambda: registry.require_ready(session, "nobody", now=NOW),
            lambda: registry.assess(session, "nobody", PASSED, actor=cara, now=NOW),
            lambda: registry.suspend(session, "nobody", reason="x", actor=cara, now=NOW),
        ):
            with pytest.raises(UnknownName) as caught:
                call()
            assert "passersby supplier list" in caught.value.next_step


def test_a_name_is_used_once(sqlite_database: Database, cara: Actor) -> None:
    added(sqlite_database, cara)
    with sqlite_database.write() as session, pytest.raises(UsageError, match="already"):
        registry.add(session, CONTRACT, actor=cara, now=NOW)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"assessed_at": TODAY + 1, "next_due": TODAY + 2}, "`assessed_at` lies in the future"),
        ({"assessed_at": TODAY - 365, "next_due": TODAY}, "`next_due` has passed"),
        ({"consent_sample": ()}, "`consent_sample` is not filled in"),
        ({"supplier": "other"}, "`supplier` is not the supplier"),
        ({"result": "splendid"}, "`result` must be one of"),
    ],
)
def test_an_assessment_that_does_not_fit(
    sqlite_database: Database, cara: Actor, change: dict[str, Any], words: str
) -> None:
    added(sqlite_database, cara, record=None)
    with sqlite_database.write() as session:
        with pytest.raises(BadRecord, match=words):
            registry.assess(session, "example", replace(PASSED, **change), actor=cara, now=NOW)
        assert not session.scalars(select(tables.Assessment)).all()


def test_without_consent_as_basis_no_sample_is_needed(sqlite_database: Database, cara: Actor) -> None:
    added(sqlite_database, cara, replace(CONTRACT, basis="contract"), replace(PASSED, consent_sample=()))


@pytest.mark.parametrize(
    "change",
    [
        {"collection_method": "bidstream"},
        {"raw_days": 31},
        {"purposes": ("dpv:TargetedAdvertising",)},
        {"id": "a b"},
    ],
)
def test_a_contract_that_nobody_parsed_is_checked_too(
    sqlite_database: Database, cara: Actor, change: dict[str, Any]
) -> None:
    with sqlite_database.write() as session, pytest.raises((BadRecord, Refusal)):
        registry.add(session, replace(CONTRACT, **change), actor=cara, now=NOW)


def test_a_stored_contract_outlives_a_lowered_retention(sqlite_database: Database, cara: Actor) -> None:
    config = Config(raw_days=60)
    with sqlite_database.write() as session:
        registry.add(session, replace(CONTRACT, raw_days=60), actor=cara, now=NOW, config=config)
    with sqlite_database.read() as session:
        assert registry.get(session, "example")[1].raw_days == 60


def test_a_demo_takes_made_up_data_only(sqlite_database: Database, cara: Actor) -> None:
    with sqlite_database.write() as session:
        session.add(tables.Setting(name="demo", value="1"))
        session.flush()
        with pytest.raises(Refusal) as caught:
            registry.add(session, CONTRACT, actor=cara, now=NOW)
        registry.add(session, SYNTHETIC, actor=cara, now=NOW)
    assert caught.value.code == "demo-deployment"


def test_a_deployment_that_is_no_demo_takes_both(sqlite_database: Database, cara: Actor) -> None:
    with sqlite_database.write() as session:
        session.add(tables.Setting(name="demo", value="0"))
    added(sqlite_database, cara)
    added(sqlite_database, cara, SYNTHETIC)
    with sqlite_database.read() as session:
        listed = registry.list_all(session)
    assert [(s.number, s.contract, s.suspended) for s in listed] == [
        (1, CONTRACT, None),
        (2, SYNTHETIC, None),
    ]
    assert listed[0].latest == PASSED


@pytest.mark.parametrize("field", ["raw_days", "basis"])
def test_an_edited_contract_is_found(sqlite_database: Database, cara: Actor, field: str) -> None:
    added(sqlite_database, cara)
    with sqlite_database.write() as session:
        row = session.scalars(select(tables.Supplier)).one()
        whole = json.loads(row.contract)
        whole["record"][field] = {"raw_days": 29, "basis": "contract"}[field]
        row.contract = json.dumps(whole)
    with sqlite_database.read() as session, pytest.raises(IntegrityError):
        registry.require_ready(session, "example", now=NOW)


def test_an_edited_assessment_is_found(sqlite_database: Database, cara: Actor) -> None:
    added(sqlite_database, cara, record=replace(PASSED, result="fail"))
    with sqlite_database.write() as session:
        row = session.scalars(select(tables.Assessment)).one()
        row.record = row.record.replace('"fail"', '"pass"')
        session.scalars(select(tables.Supplier)).one().suspended = None
    with sqlite_database.read() as session, pytest.raises(IntegrityError):
        registry.require_ready(session, "example", now=NOW)


def test_noticed_purposes_are_those_of_all_notices(sqlite_database: Database, cara: Actor) -> None:
    first = added(sqlite_database, cara)
    second = added(sqlite_database, cara, replace(CONTRACT, id="second", purposes=("dpv:AcademicResearch",)))
    with sqlite_database.read() as session:
        assert registry.noticed_purposes(session, [first]) == set(CONTRACT.purposes)
        assert registry.noticed_purposes(session, [first, second]) == {"dpv:AcademicResearch"}
        assert registry.noticed_purposes(session, [second, second]) == {"dpv:AcademicResearch"}
        assert registry.noticed_purposes(session, []) == frozenset()
        assert registry.noticed_purposes(session, [first, 99]) == frozenset()
