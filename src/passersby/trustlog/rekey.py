"""How the log's key is replaced, so that who holds an old verifier key can follow to the new one.

The entry `log.rekeyed` names both keys. The old key signs the statement of the change, and so does the new
one, which shows that it is held. The first checkpoint that covers the entry is signed by both keys, the new
one first; later ones by the new key alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from passersby.errors import Busy, IntegrityError, UsageError
from passersby.trustlog.checkpoint import Checkpoint, VerifierKey, signers, verified

KIND = "log.rekeyed"

_DOMAIN = b"passersby log key v1"
_MARK = f'"kind":"{KIND}"'.encode()
"""How such an entry shows in its bytes (RFC 8785); whether it is one, its JSON says."""

_MALFORMED = (InvalidSignature, UsageError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Rekeyed:
    """The log's key was replaced.

    Args:
        index: of the entry that says so.
        old: verifier key that was replaced.
        new: verifier key since then.
    """

    index: int
    old: str
    new: str


def fields(origin: str, old: Ed25519PrivateKey, new: Ed25519PrivateKey) -> dict[str, str]:
    """Return the public fields of the entry: both verifier keys, and both signatures in hexadecimal."""
    keys = [VerifierKey.of(origin, key).encode() for key in (old, new)]
    told = _statement(*keys)
    return {
        "old_key": keys[0],
        "new_key": keys[1],
        "old_signature": old.sign(told).hex(),
        "new_signature": new.sign(told).hex(),
    }


def read(index: int, body: bytes) -> Rekeyed | None:
    """Return the change that an entry announces, None if it is of another kind.

    Raises:
        IntegrityError: it announces one that one of the two keys did not sign.
    """
    if _MARK not in body:
        return None
    try:
        entry = json.loads(body)
        if entry["kind"] != KIND:
            return None
        found = Rekeyed(index, entry["old_key"], entry["new_key"])
        old, new = VerifierKey.parse(found.old), VerifierKey.parse(found.new)
        for key, signature in ((old, entry["old_signature"]), (new, entry["new_signature"])):
            public = Ed25519PublicKey.from_public_bytes(key.public_key)
            public.verify(bytes.fromhex(signature), _statement(found.old, found.new))
        if old.name == new.name:
            return found
    except _MALFORMED:
        pass  # a stranger wrote these bytes
    msg = f"Log entry {index} announces a new key of the log, and not both keys signed it."
    raise IntegrityError(msg, "Keep a copy of the log as evidence, and ask the operator.")


def line(changes: Iterable[Rekeyed]) -> tuple[str, ...]:
    """Return the verifier keys that the log had, oldest first; none if its key was never replaced.

    Raises:
        IntegrityError: a change does not begin with the key that the one before ended with.
    """
    keys: list[str] = []
    for change in changes:
        if keys and change.old != keys[-1]:
            msg = f"Log entry {change.index} replaces a key that the log did not have."
            raise IntegrityError(msg, "Keep a copy of the log as evidence, and ask the operator.")
        keys += [change.new] if keys else [change.old, change.new]
    return tuple(keys)


def check_newest(note: bytes, vkey: str, changes: Sequence[Rekeyed]) -> None:
    """Do nothing if a checkpoint is signed by the newest key that `vkey` leads to.

    Args:
        note: the checkpoint.
        vkey: the reader's verifier key; it signed the checkpoint, or the entries lead to one that did.
        changes: of all entries that the checkpoint covers.

    Raises:
        IntegrityError: it is signed by a key that was replaced in an entry that it covers, or the log never
            had the reader's key.
    """
    keys = line(changes)
    if not keys:
        return
    if vkey.strip() not in keys:
        verified(note, vkey)
        msg = "The checkpoint is signed by a key that is not the one that the log's entries lead to."
        raise IntegrityError(msg, "Keep a copy of the log as evidence, and ask the operator.")
    verified(note, keys[-1])


def kept(
    note: bytes, vkey: str, changes: Sequence[Rekeyed], name: str = "The saved checkpoint"
) -> Checkpoint:
    """Return a checkpoint that was saved before, signed by the key that the log had then.

    Args:
        note: the checkpoint.
        vkey: a verifier key that the log had.
        changes: of all entries since that checkpoint, or since an earlier one.
        name: what to call the note in an error.

    Raises:
        IntegrityError: no key of this log signed it, or only one that an entry which it covers replaced.
    """
    told = {key_id for _, key_id in signers(note, name)}
    for change in reversed(changes):
        if VerifierKey.parse(change.new).key_id in told:
            return verified(note, change.new, name)
        if VerifierKey.parse(change.old).key_id in told:
            found = verified(note, change.old, name)
            if found.size > change.index:
                msg = f"{name} is signed by a key that was replaced in entry {change.index}, which it covers."
                raise IntegrityError(msg, "Keep a copy of it as evidence, and ask the operator.")
            return found
    return verified(note, vkey, name)


def check_current(first: int, bodies: Sequence[bytes], vkey: str) -> None:
    """Do nothing if no entry that is about to be published replaced the key that would sign it.

    Args:
        first: index of the first entry.
        bodies: the entries.
        vkey: of the key that signs.

    Raises:
        Busy: another process replaced the key since this one began.
    """
    for index, body in enumerate(bodies, first):
        change = read(index, body)
        if change is not None and change.old == vkey:
            raise stale()


def stale() -> Busy:
    """Return the error for a process that holds a key of the log that was replaced."""
    return Busy("The log's key was replaced by another process.", "Run the command again.")


def _statement(old: str, new: str) -> bytes:
    return b"\n".join((_DOMAIN, old.encode(), new.encode(), b""))
