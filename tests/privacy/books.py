"""A ledger with two licences, and short ways to charge it and to settle."""

from __future__ import annotations

import dataclasses
from typing import Any

import pyarrow as pa
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from passersby.model.cost import MechanismEvent, MicroRho
from passersby.model.release import Release
from passersby.model.schema import ROWS
from passersby.privacy.ledger import Ledger
from passersby.store.database import Database
from passersby.store.tables import Budget, Licence, LogEntry, Person, Reservation, Spend

CAP = MicroRho(1000)
LICENCE_CAP = MicroRho(10_000)
W20, W21 = ("k1", "2026-W20"), ("k1", "2026-W21")


def granted(database: Database) -> Database:
    with database.write() as session:
        session.add(Person(id="p", name="", roles="[]", public_key="", created=0, active=True))
        session.flush()
        for name in ("L", "M"):
            session.add(Licence(id=name, record="{}", record_sha256="", granted_by="p", created=0))
    return database


def ledger_of(books: Database, cap: MicroRho = CAP) -> Ledger:
    return Ledger(books, cap=cap, revision_percent=25)


def an_event(micro_rho: int, **changes: Any) -> MechanismEvent:
    cheap = MechanismEvent("discrete_gaussian", 1000.0, 1.0, micro_rho, "presence level 6")
    return dataclasses.replace(cheap, **changes)


def reserve(books: Database, name: str, *micro_rho: int, cap: MicroRho = CAP, **changes: Any) -> None:
    with books.write() as session:
        reserve_in(session, books, name, *micro_rho, cap=cap, **changes)


def reserve_in(
    session: Session, books: Database, name: str, *micro_rho: int, cap: MicroRho = CAP, **changes: Any
) -> None:
    arguments: dict[str, Any] = {
        "reservation_id": name,
        "licence": "L",
        "licence_cap": LICENCE_CAP,
        "keyed_periods": [W20],
        "events": [an_event(cost) for cost in micro_rho],
        "question_sha256": f"q{name}",
        "revision": False,
        "now": 100,
        "lease_s": 60,
    }
    ledger_of(books, cap).reserve(session, **(arguments | changes))


def spent_of(books: Database) -> dict[tuple[str, str], int]:
    with books.read() as session:
        ledger_of(books).verify(session)
        return {(row.key, row.period): row.spent for row in session.scalars(select(Budget)) if row.spent}


def written_of(books: Database) -> tuple[int, ...]:
    """Numbers of reservations, mechanism events and log entries."""
    with books.read() as session:
        return tuple(
            session.scalar(select(func.count()).select_from(table)) or 0
            for table in (Reservation, Spend, LogEntry)
        )


def an_answer(name: str, micro_rho: int, **changes: Any) -> Release:
    made = Release(
        id=f"r{name}",
        question_sha256=f"q{name}",
        question={"measure": "presence"},
        rows=pa.table(
            {
                "cell": [5, 6],
                "start": [0, 0],
                "estimate": [1.5, None],
                "low": [0.0, None],
                "high": [3.0, None],
                "count": [1, None],
                "flag": ["", "suppressed"],
            },
            schema=ROWS,
        ),
        label={"name": "n"},
        micro_rho=micro_rho,
        created=100,
        log_index=1,
        sampler="opendp",
    )
    return dataclasses.replace(made, **changes)


def settle(books: Database, name: str, micro_rho: int, now: int = 120, **changes: Any) -> None:
    with books.write() as session:
        ledger_of(books).settle(
            session, reservation_id=name, release=an_answer(name, micro_rho, **changes), now=now
        )
