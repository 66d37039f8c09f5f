"""Ends an account at once: its key acts no more, and what it proposed is refused."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.errors import UsageError
from passersby.keys.signed import Actor, digest, require
from passersby.people import accounts, proposals
from passersby.store import tables
from passersby.trustlog.entries import append

ENDERS = ("custodian", "overseer")
_NEEDED = ("custodian", "overseer")
_ENDED = "person.ended"


def end(session: Session, person_id: str, *, reason: str, actor: Actor, now: int) -> None:
    """End an account for good, signed by a custodian or an overseer, and log it. The reason is not public.

    What the person signed before stays valid: the log says when it was signed. Open proposals of theirs are
    refused, so that nobody approves what a thief of the key proposed.

    Raises:
        UnknownName: there is no account of that name.
        UsageError: it has ended already, there is no reason, or nobody else has a role that must be filled.
        Refusal: the actor is neither custodian nor overseer.
    """
    require(session, actor, *ENDERS)
    account = accounts.get(session, person_id)
    if not account.active:
        raise UsageError("This account has ended already.", "Nothing is left to do.")
    if not reason.strip():
        raise UsageError("Ending an account needs a reason.", "Say in one sentence why; it is not public.")
    others = [a for a in accounts.list_all(session) if a.active and a.id != person_id]
    for role in _NEEDED:
        if role in account.roles and not any(role in other.roles for other in others):
            raise UsageError(
                f"This is the last account with the role {role}.",
                "Add another person with that role first; a lost or stolen key is replaced by two people: "
                "`passersby person rekey`.",
            )
    session.scalars(select(tables.Person).where(tables.Person.id == person_id)).one().active = False
    session.flush()
    public = {"person": person_id, "by": actor.id}
    signature = actor.sign(digest({**public, "reason": reason.strip(), "at": now}), _ENDED)
    append(session, _ENDED, public, {"reason": reason.strip(), "signature": signature}, now=now)
    proposals.refuse_of(session, person_id, reason="the account ended", actor=actor, now=now)
