"""An order's life up to its release: submitted, approved by two people, or refused.

Nothing in here reads the lake or makes a pseudonym: whether a device is known is found out after both
approvals, by `disclosure.release`, and by nobody before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from asn1crypto import crl
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from passersby.disclosure import documents, page, stored
from passersby.disclosure.documents import Verified
from passersby.disclosure.holds import OPEN, end
from passersby.disclosure.order import Order
from passersby.disclosure.parts import Parts
from passersby.errors import Busy, UsageError
from passersby.keys.signed import Actor, require, verify_person
from passersby.lake import manifest
from passersby.policy.order_refusals import ORDERS
from passersby.policy.refusals import refusal
from passersby.store.order_tables import CourtOrder, OrderApproval
from passersby.store.tables import Person
from passersby.trustlog.entries import append

APPROVERS = ("legal", "privacy")
RELEASER = "releaser"
_HANDS = {*APPROVERS, RELEASER}
_SUBMITTERS = ("custodian", *APPROVERS, RELEASER)


@dataclass(frozen=True)
class Approval:
    """One person's approval: their signature over the document's hash. `log_index` is its entry."""

    role: str
    person: str
    public_key: str
    signature: str
    created: int
    log_index: int


@dataclass(frozen=True)
class Standing:
    """An order as it stands; nothing of it says whether its devices are known."""

    number: int
    court: str
    reference: str
    form: str
    state: str
    sha256: str
    payload_sha256: str
    submitted_by: str
    created: int
    expires: int
    ended: int | None
    package_sha256: str | None
    approvals: tuple[Approval, ...]


def submit(
    parts: Parts, document: bytes, lists: Sequence[crl.CertificateList] = (), *, actor: Actor, now: int
) -> tuple[int, Verified]:
    """Verify an order and record it; from here on its exact scope is held. Return its number.

    Args:
        parts: the deployment's parts.
        document: the bytes that the court signed.
        lists: newer lists of revoked certificates that the submitter fetched.
        actor: who hands it in.
        now: epoch s.

    Raises:
        Refusal: with the code of the first thing that is wrong; logged and counted.
    """
    sha256 = hashlib.sha256(document).hexdigest()
    with parts.counted("submission", actor=actor, now=now, sha256=sha256):
        with parts.database.read() as session:
            require(session, actor, *_SUBMITTERS)
            verified = documents.verify(document, session, parts.log, parts.limits, lists, now=now)
        with parts.writing() as session:
            # before the log: files that leave the lake meanwhile do so before this order or after it
            manifest.lock(session)
            return _record(session, parts, document, lists, verified, actor=actor, now=now), verified


def approve(parts: Parts, number: int, *, actor: Actor, now: int) -> Standing:
    """Approve an order in the actor's one role, with a signature over its document's hash.

    Raises:
        UnknownName: there is no order of that number.
        UsageError: somebody approved it in that role already, or it does not wait for approvals any more.
        Refusal: role-missing, TwoRolesInOneHand, SamePersonTwice or Expired; logged and counted.
    """
    with parts.counted("approval", actor=actor, now=now, order=number), parts.writing() as session:
        role = role_of(session, actor, APPROVERS)
        row = stored.get(session, number, lock=True)
        given = approvals(session, row)
        if actor.id in {each.person for each in given}:
            raise refusal("SamePersonTwice")
        if row.expires <= now:
            raise refusal("Expired")
        if row.state != "verified" or role in {each.role for each in given}:
            raise UsageError(
                f"This order does not wait for an approval in the role {role}.",
                "`passersby order show` says how it stands.",
            )
        index = append(session, "order.approved", {"order": number, "role": role, "by": actor.id}, now=now)
        signature = actor.sign(bytes.fromhex(row.sha256), _approved(role))
        session.add(
            OrderApproval(
                order=number, role=role, person=actor.id, signature=signature, created=now, log_index=index
            )
        )
        if len(given) + 1 == len(APPROVERS):
            row.state = "approved"
        session.flush()
        return standing(session, row)


def refuse(parts: Parts, number: int, *, code: str, reason: str, actor: Actor, now: int) -> Standing:
    """Refuse an order for good; what is held for it is deleted. The reason is not public.

    Raises:
        UnknownName: there is no order of that number.
        UsageError: no reason is given, the code is none of an order's, or the order ended already.
        Busy: it is being carried out.
        Refusal: role-missing; logged and counted.
    """
    if code not in ORDERS or not reason.strip():
        raise UsageError("A refusal needs a reason and a code.", f"Codes: {', '.join(ORDERS)}.")
    with parts.counted("refusal", actor=actor, now=now, order=number), parts.writing() as session:
        require(session, actor, *_HANDS, "overseer")
        row = stored.get(session, number, lock=True)
        if row.state not in OPEN:
            raise UsageError("This order has ended already.", "`passersby order show` says how.")
        if row.lease_until > now:
            raise Busy(
                "This order is being carried out.", "Look again in some minutes: `passersby order show`."
            )
        row.state, row.ended = "refused", now
        end(session, number)
        session.flush()
        private = {"by": actor.id, "document_sha256": row.sha256, "why": reason.strip()}
        append(session, "order.refused", {"code": code, "stage": "person", "order": number}, private, now=now)
        return standing(session, row)


def document(parts: Parts, number: int, *, actor: Actor, now: int) -> tuple[bytes, list[tuple[str, str]]]:
    """Return an order's document to a person who decides on it; the log says who read it.

    Returns:
        The document, and label and value of every field of its JSON, named and ordered as on its page.

    Raises:
        UnknownName: there is no order of that number.
        Refusal: role-missing; logged and counted.
    """
    with parts.counted("reading", actor=actor, now=now, order=number), parts.writing() as session:
        require(session, actor, *_HANDS, "overseer")
        row = stored.get(session, number)
        append(session, "order.read", {"order": number, "by": actor.id}, now=now)
        found = stored.document_of(session, parts.ring, row)
        return found, page.lines(documents.read(found).signed.payload)


def show(parts: Parts, number: int) -> tuple[Standing, Order]:
    """Return how an order stands and what it says.

    Raises:
        UnknownName: there is no order of that number.
    """
    with parts.database.read() as session:
        row = stored.get(session, number)
        return standing(session, row), stored.open_order(session, parts.ring, row)


def list_all(parts: Parts) -> list[Standing]:
    """Return all orders that were verified, oldest first."""
    with parts.database.read() as session:
        rows = session.scalars(select(CourtOrder).order_by(CourtOrder.id)).all()
        return [standing(session, row) for row in rows]


def role_of(session: Session, actor: Actor, roles: Sequence[str]) -> str:
    """Return the one of `roles` in which a person acts on orders.

    Raises:
        Refusal: role-missing, or TwoRolesInOneHand: they could act in two of the three roles.
    """
    require(session, actor, *roles)
    held = _HANDS & set(json.loads(session.get_one(Person, actor.id).roles))
    if len(held) != 1:
        raise refusal("TwoRolesInOneHand")
    return held.pop()


def approvals(session: Session, row: CourtOrder) -> tuple[Approval, ...]:
    """Return an order's approvals by role, each signature checked against the document's hash.

    Raises:
        IntegrityError: a signature does not fit.
    """
    found = []
    query = select(OrderApproval).where(OrderApproval.order == row.id).order_by(OrderApproval.role)
    for each in session.scalars(query).all():
        sha256 = bytes.fromhex(row.sha256)
        key = verify_person(session, each.person, sha256, _approved(each.role), each.signature)
        found.append(Approval(each.role, each.person, key, each.signature, each.created, each.log_index))
    return tuple(found)


def standing(session: Session, row: CourtOrder) -> Standing:
    """Return how an order stands."""
    return Standing(
        row.id,
        row.court,
        row.reference,
        row.form,
        row.state,
        row.sha256,
        row.payload_sha256,
        row.submitted_by,
        row.created,
        row.expires,
        row.ended,
        row.package_sha256,
        approvals(session, row),
    )


def _record(
    session: Session,
    parts: Parts,
    document_: bytes,
    lists: Sequence[crl.CertificateList],
    verified: Verified,
    *,
    actor: Actor,
    now: int,
) -> int:
    order = verified.order
    same = or_(
        CourtOrder.sha256 == verified.sha256,
        (CourtOrder.court == order.court) & (CourtOrder.reference_key == order.reference_key),
    )
    if session.scalars(select(CourtOrder.id).where(same).limit(1)).first() is not None:
        raise refusal("AlreadyUsed")
    document, revoked = stored.wrapped(session, parts.ring, document_, lists)
    row = CourtOrder(
        sha256=verified.sha256,
        payload_sha256=verified.payload_sha256,
        form=verified.form,
        court=order.court,
        reference=order.reference,
        reference_key=order.reference_key,
        document=document,
        lists=revoked,
        expires=order.valid.end,
        submitted_by=actor.id,
        created=now,
        log_index=0,
        state="verified",
        remaining=1,
        lease_until=0,
    )
    session.add(row)
    session.flush()
    row.log_index = append(
        session,
        "order.verified",
        {"order": row.id, "court": order.court, "jurisdiction": order.jurisdiction, "form": row.form},
        {
            "by": actor.id,
            "document_sha256": row.sha256,
            "payload_sha256": row.payload_sha256,
            "reference": order.reference,
            "devices": len(order.devices),
            "window": [order.window.start, order.window.end],
            "signers": list(verified.signers),
        },
        now=now,
    )
    session.flush()
    return row.id


def _approved(role: str) -> str:
    return f"order approved as {role}"
