"""What holders asked for, and by when it must be done: the clocks that `status` shows.

A request counts from the day on which it arrived, by whatever way; one command carries most of them out.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from passersby.errors import UsageError
from passersby.model.duty import Duty
from passersby.model.period import DAY
from passersby.store.proposal_tables import Proposal
from passersby.store.subject_tables import SubjectRequest

WITHDRAW, ERASE, SHOW, RECIPIENTS = "withdraw", "erase", "show", "recipients"
COPY, STOP, NOTICES = "copy", "stop", "notices"

DAYS = MappingProxyType({WITHDRAW: 15, ERASE: 30, SHOW: 30, RECIPIENTS: 30, COPY: 30, STOP: 30, NOTICES: 30})
"""What is asked for -> days until it must be done at the latest (controls F1 to F4)."""

CHECK = "subject.check"
"""Act of two people by which an operator says that they checked who holds a device."""

_STEPS = MappingProxyType(
    {
        ERASE: "passersby subject receipt",  # says what it waits for
        SHOW: "passersby proposal list",  # shows whose signature is missing
    }
)


def add(
    session: Session,
    what: str,
    *,
    received: int | None,
    now: int,
    done: bool,
    erasure: int | None = None,
    proof: str | None = None,
) -> SubjectRequest:
    """Record a request.

    Args:
        session: a session that may write.
        what: a key of `DAYS`.
        received: when it arrived, epoch s; None: now.
        now: epoch s.
        done: whether it is carried out with this.
        erasure: number of the erasure that it waits for.
        proof: SHA-256 of the signed request that proved the holder.

    Raises:
        UsageError: it arrives in the future.
    """
    arrived = now if received is None else received
    if arrived > now:
        raise UsageError("A request cannot have arrived in the future.", "Give the day on which it came.")
    row = SubjectRequest(
        what=what,
        received=arrived,
        due=arrived + DAYS[what] * DAY,
        erasure=erasure,
        proof=proof,
        created=now,
        done=now if done else None,
    )
    session.add(row)
    session.flush()
    return row


def end(session: Session, erasure: int, *, now: int) -> None:
    """Record that what waited for an erasure is done."""
    waits = update(SubjectRequest).where(SubjectRequest.erasure == erasure, SubjectRequest.done.is_(None))
    session.execute(waits.values(done=now))


def answered(session: Session, start: int, end: int) -> dict[str, list[float]]:
    """Return for each thing that was asked for how many days each answer of a time took, from the arrival on.

    A copy, which waits for its holder, and what a phone or an app does by itself are left out.

    Args:
        session: an open session.
        start: first instant (epoch s) of the time.
        end: first instant after it.
    """
    asked = [WITHDRAW, ERASE, SHOW, RECIPIENTS]
    rows = select(SubjectRequest).where(SubjectRequest.what.in_(asked), SubjectRequest.done >= start)
    found: dict[str, list[float]] = {}
    for row in session.scalars(rows.where(SubjectRequest.done < end)):
        # an operator's check is a request from the day it was asked for; that it was then used is none more
        proof = row.proof or ""
        if row.what != SHOW or not (proof.startswith(CHECK) and proof.endswith(SHOW)):
            found.setdefault(row.what, []).append(((row.done or end) - row.received) / DAY)
    return found


def duties(session: Session) -> Iterator[Duty]:
    """Yield what is open. A copy waits for its holder, and a check that was refused is answered."""
    refused = select(Proposal.id).where(Proposal.kind == CHECK, Proposal.state == "refused")
    answered = [f"{CHECK} {number}" for number in session.scalars(refused)]
    rows = session.scalars(
        select(SubjectRequest)
        .where(SubjectRequest.done.is_(None), SubjectRequest.what.in_(list(_STEPS)))
        .order_by(SubjectRequest.due, SubjectRequest.id)
    ).all()
    for row in rows:
        if row.proof not in answered:
            what = f"holder's request {row.id}: {row.what}"
            yield Duty(what, _STEPS[row.what], row.due, who="custodian, privacy")
