"""Alerts: what an overseer should look at, once a day for each kind and account (controls I2, I4)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.errors import UnknownName, UsageError
from passersby.keys.signed import Actor, require, seal
from passersby.model.period import DAY
from passersby.policy.refusals import refusal
from passersby.store.duty_tables import Alert as Row
from passersby.trustlog.entries import JSON, append

TWO_PLACES, MANY, REVERSE, NO_CASE, CONCERN = (
    "key-in-two-places",
    "many-refusals",
    "reverse-search",
    "no-case",
    "review-concern",
)
KINDS = {
    TWO_PLACES: "A person's key is used by two processes at once.",
    MANY: "A person was refused many times in a day.",
    REVERSE: "Somebody asked for devices instead of a crowd.",
    NO_CASE: "A question named no open case.",
    CONCERN: "A reviewer has a concern about a question.",
}
"""Kind of alert -> what it says."""

_CLOSED = "alert.closed"


@dataclass(frozen=True)
class Alert:
    """An alert that nobody closed yet. `about` is an account, "" where no key was used; `created` epoch s."""

    number: int
    kind: str
    about: str
    created: int


def raise_alert(session: Session, kind: str, about: str, *, now: int) -> None:
    """Raise an alert and log it, unless there is one of the kind about the same account on this day (UTC)."""
    same = select(Row.id).where(Row.kind == kind, Row.about == about, Row.day == now // DAY)
    if session.scalar(same) is not None:
        return
    row = Row(kind=kind, about=about, day=now // DAY, created=now)
    session.add(row)
    session.flush()
    append(session, "alert.raised", {"alert": row.id, "about": kind}, {"account": about}, now=now)


def close(session: Session, number: int, *, note: str, actor: Actor, now: int) -> None:
    """Record with an overseer's signature what an alert came to. The note is not public.

    Raises:
        UnknownName: there is no open alert of that number.
        UsageError: there is no note.
        Refusal: role-missing, or own-alert: it is about the person who would close it.
    """
    row = session.scalars(select(Row).where(Row.id == number).with_for_update()).one_or_none()
    if row is None or row.closed is not None:
        raise UnknownName("There is no open alert of that number.", "`passersby alert list` shows them.")
    if not note.strip():
        raise UsageError("Closing an alert needs a note.", "Say in one sentence what was found.")
    require(session, actor, "overseer")
    if row.about == actor.id:
        raise refusal("own-alert")
    said: dict[str, JSON] = {"alert": row.id, "by": actor.id}
    sealed = seal({**said, "note": note.strip()}, _CLOSED, actor)
    row.record, row.closed = sealed.text, now
    session.flush()
    append(session, _CLOSED, said, {"note": note.strip(), "signature": sealed.signature}, now=now)


def open_alerts(session: Session) -> list[Alert]:
    """Return the alerts that nobody closed, oldest first."""
    rows = session.scalars(select(Row).where(Row.closed.is_(None)).order_by(Row.id))
    return [Alert(row.id, row.kind, row.about, row.created) for row in rows]
