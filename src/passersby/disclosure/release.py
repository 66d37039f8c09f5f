"""Carries an approved order out: a third person, once, and only then is anything looked up.

    1 person    a releaser, who approved nothing of it
    2 document  both approvals over its hash; the document is verified again, as when it came in
    3 witnesses the outside signatures that a disclosure needs
    4 claim     the one use is counted down, and the log says so, before anything is read
    5 look up   the named devices' pings, in the window, within the area; what is held for the order
    6 seal      to the recipient, with manifest and the log's proof
    7 settle    the package, the notices to the holders, the end of the hold, the log: one transaction
    8 wait      to the next tick, so that the time it took tells nothing

A process that dies between 4 and 7 leaves an order in the state `releasing`: the command is run again.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from passersby.disclosure import authorities, documents, holds, life, lookup, package, stored
from passersby.disclosure.documents import Verified
from passersby.disclosure.life import APPROVERS, RELEASER, Approval
from passersby.disclosure.order import Order, utc_text
from passersby.disclosure.parts import Parts
from passersby.errors import OperationError, UnknownName
from passersby.keys.signed import Actor
from passersby.notices import queue
from passersby.policy import freeze
from passersby.policy.refusals import refusal
from passersby.sensitive.kernels import withheld
from passersby.store.order_tables import CourtOrder
from passersby.store.tables import Supplier
from passersby.trustlog import entries, receipts
from passersby.trustlog.entries import JSON, append
from passersby.trustlog.heads import Witnessed

LEASE_S = 600
"""Seconds that a release has before another run of it may begin."""

TICK_S = 5.0
"""A release ends at a multiple of this many seconds after it began."""


@dataclass(frozen=True)
class Sealed:
    """A sealed package, and its SHA-256."""

    package: bytes
    sha256: str


@dataclass(frozen=True)
class _Claim:
    """The right to carry an order out now: its token, and the log entry that says so."""

    number: int
    token: str
    index: int


def disclose(parts: Parts, number: int, *, actor: Actor, now: int) -> Sealed:
    """Carry an approved order out and return the sealed package.

    Raises:
        UnknownName: there is no order of that number.
        Refusal: frozen, role-missing, TwoRolesInOneHand, SamePersonTwice, NotApproved, AlreadyUsed, Expired,
            no-witness, witnesses-away, or what the document is refused for by now; logged and counted.
        IntegrityError: the order is not the one that was verified and approved.
        OperationError: it took too long; nothing left, run it again.
    """
    begun = time.monotonic()
    try:
        with parts.counted("release", actor=actor, now=now, order=number):
            with parts.database.read() as session:
                freeze.require_running(session)
                given = _person(session, number, actor)
                verified = _document(session, parts, number, given, now=now)
            # 3 witnesses
            parts.require_witnesses(now=now)
            claim = _claim(parts, number, actor=actor, now=now)
            try:
                witnesses = parts.require_witnesses(claim.index, now=now)
                found, stretches = _look_up(parts, number, verified.order, now=now)
                facts = _facts(parts, verified, given, claim, witnesses, actor=actor, now=now)
                sealed = _sealed(parts, verified.order, found, stretches, facts, claim, now=now)
                _settle(parts, verified.order, sealed, claim, now=now)
            except BaseException:
                _give_back(parts, claim)
                raise
    finally:
        # 8 wait
        time.sleep(-(time.monotonic() - begun) % TICK_S)
    return sealed


def again(parts: Parts, number: int, *, actor: Actor, now: int) -> Sealed:
    """Return the sealed package of an order that was carried out; nothing is looked up.

    Raises:
        UnknownName: the order has none, or its package was forgotten.
        Refusal: frozen, role-missing; logged and counted.
    """
    with parts.counted("package", actor=actor, now=now, order=number), parts.writing() as session:
        freeze.require_running(session)
        life.role_of(session, actor, [RELEASER])
        row = stored.get(session, number)
        if row.package is None or row.package_sha256 is None:
            raise UnknownName(
                "There is no sealed package of that order.",
                f"It is kept for {holds.PACKAGE_DAYS} days after the order was carried out.",
            )
        append(session, "order.packaged", {"order": number, "by": actor.id}, now=now)
        return Sealed(row.package, row.package_sha256)


def _person(session: Session, number: int, actor: Actor) -> tuple[Approval, ...]:
    """Return the approvals of an order that this person may release (step 1)."""
    life.role_of(session, actor, [RELEASER])
    row = stored.get(session, number)
    given = life.approvals(session, row)
    if actor.id in {each.person for each in given}:
        raise refusal("SamePersonTwice")
    if row.state in {"disclosed", "refused", "lapsed"}:
        raise refusal("AlreadyUsed")
    people = {each.person for each in given}
    if {each.role for each in given} != set(APPROVERS) or len(people) != len(APPROVERS):
        raise refusal("NotApproved")
    return given


def _document(
    session: Session, parts: Parts, number: int, given: tuple[Approval, ...], *, now: int
) -> Verified:
    """Return the order, verified again as when it came in (step 2): its clock is that of the submission."""
    row = stored.get(session, number)
    document = stored.document_of(session, parts.ring, row)
    lists = stored.lists_of(session, parts.ring, row)
    verified = documents.verify(document, session, parts.log, parts.limits, lists, now=row.created)
    if not authorities.acting(session, parts.log, use=authorities.COURT, now=now, name=verified.order.court):
        raise refusal("InvalidIssuingAuthority")
    if verified.order.valid.end <= now or min(each.created for each in given) < row.created:
        raise refusal("Expired")
    return verified


def _claim(parts: Parts, number: int, *, actor: Actor, now: int) -> _Claim:
    """Count the one use down and log it (step 4). A claim whose lease lapsed is taken over."""
    token = secrets.token_hex(16)
    mine: dict[str, Any] = {"claim": token, "lease_until": now + LEASE_S, "state": "releasing"}
    wanted = update(CourtOrder).where(CourtOrder.id == number)
    first = wanted.where(CourtOrder.state == "approved", CourtOrder.remaining > 0)
    lapsed = wanted.where(CourtOrder.state == "releasing", CourtOrder.lease_until <= now)
    with parts.writing() as session:
        freeze.require_running(session)
        taken = _rows(session.execute(first.values(remaining=CourtOrder.remaining - 1, **mine)))
        if not taken and not _rows(session.execute(lapsed.values(**mine))):
            raise refusal("AlreadyUsed")
        row = stored.get(session, number)
        public: dict[str, JSON] = {"order": number, "court": row.court, "by": actor.id}
        private: dict[str, JSON] = {"document_sha256": row.sha256, "payload_sha256": row.payload_sha256}
        index = append(session, "order.released", public, private, now=now)
        session.execute(wanted.values(released_index=index))
    return _Claim(number, token, index)


def _give_back(parts: Parts, claim: _Claim) -> None:
    """End the lease of a release that failed: the next run takes it over at once."""
    with parts.database.write() as session:
        mine = update(CourtOrder).where(CourtOrder.id == claim.number, CourtOrder.claim == claim.token)
        session.execute(mine.where(CourtOrder.state == "releasing").values(lease_until=0))


def _look_up(parts: Parts, number: int, order: Order, *, now: int) -> tuple[pa.Table, list[lookup.Epoch]]:
    """Return the order's pings, in memory only (step 5): none at a sensitive place, none revealing it."""
    offset = parts.config.offset
    with parts.database.read() as session:
        verified = stored.get(session, number).log_index
        stretches = lookup.epochs(session, parts.ring, order, offset, verified=verified)
    found = lookup.in_lake(parts.lake, order, stretches, now=now)
    with parts.database.read() as session:
        kept = holds.kept(session, parts.ring, number)
    # a purge keeps rows of files that it rewrites: some of them are in the lake still
    found = pa.concat_tables([found, kept]).group_by(lookup.FOUND.names).aggregate([])
    found = found.sort_by([("number", "ascending"), ("t", "ascending")])
    accuracy = found["accuracy_m"].fill_null(-1).to_numpy()
    lat, lon, cell, t = (found[name].to_numpy() for name in ("lat_e5", "lon_e5", "cell", "t"))
    near = parts.sensitive.cover().hits(lat, lon, cell, accuracy, t)
    # what is held may be older than a place's entry in its list: the fixes beside it go as they do at ingest
    gone = withheld(found["number"].to_numpy().astype(np.int64), t, near, offset)
    return found.filter(pa.array(np.logical_not(gone))), stretches


def _sealed(
    parts: Parts,
    order: Order,
    found: pa.Table,
    stretches: list[lookup.Epoch],
    facts: Mapping[str, Any],
    claim: _Claim,
    *,
    now: int,
) -> Sealed:
    """Return the package (step 6)."""
    with parts.database.read() as session:
        suppliers = {s.number: s.id for s in session.scalars(select(Supplier))}
        (entry,) = entries.stored(session, claim.index, claim.index + 1)
    pings = package.table(found, order, suppliers)
    weeks = package.results(found, order, stretches, parts.config.offset)
    files = {
        package.MANIFEST: package.manifest(facts, pings, weeks),
        package.PINGS: pings,
        package.ENTRY: entry,
        package.PROOF: receipts.prove(parts.log.folder, claim.index).encode(),
    }
    made = package.sealed(order.recipient, files, now=now)
    return Sealed(made, hashlib.sha256(made).hexdigest())


def _facts(
    parts: Parts,
    verified: Verified,
    given: tuple[Approval, ...],
    claim: _Claim,
    witnesses: Witnessed | None,
    *,
    actor: Actor,
    now: int,
) -> dict[str, Any]:
    """Return what the manifest says beside what was found: the chain of custody from verification on."""
    order = verified.order
    with parts.database.read() as session:
        versions = parts.sensitive.versions(session)
        row = stored.get(session, claim.number)
        revealed = receipts.reveal(session, claim.index)
    return {
        "deployment": parts.publisher.origin,
        "order": {
            "number": claim.number,
            "court": order.court,
            "reference": order.reference,
            "document_sha256": verified.sha256,
            "json_sha256": verified.payload_sha256,
            "signed_by": list(verified.signers),
        },
        "scope": {
            "devices": list(order.devices),
            "from": utc_text(order.window.start),
            "before": utc_text(order.window.end),
            "area": order.area,
        },
        "sensitive_lists": versions,
        "custody": [
            {
                "step": "verified",
                "log_index": row.log_index,
                "at": utc_text(row.created),
                "by": row.submitted_by,
            },
            *(
                {
                    "step": f"approved as {each.role}",
                    "log_index": each.log_index,
                    "at": utc_text(each.created),
                    "by": each.person,
                    "public_key": each.public_key,
                    "signature": each.signature,
                }
                for each in given
            ),
            {"step": "released", "log_index": claim.index, "at": utc_text(now), "by": actor.id},
        ],
        "log": {
            "verifier_key": parts.log.vkey,
            "entry": claim.index,
            "revealed": [vars(each) for each in revealed],
            "witnesses": {} if witnesses is None else dict(witnesses.signers),
        },
    }


def _settle(parts: Parts, order: Order, sealed: Sealed, claim: _Claim, *, now: int) -> None:
    """Record the package, queue the notices, end the hold (step 7)."""
    delayed = order.delay_until is not None and order.delay_until > now
    mine = update(CourtOrder).where(
        CourtOrder.id == claim.number, CourtOrder.claim == claim.token, CourtOrder.state == "releasing"
    )
    with parts.writing() as session:
        freeze.require_running(session)
        done = mine.values(
            state="disclosed",
            ended=now,
            lease_until=0,
            package=sealed.package,
            package_sha256=sealed.sha256,
        )
        if not _rows(session.execute(done)):
            raise OperationError(
                "This release took so long that its claim on the order has lapsed.",
                "`passersby order show` says whether another run carried it out; if none did, run it again.",
            )
        holds.end(session, claim.number)
        private: dict[str, JSON] = {"package_sha256": sealed.sha256, "devices": len(order.devices)}
        append(
            session,
            "order.disclosed",
            {"order": claim.number, "notice_delayed": delayed},
            private,
            now=now,
        )
        queue.queue(
            session, parts.ring, order.devices, about=claim.number, delay_until=order.delay_until, now=now
        )


def _rows(result: Any) -> int:  # noqa: ANN401 (SQLAlchemy types an update's result as any result)
    assert isinstance(result, CursorResult)  # noqa: S101 (for the type checker)
    return result.rowcount
