"""What two people do to a bad delivery: withdraw what was released of it, and have its rows deleted."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.deployment.opened import Deployment
from passersby.errors import UnknownName, UsageError
from passersby.people.proposals import Proposal
from passersby.privacy import answers
from passersby.store.tables import Delivery, Supplier
from passersby.suppliers import lineage, registry
from passersby.trustlog.entries import JSON, append


@dataclass(frozen=True)
class Bad:
    """What is called bad: some deliveries of one supplier, in order."""

    supplier: str
    deliveries: tuple[int, ...]


def take_effect(_d: Deployment, session: Session, proposal: Proposal, now: int) -> None:
    """Suspend the supplier, mark its deliveries, withdraw what was released of them: one transaction.

    The effect of `supplier.taint`. The lake is cleared after it; until then no release that read them can
    be stored.

    Raises:
        UsageError: all of it was marked as bad meanwhile.
    """
    record = proposal.record
    # first, so that no delivery that is under way can still be stored
    registry.stop(session, record["supplier"], "taint", now=now)
    bad = named_by(session, record["supplier"])
    if record["delivery"] is not None:
        bad = Bad(bad.supplier, (record["delivery"],))
    left = left_of(session, bad)
    for delivery in left:
        lineage.mark(session, delivery, proposal=proposal.id, now=now)
        public: dict[str, JSON] = {"delivery": delivery, "supplier": bad.supplier, "proposal": proposal.id}
        append(session, "delivery.tainted", public, now=now)
    served = {entry.id for entry in answers.entries(session) if entry.withdrawn is None}
    for name in lineage.descendants(session, left):
        if name in served:
            answers.withdraw(session, name, now=now)
            append(session, "release.withdrawn", {"release": name}, now=now)


def named_by(session: Session, named: str) -> Bad:
    """Return what a number or a supplier's id names."""
    if named.isdecimal():
        row = session.get(Delivery, int(named))
        if row is None:
            raise UnknownName(
                "There is no delivery of that number.",
                "`passersby log show --kind delivery.stored` shows all.",
            )
        return Bad(session.get_one(Supplier, row.supplier).id, (row.id,))
    number, _ = registry.get(session, named)
    mine = select(Delivery.id).where(Delivery.supplier == number).order_by(Delivery.id)
    return Bad(named, tuple(session.scalars(mine)))


def left_of(session: Session, bad: Bad) -> list[int]:
    """Return those deliveries that are not marked yet.

    Raises:
        UsageError: there is none.
    """
    left = [each for each in bad.deliveries if each not in lineage.marked(session)]
    if not left:
        raise UsageError(
            "There is nothing left to delete: nothing was delivered, or it is marked as bad already.",
            f"Stop further deliveries with `passersby supplier suspend {bad.supplier} --reason WHY`.",
        )
    return left
