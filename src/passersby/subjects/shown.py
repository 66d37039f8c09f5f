"""What a holder is told: from which suppliers and months there are pings, and who received what.

Never a coordinate, an hour or a number of fixes: somebody else with the phone learns nothing of its ways.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.keys.pseudonym import pseudonyms
from passersby.lake import purge
from passersby.lake.manifest import FileRef
from passersby.notices import queue
from passersby.policy import licence
from passersby.store.notice_tables import Notice
from passersby.store.order_tables import Authority, CourtOrder
from passersby.store.tables import LicenceBudget, Supplier
from passersby.subjects import checking
from passersby.subjects.checking import Ints
from passersby.subjects.parts import Parts

DELAYED = "Disclosures under a dated court delay are not listed."
"""Said with everything that is shown, true or not."""

OUTSIDE = (
    "What came in longer ago than raw pings are kept is not listed by supplier: derived rows name none.",
    "Files that suppliers delivered, where they still lie where they were read from; backups.",
)

_SPANS = {"presence": "hour", "stays": "arrival", "trips": "departure"}


@dataclass(frozen=True)
class Shown:
    """What is held of a device.

    Args:
        pings: supplier -> months (2026-05) of its pings, in order.
        derived: months of derived rows; None where only one supplier's part is opened.
    """

    pings: dict[str, tuple[str, ...]]
    derived: tuple[str, ...] | None

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object, with what it does not list."""
        return {**asdict(self), "not_listed": [DELAYED, *OUTSIDE]}


@dataclass(frozen=True)
class Recipients:
    """Who received something about a device.

    Args:
        courts: disclosures of its pings that were ordered: court, number of the order, day.
        licensees: who was given numbers about crowds in which it may have been counted.
    """

    courts: tuple[dict[str, Any], ...]
    licensees: tuple[dict[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object, with what it does not list."""
        return {"courts": list(self.courts), "licensees": list(self.licensees), "not_listed": [DELAYED]}


def show(parts: Parts, device: str, *, supplier: int | None, now: int) -> Shown:
    """Return from which suppliers and months there are rows of a device.

    Args:
        parts: the deployment's parts.
        device: normalised advertising id.
        supplier: number of the one supplier whose part is opened; None: all.
        now: epoch s.

    Raises:
        IntegrityError: a file of the lake cannot be read.
    """
    mine = pseudonyms_of(parts, [device])
    buckets = parts.lake.bucket_of(mine)
    found: dict[int, set[str]] = {}
    derived: set[str] = set()
    with parts.lake.snapshot(now) as snapshot:
        for bucket in np.unique(buckets).tolist():
            own = mine[buckets == bucket]
            for file in snapshot.files("pings", bucket=bucket):
                for number, months in _suppliers(file, own, parts.lake.offset).items():
                    found.setdefault(number, set()).update(months)
            for table, column in _SPANS.items():
                for file in snapshot.files(table, bucket=bucket):
                    derived |= _months(file, own, column, parts.lake.offset)
    with parts.database.read() as session:
        names = {row.number: row.id for row in session.scalars(select(Supplier))}
    told = {
        names[number]: tuple(sorted(months))
        for number, months in sorted(found.items())
        if supplier in {None, number}
    }
    return Shown(told, tuple(sorted(derived)) if supplier is None else None)


def recipients(parts: Parts, device: str, *, now: int) -> Recipients:
    """Return who received something about a device; disclosures under a dated delay are left out."""
    with parts.database.write() as session:  # the key of notices is made on first use
        holder = queue.holder(session, parts.ring, device)
        told = select(Notice.about).where(
            Notice.holder == holder, Notice.what == queue.DISCLOSURE, Notice.due <= now
        )
        numbers = sorted(set(session.scalars(told)))
        courts = tuple(_court(session, number) for number in numbers)
        licensees = tuple(_licensee(session, name) for name in _asked(session))
    return Recipients(courts, licensees)


def pseudonyms_of(parts: Parts, devices: Sequence[str]) -> Ints:
    """Return the pseudonyms of devices under every key that lives, sorted."""
    with parts.database.read() as session:
        keys = [key for _, key in parts.ring.living(session)]
    return np.unique(np.concatenate([np.empty(0, np.int64), *(pseudonyms(devices, key) for key in keys)]))


def _suppliers(file: FileRef, own: Ints, offset: int) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for rows in purge.tables(file, ["device", "t", "supplier"]):
        hits = checking.marked(rows["device"].to_numpy(), own)
        times, numbers = rows["t"].to_numpy()[hits], rows["supplier"].to_numpy()[hits]
        for number in np.unique(numbers).tolist():
            found.setdefault(number, set()).update(_names(times[numbers == number], offset))
    return found


def _months(file: FileRef, own: Ints, column: str, offset: int) -> set[str]:
    found: set[str] = set()
    for rows in purge.tables(file, ["device", column]):
        hits = checking.marked(rows["device"].to_numpy(), own)
        found |= _names(rows[column].to_numpy()[hits], offset)
    return found


def _names(times: Ints, offset: int) -> set[str]:
    """Return the names of the local months of instants."""
    local = (times.astype(np.int64) + offset).astype("datetime64[s]")
    return set(np.unique(local.astype("datetime64[M]")).astype(str).tolist())


def _court(session: Session, number: int) -> dict[str, Any]:
    row = session.get_one(CourtOrder, number)
    court = session.get_one(Authority, row.court).id
    day = None if row.ended is None else dt.datetime.fromtimestamp(row.ended, dt.UTC).date().isoformat()
    return {"court": court, "order": number, "day": day}


def _asked(session: Session) -> Sequence[str]:
    """Return the licences under which something was answered."""
    spent = select(LicenceBudget.licence).where(LicenceBudget.spent > 0).distinct()
    return session.scalars(spent.order_by(LicenceBudget.licence)).all()


def _licensee(session: Session, name: str) -> dict[str, Any]:
    held = licence.get(session, name).licence
    periods = select(LicenceBudget.period).where(LicenceBudget.licence == name, LicenceBudget.spent > 0)
    return {
        "licence": name,
        "holder": held.holder,
        "purposes": list(held.purposes),
        "periods": sorted(session.scalars(periods)),
        "what": "numbers about crowds, with noise; no rows",
    }
