"""Lineage: which deliveries a release was made from, and which of them proved bad (controls B3, E3).

What is kept is for the custodian; no analyst is shown it. Whether a device was in a delivery cannot be told
from it: a release reads whole files of days and device buckets.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.errors import OperationError
from passersby.store.lineage_tables import ReleaseLineage, Taint
from passersby.store.tables import Delivery, StoredRelease


def record(session: Session, release: str, deliveries: Iterable[int]) -> None:
    """Keep what a release was made from, in the transaction that stores it and after its log entry.

    The log's lock lets this and the marking of a delivery (`mark`) come one after the other.

    Raises:
        OperationError: a delivery that was read proved bad meanwhile.
    """
    read = sorted(set(deliveries))
    if not marked(session).isdisjoint(read):
        raise OperationError(
            "Data that this question read was found to be bad meanwhile: the answer was thrown away.",
            "Ask again: that is a new charge, what this one cost stays spent.",
        )
    session.add(ReleaseLineage(release=release, deliveries=json.dumps(read)))
    session.flush()


def of(session: Session, release: str) -> frozenset[int]:
    """Return the deliveries that a release was made from.

    Of a release that is older than this record, nobody knows: all that were stored before it.
    """
    row = session.get(ReleaseLineage, release)
    if row is not None:
        return frozenset(json.loads(row.deliveries))
    asked = select(StoredRelease.created).where(StoredRelease.id == release).scalar_subquery()
    return frozenset(session.scalars(select(Delivery.id).where(Delivery.created <= asked)))


def descendants(session: Session, deliveries: Collection[int]) -> list[str]:
    """Return the names of all releases that were made from one of `deliveries`, oldest first."""
    names = session.scalars(select(StoredRelease.id).order_by(StoredRelease.log_index)).all()
    return [name for name in names if not of(session, name).isdisjoint(deliveries)]


def marked(session: Session) -> frozenset[int]:
    """Return the deliveries that proved bad."""
    return frozenset(session.scalars(select(Taint.delivery)))


def mark(session: Session, delivery: int, *, proposal: int, now: int) -> None:
    """Say that a delivery proved bad; its rows are to leave the lake."""
    session.add(Taint(delivery=delivery, proposal=proposal, created=now, ended=None))
    session.flush()
