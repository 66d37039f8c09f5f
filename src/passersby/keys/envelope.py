"""Wraps the keys that the control database holds under one key that it does not hold.

AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce and the purpose as associated data, so that a
wrapped key neither opens nor passes for another one when it is moved to another row.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from passersby.errors import IntegrityError, OperationError

KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_CONTEXT = b"passersby/envelope/1\0"
"""Says which format the associated data is of; a new format gets a new number."""


class Envelope:
    """Wraps secrets under a key-encryption key (KEK).

    A blob is nonce (12 bytes), ciphertext, tag (16 bytes). Random nonces bound the number of secrets
    under one KEK to 2^32 (SP 800-38D section 8.3); a deployment has some dozens.

    Args:
        kek: 32 random bytes.

    Raises:
        ValueError: it has another length.
    """

    def __init__(self, kek: bytes) -> None:
        if len(kek) != KEY_BYTES:
            raise ValueError("a key-encryption key has 32 bytes")
        self._cipher = AESGCM(kek)

    def wrap(self, secret: bytes, purpose: str) -> bytes:
        """Return `secret` encrypted, to be opened for the same purpose only."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, _associated(purpose))

    def unwrap(self, blob: bytes, purpose: str) -> bytes:
        """Return the secret in `blob`.

        Raises:
            IntegrityError: the KEK or the purpose is not the one it was wrapped with, or a bit changed.
        """
        if len(blob) >= _NONCE_BYTES + _TAG_BYTES:
            with contextlib.suppress(InvalidTag):
                return self._cipher.decrypt(blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], _associated(purpose))
        msg = "A key in the control database does not open with this deployment's key file."
        raise IntegrityError(msg, "Put back the key file that belongs to this database, from its own backup.")


def load_or_create_kek(path: Path) -> bytes:
    """Return the 32-byte key-encryption key in the file at `path`; make it if there is none.

    The file appears whole or not at all, readable by its owner only. Of two processes that make it at
    once, both return the one that stayed.

    Raises:
        IntegrityError: others may read the file, or it does not hold 32 bytes.
        OperationError: the file cannot be read or made.
    """
    try:
        if not path.exists():
            _create(path)
        return _load(path)
    except OSError as error:
        msg = f"The key file {path} cannot be used ({error.strerror})."
        step = "Check that this account owns its folder and that the disk has room."
        raise OperationError(msg, step) from error


def _load(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        kek = file.read(KEY_BYTES + 1)
    if mode & 0o077:
        msg = f"The key file {path} can be read by other accounts (mode {mode:04o})."
        raise IntegrityError(msg, f"Find out who could read it, then run `chmod 600 {path}`.")
    if len(kek) != KEY_BYTES:
        msg = f"The key file {path} does not hold a key: it must be 32 bytes long."
        raise IntegrityError(msg, "Put it back from its own backup.")
    return kek


def _create(path: Path) -> None:
    """Write a new key under a temporary name and link it into place, unless one is there by then."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _associated(purpose: str) -> bytes:
    return _CONTEXT + purpose.encode()
