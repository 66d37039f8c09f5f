"""Counts devices for each counterparty over 12 months, for the thresholds of 28 CFR 202.205.

Courts are the only ones who are given rows about devices. Of which country a device is, nobody knows here:
all are counted, so that the number is never below that of the devices of the United States.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.disclosure.stored import open_order
from passersby.keys.ring import KeyRing
from passersby.model.period import DAY
from passersby.store.order_tables import CourtOrder

THRESHOLD = 1_000
"""Devices from which precise locations are bulk data (28 CFR 202.205(c), as secondary sources give it)."""

WINDOW_S = 365 * DAY


def disclosed(session: Session, ring: KeyRing, *, now: int) -> dict[str, int]:
    """Return name of a court -> distinct devices of its orders that were carried out within 12 months.

    A device counts whether or not there was anything about it: what was found is sealed.

    Raises:
        IntegrityError: a stored order is not the document that was verified.
    """
    found: dict[str, set[str]] = {}
    recent = (CourtOrder.state == "disclosed", CourtOrder.ended > now - WINDOW_S)
    for row in session.scalars(select(CourtOrder).where(*recent).order_by(CourtOrder.id)).all():
        found.setdefault(row.court, set()).update(open_order(session, ring, row).devices)
    return {court: len(devices) for court, devices in found.items()}
