"""Devices that withdrew: from the commit of `record` on, nothing reads their rows, and none come in again.

A device is known by a keyed hash of its id, its *tombstone* (HMAC-SHA-256 under the purpose key
`withdrawals`, which is not rotated; 8 bytes: among N tombstones a strange id is taken for one of them with
probability N / 2^64). Rows of the lake bear pseudonyms, so each withdrawal also keeps those of its devices,
encrypted, under every epoch's key that lives; they are deleted when that key dies. No id reaches the disk.

`record` is the one way in: a holder's request, an erasure, a withdrawal in a supplier's consent file, a
deletion list. It may be called for ids that withdrew before.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import ColumnElement, delete, func, insert, select
from sqlalchemy.orm import Session

from passersby.consent import listed
from passersby.consent.listed import Listed
from passersby.keys.envelope import Envelope
from passersby.keys.pseudonym import pseudonyms
from passersby.keys.ring import KeyRing
from passersby.store.subject_tables import Erasure, Tombstone, Withdrawal, WithdrawnDevices
from passersby.trustlog.entries import JSON, append

PURPOSE = "withdrawals"
"""Name of the purpose key."""

HOLDER, ERASURE, CONSENT, LIST, REPLAY = "holder", "erasure", "consent", "list", "replay"
"""Causes of a withdrawal; they are public."""

Ints = npt.NDArray[np.int64]

_CHUNK = 10_000


@dataclass(frozen=True)
class Recorded:
    """A withdrawal that was recorded.

    Args:
        number: of the withdrawal.
        log_index: of its entry in the log.
        fresh: how many of its devices had not withdrawn before.
        erasure: number of the erasure that was asked for with it.
    """

    number: int
    log_index: int
    fresh: int
    erasure: int | None = None


@dataclass(frozen=True, eq=False)
class Content:
    """What a withdrawal is made of, as the database and the journal keep it.

    Args:
        hashes: tombstones.
        epochs: epoch -> pseudonyms, encrypted.
        holder: commitment to the list of ids, "" where no receipt is owed.
        erase: whether the rows are to leave the lake.
        supplier: number of the supplier from whose data alone they withdrew, None for all data.
    """

    hashes: Ints
    epochs: dict[int, bytes]
    holder: str
    erase: bool
    supplier: int | None = None


def record(
    session: Session,
    ring: KeyRing,
    ids: Sequence[str],
    *,
    cause: str,
    now: int,
    erase: bool = False,
    supplier: int | None = None,
) -> Recorded:
    """Record that devices withdrew, and log it without saying who or how many.

    A withdrawal from one supplier's data leaves no tombstone: that supplier's register bars its rows from
    coming in again, for as long as it says so. All rows of the devices are hidden until those of the
    supplier are gone and what was derived is derived anew from the others' (see `subjects.erasing`).

    Args:
        session: a session that may write.
        ring: the deployment's keys.
        ids: normalised advertising ids.
        cause: one of the causes above; public.
        now: epoch s.
        erase: also ask for their rows to be erased (see `subjects.erasing`).
        supplier: number of the supplier from whose data alone they withdrew; their rows are erased.
    """
    distinct = sorted(set(ids))
    key, seal = _key(session, ring), envelope(session, ring)
    epochs = {
        epoch: seal.wrap(np.sort(pseudonyms(distinct, secret)).astype("<i8").tobytes(), _bound(epoch))
        for epoch, secret in ring.living(session)
    }
    holder = commitment(key, distinct) if cause in {HOLDER, ERASURE, LIST} else ""
    hashes = np.unique(pseudonyms(distinct if supplier is None else [], key))
    content = Content(hashes, epochs, holder, erase or supplier is not None, supplier)
    return store(session, content, cause=cause, journal=secrets.token_hex(8), now=now)


def store(session: Session, content: Content, *, cause: str, journal: str, now: int) -> Recorded:
    """Add a withdrawal's rows and its log entry; `journal` names its file in the journal."""
    row = Withdrawal(cause=cause, supplier=content.supplier, journal=journal, log_index=-1, created=now)
    session.add(row)
    session.flush()
    private: dict[str, JSON] = {"devices": len(content.hashes)}
    if content.holder:
        private["holder"] = content.holder
    row.log_index = append(
        session, "subject.withdrawn", {"withdrawal": row.id, "cause": cause}, private, now=now
    )
    # after the entry: from there to the commit no other transaction records one
    fresh = content.hashes[~_looked_up(session, content.hashes, before=None)]
    if len(fresh):
        session.execute(insert(Tombstone), [{"hash": h, "withdrawal": row.id} for h in fresh.tolist()])
    session.add_all(
        WithdrawnDevices(withdrawal=row.id, epoch=epoch, devices=blob)
        for epoch, blob in content.epochs.items()
    )
    erasure = None
    if content.erase:
        wanted = _wanted(row.id, content.holder, now)
        session.add(wanted)
        session.flush()
        erasure = wanted.id
    session.flush()
    return Recorded(row.id, row.log_index, len(fresh), erasure)


def known(
    session: Session, ring: KeyRing, ids: Sequence[str], *, before: int | None = None
) -> npt.NDArray[np.bool_]:
    """Return which devices have withdrawn, or are on a deletion list.

    Args:
        session: an open session.
        ring: the deployment's keys.
        ids: normalised advertising ids.
        before: index of a log entry: only withdrawals that were logged before it count.
    """
    on_list = listed.known(session, ids, before=before)
    key = ring.find_purpose(session, PURPOSE)
    if key is None:
        return on_list
    return on_list | _looked_up(session, pseudonyms(ids, key), before=before)


def hidden(session: Session, ring: KeyRing) -> Ints:
    """Return the pseudonyms (sorted, none twice) whose rows nobody may read; see `lake.snapshots`."""
    ended = select(Erasure.withdrawal).join(Withdrawal, Withdrawal.id == Erasure.withdrawal)
    ended = ended.where(Withdrawal.supplier.is_not(None), Erasure.state != "wanted")
    return _opened(session, ring, WithdrawnDevices.withdrawal.not_in(ended))


def devices(session: Session, ring: KeyRing, withdrawal: int) -> Ints:
    """Return the pseudonyms of one withdrawal, of all epochs whose keys live, sorted."""
    return _opened(session, ring, WithdrawnDevices.withdrawal == withdrawal)


def newest(session: Session) -> int:
    """Return the number of the newest withdrawal, 0 before the first."""
    return session.scalar(select(func.max(Withdrawal.id))) or 0


def forget(session: Session, withdrawal: int) -> None:
    """Delete the pseudonyms of a withdrawal from one supplier's data: its rows are gone."""
    session.execute(delete(WithdrawnDevices).where(WithdrawnDevices.withdrawal == withdrawal))


def forget_epoch(session: Session, epoch: int) -> None:
    """Delete the pseudonyms under a key that is being destroyed: no row bears them any more."""
    session.execute(delete(WithdrawnDevices).where(WithdrawnDevices.epoch == epoch))


def search_again(session: Session, after: int) -> None:
    """Ask again for the erasures of withdrawals after number `after`.

    A delivery calls it that was judged by the withdrawals up to that one and commits only now: rows of
    devices that withdrew meanwhile come in with it. Nobody reads them, and the next command takes them out.
    """
    late = select(Erasure).join(Withdrawal, Withdrawal.id == Erasure.withdrawal)
    late = late.where(Erasure.withdrawal > after, Erasure.state != "wanted", Withdrawal.supplier.is_(None))
    for row in session.scalars(late).all():
        if row.state == "rewritten":
            row.state = "wanted"
        else:  # its receipt is out: what comes in by this delivery is another erasure
            session.add(_wanted(row.withdrawal, "", row.created))
    session.flush()


def envelope(session: Session, ring: KeyRing) -> Envelope:
    """Return what encrypts pseudonyms in the database, and the journal; the key is made on first use."""
    return Envelope(hmac.digest(_key(session, ring), b"envelope", hashlib.sha256))


def receipt_salt(session: Session, ring: KeyRing, ids: Sequence[str]) -> bytes:
    """Return the secret of the commitment to a list of ids: who has it and the ids can check a receipt."""
    return _salt(_key(session, ring), sorted(set(ids)))


def commitment_of(salt: bytes, ids: Sequence[str]) -> str:
    """Return the commitment to a list of ids, in hexadecimal, whatever its order: HMAC-SHA-256(salt, ids)."""
    return hmac.digest(salt, _text(sorted(set(ids))), hashlib.sha256).hex()


def commitment(key: bytes, ids: Sequence[str]) -> str:
    """Return the commitment under the deployment's own salt for this list."""
    return commitment_of(_salt(key, ids), ids)


def _wanted(withdrawal: int, holder: str, now: int) -> Erasure:
    return Erasure(withdrawal=withdrawal, holder=holder, state="wanted", snapshot=0, days="[]", created=now)


def _salt(key: bytes, ids: Sequence[str]) -> bytes:
    return hmac.digest(key, b"receipt\n" + _text(ids), hashlib.sha256)


def _text(ids: Sequence[str]) -> bytes:
    return "\n".join(ids).encode()


def _key(session: Session, ring: KeyRing) -> bytes:
    return ring.purpose(session, PURPOSE)


def _opened(session: Session, ring: KeyRing, which: ColumnElement[bool]) -> Ints:
    rows = session.execute(select(WithdrawnDevices.epoch, WithdrawnDevices.devices).where(which)).all()
    if not rows:
        return np.empty(0, np.int64)
    seal = envelope(session, ring)
    return np.unique(
        np.concatenate([np.frombuffer(seal.unwrap(row.devices, _bound(row.epoch)), "<i8") for row in rows])
    ).astype(np.int64)


def _bound(epoch: int) -> str:
    return f"withdrawn:{epoch}"


def _looked_up(session: Session, hashes: Ints, *, before: int | None) -> npt.NDArray[np.bool_]:
    """Return which hashes are tombstones."""
    found: list[int] = []
    for start in range(0, len(hashes), _CHUNK):
        query = select(Tombstone.hash).where(Tombstone.hash.in_(hashes[start : start + _CHUNK].tolist()))
        if before is not None:
            query = query.join(Withdrawal).where(Withdrawal.log_index < before)
        found.extend(session.scalars(query))
    return np.isin(hashes, np.array(found, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class Barred:
    """The tombstones as a delivery is judged by them.

    Args:
        newest: number of the newest withdrawal among them.
        key: what ids are hashed with.
        hashes: sorted tombstones.
        lists: deletion lists.
    """

    newest: int
    key: bytes
    hashes: Ints
    lists: Listed

    def hits(self, ids: pa.Array) -> npt.NDArray[np.bool_]:
        """Return which normalised ids have withdrawn."""
        if len(self.hashes) == 0:
            return np.zeros(len(ids), dtype=np.bool_)
        hashes = pseudonyms(ids, self.key)
        at = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return np.asarray(self.hashes[at] == hashes)


def barred(session: Session, ring: KeyRing) -> Barred:
    """Return the tombstones as they stand, in a session that may write."""
    key = _key(session, ring)
    hashes = np.array(session.scalars(select(Tombstone.hash).order_by(Tombstone.hash)).all(), dtype=np.int64)
    return Barred(newest(session), key, hashes, listed.current(session))
