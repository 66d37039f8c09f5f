"""Turns a key file into a person: a name given as an argument is never identity."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.orm import Session

from passersby.errors import UnknownName
from passersby.keys.signed import Actor, verify
from passersby.people import accounts, keys

__all__ = ["Actor", "actor_from", "verify"]


def actor_from(key_path: Path, session: Session) -> Actor:
    """Return the active person whose private key is in the file.

    Raises:
        UsageError: there is no such file, or others can read it.
        UnreadableFile: it is not an Ed25519 private key.
        UnknownName: the key belongs to no active person of this deployment.
    """
    key = keys.load(key_path)
    account = accounts.by_key(session, keys.public_half(key))
    if account is None or not account.active:
        msg = "This key belongs to no active person of this deployment."
        raise UnknownName(msg, "Ask a custodian to enrol it: `passersby person add`.")
    return Actor(account.id, account.roles, key)
