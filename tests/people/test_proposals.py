"""Acts that take two people: two signatures over one record, by two persons, or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from passersby.errors import IntegrityError, Refusal, UnknownName, UsageError
from passersby.keys.signed import Actor
from passersby.people import proposals
from passersby.people.proposals import Rule
from passersby.store.database import Database
from passersby.store.tables import LogEntry

NOW = 1_780_000_000
RULE = Rule("Move a stone", proposers=("custodian", "legal"), approvers=("legal", "privacy"), delay=60)
RECORD = {"stone": "grey", "weight": 3}


@pytest.fixture(autouse=True)
def rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(proposals.RULES, "stone.move", RULE)


@pytest.fixture
def people(database: Database, tmp_path: Path, enrol: Callable[..., Actor]) -> dict[str, Actor]:
    with database.write() as session:
        cara = enrol(session, "cara", "custodian", by=None, folder=tmp_path)
        roles = {"leo": ("legal",), "pia": ("privacy",), "ann": ("analyst",)}
        others = {who: enrol(session, who, *r, by=cara, folder=tmp_path) for who, r in roles.items()}
        return {"cara": cara, **others}


def propose(session: Session, actor: Actor, **changed: Any) -> proposals.Proposal:
    given: dict[str, Any] = {
        "kind": "stone.move",
        "subject": "stone-1",
        "record": RECORD,
        "actor": actor,
        "now": NOW,
    }
    return proposals.propose(session, **(given | changed))


def kinds(session: Session) -> list[str]:
    bodies = session.scalars(select(LogEntry.body).order_by(LogEntry.index))
    return [json.loads(body)["kind"] for body in bodies]


def test_two_people_sign_one_record(database: Database, people: dict[str, Actor]) -> None:
    with database.write() as session:
        made = propose(session, people["cara"])
        assert (made.state, made.acts_from) == ("open", None)
        assert proposals.approved(session, "stone.move", "stone-1") is None
        done = proposals.approve(session, made.id, actor=people["leo"], now=NOW + 5)
        assert (done.state, done.acts_from, done.decided_by) == ("approved", NOW + 65, "leo")
        assert proposals.approved(session, "stone.move", "stone-1") == done
        assert dict(done.record) == RECORD
        assert kinds(session)[-2:] == ["proposal.made", "proposal.approved"]


@pytest.mark.parametrize("who", ["leo", "cara", "ann"])
def test_who_proposed_it_or_has_no_role_cannot_approve(
    database: Database, people: dict[str, Actor], who: str
) -> None:
    """Leo is both a proposer and an approver by role: never for his own."""
    with database.write() as session:
        made = propose(session, people["leo"])
        with pytest.raises(Refusal) as caught:
            proposals.approve(session, made.id, actor=people[who], now=NOW)
        assert caught.value.code == ("same-person" if who == "leo" else "role-missing")
        assert proposals.get(session, made.id).state == "open"


def test_an_analyst_proposes_nothing(database: Database, people: dict[str, Actor]) -> None:
    with database.write() as session, pytest.raises(Refusal):
        propose(session, people["ann"])


def test_one_is_open_at_a_time_and_is_decided_once(database: Database, people: dict[str, Actor]) -> None:
    with database.write() as session:
        made = propose(session, people["cara"])
        with pytest.raises(UsageError, match="open already"):
            propose(session, people["leo"])
        propose(session, people["leo"], subject="stone-2")
        proposals.refuse(session, made.id, reason="too heavy", actor=people["pia"], now=NOW)
        for decide in (proposals.approve, lambda *a, **k: proposals.refuse(*a, reason="x", **k)):
            with pytest.raises(UnknownName):
                decide(session, made.id, actor=people["leo"], now=NOW)
        assert propose(session, people["cara"]).id != made.id
        assert "too heavy" not in str(session.scalars(select(LogEntry.body)).all())


def test_who_proposed_it_may_take_it_back(database: Database, people: dict[str, Actor]) -> None:
    with database.write() as session:
        made = propose(session, people["cara"])
        with pytest.raises(UsageError, match="reason"):
            proposals.refuse(session, made.id, reason=" ", actor=people["cara"], now=NOW)
        assert (
            proposals.refuse(session, made.id, reason="typo", actor=people["cara"], now=NOW).state
            == "refused"
        )


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE proposal SET record = replace(record, 'grey', 'gold')",
        "UPDATE proposal SET decided_by = 'pia'",
        "UPDATE proposal SET state = 'refused'",
        "UPDATE proposal SET signature = '00'",
    ],
)
def test_an_edited_row_is_found(database: Database, people: dict[str, Actor], edit: str) -> None:
    with database.write() as session:
        made = propose(session, people["cara"])
        proposals.approve(session, made.id, actor=people["leo"], now=NOW)
    with database.write() as session:
        session.execute(text(edit))
        with pytest.raises(IntegrityError):
            proposals.list_all(session)


def test_a_row_that_was_marked_approved_without_a_signature_is_found(
    database: Database, people: dict[str, Actor]
) -> None:
    with database.write() as session:
        propose(session, people["cara"])
    with database.write() as session:
        session.execute(text("UPDATE proposal SET state = 'approved', acts_from = 0"))
        with pytest.raises(IntegrityError):
            proposals.approved(session, "stone.move", "stone-1")
