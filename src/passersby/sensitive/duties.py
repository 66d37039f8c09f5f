"""What is due each quarter: a person reads each list again, and suppression is tested (control C2)."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from passersby.errors import UnknownName
from passersby.keys.signed import Actor, digest, require
from passersby.model.duty import Duty
from passersby.model.period import DAY
from passersby.sensitive.lists import latest
from passersby.store.sensitive_tables import SensitiveReview, SensitiveTest
from passersby.store.tables import SensitiveList
from passersby.trustlog.entries import JSON, append

QUARTER_S = 91 * DAY
_REVIEWED = "sensitive.reviewed"


def review(session: Session, name: str, *, actor: Actor, now: int) -> int:
    """Record with the actor's signature that a list was read again and is right; return when it is due again.

    Raises:
        UnknownName: there is no list of this name.
        Refusal: the actor is neither custodian nor privacy officer.
    """
    require(session, actor, "custodian", "privacy")
    row = latest(session).get(name)
    if row is None:
        msg = f"There is no list {name!r}."
        raise UnknownName(msg, "Run `passersby sensitive list`.")
    due = now + QUARTER_S
    public: dict[str, JSON] = {"list": name, "version": row.version, "by": actor.id, "next_due": due}
    signature = actor.sign(digest({**public, "sha256": row.sha256}), _REVIEWED)
    session.add(
        SensitiveReview(
            name=name,
            version=row.version,
            reviewed_by=actor.id,
            signature=signature,
            created=now,
            due=due,
        )
    )
    append(session, _REVIEWED, public, {"signature": signature}, now=now)
    return due


def tested(session: Session, *, planted: int, surviving: int, now: int) -> int:
    """Record a run of the test of suppression; return when it is due again: at once, if anything survived."""
    due = now if surviving else now + QUARTER_S
    session.add(SensitiveTest(planted=planted, surviving=surviving, created=now, due=due))
    public: dict[str, JSON] = {"passed": not surviving, "next_due": due}
    append(session, "sensitive.tested", public, {"planted": planted, "surviving": surviving}, now=now)
    return due


def review_due(session: Session, row: SensitiveList) -> int:
    """Return when a list in force is to be reviewed, epoch s: a quarter after it was loaded or reviewed."""
    last = select(func.max(SensitiveReview.due)).where(
        SensitiveReview.name == row.name, SensitiveReview.version == row.version
    )
    return session.scalar(last) or row.created + QUARTER_S


def duties(session: Session) -> list[Duty]:
    """Return what is to be done each quarter; nothing while there is no list."""
    lists = list(latest(session).values())
    if not lists:
        return []
    found = [
        Duty(
            f"list {row.name}: review it",
            f"passersby sensitive review {row.name}",
            review_due(session, row),
            who="custodian, privacy",
        )
        for row in lists
    ]
    last = session.scalars(select(SensitiveTest).order_by(SensitiveTest.id.desc()).limit(1)).first()
    due = last.due if last else min(row.created for row in lists) + QUARTER_S
    test = Duty("sensitive places: test their suppression", "passersby sensitive test", due, who="custodian")
    return [*found, test]
