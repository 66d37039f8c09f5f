"""Lets a holder see: what proves them, what each proof opens, and the two steps to a copy of pings.

    proof                          opens
    a supplier's app               suppliers and months, of this supplier's pings only; recipients
    the device's own key           the same, and a copy of its pings of this supplier, in two steps
    an operator's check            suppliers, months of all; recipients; never a copy. Takes two people

A copy takes two proofs of the device's key, 72 hours apart, and a notice that the app showed on it in
between: who has the phone in their hand for an evening gets nothing, and its holder learns that they tried.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import hmac
import io
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyrage
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from passersby.consent import withdrawals
from passersby.errors import UsageError
from passersby.keys.signed import Actor, require
from passersby.lake import purge
from passersby.model.period import HOUR
from passersby.notices import queue
from passersby.people import proposals
from passersby.people.proposals import Proposal
from passersby.policy import freeze
from passersby.policy.refusals import refusal
from passersby.store.notice_tables import Notice
from passersby.store.subject_tables import SubjectRequest
from passersby.store.tables import Supplier
from passersby.subjects import checking, proofs, requests, shown
from passersby.subjects.parts import STAFF, Parts, normal_ids
from passersby.subjects.proofs import Proven
from passersby.subjects.shown import Recipients, Shown
from passersby.trustlog.entries import append

CHECK, ENROL_APP = requests.CHECK, "subject.enrol-app"
"""Acts of two people (`people.proposals.RULES`)."""

WAIT_S = 72 * HOUR
"""Least time between the two requests for a copy."""

COPY_NOTICE = "copy"
"""What a notice is about: somebody asked for a copy of this device's pings."""

CHECKED = "check"
COLUMNS = ("time", "latitude", "longitude", "accuracy_m")


@dataclass(frozen=True)
class Copied:
    """Where a request for a copy stands: waiting, or the pings, sealed to the key that the device named."""

    request: int
    not_before: int
    package: bytes = b""


def see(parts: Parts, proof: bytes, what: str, *, actor: Actor, now: int) -> Shown | Recipients:
    """Show a holder what a proof opens.

    Args:
        parts: the deployment's parts.
        proof: signed by a supplier's app or by a device's key.
        what: `proofs.SHOW` or `proofs.RECIPIENTS`.
        actor: who acts for the holder.
        now: epoch s.

    Raises:
        UnreadableFile: it is no proof.
        Refusal: role-missing, proof-invalid.
    """
    with parts.writing() as session:
        proven = _proven(session, parts, proof, (what,), actor=actor, now=now)
        _record(session, what, proven.signer, proven.sha256, now=now)
    return _seen(parts, proven.devices[0], what, supplier=proven.supplier, now=now)


def propose_check(
    parts: Parts,
    given: Sequence[str],
    how: str,
    *,
    received: int | None = None,
    actor: Actor,
    now: int,
) -> Proposal:
    """Say that you checked who holds a device; a second person approves it (`CHECK`).

    The record commits to the device by a keyed hash: who reads or approves it learns no id.

    Raises:
        UsageError: not exactly one id, or nothing is said about how it was checked.
        Refusal: role-missing.
    """
    (device,) = _one(given)
    if not how.strip():
        raise UsageError("It is not said how the holder was checked.", "Say it in a sentence: --how.")
    with parts.writing() as session:
        commitment = _commitment(session, parts, device)
        made = proposals.propose(
            session,
            CHECK,
            f"holder-{secrets.token_hex(4)}",  # public: the same phone twice must not show
            {"holder": commitment, "how": how.strip(), "nonce": secrets.token_hex(16)},
            actor=actor,
            now=now,
        )
        requests.add(
            session, requests.SHOW, received=received, now=now, done=False, proof=f"{CHECK} {made.id}"
        )
    return made


def see_checked(
    parts: Parts, number: int, given: Sequence[str], what: str, *, actor: Actor, now: int
) -> Shown | Recipients:
    """Show a holder what an operator's check opens, once for each of the two things it opens.

    Raises:
        UsageError: not exactly one id.
        Refusal: role-missing; proof-invalid: the check is not approved, is of another device, or was used.
    """
    (device,) = _one(given)
    with parts.writing() as session:
        require(session, actor, *STAFF)
        made = proposals.get(session, number)
        mine = hmac.compare_digest(str(made.record.get("holder")), _commitment(session, parts, device))
        if made.kind != CHECK or made.state != "approved" or not mine:
            raise refusal("proof-invalid")
        waits = update(SubjectRequest).where(
            SubjectRequest.proof == f"{CHECK} {number}", SubjectRequest.done.is_(None)
        )
        session.execute(waits.values(done=now))
        used = f"{CHECK} {number} {what}"
        if session.scalars(select(SubjectRequest).where(SubjectRequest.proof == used)).first() is not None:
            raise refusal("proof-invalid")
        _record(session, what, CHECKED, used, now=now)
    return _seen(parts, device, what, supplier=None, now=now)


def copy(parts: Parts, proof: bytes, *, actor: Actor, now: int) -> Copied:
    """Take a request for a copy of pings: the first one, the second one, or one that stops it.

    Raises:
        UnreadableFile: it is no proof.
        Refusal: role-missing, proof-invalid; copy-waits: the second one is too early, or no notice was shown;
            frozen: nothing is handed out.
    """
    with parts.writing() as session:
        proven = _proven(session, parts, proof, (proofs.COPY, proofs.STOP), actor=actor, now=now)
        if proven.what == proofs.COPY and proven.signer != proofs.DEVICE:
            raise refusal("proof-invalid")
        holder = queue.holder(session, parts.ring, proven.devices[0])
        first = _pending(session, holder, proven.supplier, now)
        if proven.what == proofs.STOP:
            _end(session, first, now)
            requests.add(session, requests.STOP, received=None, now=now, done=True, proof=proven.sha256)
            return Copied(first.id if first else 0, 0)
        if first is None:
            row = requests.add(
                session, requests.COPY, received=None, now=now, done=False, proof=proven.sha256
            )
            _notify(session, holder, row.id, proven.supplier, now)
            return Copied(row.id, now + WAIT_S)
        if now < first.created + WAIT_S or proven.made < first.created + WAIT_S or not _shown(session, first):
            raise refusal("copy-waits")
        freeze.require_running(session)
        _end(session, first, now)
        requests.add(session, requests.COPY, received=first.received, now=now, done=True, proof=proven.sha256)
        append(session, "subject.copied", {"request": first.id}, now=now)
    return Copied(first.id, 0, _sealed(parts, proven, now=now))


def notices(parts: Parts, proof: bytes, *, actor: Actor, now: int) -> list[dict[str, Any]]:
    """Hand over the notices that wait for a device, for the supplier's app to show on it.

    Raises:
        UnreadableFile: it is no proof.
        Refusal: role-missing, proof-invalid.
    """
    with parts.writing() as session:
        proven = _proven(session, parts, proof, (proofs.NOTICES,), actor=actor, now=now)
        if proven.signer != proofs.APP:
            raise refusal("proof-invalid")
        holder = queue.holder(session, parts.ring, proven.devices[0])
        waiting = select(Notice).where(Notice.holder == holder, Notice.delivered.is_(None), Notice.due <= now)
        found = session.scalars(waiting.order_by(Notice.id).with_for_update()).all()
        for row in found:
            row.delivered = now
        requests.add(session, requests.NOTICES, received=None, now=now, done=True, proof=proven.sha256)
        append(session, "subject.notified", {}, {"notices": len(found)}, now=now)
    kind = [row.what.partition(":")[0] for row in found]
    return [
        {"notice": row.id, "what": what, "about": row.about, "since": row.due}
        for row, what in zip(found, kind, strict=True)
    ]


def enrol(parts: Parts, proof: bytes, *, actor: Actor, now: int) -> int:
    """Enrol the keys of devices from a list that a supplier's app signed; return how many are new.

    Raises:
        UnreadableFile: it is no such list.
        Refusal: role-missing, proof-invalid.
    """
    with parts.writing() as session:
        proven = _proven(session, parts, proof, (proofs.ENROL,), actor=actor, now=now)
        if proven.signer != proofs.APP:
            raise refusal("proof-invalid")
        pairs = list(zip(proven.devices, proven.keys, strict=True))
        return proofs.enrol_devices(session, parts.ring, proven.supplier, pairs, by=actor.id, now=now)


def enrol_app(session: Session, proposal: Proposal, now: int) -> None:
    """Put the key of a supplier's app in force: the effect of `ENROL_APP`."""
    record = proposal.record
    proofs.enrol_app(session, record["supplier"], record["public_key"], by=proposal.proposed_by, now=now)


def _proven(
    session: Session, parts: Parts, proof: bytes, what: Sequence[str], *, actor: Actor, now: int
) -> Proven:
    require(session, actor, *STAFF)
    return proofs.check(session, parts.ring, proof, deployment=parts.publisher.origin, what=what, now=now)


def _record(session: Session, what: str, how: str, proof: str, *, now: int) -> None:
    row = requests.add(session, what, received=None, now=now, done=True, proof=proof)
    append(session, "subject.shown", {"request": row.id, "how": how}, {"what": what}, now=now)


def _seen(parts: Parts, device: str, what: str, *, supplier: int | None, now: int) -> Shown | Recipients:
    if what == proofs.RECIPIENTS:
        return shown.recipients(parts, device, now=now)
    return shown.show(parts, device, supplier=supplier, now=now)


def _one(given: Sequence[str]) -> tuple[str]:
    ids = normal_ids(given)
    if len(ids) != 1:
        raise UsageError("One request to see is about one device.", "Give one advertising id.")
    return (ids[0],)


def _commitment(session: Session, parts: Parts, device: str) -> str:
    key = parts.ring.purpose(session, withdrawals.PURPOSE)
    return hmac.digest(key, f"check\n{device}".encode(), hashlib.sha256).hex()


def _pending(session: Session, holder: bytes, supplier: int, now: int) -> SubjectRequest | None:
    """Return the first request for a copy that waits for the second one; it lapses when it is due."""
    about = select(Notice.about).where(Notice.holder == holder, Notice.what == _about(supplier))
    mine = select(SubjectRequest).where(
        SubjectRequest.id.in_(about),
        SubjectRequest.what == requests.COPY,
        SubjectRequest.done.is_(None),
        SubjectRequest.due > now,
    )
    return session.scalars(mine.order_by(SubjectRequest.id).limit(1).with_for_update()).one_or_none()


def _notify(session: Session, holder: bytes, request: int, supplier: int, now: int) -> None:
    session.add(
        Notice(
            holder=holder,
            what=_about(supplier),
            about=request,
            due=now,
            delayed=False,
            created=now,
            delivered=None,
        )
    )
    session.flush()


def _about(supplier: int) -> str:
    return f"{COPY_NOTICE}:{supplier}"


def _shown(session: Session, first: SubjectRequest) -> bool:
    """Tell whether the notice of a first request was handed over to be shown."""
    of = select(Notice.delivered).where(Notice.about == first.id, Notice.what.startswith(f"{COPY_NOTICE}:"))
    return any(delivered is not None for delivered in session.scalars(of))


def _end(session: Session, first: SubjectRequest | None, now: int) -> None:
    if first is not None:
        first.done = now
        session.flush()


def _sealed(parts: Parts, proven: Proven, *, now: int) -> bytes:
    """Return the pings of a device and supplier as CSV, sealed to the key that the device named."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    mine = shown.pseudonyms_of(parts, proven.devices)
    with parts.lake.snapshot(now) as snapshot:
        for file in snapshot.files("pings"):
            for table in purge.tables(file):
                hits = checking.marked(table["device"].to_numpy(), mine)
                hits &= table["supplier"].to_numpy() == proven.supplier
                for each in table.filter(hits).to_pylist():
                    at = dt.datetime.fromtimestamp(each["t"], dt.UTC).isoformat().replace("+00:00", "Z")
                    place = (f"{each['lat_e5'] / 1e5:.5f}", f"{each['lon_e5'] / 1e5:.5f}")
                    rows.writerow((at, *place, each["accuracy_m"]))
    with parts.database.read() as session:
        supplier = session.get_one(Supplier, proven.supplier).id
    data = f"# pings from {supplier}\n{text.getvalue()}".encode()
    return bytes(pyrage.encrypt(data, [pyrage.x25519.Recipient.from_str(proven.recipient)]))
