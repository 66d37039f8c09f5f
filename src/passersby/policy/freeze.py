"""The kill switch: while a deployment is frozen nothing enters it and nothing leaves it.

One custodian or overseer freezes at once; two people thaw. What protects people goes on: withdrawal, erasure,
deletion dates, sensitive places, suspension, revocation, the log and every check of it.

Whatever takes data in or hands data out calls `require_running` before it begins, and again in the
transaction that stores or hands out, so that what was begun before a freeze ends in nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.errors import UsageError
from passersby.keys.signed import Actor, digest, require
from passersby.policy.refusals import refusal
from passersby.store.duty_tables import Freeze
from passersby.trustlog.entries import JSON, append

FREEZERS = ("custodian", "overseer")
_FROZEN = "deployment.frozen"


@dataclass(frozen=True)
class Frozen:
    """A freeze in force: its number, who froze, why, and since when (epoch s)."""

    number: int
    by: str
    reason: str
    since: int


def current(session: Session) -> Frozen | None:
    """Return the freeze in force, or None."""
    row = session.scalars(select(Freeze).where(Freeze.state == "frozen")).one_or_none()
    return Frozen(row.id, row.frozen_by, row.reason, row.created) if row else None


def require_running(session: Session) -> None:
    """Do nothing unless the deployment is frozen.

    Raises:
        Refusal: frozen.
    """
    if session.scalar(select(Freeze.id).where(Freeze.state == "frozen")) is not None:
        raise refusal("frozen")


def freeze(session: Session, *, reason: str, actor: Actor, now: int) -> Frozen:
    """Freeze at once, signed by one person, and log it. The reason is not public.

    Raises:
        UsageError: no reason is given, or the deployment is frozen already.
        Refusal: the actor is neither custodian nor overseer.
    """
    require(session, actor, *FREEZERS)
    if not reason.strip():
        raise UsageError("A freeze needs a reason.", "Say in one sentence why; it is recorded, not public.")
    if (already := current(session)) is not None:
        raise UsageError(
            f"The deployment is frozen already, by {already.by}.",
            "Nothing is left to do; an open proposal to thaw can be refused: `passersby proposal list`.",
        )
    row = Freeze(frozen_by=actor.id, reason=reason.strip(), created=now, state="frozen")
    session.add(row)
    session.flush()
    public: dict[str, JSON] = {"freeze": row.id, "by": actor.id}
    signature = actor.sign(digest({**public, "reason": row.reason, "at": now}), _FROZEN)
    append(session, _FROZEN, public, {"reason": row.reason, "signature": signature}, now=now)
    return Frozen(row.id, actor.id, row.reason, now)


def end(session: Session, number: int, *, proposal: int, now: int) -> None:
    """End the freeze that two people agreed to end, and log it.

    Raises:
        UsageError: another one is in force, or none: it was not what they signed.
    """
    row = session.get(Freeze, number)
    if row is None or row.state != "frozen":
        raise UsageError(
            "The freeze that this proposal would end is not in force.",
            "Refuse the proposal; `passersby status` says whether another freeze is in force.",
        )
    row.state, row.ended, row.proposal = "ended", now, proposal
    session.flush()
    append(session, "deployment.thawed", {"freeze": number, "proposal": proposal}, now=now)
