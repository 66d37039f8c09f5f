"""The keys of one deployment: one for each purpose, and one pseudonym key for each epoch of weeks.

Each key is wrapped for its own name, so that it opens in no other row, and sealed to the recovery key too,
where there is one.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import Select, delete, select, update
from sqlalchemy.orm import Session

from passersby.errors import IntegrityError, Refusal
from passersby.keys import recovery
from passersby.keys.envelope import KEY_BYTES
from passersby.keys.keeper import Wrapper
from passersby.model.period import Period
from passersby.store.database import Database
from passersby.store.tables import EpochKey, PurposeKey


@dataclass(frozen=True)
class EpochKeyInfo:
    """A pseudonym key.

    Args:
        id: public name; the ledger's key, logged as `key` in `epoch.opened`.
        key: 32 bytes, secret.
        created: whether this call made it. The caller then appends `epoch.opened` to the log, in the
            same transaction.
    """

    id: str
    key: bytes = field(repr=False)
    created: bool


class Wrapping(Protocol):
    """What says which key-encryption key wraps the keys at present: `Kept`, or an `Envelope`."""

    def current(self, session: Session, *, writing: bool = False) -> Wrapper:
        """Return the KEK in use; `writing` holds it in use until the transaction ends."""


class KeyRing:
    """Makes keys on first use and keeps them wrapped in the control database.

    Args:
        database: the control database.
        wrapping: wraps them.
        epoch_weeks: weeks that one pseudonym key covers.
    """

    def __init__(self, database: Database, wrapping: Wrapping, *, epoch_weeks: int) -> None:
        self._insert = database.insert_if_absent
        self._wrapping = wrapping
        self._epoch_weeks = epoch_weeks

    def purpose(self, session: Session, name: str) -> bytes:
        """Return the 32-byte key of a purpose, made on first use (in a session that may write).

        Raises:
            IntegrityError: the stored key does not open.
        """
        row = session.scalar(_purpose_row(name))
        if row is None:
            self._insert_purpose(session, name, secrets.token_bytes(KEY_BYTES))
            row = session.execute(_purpose_row(name)).scalar_one()
        return self._unwrapped(session, row, _purpose(name))

    def find_purpose(self, session: Session, name: str) -> bytes | None:
        """Return the key of a purpose, None if it was never made.

        Raises:
            IntegrityError: the stored key does not open.
        """
        row = session.scalar(_purpose_row(name))
        return None if row is None else self._unwrapped(session, row, _purpose(name))

    def put_purpose(self, session: Session, name: str, key: bytes) -> None:
        """Set the key of a purpose, in place of the one it had."""
        self.drop_purpose(session, name)
        self._insert_purpose(session, name, key)

    def drop_purpose(self, session: Session, name: str) -> None:
        """Forget the key of a purpose for ever."""
        session.execute(delete(PurposeKey).where(PurposeKey.purpose == name))
        recovery.forget(session, _purpose(name))

    def epoch_of(self, period: Period) -> int:
        """Return the epoch that a period lies in; epochs start at period boundaries."""
        return period.index // self._epoch_weeks

    def first_period(self, epoch: int) -> Period:
        """Return the first period of an epoch."""
        return Period(epoch * self._epoch_weeks)

    def epoch_key(self, session: Session, epoch: int, *, now: int) -> EpochKeyInfo:
        """Return the key of an epoch, made on first use (in a session that may write).

        Raises:
            Refusal: the key was destroyed with the epoch's last row (`epoch-destroyed`).
            IntegrityError: the stored key does not open.
        """
        created = False
        wanted = select(EpochKey.id, EpochKey.wrapped).where(EpochKey.epoch == epoch)
        row = session.execute(wanted).one_or_none()
        if row is None:
            created = self._make(session, epoch, now)
            row = session.execute(wanted).one()
        if row.wrapped is None:
            raise Refusal(
                "epoch-destroyed",
                "The pseudonym key of this time was destroyed together with its last row.",
                "Leave out what is older than the retention period; it cannot be stored any more.",
            )
        return EpochKeyInfo(row.id, self._unwrapped(session, row.wrapped, _epoch(epoch, row.id)), created)

    def existing(self, session: Session, epoch: int) -> tuple[bytes | None, int | None]:
        """Return the key of an epoch and when it was destroyed; nothing is made on the way.

        Returns:
            (key, None) for a living one, (None, epoch s) for a destroyed one, (None, None) if there was none.

        Raises:
            IntegrityError: the stored key does not open.
        """
        wanted = select(EpochKey.id, EpochKey.wrapped, EpochKey.destroyed).where(EpochKey.epoch == epoch)
        row = session.execute(wanted).one_or_none()
        if row is None or row.wrapped is None:
            return None, row.destroyed if row else None
        return self._unwrapped(session, row.wrapped, _epoch(epoch, row.id)), None

    def living(self, session: Session) -> Iterator[tuple[int, bytes]]:
        """Yield every epoch that has a key, and the key.

        Raises:
            IntegrityError: a stored key does not open.
        """
        for row in session.scalars(select(EpochKey).where(EpochKey.wrapped.is_not(None))).all():
            if row.wrapped is not None:
                yield row.epoch, self._unwrapped(session, row.wrapped, _epoch(row.epoch, row.id))

    def epochs(self, session: Session) -> frozenset[int]:
        """Return the epochs that have, or had, a key."""
        return frozenset(session.scalars(select(EpochKey.epoch)))

    def epoch_id(self, session: Session, epoch: int) -> str | None:
        """Return the public name of an epoch's key, None if it never had one."""
        return session.scalar(select(EpochKey.id).where(EpochKey.epoch == epoch))

    def destroy(self, session: Session, epoch: int, *, now: int) -> str | None:
        """Forget the key of an epoch for ever; return its public name, None if there was none to forget.

        The caller appends `epoch.destroyed`. The name stays: the ledger's balances hang on it. Old
        versions of the row stay in SQLite's write-ahead log until its checkpoint, in PostgreSQL until
        VACUUM, and in backups; all of them are wrapped.
        """
        held = (EpochKey.epoch == epoch, EpochKey.wrapped.is_not(None))
        name = session.scalar(select(EpochKey.id).where(*held).with_for_update())
        if name is not None:
            session.execute(update(EpochKey).where(*held).values(wrapped=None, destroyed=now))
            recovery.forget(session, _epoch(epoch, name))
        return name

    def all_keys(self, session: Session, *, writing: bool = False) -> Iterator[Stored]:
        """Yield every key that there is, as it is stored, by name; `writing` holds them as they are."""
        purposes = select(PurposeKey).order_by(PurposeKey.purpose)
        epochs = select(EpochKey).where(EpochKey.wrapped.is_not(None)).order_by(EpochKey.epoch)
        if writing:
            purposes, epochs = purposes.with_for_update(), epochs.with_for_update()
        for purpose in session.scalars(purposes).all():
            yield Stored(_purpose(purpose.purpose), purpose)
        for epoch in session.scalars(epochs).all():
            yield Stored(_epoch(epoch.epoch, epoch.id), epoch)

    def unopened(self, session: Session) -> list[Stored]:
        """Return the keys that do not open.

        Raises:
            KeeperAway: the keeper does not answer.
            IntegrityError: its key-encryption key is not there.
        """
        wrapper, found = self._wrapping.current(session), []
        for key in self.all_keys(session):
            try:
                wrapper.unwrap(key.blob, key.name)
            except IntegrityError:
                found.append(key)
        return found

    def rewrap(self, session: Session, new: Wrapper, opened: Callable[[Stored], bytes | None]) -> list[str]:
        """Wrap every key with another KEK, in a session that may write.

        Args:
            session: its transaction also says that the other KEK is in use (`Kept.switch`).
            new: the other KEK.
            opened: returns a key; None leaves one as it is that cannot be opened any more.

        Returns:
            The names of keys that were left.
        """
        left = []
        for stored in self.all_keys(session, writing=True):
            key = opened(stored)
            if key is None:
                left.append(stored.name)
            else:
                stored.row.wrapped = new.wrap(key, stored.name)
        session.flush()
        return left

    def _make(self, session: Session, epoch: int, now: int) -> bool:
        """Insert a new key unless another transaction was first; return whether it is ours."""
        name = f"{epoch}-{secrets.token_hex(4)}"
        key = secrets.token_bytes(KEY_BYTES)
        wrapped = self._wrapping.current(session, writing=True).wrap(key, _epoch(epoch, name))
        row = {"epoch": epoch, "id": name, "wrapped": wrapped, "created": now}
        made = self._insert(session, EpochKey, row)
        if made:
            recovery.seal(session, _epoch(epoch, name), key)
        return made

    def _insert_purpose(self, session: Session, name: str, key: bytes) -> None:
        """Insert the key of a purpose, unless another transaction was first."""
        wrapped = self._wrapping.current(session, writing=True).wrap(key, _purpose(name))
        row = {"purpose": name, "wrapped": wrapped, "created": int(time.time())}
        if self._insert(session, PurposeKey, row):
            recovery.seal(session, _purpose(name), key)

    def _unwrapped(self, session: Session, blob: bytes, name: str) -> bytes:
        return self._wrapping.current(session).unwrap(blob, name)


@dataclass(frozen=True)
class Stored:
    """A key as the database holds it: its name, and the row whose `wrapped` holds it."""

    name: str
    row: PurposeKey | EpochKey

    @property
    def blob(self) -> bytes:
        """The wrapped key."""
        assert self.row.wrapped is not None  # noqa: S101 (rows of destroyed keys are not listed)
        return self.row.wrapped


def _purpose_row(name: str) -> Select[bytes]:
    return select(PurposeKey.wrapped).where(PurposeKey.purpose == name)


def _purpose(name: str) -> str:
    return f"purpose:{name}"


def _epoch(epoch: int, name: str) -> str:
    return f"epoch:{epoch}:{name}"
