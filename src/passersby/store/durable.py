"""Writes a small private file so that it is there whole, on disk, or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from passersby.errors import DiskFull, OperationError

_FULL = (errno.ENOSPC, errno.EDQUOT)


def write(path: Path, data: bytes) -> None:
    """Write `data` to `path` (mode 0600, folder 0700), replacing what was there, and wait for the disk.

    Raises:
        DiskFull: there is no room.
        OperationError: the file cannot be written for another reason.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise _failure(error) from error


def _failure(error: OSError) -> OperationError:
    """Return our error for one of the operating system, without its text: that can name data."""
    if error.errno in _FULL:
        msg = "There is no room left on the disk."
        return DiskFull(msg, "Free some space and run the command again; nothing was half written.")
    msg = f"The operating system failed ({errno.errorcode.get(error.errno or 0, 'unknown')})."
    return OperationError(msg, "Check the disk and the rights of the folder, then run the command again.")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
