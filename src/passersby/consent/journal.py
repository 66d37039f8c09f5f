"""A copy of every withdrawal beside the control database, so that a restored backup of it forgets none.

One encrypted file for each withdrawal, in a folder that no backup of the deployment should be restored over.
`settle` brings folder and database together in both directions: it is called whenever a deployment is
opened, and after each withdrawal.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.consent import withdrawals
from passersby.consent.withdrawals import Content
from passersby.errors import IntegrityError
from passersby.keys.ring import KeyRing
from passersby.store import durable
from passersby.store.database import Database
from passersby.store.subject_tables import Erasure, Tombstone, Withdrawal, WithdrawnDevices


def settle(folder: Path, database: Database, ring: KeyRing, *, now: int) -> list[str]:
    """Write the files that are missing, and record the withdrawals that are; return in words what was done.

    Args:
        folder: the journal.
        database: the control database.
        ring: its keys.
        now: epoch s.

    Raises:
        IntegrityError: a file does not open with this database's keys.
        DiskFull: there is no room.
    """
    if not folder.is_dir():
        # the key is made with the folder: every later backup of the database holds it
        with database.write() as session:
            withdrawals.envelope(session, ring)
        folder.mkdir(mode=0o700, parents=True)
    kept = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    with database.read() as session:
        recorded = set(session.scalars(select(Withdrawal.journal)))
    for name in sorted(recorded - kept):
        with database.write() as session:
            durable.write(folder / name, _written(session, ring, name))
    forgotten = sorted(kept - recorded)
    for name in forgotten:
        with database.write() as session:
            content = _read(session, ring, name, (folder / name).read_bytes())
            withdrawals.store(session, content, cause=withdrawals.REPLAY, journal=name, now=now)
    return [f"recorded {len(forgotten)} withdrawal(s) again that the database had lost"] if forgotten else []


def _written(session: Session, ring: KeyRing, name: str) -> bytes:
    row = session.scalars(select(Withdrawal).where(Withdrawal.journal == name)).one()
    hashes = session.scalars(select(Tombstone.hash).where(Tombstone.withdrawal == row.id)).all()
    held = session.execute(
        select(WithdrawnDevices.epoch, WithdrawnDevices.devices).where(WithdrawnDevices.withdrawal == row.id)
    )
    erasure = session.scalars(select(Erasure).where(Erasure.withdrawal == row.id).limit(1)).one_or_none()
    content = {
        "hashes": _text(np.array(hashes, dtype="<i8").tobytes()),
        "epochs": {str(epoch): _text(blob) for epoch, blob in held},
        "holder": erasure.holder if erasure else "",
        "erase": erasure is not None,
        "supplier": row.supplier,
    }
    return withdrawals.envelope(session, ring).wrap(json.dumps(content).encode(), _bound(name))


def _read(session: Session, ring: KeyRing, name: str, blob: bytes) -> Content:
    try:
        found: dict[str, Any] = json.loads(withdrawals.envelope(session, ring).unwrap(blob, _bound(name)))
    except IntegrityError:
        raise IntegrityError(
            "A withdrawal in the journal does not open with this control database.",
            "Restore a newer backup of the database: this one would use data of devices that withdrew.",
        ) from None
    living = {epoch for epoch, _ in ring.living(session)}
    return Content(
        np.frombuffer(base64.b64decode(found["hashes"]), "<i8").astype(np.int64),
        {int(e): base64.b64decode(blob) for e, blob in found["epochs"].items() if int(e) in living},
        found["holder"],
        found["erase"],
        found["supplier"],
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bound(name: str) -> str:
    return f"journal:{name}"
