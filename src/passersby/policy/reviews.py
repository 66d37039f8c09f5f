"""Supervisors look at a random sample of the questions that were answered; a late review locks (control I3).

Nobody chooses the sample. An answered question (entry `release.made` or `release.repeated`) is drawn if the
first 64 bits of the SHA-256 of a fixed line and its leaf hash are less than `percent` hundredths of 2^64. The
leaf hash is fixed once the entry is written, and nobody knows it before; whoever has the log draws the same
sample again. `review.sampling` entries say which percentage holds from which entry on.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.errors import UnknownName, UsageError
from passersby.keys.signed import Actor, require, seal, signer, unseal
from passersby.policy.refusals import refusal
from passersby.store.duty_tables import Review as Row
from passersby.store.tables import LogEntry
from passersby.trustlog.entries import JSON, append

ANSWERED = ("release.made", "release.repeated")
"""Kinds of entries that are drawn from."""

RESULTS = ("in-order", "concern")
_DONE = "review.done"
_DOMAIN = b"passersby review v1\n"


@dataclass(frozen=True)
class Review:
    """A drawn question. Times are epoch s; `result` and `reviewer` are "" until it is done."""

    number: int
    entry: int
    licence: str
    asked_by: str
    due: int
    done: int | None
    result: str
    reviewer: str


def is_drawn(leaf: bytes, percent: int) -> bool:
    """Tell whether the entry with this leaf hash belongs to the sample of `percent` hundredths."""
    number = int.from_bytes(hashlib.sha256(_DOMAIN + leaf).digest()[:8])
    return number * 100 < percent << 64


def draw(session: Session, entry: int, *, licence: str, asked_by: str, due: int, now: int) -> None:
    """Put a question to the overseers, and log it."""
    row = Row(entry=entry, licence=licence, asked_by=asked_by, due=due)
    session.add(row)
    session.flush()
    public: dict[str, JSON] = {"review": row.id, "entry": entry, "licence": licence, "due": due}
    append(session, "review.drawn", public, now=now)


def do(session: Session, number: int, *, result: str, note: str, actor: Actor, now: int) -> Review:
    """Record an overseer's review, signed over the question's leaf hash, and log it. The note is not public.

    Raises:
        UnknownName: no review of that number waits.
        UsageError: the result is none of `RESULTS`, or there is no note.
        Refusal: role-missing, or own-question: the reviewer asked it.
    """
    row = session.scalars(select(Row).where(Row.id == number).with_for_update()).one_or_none()
    if row is None or row.done is not None:
        raise UnknownName("No review of that number waits.", "`passersby review list` shows those that do.")
    if result not in RESULTS or not note.strip():
        raise UsageError("A review needs a result and a note.", f"Results: {', '.join(RESULTS)}.")
    require(session, actor, "overseer")
    if row.asked_by == actor.id:
        raise refusal("own-question")
    leaf = session.scalars(select(LogEntry.leaf).where(LogEntry.index == row.entry)).one()
    said: dict[str, JSON] = {"review": row.id, "entry": row.entry, "result": result}
    sealed = seal({**said, "leaf": leaf.hex(), "note": note.strip()}, _DONE, actor)
    row.record, row.done = sealed.text, now
    session.flush()
    private: dict[str, JSON] = {"note": note.strip(), "signature": sealed.signature}
    append(session, _DONE, {**said, "by": actor.id}, private, now=now)
    return _read(session, row)


def overdue(session: Session, licence: str, *, now: int) -> bool:
    """Tell whether a question of a licence waits for its review past the due date: that locks the licence."""
    late = select(Row.id).where(Row.licence == licence, Row.done.is_(None), Row.due <= now)
    return session.scalars(late.limit(1)).first() is not None


def waiting(session: Session) -> list[Review]:
    """Return the reviews that wait, the most urgent first."""
    rows = session.scalars(select(Row).where(Row.done.is_(None)).order_by(Row.due, Row.id))
    return [_read(session, row) for row in rows]


def list_all(session: Session) -> list[Review]:
    """Return all reviews, oldest first, their signatures checked.

    Raises:
        IntegrityError: a stored review is not the one that was signed.
    """
    return [_read(session, row) for row in session.scalars(select(Row).order_by(Row.id))]


def get(session: Session, number: int) -> Review:
    """Return one review.

    Raises:
        UnknownName: there is none of that number.
        IntegrityError: see `list_all`.
    """
    row = session.get(Row, number)
    if row is None:
        raise UnknownName("There is no review of that number.", "`passersby review list` shows them.")
    return _read(session, row)


def _read(session: Session, row: Row) -> Review:
    result = reviewer = ""
    if row.record is not None:
        result, reviewer = unseal(session, row.record, _DONE)["result"], signer(row.record)
    return Review(row.id, row.entry, row.licence, row.asked_by, row.due, row.done, result, reviewer)
