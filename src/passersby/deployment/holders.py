"""What people do in a deployment for devices' holders; refusals are logged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from passersby.deployment import acts
from passersby.deployment.opened import Deployment
from passersby.deployment.subjects import parts
from passersby.keys.signed import Actor, require
from passersby.people.proposals import Proposal
from passersby.subjects import access, proofs, receipts, rights
from passersby.subjects.access import Copied
from passersby.subjects.parts import STAFF, normal_ids
from passersby.subjects.rights import Done
from passersby.subjects.shown import Recipients, Shown


def withdraw(
    d: Deployment, ids: Sequence[str], *, actor: Actor, received: int | None = None, now: int
) -> Done:
    """Withdraw devices. See `subjects.rights.withdraw`."""
    with acts.refusals_logged(d, "subject.withdraw", actor=actor, now=now):
        return rights.withdraw(parts(d), ids, actor=actor, received=received, now=now)


def erase(d: Deployment, ids: Sequence[str], *, actor: Actor, received: int | None = None, now: int) -> Done:
    """Erase devices. See `subjects.rights.erase`."""
    with acts.refusals_logged(d, "subject.erase", actor=actor, now=now):
        return rights.erase(parts(d), ids, actor=actor, received=received, now=now)


def see(d: Deployment, proof: bytes, what: str, *, actor: Actor, now: int) -> Shown | Recipients:
    """Show a holder what a proof opens. See `subjects.access.see`."""
    with acts.refusals_logged(d, f"subject.{what}", actor=actor, now=now):
        return access.see(parts(d), proof, what, actor=actor, now=now)


def see_checked(
    d: Deployment, number: int, ids: Sequence[str], what: str, *, actor: Actor, now: int
) -> Shown | Recipients:
    """Show a holder what an operator's check opens. See `subjects.access.see_checked`."""
    with acts.refusals_logged(d, f"subject.{what}", actor=actor, now=now):
        return access.see_checked(parts(d), number, ids, what, actor=actor, now=now)


def propose_check(
    d: Deployment, ids: Sequence[str], how: str, *, received: int | None = None, actor: Actor, now: int
) -> Proposal:
    """Say that you checked who holds a device. See `subjects.access.propose_check`."""
    with acts.refusals_logged(d, access.CHECK, actor=actor, now=now):
        return access.propose_check(parts(d), ids, how, received=received, actor=actor, now=now)


def propose_app(d: Deployment, supplier: str, public_key: str, *, actor: Actor, now: int) -> Proposal:
    """Propose the key of a supplier's app; `passersby proposal approve` is the second signature.

    Raises:
        UsageError: it is no key, or there is no such supplier.
        Refusal: role-missing.
    """
    with d.database.read() as session:
        proofs.require_app_key(session, supplier, public_key)
    record = {"supplier": supplier, "public_key": public_key}
    return acts.propose(d, access.ENROL_APP, supplier, record, actor=actor, now=now)


def enrol(d: Deployment, proof: bytes, *, actor: Actor, now: int) -> int:
    """Enrol the keys of devices. See `subjects.access.enrol`."""
    with acts.refusals_logged(d, "subject.enrol", actor=actor, now=now):
        return access.enrol(parts(d), proof, actor=actor, now=now)


def notices(d: Deployment, proof: bytes, *, actor: Actor, now: int) -> list[dict[str, Any]]:
    """Hand over the notices that wait for a device. See `subjects.access.notices`."""
    with acts.refusals_logged(d, "subject.notices", actor=actor, now=now):
        return access.notices(parts(d), proof, actor=actor, now=now)


def copy(d: Deployment, proof: bytes, *, actor: Actor, now: int) -> Copied:
    """Take a request for a copy of pings. See `subjects.access.copy`."""
    with acts.refusals_logged(d, "subject.copy", actor=actor, now=now):
        return access.copy(parts(d), proof, actor=actor, now=now)


def load_list(d: Deployment, text: str, *, form: str, actor: Actor, now: int) -> int:
    """Put a deletion list in force. See `subjects.rights.load_list`."""
    with acts.refusals_logged(d, "subject.load-list", actor=actor, now=now):
        return rights.load_list(parts(d), text, form=form, actor=actor, now=now)


def receipt(d: Deployment, number: int, ids: Sequence[str], *, actor: Actor, now: int) -> bytes:
    """Return the receipt of an erasure. See `subjects.receipts.of_erasure`."""
    with acts.refusals_logged(d, "subject.receipt", actor=actor, now=now), d.database.read() as session:
        require(session, actor, *STAFF)
    return receipts.of_erasure(parts(d), number, normal_ids(ids))
