"""The impact assessment (DPIA) of the deployment: without one in force no delivery, licence or answer.

One person signs a draft, another one with the role privacy approves exactly that draft (control I1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.errors import NotReady, Refusal
from passersby.keys import signed
from passersby.keys.signed import Actor, seal, unseal
from passersby.model.period import DAY, day_name
from passersby.model.record import NAME, SHA256, Fields
from passersby.store import tables
from passersby.trustlog.entries import JSON, append

_WHAT = "Impact assessment"
_DRAFTED, _APPROVED = "impact.drafted", "impact.approved"
_DRAFT, _KIND, _SUBJECT = "impact-draft", "impact", "deployment"
_DRAFTERS = ("custodian", "legal", "privacy", "overseer")
_COMMAND = "`passersby impact approve --file impact.toml`"
_FIRST = "`passersby impact draft --file impact.toml`"
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


def draft(session: Session, record: Impact, *, actor: Actor, now: int) -> None:
    """Record that a person drafted an impact assessment, with their signature over it.

    Raises:
        BadRecord: it names the drafter as its approver, has passed its date, or runs longer than a year.
        Refusal: the actor has none of the roles custodian, legal, privacy and overseer.
    """
    signed.require(session, actor, *_DRAFTERS)
    checked = _checked(record, now)
    if checked.approved_by == actor.id:
        raise Fields({}, _WHAT).error("approved_by", "is the drafter: another person approves it")
    sealed = _store(session, checked, (_DRAFT, _DRAFTED), actor=actor, now=now)
    public: dict[str, JSON] = {"record_sha256": sealed.sha256, "by": actor.id}
    append(session, _DRAFTED, public, {"signature": sealed.signature}, now=now)


def approve(session: Session, record: Impact, *, actor: Actor, now: int) -> None:
    """Approve the newest draft: a person with the role privacy, who did not draft it, signs the same record.

    Raises:
        BadRecord: it names another approver, has passed its date, or runs longer than a year.
        NotReady: nobody drafted exactly this record.
        Refusal: the actor does not have the role privacy, or drafted it.
        IntegrityError: the stored draft is not the one that was signed.
    """
    signed.require(session, actor, "privacy")
    checked = _checked(record, now)
    if checked.approved_by != actor.id:
        raise Fields({}, _WHAT).error("approved_by", "is not the person who approves with this key")
    row = _newest(session, _DRAFT)
    if row is None or from_record(unseal(session, row.record, _DRAFTED)) != checked:
        msg = "The newest draft of the impact assessment is not this record."
        raise NotReady(msg, f"Somebody else signs it as its drafter first: {_FIRST}.")
    if row.approved_by == actor.id:
        raise Refusal("same-person", *signed.SAME_PERSON)
    sealed = _store(session, checked, (_KIND, _APPROVED), actor=actor, now=now)
    public: dict[str, JSON] = {
        "record_sha256": sealed.sha256,
        "approved_by": actor.id,
        "next_due": checked.due,
    }
    append(
        session, _APPROVED, public, {"drafted_by": row.approved_by, "signature": sealed.signature}, now=now
    )


def latest(session: Session) -> Impact | None:
    """Return the newest impact assessment, its signature checked; None before the first.

    Raises:
        IntegrityError: it is not the one that was signed.
    """
    row = _newest(session, _KIND)
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
        raise NotReady(
            msg, f"Fill in impact.toml and run {_FIRST}; then the privacy officer runs {_COMMAND}."
        )
    if now >= impact.due:
        msg = "The impact assessment of this deployment is overdue."
        raise NotReady(msg, f"Review impact.toml and run {_FIRST}; then the privacy officer runs {_COMMAND}.")
    return impact


def in_force(session: Session, *, now: int) -> bool:
    """Tell whether an impact assessment is approved and not overdue.

    Raises:
        IntegrityError: it is not the one that was signed.
    """
    impact = latest(session)
    return impact is not None and now < impact.due


def _checked(record: Impact, now: int) -> Impact:
    """Return the record, checked again whoever made it."""
    checked = from_record(record.to_record())
    if not now < checked.due <= now + _LONGEST_DAYS * DAY:
        raise Fields({}, _WHAT).error("next_due", "must lie in the future, by a year at most")
    return checked


def _store(
    session: Session, checked: Impact, kind: tuple[str, str], *, actor: Actor, now: int
) -> signed.SignedRecord:
    """Add a draft or an approval, `kind` of row and purpose of the signature."""
    sealed = seal(checked.to_record(), kind[1], actor)
    session.add(
        tables.Assessment(
            kind=kind[0],
            subject=_SUBJECT,
            record=sealed.text,
            approved_by=actor.id,
            created=now,
            next_due=checked.due,
        )
    )
    session.flush()
    return sealed


def _newest(session: Session, kind: str) -> tables.Assessment | None:
    mine = select(tables.Assessment).where(
        tables.Assessment.kind == kind, tables.Assessment.subject == _SUBJECT
    )
    return session.scalars(mine.order_by(tables.Assessment.id.desc()).limit(1)).one_or_none()


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
