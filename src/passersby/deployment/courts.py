"""Courts and timestamp authorities of a deployment: proposed here, in force once a second person signs."""

from __future__ import annotations

from passersby.deployment import acts
from passersby.deployment.opened import Deployment
from passersby.disclosure import authorities
from passersby.keys.signed import Actor
from passersby.people.proposals import ADD_AUTHORITY, Proposal


def propose(d: Deployment, text: str, *, actor: Actor, now: int) -> Proposal:
    """Propose an authority from its TOML record; `passersby proposal approve` is the second signature.

    Raises:
        BadRecord: the record is not valid.
        UsageError: there is an authority of that name, or a proposal about it is open.
        Refusal: role-missing; InvalidIssuingAuthority for a test court where this is no demo.
    """
    authority = authorities.parse(text)
    with acts.refusals_logged(d, ADD_AUTHORITY, actor=actor, now=now), d.database.read() as session:
        kind = authorities.kind_of(session, authority)
    return acts.propose(d, kind, authority.id, authority.record(), actor=actor, now=now)


def retire(d: Deployment, name: str, *, reason: str, actor: Actor, now: int) -> None:
    """Stop relying on an authority at once. See `authorities.retire`."""
    with acts.refusals_logged(d, "authority.retire", actor=actor, now=now), d.writing() as session:
        authorities.retire(session, name, reason=reason, actor=actor, now=now)
