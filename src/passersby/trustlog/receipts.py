"""Makes and checks what one takes away from the log: proofs of entries, private fields that were revealed."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.errors import IntegrityError, UnknownName
from passersby.store.tables import LogEntry, LogSalt
from passersby.trustlog import rekey
from passersby.trustlog.checkpoint import FILE, Checkpoint, canonical_base64, load, unverified
from passersby.trustlog.entries import COMMITMENTS, JSON, b64url, commitment
from passersby.trustlog.hashing import HASH_BYTES, leaf_hash
from passersby.trustlog.proofs import includes, inclusion
from passersby.trustlog.rekey import Rekeyed
from passersby.trustlog.sources import Disk, damaged
from passersby.trustlog.tiles import Tiles

_HEADER = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")
_LONGEST_PATH = 64


@dataclass(frozen=True)
class Proven:
    """An entry stands at `index` of the log under `checkpoint`."""

    index: int
    checkpoint: Checkpoint


@dataclass(frozen=True)
class Revealed:
    """A private field of an entry: with the salt, anyone can check it against the published log.

    Args:
        name: name of the field.
        value: its value.
        salt: base64url of its 128 random bits.
    """

    name: str
    value: JSON
    salt: str


def prove(folder: Path, index: int) -> str:
    """Return a proof that an entry is in the published log (C2SP tlog-proof), to be kept with the entry.

    Raises:
        UnknownName: the published log has no entry of this index.
        IntegrityError: the folder is damaged.
    """
    source = Disk(folder)
    note = load(source)
    if note is None:
        raise damaged(FILE, "is missing")
    checkpoint = unverified(note)
    if not 0 <= index < checkpoint.size:
        msg = f"The published log has no entry {index}: it holds {checkpoint.size}."
        raise UnknownName(
            msg, "Entries are counted from 0; a new entry is published with the next checkpoint."
        )
    reader = Tiles(source, checkpoint.size)
    path = inclusion(reader, index, checkpoint.size)
    leaf = leaf_hash(reader.entry(index))
    if not includes(leaf, index, checkpoint.size, path, checkpoint.root):
        msg = f"Entry {index} does not fit the tiles and the checkpoint of the published log."
        raise IntegrityError(msg, "Run `passersby log verify`: it names the file that is damaged.")
    hashes = "".join(f"{base64.b64encode(sibling).decode()}\n" for sibling in path)
    return f"{_HEADER}\nindex {index}\n{hashes}\n{note.decode()}"


def verify_proof(entry: bytes, proof: str, vkey: str, changes: Sequence[Rekeyed] = ()) -> Proven:
    """Check a proof that `prove` made; the log is not needed.

    Args:
        entry: the entry's bytes.
        proof: the proof's text.
        vkey: the log's verifier key, from another source than the proof.
        changes: how the log's key was replaced, as a check of the log found; without them only a checkpoint
            of this very key is taken.

    Raises:
        IntegrityError: the proof is malformed, its checkpoint is not signed by this key, or it does not
            prove this entry.
        UsageError: the verifier key is malformed.
    """
    head, _, note = proof.partition("\n\n")
    lines = head.split("\n")
    if len(lines) > 1 and lines[1].startswith("extra "):
        del lines[1]
    found = _INDEX.fullmatch(lines[1]) if len(lines) > 1 and lines[0] == _HEADER else None
    if not found or len(lines) > _LONGEST_PATH + 2:
        raise _unproven("is malformed")
    index, path = int(found[1]), [_hash(line) for line in lines[2:]]
    checkpoint = rekey.kept(note.encode("utf-8", "surrogatepass"), vkey, changes, "The proof's checkpoint")
    if not includes(leaf_hash(entry), index, checkpoint.size, path, checkpoint.root):
        raise _unproven(f"does not prove that this is entry {index} of the log")
    return Proven(index, checkpoint)


def reveal(session: Session, index: int) -> tuple[Revealed, ...]:
    """Return the private fields of an entry with their salts, by name. For the custodian, to show an auditor.

    Fields whose salt was deleted are erased and not returned.

    Raises:
        UnknownName: the log has no entry of this index.
    """
    if session.execute(select(LogEntry.index).where(LogEntry.index == index)).first() is None:
        msg = f"The log has no entry {index}."
        raise UnknownName(msg, "Entries are counted from 0.")
    query = select(LogSalt.name, LogSalt.value, LogSalt.salt).where(LogSalt.index == index)
    rows = session.execute(query.order_by(LogSalt.name))
    return tuple(Revealed(row.name, json.loads(row.value), b64url(row.salt)) for row in rows)


def check_reveal(entry: bytes, name: str, value: JSON, salt: str) -> str:
    """Check that a revealed field is the one that the entry committed to; return the commitment.

    Args:
        entry: the entry's bytes, proven to be in the log.
        name: name of the field.
        value: its value.
        salt: its salt, base64url.

    Raises:
        IntegrityError: the entry holds no such commitment.
        ValueError: the value is not JSON.
    """
    digest = commitment(name, value, salt)
    if digest not in json.loads(entry).get(COMMITMENTS, ()):
        msg = f"The entry committed to no such value of {name!r}."
        raise IntegrityError(msg, "Ask the custodian for the field's value and salt again.")
    return digest


def _hash(line: str) -> bytes:
    data = canonical_base64(line)
    if data is None or len(data) != HASH_BYTES:
        raise _unproven("is malformed")
    return data


def _unproven(what: str) -> IntegrityError:
    msg = f"The proof {what}."
    return IntegrityError(msg, "Ask for the entry and its proof again, and compare the verifier key.")
