"""The ledger under many processes at once, and under processes that are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from passersby.model.cost import MicroRho
from passersby.privacy.ledger import Ledger
from passersby.store.database import Database
from passersby.store.tables import Budget, Licence, LogEntry, Person, Reservation, Spend

_SCRIPT = Path(__file__).parent / "ledger_writers.py"
_WRITERS, _TRIES, _ALLOWED = 32, 20, 300


@pytest.fixture
def licensed(database: Database) -> Database:
    """A database in which the licence L is granted."""
    with database.write() as session:
        session.add(Person(id="p", name="", roles="[]", public_key="", created=0, active=True))
        session.flush()
        session.add(Licence(id="L", record="{}", record_sha256="", granted_by="p", created=0))
    return database


def _open_balance(database: Database) -> None:
    """Make the balance that writers without the ledger fight for."""
    with database.write() as session:
        session.execute(insert(Budget).values(key="key", period="2026-W20", cap=400, spent=0))


def _ledger(database: Database) -> Ledger:
    return Ledger(database, cap=MicroRho(400), revision_percent=25)


def _count(session: Session, table: type[Spend | LogEntry | Reservation]) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


def _run(database: Database, way: str, writers: int = _WRITERS, tries: int = _TRIES) -> tuple[int, int]:
    """Run the writers; return how many charges were granted and how many retries that took."""
    command: list[str | Path] = [
        sys.executable,
        _SCRIPT,
        "many",
        database.url,
        way,
        str(writers),
        str(tries),
    ]
    granted, retries, seconds = subprocess.check_output(command, text=True).split()
    print(f"{way}: {granted} granted, {retries} retries, {seconds} s")
    return int(granted), int(retries)


@pytest.mark.slow
def test_exactly_as_many_as_the_cap_allows(licensed: Database) -> None:
    assert _run(licensed, "ledger") == (_ALLOWED, 0)
    with licensed.read() as session:
        _ledger(licensed).verify(session)
        assert session.scalar(select(Budget.spent)) == _ALLOWED
        assert _count(session, Spend) == _count(session, LogEntry) == _count(session, Reservation) == _ALLOWED


@pytest.mark.slow
def test_the_control_without_a_lock_grants_too_many(database: Database) -> None:
    _open_balance(database)
    granted, _ = _run(database, "naive")
    assert granted > _ALLOWED


@pytest.mark.slow
def test_serializable_is_right_but_tries_again_and_again(postgresql_database: Database) -> None:
    _open_balance(postgresql_database)
    granted, retries = _run(postgresql_database, "serializable", 16, 8)
    assert granted == 16 * 8
    assert retries > 0


def _killed(database: Database, what: str) -> None:
    """Start a writer, wait for its word, and kill it."""
    command: list[str | Path] = [sys.executable, _SCRIPT, what, database.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reserved\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_killed_between_reserving_and_settling_stays_spent(licensed: Database) -> None:
    _killed(licensed, "stop")
    with licensed.write() as session:
        assert _ledger(licensed).sweep(session, 1059) == []
        words = _ledger(licensed).sweep(session, 1060)
        assert len(words) == 1
        assert "1 micro-rho stay spent" in words[0]
        assert _ledger(licensed).sweep(session, 2000) == []
    with licensed.read() as session:
        _ledger(licensed).verify(session)
        assert session.scalar(select(Budget.spent)) == 1
        assert session.scalar(select(Reservation.state)) == "lost"


@pytest.mark.slow
def test_killed_before_the_commit_spends_nothing(licensed: Database) -> None:
    _killed(licensed, "stop-before-commit")
    with licensed.write() as session:
        assert _ledger(licensed).sweep(session, 2000) == []
        _ledger(licensed).verify(session)
        assert _count(session, Spend) == _count(session, LogEntry) == _count(session, Reservation) == 0
        assert (session.scalar(select(Budget.spent)) or 0) == 0
