"""Samples of consent records: drawn by chance, signed, overdue ones lock, bad ones suspend."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import delete, select

from passersby.errors import NotReady, Refusal, UsageError
from passersby.keys.signed import Actor
from passersby.model.period import DAY
from passersby.store.database import Database
from passersby.store.supplier_tables import ConsentSample
from passersby.store.tables import Consent, LogEntry, Person, Supplier
from passersby.suppliers import registry, samples
from suppliers.test_registry import CONTRACT, NOW, Enrol

HASH = "ab" * 32


@pytest.fixture
def cara(sqlite_database: Database, person: Enrol) -> Actor:
    return person(sqlite_database, "cara", "custodian")


@pytest.fixture
def ready(sqlite_database: Database, cara: Actor) -> Database:
    """A supplier with a register of 1,000 records, and no assessment."""
    with sqlite_database.write() as session:
        number = registry.add(session, CONTRACT, actor=cara, now=NOW)
        row: dict[str, Any] = {"supplier": number, "version": 1, "sha256": "f" * 64, "path": "x", "rows": 900}
        session.add(Consent(**row, records=1000, created=NOW))
    return sqlite_database


def draw(database: Database, actor: Actor, size: int = 20) -> samples.Sample:
    with database.write() as session:
        return samples.draw(session, "example", size, actor=actor, now=NOW)


def check(
    database: Database, actor: Actor, result: str = "pass", evidence: str = HASH, now: int = NOW
) -> int:
    with database.write() as session:
        return samples.record(session, "example", result, evidence, actor=actor, now=now)


def test_records_are_drawn_by_chance_and_once(ready: Database, cara: Actor) -> None:
    drawn = draw(ready, cara)
    assert len(set(drawn.numbers)) == 20
    assert min(drawn.numbers) >= 1
    assert max(drawn.numbers) <= 1000
    assert draw(ready, cara) == drawn
    check(ready, cara)
    again = draw(ready, cara, 1000)
    assert again.numbers == tuple(range(1, 1001))
    assert not set(drawn.numbers) <= set(range(1, 21))  # probability below 1e-30


def test_a_sample_is_due_each_quarter_and_locks_when_overdue(ready: Database, cara: Actor) -> None:
    with ready.read() as session:
        assert samples.due(session, 1) == NOW + 91 * DAY
        samples.require_current(session, 1, "example", now=NOW + 91 * DAY - 1)
        with pytest.raises(NotReady, match="overdue"):
            samples.require_current(session, 1, "example", now=NOW + 91 * DAY)
    draw(ready, cara)
    assert check(ready, cara, now=NOW + 100 * DAY) == NOW + 191 * DAY
    with ready.read() as session:
        samples.require_current(session, 1, "example", now=NOW + 190 * DAY)


@pytest.mark.parametrize("result", ["fail", "ambiguous"])
def test_a_bad_one_suspends(ready: Database, cara: Actor, result: str) -> None:
    draw(ready, cara)
    check(ready, cara, result)
    with ready.read() as session:
        assert session.scalars(select(Supplier.suspended)).one() == NOW
        entries = [
            json.loads(body) for body in session.scalars(select(LogEntry.body).order_by(LogEntry.index))
        ]
        row = session.scalars(select(ConsentSample)).one()
    assert entries[-1]["reason"] == f"sample-{result}"
    assert [entry["kind"] for entry in entries[-3:-1]] == ["consent.sampled", "consent.rechecked"]
    assert (row.result, row.checked_by, row.evidence_sha256) == (result, cara.id, HASH)


def test_what_cannot_be_recorded(ready: Database, cara: Actor) -> None:
    with pytest.raises(UsageError, match="waits"):
        check(ready, cara)
    for size in (0, 1001):
        with pytest.raises(UsageError, match="1,000"):
            draw(ready, cara, size)
    draw(ready, cara)
    with pytest.raises(UsageError, match="result"):
        check(ready, cara, "fine")
    with pytest.raises(UsageError, match="SHA-256"):
        check(ready, cara, evidence="x")
    with ready.write() as session:
        session.execute(delete(Consent))
    with pytest.raises(NotReady, match="register"):
        draw(ready, cara)


def test_it_takes_a_role(ready: Database, cara: Actor) -> None:
    with ready.write() as session:
        session.get_one(Person, cara.id).roles = '["analyst"]'
    with pytest.raises(Refusal):
        draw(ready, cara)
    with pytest.raises(Refusal):
        check(ready, cara)
