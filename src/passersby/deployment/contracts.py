"""Suppliers' contracts in a deployment: what may not be recorded is refused, logged and counted."""

from __future__ import annotations

from passersby.deployment.acts import refusals_logged
from passersby.deployment.opened import Deployment
from passersby.keys.signed import Actor
from passersby.suppliers import contract as contracts
from passersby.suppliers import registry
from passersby.suppliers.contract import Contract


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
