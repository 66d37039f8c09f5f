"""Reads and destroys files that hold a secret: whole, and only where no other account can read them."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from passersby.errors import IntegrityError


def read(path: Path, what: str, most: int) -> bytes:
    """Return the contents of a private file.

    Args:
        path: the file.
        what: how to call it in an error: "key file", "PIN file".
        most: bytes to read at most.

    Raises:
        IntegrityError: others may read the file.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        data = file.read(most)
    if mode & 0o077:
        msg = f"The {what} {path} can be read by other accounts (mode {mode:04o})."
        raise IntegrityError(msg, f"Find out who could read it, then run `chmod 600 {path}`.")
    return data


def write_new(path: Path, data: bytes) -> None:
    """Write a new file for its owner alone, whole or not at all, and wait for the disk.

    Raises:
        FileExistsError: there is a file already; it is left alone.
        OSError: it cannot be written.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        sync(path.parent)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def destroy(path: Path) -> None:
    """Overwrite a file and remove it; none is fine. A disk that writes elsewhere keeps the old bytes.

    Raises:
        OSError: it cannot be removed.
    """
    if not path.exists():
        return
    with path.open("r+b") as file:
        file.write(secrets.token_bytes(os.fstat(file.fileno()).st_size))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    sync(path.parent)


def sync(folder: Path) -> None:
    """Wait until names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
