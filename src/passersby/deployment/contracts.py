"""Suppliers' contracts and assessments in a deployment; what may not be recorded is refused and logged."""

from __future__ import annotations

import hashlib
from pathlib import Path

from passersby.deployment.acts import refusals_logged
from passersby.deployment.opened import Deployment
from passersby.errors import BadRecord, UnreadableFile
from passersby.keys.signed import Actor
from passersby.store import durable
from passersby.suppliers import assessment as assessments
from passersby.suppliers import contract as contracts
from passersby.suppliers import registry
from passersby.suppliers.assessment import Assessment
from passersby.suppliers.contract import Contract

EVIDENCE = "evidence"
"""Folder of a deployment with archived evidence: each file is named by its SHA-256."""


def add(d: Deployment, text: str, *, actor: Actor, now: int) -> tuple[int, Contract]:
    """Record a supplier with the contract of a TOML document; return its number and the contract.

    Raises:
        BadRecord: the contract is not valid; the message names the field.
        Refusal: bidstream, cell-towers, demo-deployment, role-missing (logged).
        UsageError: there is a supplier of that name.
    """
    with refusals_logged(d, "supplier.add", actor=actor, now=now):
        contract = contracts.parse(text, config=d.config)
        with d.writing() as session:
            number = registry.add(session, contract, actor=actor, now=now, config=d.config)
    return number, contract


def assess(
    d: Deployment, supplier: str, text: str, *, evidence: Path | None = None, actor: Actor, now: int
) -> Assessment:
    """Record the assessment of a TOML document, and archive its evidence by its hash (control B2).

    Args:
        d: the deployment.
        supplier: id of the supplier.
        text: the document.
        evidence: the archive that `evidence_sha256` names; None: it is archived elsewhere.
        actor: who records it.
        now: epoch s.

    Raises:
        UnreadableFile: the evidence cannot be read.
        BadRecord: the assessment is not valid, or its evidence has another hash.
        UnknownName: there is no such supplier.
        Refusal: role-missing (logged).
    """
    with refusals_logged(d, "supplier.assess", actor=actor, now=now):
        record = assessments.parse(text)
        with d.writing() as session:
            registry.assess(session, supplier, record, actor=actor, now=now)
            if evidence is not None:
                _archive(d, evidence, record.evidence_sha256)
    return record


def _archive(d: Deployment, path: Path, sha256: str) -> None:
    try:
        data = path.read_bytes()
    except OSError:
        raise UnreadableFile("The evidence cannot be read.", "Check the path and its permissions.") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise BadRecord(
            "The evidence is not the one whose SHA-256 the assessment names.",
            "Compare `evidence_sha256` with `sha256sum FILE`.",
        )
    durable.write(d.layout.root / EVIDENCE / sha256, data)
