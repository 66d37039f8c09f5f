"""Files that survive a power cut: private folders, synced files, synced renames."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from passersby.errors import DiskFull, OperationError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# macOS: fsync leaves data in the drive's cache, this command does not
_FULLFSYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)


@contextmanager
def as_operation_error(what: str) -> Iterator[None]:
    """Turn a failure of the file system into one of ours, without paths in its text.

    Raises:
        DiskFull: there is no room.
        OperationError: the file system failed otherwise.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            msg = f"The disk is full: {what} did not finish."
            raise DiskFull(msg, "Free some space and run the command again; nothing was stored.") from error
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        msg = f"The file system failed ({reason}): {what} did not finish."
        raise OperationError(msg, "Run `passersby doctor`, then the command again.") from error


def make_folder(path: Path) -> None:
    """Make a folder that only its owner can enter, parents included; one that is there stays."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    sync_folder(path.parent)


def sync(descriptor: int) -> None:
    """Bring an open file or folder to the disk."""
    if _FULLFSYNC is not None:
        fcntl.fcntl(descriptor, _FULLFSYNC)
    else:
        os.fsync(descriptor)


def sync_folder(path: Path) -> None:
    """Bring a folder's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


class Sink:
    """A new file that only its owner can read, which counts and hashes what is written.

    A file object as pyarrow wants it. `close` brings it to the disk.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._hash = hashlib.sha256()
        self._void = False
        self.bytes = 0

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._file.closed

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of what was written so far."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> int:
        """Write all of `data`."""
        if self._void:
            return len(data)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) or 0 :]
        self._hash.update(data)
        self.bytes += len(data)
        return len(data)

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self.bytes

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""

    def discard(self) -> None:
        """Close the file without bringing it to the disk and swallow whatever is still written to it.

        A Parquet writer cannot be abandoned: it writes a footer when it is closed or collected.
        """
        self._void = True
        self._file.close()

    def close(self) -> None:
        """Bring the file to the disk and close it."""
        if not self._file.closed:
            try:
                sync(self._file.fileno())
            finally:
                self._file.close()
