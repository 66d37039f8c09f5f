"""Key files of persons: one Ed25519 private key each, readable by its owner alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from passersby.errors import UnreadableFile, UsageError

_LONGEST = 4096


def generate(path: Path) -> str:
    """Make a key, write it to `path` (PEM, PKCS#8, mode 0600) and return its public half.

    Returns:
        The raw public key in hexadecimal: what `passersby person add` takes.

    Raises:
        UsageError: there is a file at `path` already, or its folder is not there.
    """
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        msg = f"There is a file at {path} already; it was left alone."
        raise UsageError(msg, "Choose another name: a key that was enrolled must not be lost.") from None
    except OSError:
        msg = f"No key can be written to {path}."
        raise UsageError(msg, "Choose a folder that is there and that you may write to.") from None
    with os.fdopen(handle, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return public_half(key)


def load(path: Path) -> Ed25519PrivateKey:
    """Return the private key in a file that only its owner can read.

    Raises:
        UsageError: there is no such file, it belongs to another account, or others can read it.
        UnreadableFile: it is not an Ed25519 private key in PEM.
    """
    try:
        key = serialization.load_pem_private_key(_private_bytes(path), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        msg = f"{path} is not an Ed25519 private key in PEM without a password."
        raise UnreadableFile(msg, "Name the file that `passersby person add` made for you.")
    return key


def public_half(key: Ed25519PrivateKey) -> str:
    """Return the raw public key in hexadecimal."""
    return key.public_key().public_bytes_raw().hex()


def _private_bytes(path: Path) -> bytes:
    """Read the file that was checked, and no other that took its place."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        msg = f"There is no key file at {path} that you may read."
        raise UsageError(msg, "Name your own key file; `passersby person add` makes one.") from None
    try:
        _check_owner_alone(path, os.fstat(handle))
        return os.read(handle, _LONGEST)
    finally:
        os.close(handle)


def _check_owner_alone(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        msg = f"{path} is not a file."
        raise UsageError(msg, "Name your own key file; `passersby person add` makes one.")
    if status.st_uid != os.geteuid():
        msg = f"The key file {path} belongs to another account."
        raise UsageError(msg, "Use your own key under your own account.")
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        msg = f"The key file {path} can be read or changed by others."
        raise UsageError(msg, f"Run `chmod 600 {path}`; if others may have read it, enrol a new key.")
