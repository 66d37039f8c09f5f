"""What is held for an order, from its verification until it is carried out or refused: its exact scope.

While pings are in the lake they need no holding. When files leave it, at their deletion date or by an
erasure, the rows of an open order's scope are copied out first, encrypted into the control database, where
no question and no other command reads. For every open order something is kept at every such moment, rows or
not, in steps of size: what is kept does not tell whether there was anything.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from passersby.disclosure import lookup
from passersby.disclosure.lookup import FOUND
from passersby.disclosure.parts import envelope
from passersby.disclosure.stored import open_order
from passersby.keys.ring import KeyRing
from passersby.model.period import DAY
from passersby.store.order_tables import CourtOrder, HeldRows
from passersby.store.tables import File
from passersby.trustlog.entries import append

OPEN = ("verified", "approved", "releasing")
"""States of an order for which its scope is held."""

PACKAGE_DAYS = 30
"""Days for which a sealed package can be written again."""

_STEP = 1 << 16


def keep(
    session: Session, ring: KeyRing, root: Path, files: Sequence[File], *, offset: int, now: int
) -> None:
    """Copy the rows of every open order's scope out of files that are about to leave the lake.

    The lake calls it in the transaction in which it deletes rows (`lake.manifest.Keep`).

    Args:
        session: that transaction.
        ring: the deployment's keys.
        root: folder of the lake.
        files: rows of the manifest; only pings matter.
        offset: the deployment's UTC offset, s.
        now: epoch s.
    """
    pings = [file for file in files if file.table_name == "pings"]
    for row in session.scalars(select(CourtOrder).where(CourtOrder.state.in_(OPEN))).all():
        order = open_order(session, ring, row)
        days = set(order.window.days(offset))
        mine = [root / file.path for file in pings if file.day in days]
        if not mine:
            continue
        stretches = lookup.epochs(session, ring, order, offset, verified=row.log_index)
        found = lookup.in_files(mine, order, stretches)
        rows = envelope(session, ring).wrap(_padded(found), _held(row.id))
        session.add(HeldRows(order=row.id, rows=rows))
        append(session, "order.held", {"order": row.id}, now=now)
    session.flush()


def kept(session: Session, ring: KeyRing, number: int) -> pa.Table:
    """Return what is held for an order (`lookup.FOUND`).

    Raises:
        IntegrityError: it does not open with this deployment's keys.
    """
    blobs = session.scalars(select(HeldRows.rows).where(HeldRows.order == number).order_by(HeldRows.id)).all()
    opened = [envelope(session, ring).unwrap(blob, _held(number)) for blob in blobs]
    return pa.concat_tables(
        [FOUND.empty_table(), *(pa.ipc.open_stream(io.BytesIO(b)).read_all() for b in opened)]
    )


def end(session: Session, number: int) -> None:
    """Delete what is held for an order."""
    session.execute(delete(HeldRows).where(HeldRows.order == number))


def lapse(session: Session, *, now: int) -> None:
    """End the orders whose time passed, and forget sealed packages that are `PACKAGE_DAYS` old."""
    over = update(CourtOrder).where(
        CourtOrder.state.in_(OPEN), CourtOrder.expires <= now, CourtOrder.lease_until <= now
    )
    for number in session.scalars(over.values(state="lapsed", ended=now).returning(CourtOrder.id)).all():
        end(session, number)
        append(session, "order.lapsed", {"order": number}, now=now)
    old = update(CourtOrder).where(CourtOrder.ended <= now - PACKAGE_DAYS * DAY)
    session.execute(old.values(package=None))


def _padded(found: pa.Table) -> bytes:
    """Return rows as an Arrow stream, padded; what follows the stream's end is not read."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, FOUND) as stream:
        stream.write_table(found)
    data = sink.getvalue()
    return data + bytes(-len(data) % _STEP)


def _held(number: int) -> str:
    return f"held:{number}"
