"""The impact assessment (DPIA) of the deployment: no licence without an approved one (control I1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.errors import NotReady
from passersby.keys import signed
from passersby.keys.signed import Actor, seal, unseal
from passersby.model.period import DAY, day_name
from passersby.model.record import NAME, SHA256, Fields
from passersby.store import tables
from passersby.trustlog.entries import JSON, append

_WHAT = "Impact assessment"
_APPROVED = "impact.approved"
_KIND, _SUBJECT = "impact", "deployment"
_COMMAND = "`passersby impact approve --file impact.toml`"
_LONGEST_DAYS = 366


@dataclass(frozen=True)
class Impact:
    """What GDPR article 35(7) asks for, in short.

    Args:
        description: what is processed, of whom, from whom, and what leaves.
        necessity: why the purposes need it, and why less would not do.
        risks: to the people in the data.
        measures: against each of the risks, in the same order.
        approved_by: account of the person who approves.
        next_due: day (since 1970-01-01) from which it must be approved again.
        document_sha256: hash of the full document, in hexadecimal, or "".
    """

    description: str
    necessity: str
    risks: tuple[str, ...]
    measures: tuple[str, ...]
    approved_by: str
    next_due: int
    document_sha256: str = ""

    @property
    def due(self) -> int:
        """Instant (epoch s) from which it is overdue: midnight UTC at the start of `next_due`."""
        return self.next_due * DAY

    def to_record(self) -> dict[str, Any]:
        """Return the JSON object that is signed and stored; `from_record` reads it."""
        lists = {"risks": list(self.risks), "measures": list(self.measures)}
        return {**vars(self), **lists, "next_due": day_name(self.next_due)}


def parse(text: str) -> Impact:
    """Return the impact assessment of a TOML document.

    Raises:
        BadRecord: a field is missing, not filled in, unknown or not valid; the message names it.
    """
    return _read(Fields.from_toml(text, _WHAT))


def from_record(record: Mapping[str, Any]) -> Impact:
    """Return the impact assessment of a stored JSON object.

    Raises:
        BadRecord: see `parse`.
    """
    return _read(Fields(record, _WHAT))


def approve(session: Session, record: Impact, *, actor: Actor, now: int) -> None:
    """Record an impact assessment that a person with the role privacy approves with their signature.

    Raises:
        BadRecord: it names another approver, has passed its date, or runs longer than a year.
        Refusal: the actor does not have the role privacy.
    """
    signed.require(session, actor, "privacy")
    checked, fields = from_record(record.to_record()), Fields({}, _WHAT)
    if checked.approved_by != actor.id:
        raise fields.error("approved_by", "is not the person who approves with this key")
    if not now < checked.due <= now + _LONGEST_DAYS * DAY:
        raise fields.error("next_due", "must lie in the future, by a year at most")
    sealed = seal(checked.to_record(), _APPROVED, actor)
    session.add(
        tables.Assessment(
            kind=_KIND,
            subject=_SUBJECT,
            record=sealed.text,
            approved_by=actor.id,
            created=now,
            next_due=checked.due,
        )
    )
    session.flush()
    public: dict[str, JSON] = {
        "record_sha256": sealed.sha256,
        "approved_by": actor.id,
        "next_due": checked.due,
    }
    append(session, _APPROVED, public, {"signature": sealed.signature}, now=now)


def latest(session: Session) -> Impact | None:
    """Return the newest impact assessment, its signature checked; None before the first.

    Raises:
        IntegrityError: it is not the one that was signed.
    """
    mine = select(tables.Assessment).where(
        tables.Assessment.kind == _KIND, tables.Assessment.subject == _SUBJECT
    )
    row = session.scalars(mine.order_by(tables.Assessment.id.desc()).limit(1)).one_or_none()
    return from_record(unseal(session, row.record, _APPROVED)) if row else None


def require(session: Session, *, now: int) -> Impact:
    """Return the impact assessment that is in force.

    Raises:
        NotReady: there is none, or it is overdue.
        IntegrityError: it is not the one that was signed.
    """
    impact = latest(session)
    if impact is None:
        msg = "No impact assessment of this deployment is approved."
        raise NotReady(msg, f"Fill in impact.toml; a person with the role privacy runs {_COMMAND}.")
    if now >= impact.due:
        msg = "The impact assessment of this deployment is overdue."
        raise NotReady(msg, f"Review impact.toml; a person with the role privacy runs {_COMMAND}.")
    return impact


def _read(fields: Fields) -> Impact:
    impact = Impact(
        description=fields.text("description"),
        necessity=fields.text("necessity"),
        risks=fields.texts("risks"),
        measures=fields.texts("measures"),
        approved_by=fields.text("approved_by", pattern=NAME),
        next_due=fields.day("next_due"),
        document_sha256=fields.text("document_sha256", default="", pattern=SHA256),
    )
    fields.done()
    if len(impact.measures) != len(impact.risks):
        raise fields.error("measures", "must answer `risks`, one for each")
    return impact
