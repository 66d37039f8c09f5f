"""Freezing a deployment, which one person does at once, and thawing it, which takes two."""

from __future__ import annotations

from passersby.deployment import acts
from passersby.deployment.opened import Deployment
from passersby.errors import UsageError
from passersby.keys.signed import Actor
from passersby.people.proposals import THAW, Proposal
from passersby.policy import freeze
from passersby.policy.freeze import Frozen
from passersby.trustlog.entries import JSON


def stop(d: Deployment, *, reason: str, actor: Actor, now: int) -> Frozen:
    """Freeze at once. See `policy.freeze.freeze`."""
    with acts.refusals_logged(d, "freeze", actor=actor, now=now), d.writing() as session:
        return freeze.freeze(session, reason=reason, actor=actor, now=now)


def propose_thaw(d: Deployment, *, reason: str, actor: Actor, now: int) -> Proposal:
    """Propose to end the freeze in force; another custodian or overseer approves it.

    Raises:
        UsageError: nothing is frozen, no reason is given, or such a proposal is open already.
        Refusal: the actor is neither custodian nor overseer.
    """
    with d.database.read() as session:
        frozen = freeze.current(session)
    if frozen is None:
        raise UsageError("The deployment is not frozen.", "Nothing is left to do.")
    if not reason.strip():
        raise UsageError("Thawing needs a reason.", "Say in one sentence what was found and mended.")
    record: dict[str, JSON] = {"freeze": frozen.number, "reason": reason.strip()}
    return acts.propose(d, THAW, f"freeze-{frozen.number}", record, actor=actor, now=now)
