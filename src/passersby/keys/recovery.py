"""The second way to every key: each is sealed to a recovery key too, whose private half lies in shares.

So the key-encryption key need not leave its token, and shares stay good when it is changed. Sealing is
HPKE (RFC 9180) with X25519, HKDF-SHA-256 and AES-256-GCM, in base mode, with the key's name as `info`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from passersby.errors import IntegrityError
from passersby.store.keys_tables import Recovery, RecoverySeal

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_CONTEXT = b"passersby/recovery/1\0"


@dataclass(frozen=True)
class Shared:
    """The recovery key that is in force.

    Args:
        public_key: X25519, hexadecimal.
        needed: shares that open it.
        holders: accounts that were given one share each.
        created: epoch s.
    """

    public_key: str
    needed: int
    holders: tuple[str, ...]
    created: int


def shared(session: Session) -> Shared | None:
    """Return the recovery key in force, None if shares were never made."""
    row = session.get(Recovery, 1)
    if row is None:
        return None
    return Shared(row.public_key, row.needed, tuple(json.loads(row.holders)), row.created)


def begin(session: Session, public_key: str, needed: int, holders: Sequence[str], now: int) -> None:
    """Put a recovery key into force in place of the one before; nothing is sealed to it yet."""
    session.execute(delete(RecoverySeal))
    session.execute(delete(Recovery))
    session.add(
        Recovery(id=1, public_key=public_key, needed=needed, holders=json.dumps(list(holders)), created=now)
    )
    session.flush()


def seal(session: Session, name: str, key: bytes) -> None:
    """Seal a key to the recovery key, if there is one."""
    to = session.scalar(select(Recovery.public_key))
    if to is not None:
        public = X25519PublicKey.from_public_bytes(bytes.fromhex(to))
        sealed = _SUITE.encrypt(key, public, info=_CONTEXT + name.encode())
        session.add(RecoverySeal(name=name, sealed=sealed))
        session.flush()


def forget(session: Session, name: str) -> None:
    """Drop the seal of a key that goes."""
    session.execute(delete(RecoverySeal).where(RecoverySeal.name == name))


def opened(session: Session, private: X25519PrivateKey, name: str) -> bytes | None:
    """Return a key from its seal, None if it has none.

    Raises:
        IntegrityError: the seal does not open.
    """
    sealed = session.scalar(select(RecoverySeal.sealed).where(RecoverySeal.name == name))
    if sealed is None:
        return None
    try:
        return _SUITE.decrypt(sealed, private, info=_CONTEXT + name.encode())
    except (InvalidTag, ValueError):
        msg = "What a key was sealed to for recovery does not open it: the control database was changed."
        raise IntegrityError(msg, "Try the newest backup of the control database, on a copy.") from None


def public_half(private: X25519PrivateKey) -> str:
    """Return the public key in hexadecimal."""
    return private.public_key().public_bytes_raw().hex()
