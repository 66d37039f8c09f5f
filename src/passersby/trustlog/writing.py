"""Writes files of the log so that readers see the old log or the new one, whole, whenever it is killed."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from passersby.errors import Busy, DiskFull, OperationError
from passersby.trustlog.checkpoint import FILE
from passersby.trustlog.sources import Disk
from passersby.trustlog.tiles import WIDTH, Place

_WAIT_S = 60
_ASIDE = ".writing"


class Writer:
    """Writes files whole: aside, synced, renamed.

    Args:
        folder: the log's folder.
        covered: entries that stand under its signed checkpoint.
        readable: make files and folders readable by everyone, whatever the process's mask.
    """

    def __init__(self, folder: Path, covered: int, *, readable: bool = False) -> None:
        self._folder = folder
        self._readable = readable
        self._covered = covered
        self._touched: set[Path] = set()
        self._superseded: list[Path] = []

    def write(self, place: Place, data: bytes) -> None:
        """Write a tile or bundle."""
        self._forget_uncovered(place)
        self.put(place.path, data)
        if place.width == WIDTH:
            self.supersede(place.stem)

    def supersede(self, stem: str) -> None:
        """Drop the partial versions of a file at the end."""
        self._superseded.append(self._folder / f"{stem}.p")

    def finish(self, note: bytes) -> None:
        """Put the checkpoint in place, once all before it is on the disk; then drop what it supersedes.

        Partial tiles are kept until their full tile is published (C2SP tlog-tiles, "Partial Tiles"). A
        kill before the last step leaves files that are correct and that nobody needs.
        """
        self._sync_folders()
        self.put(FILE, note)
        self._sync_folders()
        for partials in self._superseded:
            if partials.is_dir():
                shutil.rmtree(partials)

    def _forget_uncovered(self, place: Place) -> None:
        """Remove partial versions that a killed publish left and no checkpoint covers.

        The database may since have been restored to the checkpoint and gone another way.
        """
        hashes = self._covered >> 8 * max(place.level, 0)
        for width in Disk(self._folder).widths(place.stem):
            if place.n * WIDTH + width > hashes:
                (self._folder / Place(place.level, place.n, width).path).unlink()

    def put(self, name: str, data: bytes) -> None:
        """Write one file, by its path in the folder."""
        path = self._folder / name
        self._make_folder(path.parent)
        aside = self._folder / _ASIDE
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            if self._readable:
                os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        aside.replace(path)
        self._touched.add(path.parent)

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            self._make_folder(folder.parent)
            folder.mkdir(exist_ok=True)
            if self._readable:
                folder.chmod(0o755)
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
def alone(folder: Path) -> Iterator[None]:
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
def disk_errors() -> Iterator[None]:
    """Turn errors of the operating system into ours.

    Raises:
        DiskFull: there is no room.
        OperationError: a file cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            msg = "The log cannot be published: the disk is full."
            raise DiskFull(msg, "Free some space and run the command again; the entries are safe.") from error
        msg = f"The log cannot be published ({errno.errorcode.get(error.errno or 0, 'unknown error')})."
        raise OperationError(msg, "Check the disk and the permissions of the log's folder.") from error
