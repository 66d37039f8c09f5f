"""The impact assessment: who approves it, for how long, and what is refused without it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.errors import BadRecord, IntegrityError, NotReady, Refusal
from passersby.keys.signed import Actor
from passersby.model.period import DAY
from passersby.policy import impact, templates
from passersby.policy.impact import Impact
from passersby.store import tables
from passersby.store.database import Database

NOW = 1_770_000_000
FILLED: dict[str, Any] = {
    "approved_by": "pia",
    "next_due": "2026-12-01",
    "description": "Pings of app users; noisy statistics leave.",
    "necessity": "Nothing else shows where people stay.",
    "risks": ["single people are found", "small groups are shown"],
    "measures": ["differential privacy", "floors"],
    "document_sha256": "ef" * 32,
}
REQUIRED = set(FILLED) - {"document_sha256"}

Staff = Callable[[Database], dict[str, Actor]]


def toml(values: dict[str, Any]) -> str:
    return "\n".join(f"{name} = {value!r}" for name, value in values.items())


@pytest.fixture
def cara(sqlite_database: Database, person: Callable[..., Actor]) -> Actor:
    return person(sqlite_database, "cara", "custodian")


@pytest.fixture
def pia(sqlite_database: Database, person: Callable[..., Actor], cara: Actor) -> Actor:
    return person(sqlite_database, "pia", "privacy", by=cara)


def approve(session: Session, record: impact.Impact, cara: Actor, pia: Actor, *, now: int = NOW) -> None:
    """Have Cara draft it and Pia approve it."""
    impact.draft(session, record, actor=cara, now=now)
    impact.approve(session, record, actor=pia, now=now)


RECORD = impact.parse(toml(FILLED))


def test_a_record_comes_back() -> None:
    assert impact.from_record(RECORD.to_record()) == RECORD
    assert RECORD.risks == ("single people are found", "small groups are shown")


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_a_field_that_is_empty_is_named(name: str) -> None:
    with pytest.raises(BadRecord, match=f"`{name}` is not filled in"):
        impact.parse(toml(FILLED | {name: [] if isinstance(FILLED[name], list) else ""}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"measures": ["only one"]}, "`measures` must answer `risks`"),
        ({"document_sha256": "dpia.pdf"}, "`document_sha256`"),
        ({"approved": "yes"}, "no field `approved`"),
    ],
)
def test_what_is_not_valid_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRecord, match=words):
        impact.parse(toml(FILLED | change))


def test_nothing_is_approved_at_first(sqlite_database: Database) -> None:
    with sqlite_database.read() as session, pytest.raises(NotReady, match="No impact assessment") as caught:
        impact.require(session, now=NOW)
    assert "passersby impact approve --file impact.toml" in caught.value.next_step


def test_it_is_in_force_until_its_date(sqlite_database: Database, cara: Actor, pia: Actor) -> None:
    with sqlite_database.write() as session:
        approve(session, RECORD, cara, pia)
        assert impact.require(session, now=RECORD.due - 1) == RECORD
        with pytest.raises(NotReady, match="overdue"):
            impact.require(session, now=RECORD.due)


def test_the_newest_one_counts(sqlite_database: Database, cara: Actor, pia: Actor) -> None:
    later = replace(RECORD, next_due=RECORD.next_due + 10)
    with sqlite_database.write() as session:
        approve(session, RECORD, cara, pia)
        approve(session, later, cara, pia, now=NOW + 1)
        assert impact.require(session, now=RECORD.due) == later


def test_a_custodian_cannot_approve_it(sqlite_database: Database, cara: Actor) -> None:
    with sqlite_database.write() as session, pytest.raises(Refusal) as caught:
        impact.approve(session, replace(RECORD, approved_by="cara"), actor=cara, now=NOW)
    assert caught.value.code == "role-missing"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"approved_by": "cara"}, "`approved_by` is not the person"),
        ({"next_due": NOW // DAY}, "`next_due` must lie in the future"),
        ({"next_due": NOW // DAY + 368}, "`next_due` must lie in the future, by a year"),
        ({"risks": ()}, "`risks` is not filled in"),
    ],
)
def test_what_cannot_be_approved(
    sqlite_database: Database, pia: Actor, change: dict[str, Any], words: str
) -> None:
    with sqlite_database.write() as session, pytest.raises(BadRecord, match=words):
        impact.approve(session, replace(RECORD, **change), actor=pia, now=NOW)


@pytest.mark.parametrize("drafted", [None, "another text", "by herself"])
def test_nobody_approves_what_another_did_not_draft(
    sqlite_database: Database,
    cara: Actor,
    pia: Actor,
    drafted: str | None,
) -> None:
    with sqlite_database.write() as session:
        if drafted == "another text":
            impact.draft(session, RECORD, actor=cara, now=NOW)
            impact.draft(session, replace(RECORD, necessity="x"), actor=cara, now=NOW)
        if drafted == "by herself":
            with pytest.raises(BadRecord, match="is the drafter"):
                impact.draft(session, RECORD, actor=pia, now=NOW)
        with pytest.raises(NotReady, match="is not this record") as caught:
            impact.approve(session, RECORD, actor=pia, now=NOW)
        assert "passersby impact draft --file impact.toml" in caught.value.next_step
        assert not impact.in_force(session, now=NOW)


def test_a_draft_is_no_assessment(sqlite_database: Database, cara: Actor) -> None:
    with sqlite_database.write() as session:
        impact.draft(session, RECORD, actor=cara, now=NOW)
        assert impact.latest(session) is None
        with pytest.raises(NotReady):
            impact.require(session, now=NOW)


def test_an_analyst_drafts_nothing(
    sqlite_database: Database, cara: Actor, person: Callable[..., Actor]
) -> None:
    ben = person(sqlite_database, "ben", "analyst", by=cara)
    with sqlite_database.write() as session, pytest.raises(Refusal) as caught:
        impact.draft(session, RECORD, actor=ben, now=NOW)
    assert caught.value.code == "role-missing"


def test_an_edited_record_is_found(sqlite_database: Database, cara: Actor, pia: Actor) -> None:
    with sqlite_database.write() as session:
        approve(session, RECORD, cara, pia)
        row = session.scalars(select(tables.Assessment).where(tables.Assessment.kind == "impact")).one()
        row.record = row.record.replace("2026-12-01", "2029-12-01")
        session.flush()
        with pytest.raises(IntegrityError):
            impact.require(session, now=NOW)


def test_the_template_has_every_field() -> None:
    assert set(tomllib.loads(templates.impact())) == set(FILLED)


@pytest.mark.parametrize("missing", ["", *sorted(REQUIRED)])
def test_the_template_is_valid_once_all_of_it_is_filled(missing: str) -> None:
    lines = templates.impact().splitlines()
    for i, line in enumerate(lines):
        name = line.partition(" = ")[0]
        if "FILL IN" in line and name in FILLED and name != missing:
            lines[i] = f"{name} = {FILLED[name]!r}"
    if missing:
        with pytest.raises(BadRecord, match=f"`{missing}` is not filled in"):
            impact.parse("\n".join(lines))
    else:
        assert impact.parse("\n".join(lines)) == replace(RECORD, document_sha256="")


def test_the_database_keeps_it_beside_the_suppliers(sqlite_database: Database, staff: Staff) -> None:
    staff(sqlite_database)
    with sqlite_database.read() as session:
        row = session.scalars(select(tables.Assessment).where(tables.Assessment.kind == "impact")).one()
        assert (row.kind, row.subject, row.approved_by) == ("impact", "deployment", "pia")
        assert isinstance(impact.latest(session), Impact)
