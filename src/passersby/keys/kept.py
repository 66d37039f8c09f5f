"""Which key-encryption key (KEK) is in use, and how it is changed so that no moment has half a change.

    1 draft    the new KEK's name stands in the database
    2 create   its keeper makes it, and shows that it works
    3 switch   one transaction: every key is wrapped anew, the new KEK is active, the old one retired
    4 tidy     the old KEK is destroyed by its keeper

A process that is killed before 3 leaves a draft, after 3 a retired KEK; `tidy` destroys both, at the next
command at the latest. Whoever changes KEKs holds a lock that ends with the process.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from passersby.errors import Busy, IntegrityError, OperationError, PassersbyError
from passersby.keys.keeper import Keeper, Wrapper, named, probe
from passersby.store.database import Database
from passersby.store.keys_tables import Kek
from passersby.store.tables import EpochKey, PurposeKey

_LOCK = ".changing"
_WAIT_S = 10


@dataclass(frozen=True)
class Held:
    """A KEK: its name, its keeper's name, and since when (epoch s) it was there."""

    id: str
    keeper: str
    created: int


class Kept:
    """The KEKs of one deployment.

    Args:
        database: the control database.
        keepers: name -> keeper.
        folder: where key files lie; it holds the lock.
    """

    def __init__(self, database: Database, keepers: Mapping[str, Keeper], folder: Path) -> None:
        self.database = database
        self.keepers = keepers
        self._folder = folder
        self._open: tuple[str, Wrapper] | None = None

    def prepare(self) -> None:
        """Make the first KEK of a deployment that has no keys yet."""
        with self.database.read() as session:
            kek = self.active(session)
            if any(session.scalars(select(t).limit(1)).first() for t in (PurposeKey, EpochKey)):
                return
        self.keepers[kek.keeper].create(kek.id)

    def active(self, session: Session, *, writing: bool = False) -> Held:
        """Return the KEK in use; `writing` keeps it in use until the transaction ends.

        Raises:
            IntegrityError: there is not exactly one.
        """
        query = select(Kek)
        if writing:  # all rows: on PostgreSQL a switch that was waited for is then seen whole
            query = query.with_for_update(read=True)
        found = [
            row
            for row in session.scalars(query.execution_options(populate_existing=True))
            if row.state == "active"
        ]
        if len(found) != 1:
            msg = "The control database does not say which key-encryption key is in use."
            raise IntegrityError(msg, "Restore the newest backup of the control database.")
        return Held(found[0].id, found[0].keeper, found[0].created)

    def current(self, session: Session, *, writing: bool = False) -> Wrapper:
        """Return the KEK in use, as `ring.Wrapping` says."""
        kek = self.active(session, writing=writing)
        if self._open is None or self._open[0] != kek.id:
            self._open = (kek.id, named(self.keepers, kek.keeper).wrapper(kek.id))
        return self._open[1]

    def place(self, kek: Held) -> str:
        """Return in words where a KEK is kept."""
        return named(self.keepers, kek.keeper).place(kek.id)

    def left_over(self, session: Session) -> list[Held]:
        """Return KEKs that are to be destroyed: replaced ones, and drafts of changes that were killed."""
        rows = session.scalars(select(Kek).where(Kek.state.in_(("draft", "retired"))).order_by(Kek.id))
        return [Held(row.id, row.keeper, row.created) for row in rows]

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock of those who change KEKs.

        Raises:
            Busy: another process changes them.
        """
        with self._lock(_WAIT_S) as mine:
            if not mine:
                msg = "Another process is changing the key-encryption key."
                raise Busy(msg, "Run the command again in a minute.")
            yield

    def draft(self, keeper: str, *, now: int) -> Held:
        """Make a new KEK that is not in use yet, and try it. Hold the lock (`changing`).

        Raises:
            UsageError: there is no such keeper.
            KeeperAway: it does not answer.
            IntegrityError: what it wraps does not open again.
        """
        wanted = named(self.keepers, keeper)
        kek = Held(f"kek-{secrets.token_hex(8)}", keeper, now)
        wanted.destroy(kek.id)  # there is none: a keeper that is away says so before anything is written
        with self.database.write() as session:
            session.add(Kek(id=kek.id, keeper=kek.keeper, state="draft", created=now))
        wanted.create(kek.id)
        probe(wanted, kek.id)
        return kek

    def switch(self, session: Session, new: Held) -> tuple[Wrapper, Held]:
        """Put a draft into use, in the caller's transaction, who wraps every key with it before it ends.

        Returns:
            The new KEK, and the one before, which is retired.

        Raises:
            Busy: another process cleared the draft away.
        """
        session.scalars(select(Kek).with_for_update()).all()
        old = self.active(session)
        taken = update(Kek).where(Kek.id == new.id, Kek.state == "draft").values(state="active")
        if session.scalar(taken.returning(Kek.id)) is None:
            msg = "Another process cleared the new key-encryption key away; the old one is in use as before."
            raise Busy(msg, "Run the command again.")
        session.execute(update(Kek).where(Kek.id == old.id).values(state="retired"))
        return named(self.keepers, new.keeper).wrapper(new.id), old

    def tidy(self, record: Callable[[Session, Held], None]) -> list[str]:
        """Destroy KEKs that are not in use, unless their keeper is away; return what was done, in words.

        Args:
            record: logs one KEK's destruction, in the transaction that records it.
        """
        with self.database.read() as session:
            if not self.left_over(session):
                return []
        with self._lock(0) as mine:
            unused = self._unused() if mine else []
            return [line for line in (self._destroy(kek, record) for kek in unused) if line]

    def _unused(self) -> list[Held]:
        """Return what may be destroyed; drafts are first put out of reach of whoever might use them."""
        with self.database.write() as session:
            session.execute(update(Kek).where(Kek.state == "draft").values(state="retired"))
            return self.left_over(session)

    def _destroy(self, kek: Held, record: Callable[[Session, Held], None]) -> str:
        """Destroy one; return what was done, "" if its keeper does not answer or does not let us."""
        try:
            named(self.keepers, kek.keeper).destroy(kek.id)
        except PassersbyError:
            return ""
        with self.database.write() as session:
            done = update(Kek).where(Kek.id == kek.id, Kek.state == "retired").values(state="destroyed")
            if session.scalar(done.returning(Kek.id)) is not None:
                record(session, kek)
        return f"destroyed a key-encryption key that is not in use: {self.place(kek)}"

    @contextmanager
    def _lock(self, wait_s: float) -> Iterator[bool]:
        """Yield whether the lock is ours; it ends with the block, or with the process."""
        try:
            handle = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            msg = f"The folder {self._folder} cannot be used ({error.strerror})."
            raise OperationError(
                msg, "Check that this account owns it and that the disk has room."
            ) from error
        deadline = time.monotonic() + wait_s
        try:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        yield False
                        return
                    time.sleep(0.05)
                else:
                    yield True
                    return
        finally:
            os.close(handle)
