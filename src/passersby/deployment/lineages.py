"""What came of a delivery, and the proposal to withdraw and delete all of it."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.deployment import acts, taints
from passersby.deployment.opened import Deployment
from passersby.disclosure.stored import open_order
from passersby.errors import UsageError
from passersby.keys.signed import Actor
from passersby.model.period import parse_day
from passersby.people.proposals import TAINT, Proposal
from passersby.privacy import answers
from passersby.store.order_tables import CourtOrder
from passersby.store.tables import Delivery, LogEntry
from passersby.suppliers import lineage
from passersby.trustlog.entries import JSON

_HANDED_OUT = ("release.made", "release.repeated")


@dataclass(frozen=True)
class Release:
    """A release that came of a delivery, and the licences that it was handed out under."""

    id: str
    measure: str
    licences: tuple[str, ...]
    withdrawn: bool


@dataclass(frozen=True)
class Disclosure:
    """A sealed disclosure whose window meets days of a delivery: rows of it may be inside."""

    order: int
    court: str
    ended: int


@dataclass(frozen=True)
class Descent:
    """What came of deliveries, as far as the deployment may tell.

    Which disclosures hold rows of them is not told, since that would say whose devices are in the data; their
    recipients can see it: each sealed row names its delivery.
    """

    supplier: str
    deliveries: tuple[int, ...]
    tainted: tuple[int, ...]
    releases: tuple[Release, ...]
    disclosures: tuple[Disclosure, ...]


def descent(d: Deployment, named: str) -> Descent:
    """Return what came of a delivery (by number) or of all deliveries of a supplier (by id).

    Raises:
        UnknownName: there is no such delivery or supplier.
    """
    with d.database.read() as session:
        bad = taints.named_by(session, named)
        names = lineage.descendants(session, bad.deliveries)
        entries = {entry.id: entry for entry in answers.entries(session)}
        licences = _licences(session, names)
        releases = (
            Release(
                name, entries[name].question["measure"], licences[name], entries[name].withdrawn is not None
            )
            for name in names
        )
        return Descent(
            bad.supplier,
            bad.deliveries,
            tuple(sorted(lineage.marked(session) & set(bad.deliveries))),
            tuple(releases),
            tuple(_disclosures(d, session, bad.deliveries)),
        )


def propose(d: Deployment, named: str, *, reason: str, actor: Actor, now: int) -> Proposal:
    """Propose to withdraw and delete what came of a delivery, or of all deliveries of a supplier.

    Until a second person signs, nothing but a line in the log happens: suspend the supplier at once.

    Raises:
        UnknownName: there is no such delivery or supplier.
        UsageError: no reason is given, nothing was delivered, or it is all marked as bad already.
        Refusal: the actor has none of the roles that may propose it (logged).
    """
    if not reason.strip():
        raise UsageError(
            "A bad delivery needs a reason.", "Say in one sentence why; it is recorded, not public."
        )
    with d.database.read() as session:
        bad = taints.named_by(session, named)
        taints.left_of(session, bad)
    whole = not named.isdecimal()
    subject = f"supplier {bad.supplier}" if whole else f"delivery {bad.deliveries[0]}"
    record: dict[str, JSON] = {
        "supplier": bad.supplier,
        "delivery": None if whole else bad.deliveries[0],
        "reason": reason.strip(),
    }
    return acts.propose(d, TAINT, subject, record, actor=actor, now=now)


def _licences(session: Session, names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return for each release the licences that it was handed out under, from the log (control E3)."""
    found: dict[str, dict[str, None]] = {name: {} for name in names}
    for body in session.scalars(select(LogEntry.body).order_by(LogEntry.index)):
        entry = json.loads(body)
        if entry["kind"] in _HANDED_OUT and entry["release"] in found:
            found[entry["release"]][entry["licence"]] = None
    return {name: tuple(licences) for name, licences in found.items()}


def _disclosures(d: Deployment, session: Session, deliveries: Collection[int]) -> list[Disclosure]:
    """Return the disclosures whose window meets the days of a delivery that was stored before them."""
    rows = session.scalars(select(Delivery).where(Delivery.id.in_(deliveries))).all()
    spans = [(row.created, *_days(row)) for row in rows]
    carried_out = select(CourtOrder).where(CourtOrder.state == "disclosed").order_by(CourtOrder.id)
    found = []
    for order in session.scalars(carried_out):
        window = open_order(session, d.ring, order).window.days(d.config.offset)
        ended = order.ended or 0
        if any(
            created <= ended and first <= window[-1] and window[0] <= last for created, first, last in spans
        ):
            found.append(Disclosure(order.id, order.court, ended))
    return found


def _days(row: Delivery) -> tuple[int, int]:
    """Return a delivery's first and last local day; an empty span where nothing of it was stored."""
    report = json.loads(row.report)
    if report["first_day"] is None:
        return 1, 0
    return parse_day(report["first_day"]), parse_day(report["last_day"])
