"""Persons who are proven by their own Ed25519 key, and records that carry their signature.

What is signed is never an object's bytes but a short statement: a fixed first line, the purpose, and
the SHA-256 of the object. A signature made for one purpose is worth nothing for another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.errors import IntegrityError, Refusal
from passersby.store.duty_tables import FormerKey
from passersby.store.tables import Person

_DOMAIN = b"passersby statement v1"

OWN_KEY = (
    "A person's key is not replaced by that person: somebody else could hold the old one.",
    "Two others do it: `passersby person rekey`, then `passersby proposal approve`.",
)
"""Text of the refusal `own-key`."""

ROLE_MISSING = (
    "Your account does not have a role that allows this.",
    "Ask a person who has it; `passersby person list` shows everyone's roles.",
)
"""Text of the refusal `role-missing`: message and next step."""

SAME_PERSON = (
    "An act that takes two people cannot be approved by the person who proposed it.",
    "Ask another person; `passersby proposal list` shows who may approve it.",
)
"""Text of the refusal `same-person`."""


@dataclass(frozen=True)
class Actor:
    """A person who has shown that they hold their key. Made by `people.actor.actor_from`.

    Args:
        id: the account.
        roles: its roles.
        key: the private key; it never appears in a text of this object.
    """

    id: str
    roles: frozenset[str]
    key: Ed25519PrivateKey = field(repr=False, compare=False)

    def sign(self, obj_sha256: bytes, purpose: str) -> str:
        """Return the person's signature, in hexadecimal, over an object's SHA-256 for one purpose."""
        return self.key.sign(statement(obj_sha256, purpose)).hex()


@dataclass(frozen=True)
class SignedRecord:
    """A record as it is stored: RFC 8785 text with the signer and the signature.

    Args:
        text: what the database keeps.
        sha256: of the record alone, in hexadecimal.
        signature: in hexadecimal.
    """

    text: str
    sha256: str
    signature: str


def statement(obj_sha256: bytes, purpose: str) -> bytes:
    """Return the bytes that are signed for an object and a purpose.

    Raises:
        ValueError: the hash is not 32 bytes long, or the purpose is empty or has a line break.
    """
    if len(obj_sha256) != hashlib.sha256().digest_size or not purpose or "\n" in purpose:
        msg = "a statement takes a SHA-256 and a purpose of one line"
        raise ValueError(msg)
    return b"\n".join((_DOMAIN, purpose.encode(), obj_sha256.hex().encode(), b""))


def verify(public_key: str, obj_sha256: bytes, purpose: str, signature: str) -> None:
    """Do nothing if `signature` is that of `public_key` over the object and purpose (all hexadecimal).

    Raises:
        IntegrityError: it is not.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(signature), statement(obj_sha256, purpose))
    except (InvalidSignature, ValueError):
        msg = f"A signature for {purpose} does not belong to its record and its signer."
        raise IntegrityError(msg, "Compare the record with the log: `passersby log verify`.") from None


def verify_person(session: Session, person: str, obj_sha256: bytes, purpose: str, signature: str) -> str:
    """Return which key of a person made a signature: the one on record, or one that was replaced later.

    Raises:
        IntegrityError: none of them did.
    """
    row = session.get(Person, person)
    current = row.public_key if row else ""
    try:
        verify(current, obj_sha256, purpose, signature)
    except IntegrityError:
        for former in session.scalars(select(FormerKey.public_key).where(FormerKey.person == person)):
            with suppress(IntegrityError):
                verify(former, obj_sha256, purpose, signature)
                return former
        raise
    return current


def require(session: Session, actor: Actor, *roles: str) -> None:
    """Do nothing if the actor is an active person with the key on record and one of the roles.

    The account is read again, so that neither an old nor a made-up `Actor` can act.

    Raises:
        Refusal: the person is not active any more, or has none of the roles.
        IntegrityError: the actor's key is not the one on record for that person.
    """
    person = session.get(Person, actor.id)
    if person is None or person.public_key != actor.key.public_key().public_bytes_raw().hex():
        msg = "A person's key is not the one on record for their account."
        raise IntegrityError(msg, "Use the key file that was enrolled; compare `passersby log verify`.")
    if not person.active or set(json.loads(person.roles)).isdisjoint(roles):
        raise Refusal("role-missing", *ROLE_MISSING)


def digest(record: Mapping[str, Any]) -> bytes:
    """Return the SHA-256 of a record's RFC 8785 form."""
    return hashlib.sha256(rfc8785.dumps(dict(record))).digest()


def seal(record: Mapping[str, Any], purpose: str, actor: Actor) -> SignedRecord:
    """Return a record with the signature of `actor`, ready to be stored."""
    signature = actor.sign(digest(record), purpose)
    whole: dict[str, Any] = {"record": dict(record), "signed_by": actor.id, "signature": signature}
    return SignedRecord(rfc8785.dumps(whole).decode(), digest(record).hex(), signature)


def signer(text: str) -> str:
    """Return the account that signed a stored record whose signature was checked (`unseal`)."""
    return str(json.loads(text)["signed_by"])


def unseal(session: Session, text: str, purpose: str) -> dict[str, Any]:
    """Return the record of a stored text, after its signature was checked against the signer's account.

    Raises:
        IntegrityError: the text is damaged, the signer is unknown or the signature does not fit.
    """
    try:
        whole = json.loads(text)
        record, signer, signature = whole["record"], whole["signed_by"], whole["signature"]
    except (ValueError, KeyError, TypeError):
        whole = signer = None
    if not isinstance(signer, str) or session.get(Person, signer) is None:
        msg = f"A stored record for {purpose} is damaged, or its signer is unknown."
        raise IntegrityError(msg, "Compare the record with the log: `passersby log verify`.")
    verify_person(session, signer, digest(record), purpose, signature)
    return dict(record)
