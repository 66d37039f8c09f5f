"""People of a deployment who leave, and keys that are replaced."""

from __future__ import annotations

from passersby.deployment import acts
from passersby.deployment.opened import Deployment
from passersby.errors import Refusal
from passersby.keys.signed import OWN_KEY, Actor
from passersby.people import leaving, rekeying
from passersby.people.proposals import REKEY, Proposal


def end(d: Deployment, person_id: str, *, reason: str, actor: Actor, now: int) -> None:
    """End an account at once. See `people.leaving.end`."""
    with acts.refusals_logged(d, "person.end", actor=actor, now=now), d.writing() as session:
        leaving.end(session, person_id, reason=reason, actor=actor, now=now)


def propose_rekey(d: Deployment, person_id: str, public_key: str, *, actor: Actor, now: int) -> Proposal:
    """Propose another key for a person; a third person approves it.

    Raises:
        UnknownName, UsageError: see `people.rekeying.record`; or such a proposal is open.
        Refusal: role-missing; own-key where it is the proposer's own.
    """
    with d.database.read() as session:
        record = rekeying.record(session, person_id, public_key)
    with acts.refusals_logged(d, REKEY, actor=actor, now=now):
        if actor.id == person_id:
            raise Refusal("own-key", *OWN_KEY)
    return acts.propose(d, REKEY, person_id, record, actor=actor, now=now)
