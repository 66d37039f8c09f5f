"""A published log whose entries a test chooses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from passersby.custody.reports.reading import Days
from passersby.model.period import DAY
from passersby.store.database import Database
from passersby.trustlog.entries import append
from passersby.trustlog.publish import Publisher
from passersby.trustlog.sources import Disk

ORIGIN = "example.org/passersby"
DAYS = Days.parse("2026-01-01", "2026-06-30")
BEFORE, FIRST, LAST, AFTER = DAYS.first * DAY - 1, DAYS.first * DAY, DAYS.end - 1, DAYS.end

Event = tuple[str, dict[str, Any], int]


@dataclass(frozen=True)
class Logged:
    """A log in a database of its own, published to a folder."""

    database: Database
    publisher: Publisher

    @property
    def source(self) -> Disk:
        return Disk(self.publisher.folder)

    @property
    def vkey(self) -> str:
        return self.publisher.vkey

    def add(self, *events: Event, **hidden: Any) -> None:
        """Append entries, each with the hidden fields, and publish."""
        with self.database.write() as session:
            for kind, public, at in events:
                append(session, kind, public, hidden, now=at)
        self.publisher.publish(self.database)


def new(database: Database, folder: Path) -> Logged:
    key = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    return Logged(database, Publisher(folder / "log", ORIGIN, key))


def granted(name: str, at: int, *, expires: int = AFTER, **changed: Any) -> Event:
    """Return the entry of a licence."""
    public = {
        "licence": name,
        "holder": f"{name} Ltd",
        "government": False,
        "contract": "",
        "purposes": ["dpv:ImproveTransportMobility"],
        "measures": ["presence"],
        "resolution": 7,
        "expires": expires,
        "record_sha256": "ab" * 32,
        "granted_by": "custodian",
    }
    return "licence.granted", {**public, **changed}, at


def refused(code: str, licence: str, at: int, measure: str = "presence") -> Event:
    """Return the entry of a question that was refused."""
    return "question.refused", {"code": code, "measure": measure, "licence": licence}, at


def answered(name: str, licence: str, at: int, micro_rho: int = 1000) -> tuple[Event, Event]:
    """Return the entries of a question that was answered."""
    asked = {"question": "cd" * 32, "licence": licence, "periods": ["2026-W20"], "micro_rho": micro_rho}
    made = {"release": name, "measure": "presence", "epsilon": "0.1", "delta": "1e-07", **asked}
    return ("question.reserved", asked, at), ("release.made", made, at)
