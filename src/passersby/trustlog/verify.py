"""Checks a published log, whole, and the database behind it.

Nothing is sampled: every entry and every tile is read. What a check cannot show is that the operator kept
no second log; that takes a checkpoint which somebody else kept (`older`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from passersby.errors import IntegrityError
from passersby.store.database import Database
from passersby.store.tables import LogEntry, LogSalt
from passersby.trustlog import entries, rekey, view
from passersby.trustlog.checkpoint import FILE, Checkpoint
from passersby.trustlog.entries import COMMITMENTS
from passersby.trustlog.hashing import HASH_BYTES, frontier_root, grow, leaf_hash, split
from passersby.trustlog.heads import EVIDENCE, Quorum, Witnessed, check_continues, newest, witnessed
from passersby.trustlog.proofs import includes, inclusion
from passersby.trustlog.publish import behind
from passersby.trustlog.receipts import Proven, Revealed, check_reveal, prove, reveal, verify_proof
from passersby.trustlog.rekey import Rekeyed
from passersby.trustlog.sources import Disk, Source, damaged
from passersby.trustlog.tiles import ENTRIES, WIDTH, Place, TileBuilder, Tiles, bundles, encode_bundle

__all__ = [
    "Proven",
    "Report",
    "Revealed",
    "check_continued",
    "check_reveal",
    "prove",
    "reveal",
    "verify_database",
    "verify_folder",
    "verify_proof",
    "verify_source",
]

_NO_QUORUM = Quorum()

Visit = Callable[[int, bytes], None]
"""Is shown every entry while a log is verified: its index and its bytes, in order."""


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
        rekeyed: entries in which the log's key was replaced.
        witnessed: newest checkpoint that the quorum signed; None if none was asked for.
    """

    origin: str
    size: int
    root: str
    entries: int
    tiles: int
    unpublished: int = 0
    rekeyed: tuple[Rekeyed, ...] = ()
    witnessed: Witnessed | None = None


def verify_source(
    source: Source,
    vkey: str,
    *,
    older: bytes | None = None,
    quorum: Quorum = _NO_QUORUM,
    visit: Visit | None = None,
) -> Report:
    """Check the signature, every entry and every tile of a published log.

    Args:
        source: a published log, or a copy of one.
        vkey: the log's verifier key, from another source than the log.
        older: a checkpoint that was saved before; the log must be a continuation of it.
        quorum: witnesses that must have signed this log, up to some entry at least.
        visit: reads the entries that are verified; what it saw counts only once this returns.

    Raises:
        IntegrityError: something does not fit; the message names the first file or entry.
        OperationError: the log cannot be read, or not be reached.
        UsageError: the verifier key is malformed.
    """
    head, note = newest(source, vkey)
    report = _verify(Tiles(source, head.size), note, head, vkey, older, visit)
    signed = witnessed(source, head, note, vkey, quorum, report.rekeyed)
    if quorum.needed and signed is None:
        names = ", ".join(key.name for key in quorum.signers(note)) or "none"
        msg = f"Too few witnesses signed this log: {quorum.needed} are needed, its checkpoint has {names}."
        raise IntegrityError(msg, "Ask the witnesses what they have seen of it; do not rely on this copy.")
    return replace(report, witnessed=signed)


def verify_folder(
    folder: Path, vkey: str, *, older: bytes | None = None, quorum: Quorum = _NO_QUORUM
) -> Report:
    """Check a published log in a folder. See `verify_source`."""
    return verify_source(Disk(folder), vkey, older=older, quorum=quorum)


def check_continued(source: Source, report: Report, older: Checkpoint) -> None:
    """Do nothing if a published log, which was verified, continues an older checkpoint of its own.

    Raises:
        IntegrityError: it does not.
        OperationError: the log cannot be read.
    """
    head = Checkpoint(report.origin, report.size, bytes.fromhex(report.root))
    check_continues(Tiles(source, report.size), head, older)


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
    source = Disk(folder)
    head, note = newest(source, vkey)
    report = _verify(Tiles(source, head.size), note, head, vkey, older)
    with database.read() as session:
        size, frontier = entries.state(session)
        if size < head.size:
            raise behind(head.size, size)
        _replay(session, Tiles(source, head.size), size, frontier)
    return replace(report, unpublished=size - report.size)


def _verify(
    reader: Tiles,
    note: bytes,
    checkpoint: Checkpoint,
    vkey: str,
    older: bytes | None,
    visit: Visit | None = None,
) -> Report:
    builder, tiles, changed = TileBuilder(), 0, list[Rekeyed]()
    viewed = view.is_there(reader.source, checkpoint.size)
    pages: list[tuple[Place, bytes]] = []
    for place in bundles(checkpoint.size):
        bodies = reader.bundle(place)
        found = (rekey.read(index, body) for index, body in enumerate(bodies, builder.size))
        changed += [change for change in found if change is not None]
        if visit is not None:
            for index, body in enumerate(bodies, builder.size):
                visit(index, body)
        if viewed:
            pages.append((place, view.digest(place, bodies)))
        full = [tile for body in bodies for tile in builder.add(leaf_hash(body))]
        tiles += sum(_check_tile(reader, checkpoint, tile, data) for tile, data in full)
        for earlier, data in reader.earlier(place):
            if data != encode_bundle(bodies[: earlier.width]):
                raise damaged(earlier.path, f"does not hold the same entries as {place.path}")
    tiles += sum(_check_tile(reader, checkpoint, tile, data) for tile, data in builder.partial())
    if frontier_root(builder.frontier()) != checkpoint.root:
        raise damaged(FILE, "has another root hash than the entries and tiles")
    rekey.check_newest(note, vkey, changed)
    for place, expected in pages:
        view.check(reader.source, place, expected)
    if older is not None:
        check_continues(reader, checkpoint, rekey.kept(older, vkey, changed))
    return Report(
        checkpoint.origin, checkpoint.size, checkpoint.root.hex(), builder.size, tiles, rekeyed=tuple(changed)
    )


def _check_tile(reader: Tiles, checkpoint: Checkpoint, place: Place, expected: bytes) -> int:
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
    reader: Tiles, checkpoint: Checkpoint, place: Place, held: list[bytes], expected: list[bytes]
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


def _replay(session: Session, reader: Tiles, size: int, frontier: list[bytes]) -> None:
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
                raise IntegrityError(msg, EVIDENCE)
        _check_salts(session, first, bodies)
    if reached != frontier:
        msg = "The log's state in the database does not fit its entries."
        raise IntegrityError(msg, EVIDENCE)
    beyond = select(func.count()).where(or_(LogEntry.index < 0, LogEntry.index >= size))
    if session.execute(beyond).scalar_one():
        msg = f"The database holds log entries beyond the {size} that were logged."
        raise IntegrityError(msg, EVIDENCE)


def _check_salts(session: Session, first: int, bodies: list[bytes]) -> None:
    query = select(LogSalt.index, LogSalt.name, LogSalt.value, LogSalt.salt)
    span = query.where(LogSalt.index >= first, LogSalt.index < first + len(bodies))
    for index, name, value, salt in session.execute(span.order_by(LogSalt.index, LogSalt.name)):
        digest = entries.commitment_of(entries.b64url(salt), name, value)
        if digest not in json.loads(bodies[index - first]).get(COMMITMENTS, ()):
            msg = f"The private field {name!r} of log entry {index} is not the one that was logged."
            raise IntegrityError(msg, EVIDENCE)
