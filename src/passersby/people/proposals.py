"""Acts that take two people: one proposes, another one signs the same record, and only then it acts.

Each kind of act has a `Rule`: who may propose it, who may approve it, and how long it waits before it acts,
so that those who watch the log can object. Both signatures are over the record's SHA-256, each for its own
purpose, and are checked again whenever the record is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.errors import Refusal, UnknownName, UsageError
from passersby.keys.signed import SAME_PERSON, Actor, digest, require, seal, unseal, verify_person
from passersby.model.period import DAY
from passersby.store.proposal_tables import Proposal as Row
from passersby.trustlog.entries import JSON, append


@dataclass(frozen=True)
class Rule:
    """Who may propose and approve a kind of act, and how long it waits after the approval.

    Args:
        text: what the act does, in a few words, for lists.
        proposers: roles, any of which may propose.
        approvers: roles, any of which may approve; never the proposer, whatever their roles.
        delay: seconds between the approval and the time from which it acts.
    """

    text: str
    proposers: tuple[str, ...]
    approvers: tuple[str, ...]
    delay: int = 0


ADD_AUTHORITY, ADD_TEST_AUTHORITY = "authority.add", "authority.add-test"
TAINT = "supplier.taint"
THAW, REKEY = "freeze.end", "person.rekey"
ASSESS_LAKE = "lake.assess"

_REGISTRARS, _SECONDS = ("custodian", "legal"), ("custodian", "legal", "privacy")
_STAFF = ("custodian", "privacy")

RULES: dict[str, Rule] = {
    "sensitive.change": Rule(
        "Change a list of sensitive places",
        proposers=("custodian", "privacy"),
        approvers=("custodian", "privacy"),
    ),
    ADD_AUTHORITY: Rule("Add a court or a timestamp authority", _REGISTRARS, _SECONDS, delay=7 * DAY),
    ADD_TEST_AUTHORITY: Rule("Add a test court or its clock", _REGISTRARS, _SECONDS),
    TAINT: Rule(
        "Delete what came of a bad delivery",
        proposers=("custodian", "legal", "privacy", "overseer"),
        approvers=_SECONDS,
    ),
    THAW: Rule("End a freeze", ("custodian", "overseer"), ("custodian", "overseer")),
    "subject.check": Rule("Let a holder see, whom an operator checked", _STAFF, ("privacy", "legal")),
    "subject.enrol-app": Rule("Enrol the key of a supplier's app", _STAFF, ("privacy", "legal")),
    REKEY: Rule("Replace a person's key", ("custodian", "overseer", "privacy"), (*_SECONDS, "overseer")),
    ASSESS_LAKE: Rule(
        "Assess how identifiable the lake's people are", ("custodian",), ("privacy", "overseer")
    ),
}
"""Kind of act -> its rule. A kind's effect is in `deployment.acts`."""


@dataclass(frozen=True)
class Proposal:
    """A proposal as it stands. Times are epoch s; `acts_from` is None until it is approved."""

    id: int
    kind: str
    subject: str
    record: Mapping[str, Any]
    record_sha256: str
    proposed_by: str
    created: int
    decided_by: str | None
    decided: int | None
    acts_from: int | None
    state: str


def propose(
    session: Session, kind: str, subject: str, record: Mapping[str, JSON], *, actor: Actor, now: int
) -> Proposal:
    """Record a proposal, signed by `actor`, and log it.

    Args:
        session: an open session of `Database.write()`.
        kind: a key of `RULES`.
        subject: what it is about, in a word that may be public for ever.
        record: all that will act; the log has its SHA-256 only.
        actor: who proposes.
        now: epoch s.

    Raises:
        UsageError: a proposal of this kind about this subject is open already.
        Refusal: the actor has none of the rule's roles.
    """
    require(session, actor, *RULES[kind].proposers)
    waiting = select(Row).where(Row.kind == kind, Row.subject == subject, Row.state == "open")
    if session.scalars(waiting).first() is not None:
        raise UsageError(
            "Such a proposal is open already.",
            "Approve or refuse it first: `passersby proposal list` shows it.",
        )
    sealed = seal(record, _made(kind), actor)
    row = Row(
        kind=kind,
        subject=subject,
        record=sealed.text,
        record_sha256=sealed.sha256,
        proposed_by=actor.id,
        created=now,
        state="open",
    )
    session.add(row)
    session.flush()
    public: dict[str, JSON] = {**_public(row, actor), "record_sha256": sealed.sha256}
    append(session, "proposal.made", public, {"signature": sealed.signature}, now=now)
    return _read(session, row)


def approve(session: Session, number: int, *, actor: Actor, now: int) -> Proposal:
    """Approve an open proposal with the actor's signature over its record, and log it.

    Raises:
        UnknownName: there is no open proposal of that number.
        Refusal: the actor proposed it, or has none of the rule's roles.
        IntegrityError: the record is not the one that was proposed.
    """
    row = _open(session, number)
    rule = RULES[row.kind]
    require(session, actor, *rule.approvers)
    if row.proposed_by == actor.id:
        raise Refusal("same-person", *SAME_PERSON)
    record = unseal(session, row.record, _made(row.kind))
    row.acts_from = now + rule.delay
    signature = _decide(row, "approved", record, actor=actor, now=now)
    session.flush()
    public: dict[str, JSON] = {**_public(row, actor), "acts_from": row.acts_from}
    append(session, "proposal.approved", public, {"signature": signature}, now=now)
    return _read(session, row)


def refuse(session: Session, number: int, *, reason: str, actor: Actor, now: int) -> Proposal:
    """Refuse an open proposal for good; who proposed it may take it back. The reason is not public.

    Raises:
        UnknownName: there is no open proposal of that number.
        UsageError: no reason is given.
        Refusal: the actor may neither propose nor approve it.
    """
    row = _open(session, number)
    rule = RULES[row.kind]
    require(session, actor, *rule.proposers, *rule.approvers)
    if not reason.strip():
        raise UsageError("A refusal needs a reason.", "Say in one sentence why; it is recorded, not public.")
    return _refuse(session, row, reason=reason.strip(), actor=actor, now=now)


def refuse_of(session: Session, person: str, *, reason: str, actor: Actor, now: int) -> None:
    """Refuse every open proposal of a person whose account `actor` is just ending."""
    for row in session.scalars(select(Row).where(Row.proposed_by == person, Row.state == "open")).all():
        _refuse(session, row, reason=reason, actor=actor, now=now)


def get(session: Session, number: int) -> Proposal:
    """Return one proposal, its signatures checked.

    Raises:
        UnknownName: there is none of that number.
        IntegrityError: a signature does not belong to its record and its signer.
    """
    row = session.get(Row, number)
    if row is None:
        raise _unknown()
    return _read(session, row)


def list_all(session: Session) -> list[Proposal]:
    """Return all proposals, oldest first, their signatures checked.

    Raises:
        IntegrityError: a signature does not belong to its record and its signer.
    """
    return [_read(session, row) for row in session.scalars(select(Row).order_by(Row.id))]


def approved(session: Session, kind: str, subject: str) -> Proposal | None:
    """Return the newest approved proposal of a kind about a subject, signatures checked, or None."""
    mine = select(Row).where(Row.kind == kind, Row.subject == subject, Row.state == "approved")
    row = session.scalars(mine.order_by(Row.id.desc()).limit(1)).one_or_none()
    return _read(session, row) if row else None


def _refuse(session: Session, row: Row, *, reason: str, actor: Actor, now: int) -> Proposal:
    record = unseal(session, row.record, _made(row.kind))
    signature = _decide(row, "refused", record, actor=actor, now=now)
    session.flush()
    private = {"signature": signature, "why": reason}
    append(session, "proposal.refused", _public(row, actor), private, now=now)
    return _read(session, row)


def _open(session: Session, number: int) -> Row:
    row = session.scalars(select(Row).where(Row.id == number).with_for_update()).one_or_none()
    if row is None or row.state != "open":
        raise _unknown()
    return row


def _unknown() -> UnknownName:
    return UnknownName(
        "There is no open proposal of that number.", "`passersby proposal list` shows all of them."
    )


def _decide(row: Row, state: str, record: Mapping[str, Any], *, actor: Actor, now: int) -> str:
    signature = actor.sign(digest(record), _decided(row.kind, state))
    row.state, row.decided_by, row.decided, row.signature = state, actor.id, now, signature
    return signature


def _read(session: Session, row: Row) -> Proposal:
    record = unseal(session, row.record, _made(row.kind))
    if row.state != "open":
        purpose = _decided(row.kind, row.state)
        verify_person(session, row.decided_by or "", digest(record), purpose, row.signature or "")
    return Proposal(
        row.id,
        row.kind,
        row.subject,
        record,
        row.record_sha256,
        row.proposed_by,
        row.created,
        row.decided_by,
        row.decided,
        row.acts_from,
        row.state,
    )


def _public(row: Row, actor: Actor) -> dict[str, JSON]:
    return {"proposal": row.id, "act": row.kind, "subject": row.subject, "by": actor.id}


def _made(kind: str) -> str:
    return f"{kind} proposed"


def _decided(kind: str, state: str) -> str:
    return f"{kind} {state}"
