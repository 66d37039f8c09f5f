"""Deletion dates: files that have reached theirs leave the manifest, and their parts are sealed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from passersby.lake import manifest
from passersby.lake.manifest import Keep
from passersby.model.period import day_name
from passersby.store.database import Database
from passersby.store.tables import Delivery, File
from passersby.trustlog.entries import append


@dataclass(frozen=True)
class Expired:
    """What reached its deletion date.

    Args:
        files: number of files that left the manifest.
        days: local days that were sealed, in part or whole, in order.
    """

    files: int
    days: tuple[int, ...]


def derived_until(session: Session, sources: Sequence[int]) -> int:
    """Return the deletion date (epoch s) of rows derived from `sources`: the earliest of theirs.

    Raises:
        ValueError: a delivery is not recorded.
    """
    query = select(func.count(), func.min(Delivery.derived_until)).where(Delivery.id.in_(sources))
    found, until = session.execute(query).one()
    if found != len(set(sources)):
        msg = "a source is not a recorded delivery"
        raise ValueError(msg)
    return int(until)


def expire(database: Database, *, now: int, keep: Keep) -> Expired:
    """Take every file whose date has come out of the manifest and seal its (day, bucket).

    A sealed part takes no more pings and is not derived again: what remains of it would tell a
    different story from the one that was told while the source was there. The files leave the disk in
    the next sweep that no reader holds up.

    Args:
        database: the control database.
        now: epoch s.
        keep: is shown the files first: what a court ordered to hold is copied out.
    """
    due = select(File).where(File.removed.is_(None), File.until <= now)
    with database.read() as session:
        if session.scalars(due.limit(1)).first() is None:
            return Expired(0, ())
    with database.write() as session:
        number = manifest.tick(session)
        rows = session.scalars(due).all()
        keep(session, rows, now)
        for row in rows:
            row.removed = number
        parts = sorted({(row.day, row.bucket) for row in rows})
        _seal(session, parts, now)
        days = tuple(sorted({day for day, _ in parts}))
        if rows:
            tables = sorted({row.table_name for row in rows})
            append(session, "files.expired", {"tables": tables}, {"files": len(rows)}, now=now)
            append(session, "period.sealed", {}, {"days": [day_name(day) for day in days]}, now=now)
    return Expired(len(rows), days)


def purge(session: Session, first: int, last: int, buckets: int, *, now: int) -> None:
    """Take every file of the days `first` to `last` out of the manifest and seal all their parts, and log it.

    All parts, those without a file too: which devices had rows must not show, and none may come again.
    """
    number = manifest.tick(session)
    held = select(File).where(File.day.between(first, last), File.removed.is_(None))
    rows = session.scalars(held).all()
    for row in rows:
        row.removed = number
    _seal(session, [(day, bucket) for day in range(first, last + 1) for bucket in range(buckets)], now)
    tables = sorted({row.table_name for row in rows})
    append(session, "files.expired", {"tables": tables}, {"files": len(rows)}, now=now)


def _seal(session: Session, parts: Sequence[tuple[int, int]], now: int) -> None:
    query = text(
        "INSERT INTO sealed (day, bucket, created) VALUES (:day, :bucket, :now) ON CONFLICT DO NOTHING"
    )
    if parts:
        session.execute(query, [{"day": day, "bucket": bucket, "now": now} for day, bucket in parts])
