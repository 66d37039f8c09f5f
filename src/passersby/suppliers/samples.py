"""Samples of consent records, drawn by chance and followed back by a person each quarter (control B5).

Only a person can see what somebody agreed to. Here records are drawn, the result is signed, and a supplier
whose sample is overdue delivers nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from passersby.errors import NotReady, UsageError
from passersby.keys.signed import Actor, digest, require
from passersby.model.period import DAY
from passersby.model.record import SHA256
from passersby.store.supplier_tables import ConsentSample
from passersby.store.tables import Consent
from passersby.suppliers import registry
from passersby.trustlog.entries import JSON, append

QUARTER_S = 91 * DAY
RESULTS = ("pass", "fail", "ambiguous")
"""`fail` and `ambiguous` suspend the supplier."""

LARGEST = 1000
_CHECKED = "consent.rechecked"
_CHECKERS = ("custodian", "legal", "privacy")


@dataclass(frozen=True)
class Sample:
    """Numbers (from 1, header not counted) of the records to follow back, in a register's file."""

    id: int
    version: int
    file_sha256: str
    numbers: tuple[int, ...]


def draw(session: Session, supplier_id: str, size: int, *, actor: Actor, now: int) -> Sample:
    """Draw `size` records of the register in force; a sample that waits for its result is given again.

    Raises:
        UnknownName: there is no such supplier.
        UsageError: the size is not from 1 to `LARGEST`.
        NotReady: no register is loaded.
        Refusal: the actor has none of the roles custodian, legal and privacy.
    """
    require(session, actor, *_CHECKERS)
    number, _ = registry.get(session, supplier_id)
    register = _register(session, number)
    if register is None:
        msg = f"No consent register of {supplier_id} is loaded."
        raise NotReady(msg, f"Load it: `passersby consent load FILE --supplier {supplier_id}`.")
    if not 1 <= size <= LARGEST:
        raise UsageError(f"A sample has from 1 to {LARGEST:,} records.", "Choose another --size.")
    row = _open(session, number)
    if row is None or row.version != register.version:
        records = register.records or register.rows
        numbers = sorted(secrets.SystemRandom().sample(range(1, records + 1), min(size, records)))
        row = ConsentSample(
            supplier=number,
            version=register.version,
            numbers=json.dumps(numbers),
            drawn_by=actor.id,
            created=now,
        )
        session.add(row)
        session.flush()
        public: dict[str, JSON] = {"supplier": supplier_id, "register": register.version}
        append(
            session, "consent.sampled", public, {"drawn_by": actor.id, "sample_sha256": _hash(row)}, now=now
        )
    return Sample(row.id, row.version, register.sha256, tuple(json.loads(row.numbers)))


def record(
    session: Session, supplier_id: str, result: str, evidence_sha256: str, *, actor: Actor, now: int
) -> int:
    """Record, signed, what following the drawn records back showed; return when the next is due, epoch s.

    Raises:
        UnknownName: there is no such supplier.
        UsageError: the result is none of `RESULTS`, the hash is none, or no sample waits for its result.
        Refusal: the actor has none of the roles custodian, legal and privacy.
    """
    require(session, actor, *_CHECKERS)
    number, _ = registry.get(session, supplier_id)
    if result not in RESULTS or not re.fullmatch(SHA256, evidence_sha256):
        raise UsageError(
            f"A check has a result ({', '.join(RESULTS)}) and the SHA-256 of its evidence.",
            "Give `--result` and `--evidence-sha256` (64 hexadecimal digits).",
        )
    row = _open(session, number)
    if row is None:
        msg = f"No sample of {supplier_id} waits for its result."
        raise UsageError(msg, f"Draw one: `passersby supplier sample {supplier_id}`.")
    due = now + QUARTER_S
    public: dict[str, JSON] = {"supplier": supplier_id, "result": result, "next_due": due}
    private: dict[str, JSON] = {
        "checked_by": actor.id,
        "evidence_sha256": evidence_sha256,
        "sample_sha256": _hash(row),
    }
    row.signature = actor.sign(digest({**public, **private}), _CHECKED)
    row.result, row.evidence_sha256 = result, evidence_sha256
    row.checked_by, row.checked = actor.id, now
    session.flush()
    append(session, _CHECKED, public, {**private, "signature": row.signature}, now=now)
    if result != "pass":
        registry.stop(session, supplier_id, f"sample-{result}", now=now)
    return due


def due(session: Session, number: int) -> int | None:
    """Return when a supplier's next sample is due, epoch s: a quarter after the last, or its first register.

    None while no register is loaded.
    """
    first = session.scalar(select(func.min(Consent.created)).where(Consent.supplier == number))
    if first is None:
        return None
    mine = select(func.max(ConsentSample.checked)).where(ConsentSample.supplier == number)
    return (session.scalar(mine) or first) + QUARTER_S


def require_current(session: Session, number: int, supplier_id: str, *, now: int) -> None:
    """Do nothing if the sample of a supplier that delivers on consent is not overdue.

    Raises:
        NotReady: it is.
    """
    until = due(session, number)
    if until is not None and until <= now:
        msg = f"The sample of consent records of {supplier_id} is overdue: no data of it is taken."
        raise NotReady(msg, f"Draw one and check it: `passersby supplier sample {supplier_id}`.")


def _register(session: Session, number: int) -> Consent | None:
    mine = select(Consent).where(Consent.supplier == number).order_by(Consent.version.desc())
    return session.scalars(mine.limit(1)).one_or_none()


def _open(session: Session, number: int) -> ConsentSample | None:
    waiting = select(ConsentSample).where(ConsentSample.supplier == number, ConsentSample.result.is_(None))
    return session.scalars(waiting.order_by(ConsentSample.id.desc()).limit(1)).one_or_none()


def _hash(row: ConsentSample) -> str:
    return hashlib.sha256(f"{row.version}:{row.numbers}".encode()).hexdigest()
