"""Wraps the keys that the control database holds under one key that it does not hold.

AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce and the purpose as associated data, so that a
wrapped key neither opens nor passes for another one when it is moved to another row.
"""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.orm import Session

from passersby.errors import IntegrityError, OperationError
from passersby.keys import private

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
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

    def current(self, _session: Session, *, writing: bool = False) -> Envelope:  # noqa: ARG002 (as a keeper's)
        """Return itself: a key-encryption key that was handed over is never another one."""
        return self

    def wrap(self, secret: bytes, purpose: str) -> bytes:
        """Return `secret` encrypted, to be opened for the same purpose only."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, associated(purpose))

    def unwrap(self, blob: bytes, purpose: str) -> bytes:
        """Return the secret in `blob`.

        Raises:
            IntegrityError: the KEK or the purpose is not the one it was wrapped with, or a bit changed.
        """
        if len(blob) >= NONCE_BYTES + TAG_BYTES:
            with contextlib.suppress(InvalidTag):
                return self._cipher.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], associated(purpose))
        raise not_opened("this deployment's key file")


def not_opened(place: str) -> IntegrityError:
    """Return the error for a wrapped key that the key-encryption key in `place` does not open."""
    return IntegrityError(
        f"A key in the control database does not open with {place}.",
        "Put back the key file or the control database that belong together; if there is no such backup, "
        "`passersby keys recover` opens the keys with two shares.",
    )


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
        return load_kek(path)
    except OSError as error:
        raise unusable(path, error) from error


def unusable(path: Path, error: OSError) -> OperationError:
    """Return the error for a key file that the operating system does not let us use."""
    msg = f"The key file {path} cannot be used ({error.strerror})."
    return OperationError(msg, "Check that this account owns its folder and that the disk has room.")


def load_kek(path: Path) -> bytes:
    """Return the 32-byte key-encryption key in a file.

    Raises:
        IntegrityError: others may read the file, or it does not hold 32 bytes.
        OSError: it cannot be read.
    """
    kek = private.read(path, "key file", KEY_BYTES + 1)
    if len(kek) != KEY_BYTES:
        msg = f"The key file {path} does not hold a key: it must be 32 bytes long."
        raise IntegrityError(msg, "Put it back from its own backup.")
    return kek


def _create(path: Path) -> None:
    """Write a new key under a temporary name and link it into place, unless one is there by then."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    private.write_new(draft, secrets.token_bytes(KEY_BYTES))
    try:
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
    private.sync(path.parent)


def associated(purpose: str) -> bytes:
    """Return the data that a wrapped key is bound to: the format and the key's purpose."""
    return _CONTEXT + purpose.encode()
