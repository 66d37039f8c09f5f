"""What a deployment deletes each day: files at their date, then pseudonym keys whose last row is gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.consent import withdrawals
from passersby.disclosure import holds
from passersby.errors import Busy
from passersby.keys.ring import KeyRing
from passersby.lake.lake import Lake
from passersby.model.period import day_name, day_of
from passersby.store.tables import EpochKey, File, Intent, Sealed
from passersby.trustlog.entries import append


@dataclass(frozen=True)
class Gone:
    """What one run deleted.

    Args:
        files: number of files that left the manifest.
        days: local days that were sealed, in part or whole, in order.
        done: what was deleted from the disk and which keys were destroyed, in plain words.
    """

    files: int
    days: tuple[int, ...]
    done: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object; days as ISO dates."""
        return {
            "files": self.files,
            "sealed_days": [day_name(day) for day in self.days],
            "done": list(self.done),
        }


def expire(lake: Lake, ring: KeyRing, sweep: Callable[[int], list[str]], *, now: int) -> Gone:
    """Delete what has reached its deletion date; what an open order holds stays for that order alone.

    Args:
        lake: the lake.
        ring: the keys.
        sweep: deletes from the disk what no reader sees any more; returns what it did.
        now: epoch s.
    """
    with lake.database.write() as session:
        holds.lapse(session, now=now)
    expired = lake.expire(now)
    swept = sweep(now)
    return Gone(expired.files, expired.days, (*swept, *_destroy_keys(lake, ring, now)))


def _destroy_keys(lake: Lake, ring: KeyRing, now: int) -> list[str]:
    """Destroy the key of every past epoch that had rows and has none left, on the disk included.

    Nothing is destroyed while a delivery comes in: its rows bear a key and are not in the manifest yet.
    """
    destroyed = []
    with lake.database.write() as session:
        if _is_coming(session, now):
            return []
        held = select(EpochKey.epoch).where(EpochKey.wrapped.is_not(None)).order_by(EpochKey.epoch)
        for epoch in session.scalars(held).all():
            if not _is_spent(session, lake, ring, epoch, now):
                continue
            name = ring.destroy(session, epoch, now=now)
            withdrawals.forget_epoch(session, epoch)
            append(session, "epoch.destroyed", {"key": name}, now=now)
            first = ring.first_period(epoch).name
            destroyed.append(
                f"destroyed the pseudonym key of the weeks from {first} on: its last row is gone"
            )
    return destroyed


def _is_spent(session: Session, lake: Lake, ring: KeyRing, epoch: int, now: int) -> bool:
    first, last = _days(lake, ring, epoch)
    end = ring.first_period(epoch + 1).span(lake.offset).start
    had = select(Sealed.day).where(Sealed.day.between(first, last)).limit(1)
    has = select(File.id).where(File.day.between(first, last)).limit(1)
    return end <= now and session.scalar(had) is not None and session.scalar(has) is None


def purge_epoch(session: Session, lake: Lake, ring: KeyRing, epoch: int, *, now: int) -> None:
    """Take every row under an epoch's key out of the manifest, seal its days and forget the key.

    For a key that is lost: its rows answer to no subject any more. The files leave the disk in the next sweep
    that no reader holds up. The caller logs it.

    Raises:
        Busy: a delivery comes in; its rows may bear the key.
    """
    if _is_coming(session, now):
        raise Busy("A delivery comes in, and its rows may bear the key.", "Run the command again later.")
    lake.purge(session, *_days(lake, ring, epoch), now=now)
    ring.destroy(session, epoch, now=now)
    withdrawals.forget_epoch(session, epoch)


def _is_coming(session: Session, now: int) -> bool:
    coming = select(Intent.id).where(Intent.kind == "ingest", Intent.lease_until > now)
    return session.scalar(coming.limit(1)) is not None


def _days(lake: Lake, ring: KeyRing, epoch: int) -> tuple[int, int]:
    """Return the first and the last local day of an epoch."""
    start, end = (ring.first_period(e).span(lake.offset).start for e in (epoch, epoch + 1))
    return day_of(start, lake.offset), day_of(end - 1, lake.offset)
