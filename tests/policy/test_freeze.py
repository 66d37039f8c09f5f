"""The kill switch itself: one person freezes at once, and both ends are in the log."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.errors import Refusal, UsageError
from passersby.keys.signed import Actor
from passersby.policy import freeze
from passersby.store.database import Database
from passersby.store.proposal_tables import Proposal
from passersby.store.tables import LogEntry
from policy.conftest import NOW, Enrol


@pytest.fixture
def staffed(
    database: Database, staff: Callable[[Database], dict[str, Actor]], person: Enrol
) -> tuple[Database, dict[str, Actor]]:
    people = staff(database)
    return database, {**people, "otto": person(database, "otto", "overseer", by=people["cara"])}


def entries(session: Session) -> list[dict[str, Any]]:
    return [json.loads(body) for body in session.scalars(select(LogEntry.body).order_by(LogEntry.index))]


@pytest.mark.parametrize("who", ["cara", "otto"])
def test_one_person_freezes_at_once(staffed: tuple[Database, dict[str, Actor]], who: str) -> None:
    database, people = staffed
    with database.write() as session:
        freeze.require_running(session)
        made = freeze.freeze(session, reason=" a leak ", actor=people[who], now=NOW)
        assert (made.by, made.reason, made.since) == (who, "a leak", NOW)
        assert freeze.current(session) == made
        with pytest.raises(Refusal) as caught:
            freeze.require_running(session)
        assert caught.value.code == "frozen"
        last = entries(session)[-1]
    assert (last["kind"], last["freeze"], last["by"]) == ("deployment.frozen", made.number, who)
    assert "leak" not in json.dumps(last)


@pytest.mark.parametrize("who", ["pia", "ben"])
def test_others_cannot(staffed: tuple[Database, dict[str, Actor]], who: str) -> None:
    database, people = staffed
    with database.write() as session:
        with pytest.raises(Refusal) as caught:
            freeze.freeze(session, reason="x", actor=people[who], now=NOW)
        assert caught.value.code == "role-missing"
        freeze.require_running(session)


def test_a_second_freeze_and_one_without_reason(staffed: tuple[Database, dict[str, Actor]]) -> None:
    database, people = staffed
    with database.write() as session:
        with pytest.raises(UsageError, match="reason"):
            freeze.freeze(session, reason=" ", actor=people["cara"], now=NOW)
        freeze.freeze(session, reason="x", actor=people["cara"], now=NOW)
        with pytest.raises(UsageError, match="already, by cara"):
            freeze.freeze(session, reason="y", actor=people["otto"], now=NOW)


def test_only_the_freeze_in_force_can_be_ended(staffed: tuple[Database, dict[str, Actor]]) -> None:
    database, people = staffed
    with database.write() as session:
        signed = Proposal(
            kind="freeze.end",
            subject="x",
            record="{}",
            record_sha256="",
            proposed_by="cara",
            created=NOW,
            state="approved",
        )
        session.add(signed)
        session.flush()
        with pytest.raises(UsageError, match="not in force"):
            freeze.end(session, 1, proposal=signed.id, now=NOW)
        first = freeze.freeze(session, reason="x", actor=people["cara"], now=NOW).number
        freeze.end(session, first, proposal=signed.id, now=NOW + 1)
        freeze.require_running(session)
        assert entries(session)[-1]["kind"] == "deployment.thawed"
        second = freeze.freeze(session, reason="y", actor=people["otto"], now=NOW + 2)
        with pytest.raises(UsageError, match="not in force"):
            freeze.end(session, first, proposal=signed.id, now=NOW + 3)
        assert freeze.current(session) == second
