"""The keys of one deployment: one for each purpose, and one pseudonym key for each epoch of weeks."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from passersby.errors import Refusal
from passersby.keys.envelope import KEY_BYTES, Envelope
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


class KeyRing:
    """Makes keys on first use and keeps them wrapped in the control database.

    Args:
        database: the control database.
        envelope: wraps them.
        epoch_weeks: weeks that one pseudonym key covers.
    """

    def __init__(self, database: Database, envelope: Envelope, *, epoch_weeks: int) -> None:
        self._insert = database.insert_if_absent
        self._envelope = envelope
        self._epoch_weeks = epoch_weeks

    def purpose(self, session: Session, name: str) -> bytes:
        """Return the 32-byte key of a purpose, made on first use (in a session that may write).

        Raises:
            IntegrityError: the stored key does not open.
        """
        wanted = select(PurposeKey.wrapped).where(PurposeKey.purpose == name)
        wrapped = session.scalar(wanted)
        if wrapped is None:
            new = self._envelope.wrap(secrets.token_bytes(KEY_BYTES), _purpose(name))
            row = {"purpose": name, "wrapped": new, "created": int(time.time())}
            self._insert(session, PurposeKey, row)
            wrapped = session.execute(wanted).scalar_one()
        return self._envelope.unwrap(wrapped, _purpose(name))

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
        return EpochKeyInfo(row.id, self._envelope.unwrap(row.wrapped, _epoch(epoch, row.id)), created)

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
        return self._envelope.unwrap(row.wrapped, _epoch(epoch, row.id)), None

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
        return name

    def _make(self, session: Session, epoch: int, now: int) -> bool:
        """Insert a new key unless another transaction was first; return whether it is ours."""
        name = f"{epoch}-{secrets.token_hex(4)}"
        wrapped = self._envelope.wrap(secrets.token_bytes(KEY_BYTES), _epoch(epoch, name))
        return self._insert(
            session, EpochKey, {"epoch": epoch, "id": name, "wrapped": wrapped, "created": now}
        )


def _purpose(name: str) -> str:
    return f"purpose:{name}"


def _epoch(epoch: int, name: str) -> str:
    return f"epoch:{epoch}:{name}"
