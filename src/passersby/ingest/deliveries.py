"""Deliveries in the control database: which files are known, and the row that records a new one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import rfc8785
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from passersby.errors import UnreadableFile, UsageError
from passersby.ingest.report import Report, Source
from passersby.model.period import DAY
from passersby.sources.opening import fingerprint
from passersby.store.tables import Delivery, Supplier
from passersby.suppliers.contract import Contract

_COUNTER = "last_delivery"
"""Setting that holds the last delivery id given out: ids stand in pings and are never used twice."""


def sources(files: Sequence[Path]) -> list[Source]:
    """Return the delivered files with the hashes of their contents; equal contents count once.

    Raises:
        UsageError: no file is given.
        UnreadableFile: one cannot be read.
    """
    if not files:
        msg = "No file was given."
        raise UsageError(msg, "Name the files: `passersby ingest FILES... --supplier S`.")
    found: dict[str, Source] = {}
    for path in files:
        stamp = _stamp(path)
        digest, size = fingerprint(path)
        found.setdefault(digest, Source(path.name, str(path.absolute()), size, digest, stamp))
    return list(found.values())


def require_unchanged(files: Sequence[Source]) -> None:
    """Check that nobody wrote to the files since they were hashed.

    Raises:
        UnreadableFile: one was changed or removed meanwhile.
    """
    for file in files:
        if _stamp(Path(file.path)) != file.stamp:
            msg = f"{file.name} changed while it was read."
            raise UnreadableFile(msg, "Run the command again when the file is complete; nothing was stored.")


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what every write to a file changes; nobody but the system sets the last one."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def known(session: Session, supplier: int) -> dict[str, int]:
    """Return the content hash of every file that a supplier has delivered -> id of its delivery."""
    query = select(Delivery.id, Delivery.files).where(Delivery.supplier == supplier).order_by(Delivery.id)
    return {file["sha256"]: row.id for row in session.execute(query) for file in json.loads(row.files)}


def reserve(session: Session) -> int:
    """Return a delivery id that was never given out before, in a session that writes."""
    query = text(
        "INSERT INTO setting (name, value) VALUES (:name, '1') ON CONFLICT (name) DO UPDATE"
        " SET value = CAST(CAST(setting.value AS INTEGER) + 1 AS TEXT) RETURNING value"
    )
    return int(session.execute(query, {"name": _COUNTER}).scalar_one())


def lock_supplier(session: Session, number: int) -> None:
    """Let deliveries of one supplier commit one after another (SQLite's write lock does so by itself)."""
    session.execute(select(Supplier.number).where(Supplier.number == number).with_for_update())


def record(session: Session, report: Report, number: int, contract: Contract, *, now: int) -> None:
    """Add the delivery's row; its dates come from the contract, counted from `now`."""
    session.add(
        Delivery(
            id=report.delivery,
            supplier=number,
            sha256=_together(report.files),
            files=_json([file.to_json() for file in report.files]),
            report=_json(report.to_json()),
            created=now,
            raw_until=now + contract.raw_days * DAY,
            derived_until=now + contract.derived_days * DAY,
        )
    )
    session.flush()


def _together(files: Sequence[Source]) -> str:
    """Return one hash for the contents of all files, whatever their names and order."""
    return hashlib.sha256("\n".join(sorted(file.sha256 for file in files)).encode()).hexdigest()


def _json(value: Sequence[object] | Mapping[str, object]) -> str:
    return rfc8785.dumps(value).decode()  # type: ignore[arg-type] # JSON by construction
