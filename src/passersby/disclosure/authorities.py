"""The registry of courts and timestamp authorities: added by two people, public in the log, after 7 days.

What an authority is stands in a proposal that two people signed. Whenever one is relied on, both signatures
are checked again, and its entry is proven to be in the published log with the same certificate and the same
date: a row that somebody wrote into the database is worth nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asn1crypto import pem, x509
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from passersby.disclosure.mark import is_marked
from passersby.errors import IntegrityError, UnknownName, UsageError
from passersby.keys.signed import Actor, require
from passersby.model.record import NAME, Fields
from passersby.people import proposals
from passersby.people.proposals import ADD_AUTHORITY, ADD_TEST_AUTHORITY, Proposal
from passersby.policy.refusals import refusal
from passersby.store.order_tables import Authority as Row
from passersby.trustlog import receipts
from passersby.trustlog.entries import JSON, append, stored

COURT, TIMESTAMP = "court", "timestamp"

_ADDED = "authority.added"


@dataclass(frozen=True)
class PublishedLog:
    """The published log of this deployment: its folder and its verifier key."""

    folder: Path
    vkey: str


@dataclass(frozen=True)
class Authority:
    """A court or a timestamp authority, as two people signed it. Times are epoch s.

    Args:
        id: its name in orders and in the log.
        use: `COURT` or `TIMESTAMP`.
        title: its full name.
        jurisdiction: where it sits.
        source: where the certificate was got from.
        revocation: where it says which of its certificates are void.
        valid_from: first instant from which it is relied on.
        valid_until: end of that time.
        certificate: its root, PEM.
        test: it carries the mark of test courts.
    """

    id: str
    use: str
    title: str
    jurisdiction: str
    source: str
    revocation: str
    valid_from: int
    valid_until: int
    certificate: str
    test: bool

    def root(self) -> x509.Certificate:
        """Return its root certificate."""
        return _certificate(self.certificate)

    def record(self) -> dict[str, JSON]:
        """Return what two people sign."""
        return dict(vars(self))


@dataclass(frozen=True)
class Registered:
    """An authority with the time from which it acts, and when it was retired."""

    authority: Authority
    acts_from: int
    retired: int | None


def parse(text: str) -> Authority:
    """Return an authority from the TOML that a person filled in.

    Raises:
        BadRecord: a field is missing or wrong, or the certificate is not one that may issue others.
    """
    fields = Fields.from_toml(text, "Authority")
    found = Authority(
        id=fields.text("id", pattern=NAME),
        use=fields.text("use", choices=(COURT, TIMESTAMP)),
        title=fields.text("title"),
        jurisdiction=fields.text("jurisdiction"),
        source=fields.text("source"),
        revocation=fields.text("revocation"),
        valid_from=fields.instant("valid_from"),
        valid_until=fields.instant("valid_until"),
        certificate=fields.text("certificate"),
        test=False,
    )
    fields.done()
    try:
        root = found.root()
    except ValueError:
        raise fields.error("certificate", "must be one certificate in PEM") from None
    if not root.ca:
        raise fields.error("certificate", "must be a root: one that may issue others")
    if found.valid_until <= found.valid_from:
        raise fields.error("valid_until", "must be after `valid_from`")
    return Authority(**{**vars(found), "test": is_marked(root)})


def kind_of(session: Session, authority: Authority) -> str:
    """Return the kind of act that adds an authority here.

    Raises:
        UsageError: there is an authority of that name already.
        Refusal: InvalidIssuingAuthority: it is a test court, and this is no demo deployment.
    """
    if session.get(Row, authority.id) is not None:
        raise UsageError("There is an authority of that name already.", "Choose another `id`.")
    if not authority.test:
        return ADD_AUTHORITY
    if not made_as_demo(session):
        raise refusal("InvalidIssuingAuthority")
    return ADD_TEST_AUTHORITY


def register(session: Session, proposal: Proposal, *, now: int) -> None:
    """Put an approved authority into the registry and into the log.

    Raises:
        UsageError: there is one of that name.
        Refusal: InvalidIssuingAuthority: a test court in a deployment that is no demo.
    """
    authority = _of(proposal)
    kind_of(session, authority)
    index = append(session, _ADDED, _public(authority, proposal), now=now)
    session.add(Row(id=authority.id, use=authority.use, proposal=proposal.id, log_index=index, retired=None))
    session.flush()


def retire(session: Session, name: str, *, reason: str, actor: Actor, now: int) -> None:
    """Stop relying on an authority at once: that takes one person.

    Raises:
        UnknownName: there is none of that name in service.
        UsageError: no reason is given.
        Refusal: the actor has no role for it.
    """
    require(session, actor, "custodian", "legal", "privacy", "overseer")
    if not reason.strip():
        raise UsageError(
            "Retiring an authority needs a reason.", "Say in one sentence why; it is not public."
        )
    query = update(Row).where(Row.id == name, Row.retired.is_(None)).values(retired=now).returning(Row.id)
    if session.execute(query).first() is None:
        raise UnknownName(
            "There is no authority of that name in service.", "`passersby court list` shows all."
        )
    public: dict[str, JSON] = {"authority": name, "by": actor.id}
    append(session, "authority.retired", public, {"why": reason.strip()}, now=now)


def list_all(session: Session) -> list[Registered]:
    """Return all authorities by name, signatures checked."""
    found = []
    for row in session.scalars(select(Row).order_by(Row.id)):
        proposal = proposals.get(session, row.proposal)
        found.append(Registered(_of(proposal), proposal.acts_from or 0, row.retired))
    return found


def acting(
    session: Session, log: PublishedLog, *, use: str, now: int, name: str | None = None
) -> list[Authority]:
    """Return the authorities of one use that are relied on now, signatures and log entries checked.

    Args:
        session: a read of the control database.
        log: the published log.
        use: `COURT` or `TIMESTAMP`.
        now: epoch s.
        name: only this one.

    Raises:
        IntegrityError: an authority is not what two people signed or what the log shows.
    """
    demo = made_as_demo(session)
    query = select(Row).where(Row.use == use, Row.retired.is_(None))
    if name is not None:
        query = query.where(Row.id == name)
    found = []
    for row in session.scalars(query.order_by(Row.id)).all():
        proposal = proposals.get(session, row.proposal)
        authority = _of(proposal)
        _check_logged(session, log, row, _public(authority, proposal))
        in_time = authority.valid_from <= now < authority.valid_until and now >= (proposal.acts_from or 0)
        if in_time and authority.id == row.id and (demo or not authority.test):
            found.append(authority)
    return found


def made_as_demo(session: Session) -> bool:
    """Return whether the log's first entry says that this is a demo: that mark cannot be removed."""
    (first,) = stored(session, 0, 1)
    return json.loads(first).get("demo") is True


def _of(proposal: Proposal) -> Authority:
    if proposal.state != "approved" or proposal.kind not in {ADD_AUTHORITY, ADD_TEST_AUTHORITY}:
        raise _false()
    authority = Authority(**proposal.record)
    if authority.test != (proposal.kind == ADD_TEST_AUTHORITY) or authority.test != is_marked(
        authority.root()
    ):
        raise _false()
    return authority


def _check_logged(session: Session, log: PublishedLog, row: Row, public: Mapping[str, JSON]) -> None:
    (body,) = stored(session, row.log_index, row.log_index + 1)
    receipts.verify_proof(body, receipts.prove(log.folder, row.log_index), log.vkey)
    entry: dict[str, Any] = json.loads(body)
    entry.pop("time")
    if entry != {"kind": _ADDED, **public}:
        raise _false()


def _public(authority: Authority, proposal: Proposal) -> dict[str, JSON]:
    return {
        "authority": authority.id,
        "use": authority.use,
        "title": authority.title,
        "jurisdiction": authority.jurisdiction,
        "source": authority.source,
        "revocation": authority.revocation,
        "certificate_sha256": hashlib.sha256(authority.root().dump()).hexdigest(),
        "valid_from": authority.valid_from,
        "valid_until": authority.valid_until,
        "acts_from": proposal.acts_from,
        "test": authority.test,
    }


def _certificate(text: str) -> x509.Certificate:
    kind, _, der = pem.unarmor(text.encode())
    if kind != "CERTIFICATE":
        raise ValueError("no certificate")
    certificate = x509.Certificate.load(der)
    certificate.native  # noqa: B018 (reads all of it: damage shows now)
    return certificate


def _false() -> IntegrityError:
    return IntegrityError(
        "A registered authority is not the one that two people signed and that the log shows.",
        "Retire it with `passersby court retire`, and find out who changed the database.",
    )
