"""Suppliers' consent registers in a deployment, loaded between deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from passersby.consent.registers import Loaded
from passersby.deployment.opened import Deployment
from passersby.ingest.admission import Admission
from passersby.keys.signed import Actor
from passersby.store.tables import Consent, Supplier


@dataclass(frozen=True)
class InForce:
    """The version of a supplier's register that is in force, since when (epoch s), and its file's SHA-256."""

    supplier: str
    version: int
    since: int
    sha256: str


def load(d: Deployment, path: Path, supplier: str, *, actor: Actor, now: int) -> Loaded:
    """Put a register into force. See `ingest.admission.Admission.load_consent`.

    Nothing reads the rows of those who withdrew from its commit on; they are erased before this returns, or
    by the next command.
    """
    try:
        admission = Admission(d.layout.root, d.config, d.database, d.ring)
        loaded = admission.load_consent(path, supplier, actor=actor, now=now)
    finally:
        d.publisher.publish(d.database)
    d.sweep(now)
    return loaded


def in_force(d: Deployment) -> list[InForce]:
    """Return the registers in force, in the order of the suppliers."""
    query = select(Supplier.id, Consent).join(Consent, Consent.supplier == Supplier.number)
    with d.database.read() as session:
        rows = session.execute(query.order_by(Supplier.number, Consent.version)).all()
    newest = {name: InForce(name, row.version, row.created, row.sha256) for name, row in rows}
    return list(newest.values())
