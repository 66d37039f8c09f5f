"""The yearly review of the whole programme, by an overseer, with the date of the next one (control K4)."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from passersby.errors import UsageError
from passersby.keys.signed import Actor, require, seal
from passersby.model.period import DAY
from passersby.model.record import SHA256
from passersby.store.tables import Assessment, Person
from passersby.trustlog.entries import JSON, append

YEAR_S = 365 * DAY
_KIND, _SUBJECT = "programme", "deployment"
_REVIEWED = "programme.reviewed"


def review(session: Session, *, document_sha256: str, note: str, actor: Actor, now: int) -> int:
    """Record with an overseer's signature that the programme was reviewed; return when it is due again.

    Args:
        session: an open session of `Database.write()`.
        document_sha256: hash of the review's report, in hexadecimal; it is public.
        note: what it came to, in a sentence; not public.
        actor: an overseer.
        now: epoch s.

    Raises:
        UsageError: the hash is none, or there is no note.
        Refusal: the actor is no overseer.
    """
    require(session, actor, "overseer")
    if not SHA256.fullmatch(document_sha256) or not document_sha256 or not note.strip():
        raise UsageError("A programme review needs a report and a note.", "Name the report's file.")
    due = now + YEAR_S
    record: dict[str, JSON] = {"document_sha256": document_sha256, "note": note.strip(), "next_due": due}
    sealed = seal(record, _REVIEWED, actor)
    session.add(
        Assessment(
            kind=_KIND,
            subject=_SUBJECT,
            record=sealed.text,
            approved_by=actor.id,
            created=now,
            next_due=due,
        )
    )
    session.flush()
    public: dict[str, JSON] = {"document_sha256": document_sha256, "by": actor.id, "next_due": due}
    append(session, _REVIEWED, public, {"note": note.strip(), "signature": sealed.signature}, now=now)
    return due


def due(session: Session) -> int | None:
    """Return when the programme is to be reviewed, epoch s: a year after the last time, or after the start.

    None where there are no people yet.
    """
    last = select(func.max(Assessment.next_due)).where(Assessment.kind == _KIND)
    started = session.scalar(select(func.min(Person.created)))
    return session.scalar(last) or (None if started is None else started + YEAR_S)
