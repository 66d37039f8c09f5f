"""Writes the log's tiles, bundles and checkpoint from the database to a folder that anyone may copy.

Order makes it safe to be killed at any point: every file is written aside, synced and renamed, the
checkpoint last. Until then readers see the old log, whole; the next publish writes the rest again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from passersby.errors import Busy, DiskFull, IntegrityError, OperationError
from passersby.store.database import Database
from passersby.trustlog import checkpoint, entries
from passersby.trustlog.checkpoint import Checkpoint, VerifierKey
from passersby.trustlog.hashing import frontier_root, grow, leaf_hash, split
from passersby.trustlog.tiles import (
    WIDTH,
    Folder,
    Place,
    TileBuilder,
    bundles,
    damaged,
    encode_bundle,
    resume,
    widths,
)

_WAIT_S = 60
_ASIDE = ".writing"
_RESTORE = "Another database or an old backup is in place: restore the newest backup of the right one."


class Publisher:
    """Publishes the log of one deployment.

    Args:
        folder: where the published log lies; made at the first publish.
        origin: the log's name, such as `example.org/passersby`.
        signing_key: the log's key.

    Raises:
        UsageError: the origin is empty or holds a space or `+`.
    """

    def __init__(self, folder: Path, origin: str, signing_key: Ed25519PrivateKey) -> None:
        self.folder = folder
        self.origin = origin
        self.vkey = VerifierKey.of(origin, signing_key).encode()
        self._key = signing_key

    def publish(self, database: Database) -> None:
        """Bring the folder up to the database: all committed entries, their tiles, a new checkpoint.

        Does nothing if nothing was added. Costs O(new entries).

        Raises:
            IntegrityError: the published log is ahead of the database, is no prefix of it, or is damaged.
            Busy: another process has been publishing for a minute.
            DiskFull: there is no room.
            OperationError: a file cannot be written.
        """
        with _disk_errors():
            self.folder.mkdir(parents=True, exist_ok=True)
            with _alone(self.folder), database.read() as session:
                size, frontier = entries.state(session)
                published = _published(self.folder, self.vkey)
                builder = _checked(session, self.folder, published, size, frontier)
                if published is None or published.size < size:
                    self._extend(session, builder, size)

    def check_not_behind(self, database: Database) -> None:
        """See `check_not_behind`."""
        check_not_behind(database, self.folder, self.vkey)

    def _extend(self, session: Session, builder: TileBuilder, size: int) -> None:
        writer = _Writer(self.folder, builder.size)
        for place, bodies in _new_bundles(session, builder.size, size):
            writer.write(place, encode_bundle(bodies))
            first = place.n * WIDTH
            for index, body in enumerate(bodies, first):
                if index >= builder.size:
                    for tile, data in builder.add(leaf_hash(body)):
                        writer.write(tile, data)
        for tile, data in builder.partial():
            writer.write(tile, data)
        head = Checkpoint(self.origin, size, frontier_root(builder.frontier()))
        writer.finish(checkpoint.sign(head, self._key).encode())


def check_not_behind(database: Database, folder: Path, vkey: str) -> None:
    """Check that the database holds all that was published: it is not a restored old backup.

    A folder without a checkpoint passes: nothing was published yet.

    Args:
        database: the control database.
        folder: the published log.
        vkey: the log's verifier key.

    Raises:
        IntegrityError: the checkpoint covers more than the database holds, is no prefix of its log, is
            not signed by the log's key, or the folder is damaged.
    """
    published = _published(folder, vkey)  # before the database: another process may publish in between
    with database.read() as session:
        size, frontier = entries.state(session)
        _checked(session, folder, published, size, frontier)


def behind(published: int, size: int) -> IntegrityError:
    """Return the error for a database of `size` entries where `published` entries are published."""
    msg = (
        f"The published checkpoint is ahead of the database: it covers {published} log entries, the database "
        f"holds {size}. An old backup was restored."
    )
    return IntegrityError(msg, "Restore a newer backup; the published log must not be taken back.")


def _published(folder: Path, vkey: str) -> Checkpoint | None:
    note = checkpoint.load(folder)
    return None if note is None else checkpoint.verified(note, vkey)


def _checked(
    session: Session, folder: Path, published: Checkpoint | None, size: int, frontier: list[bytes]
) -> TileBuilder:
    """Return a builder at the published size, once published tiles + new entries give the database's log."""
    if published is None:
        published = Checkpoint("", 0, frontier_root([]))
    if published.size > size:
        raise behind(published.size, size)
    builder = resume(Folder(folder, published.size))
    reached = builder.frontier()
    if frontier_root(reached) != published.root:
        raise damaged(checkpoint.FILE, "does not fit the published tiles: their root hash is another one")
    known = split(bytes(builder.open_tiles.get(0, b"")))
    for place, bodies in _new_bundles(session, published.size, size):
        for offset, body in enumerate(bodies):
            index, leaf = place.n * WIDTH + offset, leaf_hash(body)
            if index >= published.size:
                grow(reached, index, leaf)
            elif leaf != known[offset]:
                msg = f"Log entry {index} in the database is not the published one."
                raise IntegrityError(msg, _RESTORE)
    if reached != frontier:
        msg = f"The log in the database does not continue the {published.size} published entries."
        raise IntegrityError(msg, _RESTORE)
    return builder


def _new_bundles(session: Session, published: int, size: int) -> Iterator[tuple[Place, list[bytes]]]:
    """Yield the bundles that hold entries from `published` on, with all of their entries."""
    for place in bundles(size, published // WIDTH) if size > published else ():
        first = place.n * WIDTH
        yield place, entries.stored(session, first, first + place.width)


class _Writer:
    """Writes files whole: aside, synced, renamed. `covered` entries stand under a signed checkpoint."""

    def __init__(self, folder: Path, covered: int) -> None:
        self._folder = folder
        self._covered = covered
        self._touched: set[Path] = set()
        self._superseded: list[Path] = []

    def write(self, place: Place, data: bytes) -> None:
        self._forget_uncovered(place)
        self._replace(self._folder / place.path, data)
        if place.width == WIDTH:
            self._superseded.append(self._folder / f"{place.stem}.p")

    def finish(self, note: bytes) -> None:
        """Put the checkpoint in place, once all before it is on the disk; then drop what it supersedes.

        Partial tiles are kept until their full tile is published (C2SP tlog-tiles, "Partial Tiles"). A
        kill before the last step leaves files that are correct and that nobody needs.
        """
        self._sync_folders()
        self._replace(self._folder / checkpoint.FILE, note)
        self._sync_folders()
        for partials in self._superseded:
            if partials.is_dir():
                shutil.rmtree(partials)

    def _forget_uncovered(self, place: Place) -> None:
        """Remove partial versions that a killed publish left and no checkpoint covers.

        The database may since have been restored to the checkpoint and gone another way.
        """
        hashes = self._covered >> 8 * max(place.level, 0)
        for width in widths(self._folder, place):
            if place.n * WIDTH + width > hashes:
                (self._folder / Place(place.level, place.n, width).path).unlink()

    def _replace(self, path: Path, data: bytes) -> None:
        self._make_folder(path.parent)
        aside = self._folder / _ASIDE
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        self._touched.add(path.parent)

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            self._make_folder(folder.parent)
            folder.mkdir(exist_ok=True)
            self._touched.add(folder.parent)

    def _sync_folders(self) -> None:
        for folder in self._touched:
            with _opened(folder) as descriptor:
                os.fsync(descriptor)
        self._touched.clear()


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock: a slower publisher must not put an older checkpoint over a newer one."""
    give_up = time.monotonic() + _WAIT_S
    with _opened(folder) as descriptor:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > give_up:
                    msg = "Another process is publishing the log."
                    raise Busy(msg, "Run the command again in a minute.") from None
                time.sleep(0.05)
            else:
                break
        yield


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            msg = "The log cannot be published: the disk is full."
            raise DiskFull(msg, "Free some space and run the command again; the entries are safe.") from error
        msg = f"The log cannot be published ({errno.errorcode.get(error.errno or 0, 'unknown error')})."
        raise OperationError(msg, "Check the disk and the permissions of the log's folder.") from error
