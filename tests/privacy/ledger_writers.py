"""Writers that share one ledger, each in a process of its own: `python ledger_writers.py URL WHAT ...`.

`many URL WAY WRITERS TRIES` lets WRITERS processes try TRIES charges of 1 micro-rho each, and prints how
many were granted and how often a writer had to try again. `stop URL` reserves, says so, and waits;
`stop-before-commit URL` waits inside the transaction.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable

from sqlalchemy import Engine, create_engine, insert, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from passersby.errors import BudgetSpent
from passersby.model.cost import MechanismEvent, MicroRho
from passersby.privacy.ledger import Ledger
from passersby.store.database import Database
from passersby.store.tables import Budget, Spend

CAP = 400
FIRST_ANSWERS = 300
"""75% of the cap: what is left when 25% are kept for revisions."""

_EVENT = MechanismEvent("discrete_gaussian", 1000.0, 1.0, 1, "test")
_KEYED = ("key", "2026-W20")

Charge = Callable[[Database, str], tuple[bool, int]]
"""Tries one charge under a name; returns whether it was granted, and the number of retries."""


def reserve(database: Database, session: Session, name: str, now: int = 1000) -> None:
    """Reserve one charge of 1 micro-rho."""
    Ledger(database, cap=MicroRho(CAP), revision_percent=25).reserve(
        session,
        reservation_id=name,
        licence="L",
        licence_cap=MicroRho(CAP),
        keyed_periods=[_KEYED],
        events=[_EVENT],
        question_sha256=f"question of {name}",
        revision=False,
        now=now,
        lease_s=60,
    )


def _by_ledger(database: Database, name: str) -> tuple[bool, int]:
    try:
        with database.write() as session:
            reserve(database, session, name)
    except BudgetSpent:
        return False, 0
    return True, 0


def _naively(database: Database, name: str) -> tuple[bool, int]:
    """The mistake that the ledger must not make: look, then write what was seen."""
    wanted = select(Budget.spent).where(Budget.key == _KEYED[0])
    with database.read() as session:
        seen = session.execute(wanted).scalar_one()
    if seen >= FIRST_ANSWERS:
        return False, 0
    with database.write() as session:
        session.execute(update(Budget).where(Budget.key == _KEYED[0]).values(spent=seen + 1))
        session.execute(insert(Spend).values(**_row(name)))
    return True, 0


def _serializably(database: Database, name: str) -> tuple[bool, int]:
    """The same on PostgreSQL under SERIALIZABLE: right, but every collision is tried again."""
    engine = _strict_engine(database.url)
    for retries in range(10_000):
        try:
            with Session(engine) as session, session.begin():
                seen = session.execute(select(Budget.spent).where(Budget.key == _KEYED[0])).scalar_one()
                if seen < FIRST_ANSWERS:
                    session.execute(update(Budget).where(Budget.key == _KEYED[0]).values(spent=seen + 1))
                    session.execute(insert(Spend).values(**_row(name)))
        except OperationalError:
            continue
        return seen < FIRST_ANSWERS, retries
    raise TimeoutError


@functools.cache
def _strict_engine(url: str) -> Engine:
    return create_engine(url, isolation_level="SERIALIZABLE", pool_size=1)


def _row(name: str) -> dict[str, object]:
    return {
        "reservation": name,
        "key": _KEYED[0],
        "period": _KEYED[1],
        "licence": "L",
        "question_sha256": "",
        "kind": _EVENT.kind,
        "scale": _EVENT.scale,
        "sensitivity": _EVENT.sensitivity,
        "unit": "device-week",
        "micro_rho": 1,
        "what": "",
        "created": 0,
    }


WAYS: dict[str, Charge] = {"ledger": _by_ledger, "naive": _naively, "serializable": _serializably}


def many(url: str, way: str, writers: int, tries: int) -> None:
    """Fork the writers, let them start together, and print `granted retries seconds`."""
    gate, results = os.pipe(), os.pipe()
    for writer in range(writers):
        if os.fork() == 0:
            os.close(gate[1])
            os.read(gate[0], 1)  # returns at the end of input, when the parent opens the gate
            database = Database(url)
            outcomes = [WAYS[way](database, f"{writer}-{n}") for n in range(tries)]
            line = f"{sum(granted for granted, _ in outcomes)} {sum(retries for _, retries in outcomes)}\n"
            os.write(results[1], line.encode())
            os._exit(0)
    os.close(results[1])
    begin = time.perf_counter()
    os.close(gate[1])
    with os.fdopen(results[0]) as file:
        sums = [[int(number) for number in line.split()] for line in file]
    seconds = time.perf_counter() - begin
    if len(sums) != writers:
        raise SystemExit("a writer died")
    print(sum(granted for granted, _ in sums), sum(retries for _, retries in sums), f"{seconds:.1f}")


def stop(url: str, *, before_commit: bool) -> None:
    """Reserve, say so, and wait to be killed."""
    database = Database(url)
    with database.write() as session:
        reserve(database, session, "killed")
        if before_commit:
            session.flush()
            _wait()
    _wait()


def _wait() -> None:
    print("reserved", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "many":
        many(rest[0], rest[1], int(rest[2]), int(rest[3]))
    else:
        stop(rest[0], before_commit=what == "stop-before-commit")
