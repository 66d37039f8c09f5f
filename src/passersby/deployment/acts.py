"""Acts that take two people, with what each does once the second one has signed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy.orm import Session

from passersby.deployment import lists, taints
from passersby.deployment.opened import Deployment
from passersby.disclosure import authorities
from passersby.errors import Refusal
from passersby.keys.signed import Actor
from passersby.people import proposals, rekeying
from passersby.people.proposals import Proposal
from passersby.policy import freeze
from passersby.subjects import access
from passersby.trustlog.entries import JSON, append

Effect = Callable[[Deployment, Session, Proposal, int], None]
"""Takes effect in the transaction that records the approval, `(deployment, session, proposal, now)`."""


def _add_authority(_d: Deployment, session: Session, proposal: Proposal, now: int) -> None:
    authorities.register(session, proposal, now=now)


def _thaw(_d: Deployment, session: Session, proposal: Proposal, now: int) -> None:
    freeze.end(session, proposal.record["freeze"], proposal=proposal.id, now=now)


def _enrol_app(_d: Deployment, session: Session, proposal: Proposal, now: int) -> None:
    access.enrol_app(session, proposal, now)


def _nothing(_d: Deployment, _session: Session, _proposal: Proposal, _now: int) -> None:
    """Leave it to the command that uses the approval."""


def _rekey(_d: Deployment, session: Session, proposal: Proposal, now: int) -> None:
    rekeying.enact(session, proposal, now=now)


EFFECTS: dict[str, Effect] = {
    "sensitive.change": lists.put_in_force,
    proposals.ADD_AUTHORITY: _add_authority,
    proposals.ADD_TEST_AUTHORITY: _add_authority,
    proposals.TAINT: taints.take_effect,
    proposals.THAW: _thaw,
    access.CHECK: _nothing,
    access.ENROL_APP: _enrol_app,
    proposals.REKEY: _rekey,
    proposals.ASSESS_LAKE: _nothing,
}
"""Kind of act -> its effect; the same kinds as `people.proposals.RULES`."""


def propose(
    d: Deployment, kind: str, subject: str, record: Mapping[str, JSON], *, actor: Actor, now: int
) -> Proposal:
    """Record a proposal. See `people.proposals.propose`."""
    with refusals_logged(d, kind, actor=actor, now=now), d.writing() as session:
        return proposals.propose(session, kind, subject, record, actor=actor, now=now)


def approve(d: Deployment, number: int, *, actor: Actor, now: int) -> Proposal:
    """Sign a proposal as its second person; approval and effect are one transaction, or nothing.

    Raises: as `people.proposals.approve`, and what the effect raises.
    """
    with d.database.read() as session:
        kind = proposals.get(session, number).kind
    with refusals_logged(d, kind, actor=actor, now=now), d.writing() as session:
        proposal = proposals.approve(session, number, actor=actor, now=now)
        EFFECTS[kind](d, session, proposal, now)
    # what the effect left to be done outside of the transaction; killed here, the next command goes on
    d.sweep(now)
    return proposal


def refuse(d: Deployment, number: int, *, reason: str, actor: Actor, now: int) -> Proposal:
    """Refuse a proposal, or take back one's own. See `people.proposals.refuse`."""
    with d.writing() as session:
        return proposals.refuse(session, number, reason=reason, actor=actor, now=now)


@contextmanager
def refusals_logged(d: Deployment, act: str, *, actor: Actor, now: int) -> Iterator[None]:
    """Log a refusal that the block raises, in a transaction of its own: the block's has left nothing."""
    try:
        yield
    except Refusal as refused:
        with d.writing() as session:
            append(session, "act.refused", {"act": act, "code": refused.code}, {"by": actor.id}, now=now)
        raise
