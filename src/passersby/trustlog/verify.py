"""Checks a published log, whole, and the database behind it.

Nothing is sampled: every entry and every tile is read. What a check cannot show is that the operator kept
no second log; that takes a checkpoint which somebody else kept (`older`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from passersby.errors import IntegrityError
from passersby.store.database import Database
from passersby.store.tables import LogEntry, LogSalt
from passersby.trustlog import entries
from passersby.trustlog.checkpoint import FILE, Checkpoint, load, verified
from passersby.trustlog.entries import COMMITMENTS
from passersby.trustlog.hashing import HASH_BYTES, frontier_root, grow, leaf_hash, split
from passersby.trustlog.proofs import consistency, extends, includes, inclusion
from passersby.trustlog.publish import behind
from passersby.trustlog.receipts import Proven, Revealed, check_reveal, prove, reveal, verify_proof
from passersby.trustlog.tiles import (
    ENTRIES,
    WIDTH,
    Folder,
    Place,
    TileBuilder,
    bundles,
    damaged,
    encode_bundle,
)

__all__ = [
    "Proven",
    "Report",
    "Revealed",
    "check_reveal",
    "prove",
    "reveal",
    "verify_database",
    "verify_folder",
    "verify_proof",
]

_EVIDENCE = "Keep copies of the folder, the checkpoint and the database as evidence, and ask the operator."


@dataclass(frozen=True)
class Report:
    """What was checked and found right.

    Args:
        origin: name of the log.
        size: entries that its checkpoint covers.
        root: root hash of their tree, hexadecimal.
        entries: entries that were read and hashed.
        tiles: tile files that were compared, narrower versions of earlier checkpoints included.
        unpublished: entries of the database that no checkpoint covers yet; 0 where only the folder was read.
    """

    origin: str
    size: int
    root: str
    entries: int
    tiles: int
    unpublished: int = 0


def verify_folder(folder: Path, vkey: str, *, older: bytes | None = None) -> Report:
    """Check the signature, every entry and every tile of a published log.

    Args:
        folder: a published log, or a copy of one.
        vkey: the log's verifier key, from another source than the folder.
        older: a checkpoint that was saved before; the log must be a continuation of it.

    Raises:
        IntegrityError: something does not fit; the message names the first file or entry.
        UsageError: the verifier key is malformed.
    """
    return _verify(folder, _checkpoint(folder, vkey), vkey, older)


def verify_database(database: Database, folder: Path, vkey: str, *, older: bytes | None = None) -> Report:
    """Check the published log, and the database's log, entry for entry, against it.

    Salts of private fields that are still there must fit their entries; deleted ones are erased fields.

    Args:
        database: the control database.
        folder: the published log.
        vkey: the log's verifier key.
        older: a checkpoint that was saved before.

    Raises:
        IntegrityError: something does not fit; the message names the first file or entry.
        UsageError: the verifier key is malformed.
    """
    checkpoint = _checkpoint(folder, vkey)
    report = _verify(folder, checkpoint, vkey, older)
    with database.read() as session:
        size, frontier = entries.state(session)
        if size < checkpoint.size:
            raise behind(checkpoint.size, size)
        _replay(session, Folder(folder, checkpoint.size), size, frontier)
    return Report(report.origin, report.size, report.root, report.entries, report.tiles, size - report.size)


def _checkpoint(folder: Path, vkey: str) -> Checkpoint:
    note = load(folder)
    if note is None:
        raise damaged(FILE, "is missing")
    return verified(note, vkey)


def _verify(folder: Path, checkpoint: Checkpoint, vkey: str, older: bytes | None) -> Report:
    reader = Folder(folder, checkpoint.size)
    builder, tiles = TileBuilder(), 0
    for place in bundles(checkpoint.size):
        bodies = reader.bundle(place)
        full = [tile for body in bodies for tile in builder.add(leaf_hash(body))]
        tiles += sum(_check_tile(reader, checkpoint, tile, data) for tile, data in full)
        for earlier, data in reader.earlier(place):
            if data != encode_bundle(bodies[: earlier.width]):
                raise damaged(earlier.path, f"does not hold the same entries as {place.path}")
    tiles += sum(_check_tile(reader, checkpoint, tile, data) for tile, data in builder.partial())
    if frontier_root(builder.frontier()) != checkpoint.root:
        raise damaged(FILE, "has another root hash than the entries and tiles")
    if older is not None:
        _check_continues(reader, checkpoint, verified(older, vkey, "The saved checkpoint"))
    return Report(checkpoint.origin, checkpoint.size, checkpoint.root.hex(), builder.size, tiles)


def _check_tile(reader: Folder, checkpoint: Checkpoint, place: Place, expected: bytes) -> int:
    """Compare a tile, and its narrower versions, with what the entries give; return the number of files."""
    data = reader.tile(place)
    if data != expected:
        raise _blame(reader, checkpoint, place, split(data), split(expected))
    files = 1
    for earlier, prefix in reader.earlier(place):
        if prefix != expected[: earlier.width * HASH_BYTES]:
            raise damaged(earlier.path, f"does not hold the same hashes as {place.path}")
        files += 1
    return files


def _blame(
    reader: Folder, checkpoint: Checkpoint, place: Place, held: list[bytes], expected: list[bytes]
) -> IntegrityError:
    """Say which side is wrong where a tile and what lies below it differ."""
    offset = next(i for i, (a, b) in enumerate(zip(held, expected, strict=True)) if a != b)
    index, below = place.n * WIDTH + offset, 8 * place.level
    path = inclusion(reader, index << below, checkpoint.size)[below:]
    nodes = (checkpoint.size - 1 >> below) + 1
    if not includes(held[offset], index, nodes, path, checkpoint.root):
        return damaged(place.path, f"holds a wrong hash at position {offset}")
    if place.level:
        return damaged(Place(place.level - 1, index).path, "and the entries below it were changed together")
    bundle = Place(ENTRIES, place.n, place.width)
    return damaged(bundle.path, f"holds another entry {index} than the one that the checkpoint covers")


def _check_continues(reader: Folder, checkpoint: Checkpoint, older: Checkpoint) -> None:
    if older.size > checkpoint.size:
        msg = f"The log was taken back: a saved checkpoint covers {older.size} entries, it {checkpoint.size}."
        raise IntegrityError(msg, _EVIDENCE)
    path = consistency(reader, older.size, checkpoint.size)
    if not extends(older.size, checkpoint.size, path, older.root, checkpoint.root):
        msg = f"The log was rewritten: its first {older.size} entries are not those of the saved checkpoint."
        raise IntegrityError(msg, _EVIDENCE)


def _replay(session: Session, reader: Folder, size: int, frontier: list[bytes]) -> None:
    """Read the whole log in the database: against the published entries, its own state and its salts."""
    reached: list[bytes] = []
    published = bundles(reader.size)
    for place in bundles(size):
        first = place.n * WIDTH
        bodies = entries.stored(session, first, first + place.width)
        for index, body in enumerate(bodies, first):
            grow(reached, index, leaf_hash(body))
        known = next(published, None)
        for index, body in enumerate(reader.bundle(known) if known else (), first):
            if body != bodies[index - first]:
                msg = f"Log entry {index} in the database is not the published one."
                raise IntegrityError(msg, _EVIDENCE)
        _check_salts(session, first, bodies)
    if reached != frontier:
        msg = "The log's state in the database does not fit its entries."
        raise IntegrityError(msg, _EVIDENCE)
    beyond = select(func.count()).where(or_(LogEntry.index < 0, LogEntry.index >= size))
    if session.execute(beyond).scalar_one():
        msg = f"The database holds log entries beyond the {size} that were logged."
        raise IntegrityError(msg, _EVIDENCE)


def _check_salts(session: Session, first: int, bodies: list[bytes]) -> None:
    query = select(LogSalt.index, LogSalt.name, LogSalt.value, LogSalt.salt)
    span = query.where(LogSalt.index >= first, LogSalt.index < first + len(bodies))
    for index, name, value, salt in session.execute(span.order_by(LogSalt.index, LogSalt.name)):
        digest = entries.commitment_of(entries.b64url(salt), name, value)
        if digest not in json.loads(bodies[index - first]).get(COMMITMENTS, ()):
            msg = f"The private field {name!r} of log entry {index} is not the one that was logged."
            raise IntegrityError(msg, _EVIDENCE)
