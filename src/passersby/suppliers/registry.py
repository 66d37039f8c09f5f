"""Adds, assesses and suspends suppliers, and says whether data of a supplier may be taken now."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.config import Config
from passersby.errors import NotReady, Refusal, UnknownName, UsageError
from passersby.keys.signed import Actor, digest, require, seal, unseal
from passersby.model.banned import DEMO_ONLY
from passersby.model.period import DAY, HOUR
from passersby.model.record import Fields
from passersby.store import tables
from passersby.suppliers import assessment as assessments
from passersby.suppliers import contract as contracts
from passersby.suppliers.assessment import Assessment
from passersby.suppliers.contract import Contract
from passersby.trustlog.entries import JSON, append

_ADDED = "supplier.added"
_ASSESSED = "supplier.assessed"
_SUSPENDED = "supplier.suspended"
_KIND = "supplier"
_ASSESSORS = ("custodian", "legal", "privacy")
_STOPPERS = ("custodian", "legal", "privacy", "overseer")
_EASTERNMOST = 14 * HOUR  # where the day of `now` begins first
_DEFAULTS = Config()


@dataclass(frozen=True)
class Supplier:
    """One supplier as it stands. `created`, `suspended` are epoch s; `latest` is its newest assessment."""

    number: int
    contract: Contract
    created: int
    suspended: int | None
    latest: Assessment | None


def add(session: Session, contract: Contract, *, actor: Actor, now: int, config: Config = _DEFAULTS) -> int:
    """Record a supplier with its contract, signed by a custodian, and return its number.

    The contract is checked again, whoever made it.

    Args:
        session: an open session of `Database.write()`.
        contract: from `contract.parse`.
        actor: a custodian.
        now: epoch s.
        config: settings of the deployment, for the longest retention.

    Raises:
        BadRecord: the contract is not valid, or keeps data longer than the deployment does.
        Refusal: the actor is no custodian, or the deployment is a demo and the data is real.
        UsageError: there is a supplier of that name.
    """
    require(session, actor, "custodian")
    record = contracts.from_record(contract.to_record(), config=config).to_record()
    demo = session.get(tables.Setting, "demo")
    if demo is not None and demo.value == "1" and not contract.synthetic:
        raise Refusal("demo-deployment", *DEMO_ONLY)
    if _row(session, contract.id) is not None:
        msg = "There is a supplier of that name already; a contract is never changed."
        raise UsageError(msg, "Give the new contract an own `id`, for example with the year.")
    sealed = seal(record, _ADDED, actor)
    row = tables.Supplier(
        id=contract.id, contract=sealed.text, contract_sha256=sealed.sha256, created=now, suspended=None
    )
    session.add(row)
    session.flush()
    public = {"supplier": contract.id, "basis": contract.basis, "contract_sha256": sealed.sha256}
    append(session, _ADDED, public, {"added_by": actor.id, "signature": sealed.signature}, now=now)
    return row.number


def get(session: Session, supplier_id: str) -> tuple[int, Contract]:
    """Return a supplier's number and contract, its signature checked.

    Raises:
        UnknownName: there is no such supplier.
        IntegrityError: the stored contract is not the one that was signed.
    """
    row = _known(session, supplier_id)
    return row.number, contracts.from_record(unseal(session, row.contract, _ADDED))


def require_ready(session: Session, supplier_id: str, *, now: int) -> tuple[int, Contract]:
    """Return a supplier's number and contract if data of it may be taken now.

    Raises:
        UnknownName: there is no such supplier.
        NotReady: it is suspended, was never assessed, or its assessment is overdue.
        IntegrityError: contract or assessment is not the one that was signed.
    """
    number, contract = get(session, supplier_id)
    suspended, latest = _known(session, supplier_id).suspended, _latest(session, supplier_id)
    reason = ""
    if latest is None:
        reason = "was never assessed"
    elif suspended is not None or not latest.good:
        reason = "is suspended"
    elif now >= latest.due:
        reason = "is overdue for its assessment"
    if reason:
        msg = f"Supplier {supplier_id} {reason}: no data of it is taken."
        raise NotReady(msg, f"Assess it: `passersby supplier assess {supplier_id} --file assessment.toml`.")
    return number, contract


def assess(session: Session, supplier_id: str, record: Assessment, *, actor: Actor, now: int) -> None:
    """Record an assessment; `fail` and `ambiguous` suspend the supplier, a good one lifts a suspension.

    Raises:
        UnknownName: there is no such supplier.
        BadRecord: the assessment is not valid, is of another supplier, lies in the future, is overdue
            already, or has no consent sample where consent is the legal basis.
        Refusal: the actor has none of the roles custodian, legal and privacy.
    """
    require(session, actor, *_ASSESSORS)
    _, contract = get(session, supplier_id)
    checked = assessments.from_record(record.to_record())
    _check_fits(checked, contract, now)
    sealed = seal(checked.to_record(), _ASSESSED, actor)
    session.add(
        tables.Assessment(
            kind=_KIND,
            subject=supplier_id,
            record=sealed.text,
            approved_by=actor.id,
            created=now,
            next_due=checked.due,
        )
    )
    public: dict[str, JSON] = {"supplier": supplier_id, "result": checked.result, "next_due": checked.due}
    private = {"assessed_by": actor.id, "record_sha256": sealed.sha256, "signature": sealed.signature}
    append(session, _ASSESSED, public, private, now=now)
    row = _known(session, supplier_id)
    if checked.good:
        row.suspended = None
    else:
        _stop(session, row, f"assessment-{checked.result}", now)
    session.flush()


def suspend(session: Session, supplier_id: str, *, reason: str, actor: Actor, now: int) -> None:
    """Stop taking data of a supplier until a new assessment passes. Its reason stays out of the public log.

    Raises:
        UnknownName: there is no such supplier.
        UsageError: it is suspended already, or no reason is given.
        Refusal: the actor has none of the roles custodian, legal, privacy and overseer.
    """
    require(session, actor, *_STOPPERS)
    row = _known(session, supplier_id)
    if row.suspended is not None:
        msg = f"Supplier {supplier_id} is suspended already."
        raise UsageError(msg, "A new assessment that passes lifts the suspension.")
    if not reason.strip():
        msg = "A suspension needs a reason."
        raise UsageError(msg, "Say in one sentence why; it is recorded, and not public.")
    row.suspended = now
    session.flush()
    public = {"supplier": supplier_id, "reason": "decision"}
    private = {"why": reason.strip(), "suspended_by": actor.id}
    signature = actor.sign(digest({**public, **private, "at": now}), _SUSPENDED)
    append(session, _SUSPENDED, public, {**private, "signature": signature}, now=now)


def stop(session: Session, supplier_id: str, reason: str, *, now: int) -> None:
    """Suspend a supplier because of what two people decided or a check showed; one that is stays so.

    Args:
        session: an open session of `Database.write()`.
        supplier_id: a supplier that is recorded.
        reason: one word, public for ever.
        now: epoch s.
    """
    _stop(session, _known(session, supplier_id), reason, now)
    session.flush()


def list_all(session: Session) -> list[Supplier]:
    """Return all suppliers in the order in which they were added.

    Raises:
        IntegrityError: a contract or assessment is not the one that was signed.
    """
    return [
        Supplier(
            number=row.number,
            contract=contracts.from_record(unseal(session, row.contract, _ADDED)),
            created=row.created,
            suspended=row.suspended,
            latest=_latest(session, row.id),
        )
        for row in session.scalars(select(tables.Supplier).order_by(tables.Supplier.number))
    ]


def noticed_purposes(session: Session, numbers: Collection[int]) -> frozenset[str]:
    """Return the purposes that the notices of all these suppliers name (control A2); none for none.

    Args:
        session: an open session.
        numbers: suppliers whose data an answer reads.
    """
    rows = session.scalars(select(tables.Supplier).where(tables.Supplier.number.in_(list(numbers)))).all()
    if not rows or len(rows) != len(set(numbers)):
        return frozenset()
    named = [contracts.from_record(unseal(session, row.contract, _ADDED)).purposes for row in rows]
    return frozenset.intersection(*map(frozenset, named))


def _check_fits(record: Assessment, contract: Contract, now: int) -> None:
    fields = Fields({}, "Supplier assessment")
    if record.supplier != contract.id:
        raise fields.error("supplier", "is not the supplier that is assessed here")
    if record.assessed_at * DAY > now + _EASTERNMOST:
        raise fields.error("assessed_at", "lies in the future")
    if record.due <= now:
        raise fields.error("next_due", "has passed already")
    if contract.needs_consent and record.good and not record.consent_sample:
        raise fields.error("consent_sample", "is not filled in: the contract's legal basis is consent")


def _stop(session: Session, row: tables.Supplier, reason: str, now: int) -> None:
    if row.suspended is None:
        row.suspended = now
        append(session, _SUSPENDED, {"supplier": row.id, "reason": reason}, now=now)


def _row(session: Session, supplier_id: str) -> tables.Supplier | None:
    return session.scalars(select(tables.Supplier).where(tables.Supplier.id == supplier_id)).one_or_none()


def _known(session: Session, supplier_id: str) -> tables.Supplier:
    row = _row(session, supplier_id)
    if row is None:
        msg = "There is no supplier of that name."
        raise UnknownName(msg, "`passersby supplier list` shows them; `passersby supplier add` adds one.")
    return row


def _latest(session: Session, supplier_id: str) -> Assessment | None:
    mine = select(tables.Assessment).where(
        tables.Assessment.kind == _KIND, tables.Assessment.subject == supplier_id
    )
    row = session.scalars(mine.order_by(tables.Assessment.id.desc()).limit(1)).one_or_none()
    return assessments.from_record(unseal(session, row.record, _ASSESSED)) if row else None
