"""Queues notices to holders, for now or for the end of a delay that a dated order sets, and counts them.

A holder is known by a keyed hash of the advertising id, by which their own request finds the notice; the
table names nobody. There is one notice for each device that an order named, held or not: the number
of notices tells nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from passersby.keys.ring import KeyRing
from passersby.store.notice_tables import Notice
from passersby.trustlog.entries import JSON, append

DISCLOSURE = "disclosure"
_PURPOSE = "notices"


@dataclass(frozen=True)
class Waiting:
    """Notices that were not delivered yet: those that are due, and those that a dated order delays."""

    due: int
    delayed: int


def holder(session: Session, ring: KeyRing, device: str) -> bytes:
    """Return the hash by which the notices to a device's holder are found.

    Args:
        session: a session that may write, for the first use of the key.
        ring: the deployment's keys.
        device: normalised advertising id.
    """
    return hmac.digest(ring.purpose(session, _PURPOSE), device.encode(), hashlib.sha256)


def queue(
    session: Session, ring: KeyRing, devices: Sequence[str], *, about: int, delay_until: int | None, now: int
) -> None:
    """Queue one notice of a disclosure for each device of an order, and log that.

    Args:
        session: a session that may write.
        ring: the deployment's keys.
        devices: normalised advertising ids.
        about: number of the order.
        delay_until: not before (epoch s), if the order says so.
        now: epoch s.
    """
    due = max(now, delay_until or now)
    session.add_all(
        Notice(
            holder=holder(session, ring, device),
            what=DISCLOSURE,
            about=about,
            due=due,
            delayed=due > now,
            created=now,
            delivered=None,
        )
        for device in devices
    )
    session.flush()
    public: dict[str, JSON] = {"order": about, "delayed": due > now}
    append(session, "notice.queued", public, {"notices": len(devices), "due": due}, now=now)


def waiting(session: Session, *, now: int) -> Waiting:
    """Return how many notices wait."""
    open_ones = select(func.count()).select_from(Notice).where(Notice.delivered.is_(None))
    due = session.scalar(open_ones.where(Notice.due <= now)) or 0
    return Waiting(due, (session.scalar(open_ones) or 0) - due)
