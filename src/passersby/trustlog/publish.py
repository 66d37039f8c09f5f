"""Writes the log's tiles, bundles and checkpoint from the database to a folder that anyone may copy.

Order makes it safe to be killed at any point: every file is written aside, synced and renamed, the
checkpoint last. Until then readers see the old log, whole; the next publish writes the rest again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from passersby.errors import IntegrityError
from passersby.store.database import Database
from passersby.trustlog import checkpoint, entries, rekey
from passersby.trustlog.checkpoint import Checkpoint, VerifierKey, split_note
from passersby.trustlog.cosignature import add_lines
from passersby.trustlog.hashing import frontier_root, grow, leaf_hash, split
from passersby.trustlog.heads import ALONE, WITNESSED, Quorum, Standing, witnessed
from passersby.trustlog.sources import Disk, damaged
from passersby.trustlog.tiles import (
    WIDTH,
    Place,
    TileBuilder,
    Tiles,
    bundles,
    encode_bundle,
    resume,
)
from passersby.trustlog.writing import Writer, alone, disk_errors

_NO_QUORUM = Quorum()
_RESTORE = "Another database or an old backup is in place: restore the newest backup of the right one."


@dataclass(frozen=True)
class Head:
    """The published checkpoint.

    Args:
        checkpoint: what it says.
        note: the signed note.
        vkey: verifier key of the log, of those that signed it the newest.
    """

    checkpoint: Checkpoint
    note: bytes
    vkey: str


class Publisher:
    """Publishes the log of one deployment.

    Args:
        folder: where the published log lies; made at the first publish.
        origin: the log's name, such as `example.org/passersby`.
        signing_key: the log's key.
        leaving: the key that it replaced, until a checkpoint that both signed covers the change.
        quorum: the outside witnesses whose signatures count, and how many must sign.

    Raises:
        UsageError: the origin is empty or holds a space or `+`.
    """

    def __init__(
        self,
        folder: Path,
        origin: str,
        signing_key: Ed25519PrivateKey,
        leaving: Ed25519PrivateKey | None = None,
        *,
        quorum: Quorum = _NO_QUORUM,
    ) -> None:
        self.folder = folder
        self.quorum = quorum
        self.origin = origin
        self.sign_with(signing_key, leaving)

    def sign_with(self, signing_key: Ed25519PrivateKey, leaving: Ed25519PrivateKey | None = None) -> None:
        """Take the log's key, and the one that it replaced, from now on."""
        self.vkey = VerifierKey.of(self.origin, signing_key).encode()
        self._keys = (signing_key,) if leaving is None else (signing_key, leaving)
        self._vkeys = [VerifierKey.of(self.origin, key).encode() for key in self._keys]

    @property
    def is_leaving(self) -> bool:
        """Whether a key that was replaced still signs."""
        return len(self._keys) > 1

    def publish(self, database: Database) -> None:
        """Bring the folder up to the database: all committed entries, their tiles, a new checkpoint.

        Does nothing if nothing was added. Costs O(new entries).

        Raises:
            IntegrityError: the published log is ahead of the database, is no prefix of it, or is damaged.
            Busy: another process has been publishing for a minute.
            DiskFull: there is no room.
            OperationError: a file cannot be written.
        """
        with disk_errors():
            self.folder.mkdir(parents=True, exist_ok=True)
            with alone(self.folder), database.read() as session:
                size, frontier = entries.state(session)
                found = self.head()
                published = None if found is None else found.checkpoint
                builder = _checked(session, self.folder, published, size, frontier)
                if published is None or published.size < size:
                    self._extend(session, builder, size)

    def add_cosignatures(self, note: bytes, lines: Mapping[VerifierKey, str]) -> None:
        """Put signature lines of witnesses under the published checkpoint.

        Does nothing if another checkpoint was published since: they are for the old one alone.

        Args:
            note: the note that was signed.
            lines: by witness, its checked signature line.

        Raises:
            Busy, DiskFull, OperationError: see `publish`.
        """
        with disk_errors(), alone(self.folder):
            current = checkpoint.load(Disk(self.folder))
            if current is None or split_note(current)[0] != split_note(note)[0]:
                return
            signed = add_lines(current, lines)
            writer = Writer(self.folder, 0)
            if self.quorum.holds(self.quorum.signers(signed)):
                writer.put(WITNESSED, signed)
            writer.finish(signed)

    def head(self) -> Head | None:
        """Return the published checkpoint; None if nothing was published.

        Raises:
            IntegrityError: it is damaged, or not signed by the log's key.
            Busy: another process replaced the log's key.
        """
        return _published(self.folder, self._vkeys)

    def standing(self) -> Standing:
        """Return how far outside witnesses have signed the published log.

        Raises:
            IntegrityError: the published checkpoint is damaged, or does not continue what they signed.
        """
        source, needed, of = Disk(self.folder), self.quorum.needed, len(self.quorum.witnesses)
        found = self.head()
        if found is None:
            return Standing(0, None, needed, of)
        signed = witnessed(source, found.checkpoint, found.note, found.vkey, self.quorum)
        return Standing(found.checkpoint.size, signed, needed, of)

    def limit(self) -> str:
        """Return what the label of a release says of outside witnesses. See `standing`."""
        return self.standing().limit if self.quorum.needed else ALONE

    def check_not_behind(self, database: Database) -> None:
        """See `check_not_behind`."""
        check_not_behind(database, self.folder, *self._vkeys)

    def _extend(self, session: Session, builder: TileBuilder, size: int) -> None:
        writer = Writer(self.folder, builder.size)
        for place, bodies in _new_bundles(session, builder.size, size):
            rekey.check_current(place.n * WIDTH, bodies, self.vkey)
            writer.write(place, encode_bundle(bodies))
            first = place.n * WIDTH
            for index, body in enumerate(bodies, first):
                if index >= builder.size:
                    for tile, data in builder.add(leaf_hash(body)):
                        writer.write(tile, data)
        for tile, data in builder.partial():
            writer.write(tile, data)
        head = Checkpoint(self.origin, size, frontier_root(builder.frontier()))
        writer.finish(checkpoint.sign(head, *self._keys).encode())


def check_not_behind(database: Database, folder: Path, *vkeys: str) -> None:
    """Check that the database holds all that was published: it is not a restored old backup.

    A folder without a checkpoint passes: nothing was published yet.

    Args:
        database: the control database.
        folder: the published log.
        vkeys: the log's verifier key, and the one that it just replaced.

    Raises:
        IntegrityError: the checkpoint covers more than the database holds, is no prefix of its log, is
            not signed by the log's key, or the folder is damaged.
    """
    found = _published(folder, vkeys)  # before the database: another process may publish in between
    with database.read() as session:
        size, frontier = entries.state(session)
        _checked(session, folder, None if found is None else found.checkpoint, size, frontier)


def behind(published: int, size: int) -> IntegrityError:
    """Return the error for a database of `size` entries where `published` entries are published."""
    msg = (
        f"The published checkpoint is ahead of the database: it covers {published} log entries, the database "
        f"holds {size}. An old backup was restored."
    )
    return IntegrityError(msg, "Restore a newer backup; the published log must not be taken back.")


def _published(folder: Path, vkeys: Sequence[str]) -> Head | None:
    """Return the published checkpoint, signed by one of our keys and by no newer one."""
    note = checkpoint.load(Disk(folder))
    if note is None:
        return None
    keys = [VerifierKey.parse(vkey) for vkey in vkeys]
    newest = next((key_id for name, key_id in checkpoint.signers(note) if name == keys[0].name), None)
    found = next((key for key in keys if key.key_id == newest), keys[0])
    head = checkpoint.verified(note, found.encode())
    if newest != found.key_id:
        raise rekey.stale()
    return Head(head, note, found.encode())


def _checked(
    session: Session, folder: Path, published: Checkpoint | None, size: int, frontier: list[bytes]
) -> TileBuilder:
    """Return a builder at the published size, once published tiles + new entries give the database's log."""
    if published is None:
        published = Checkpoint("", 0, frontier_root([]))
    if published.size > size:
        raise behind(published.size, size)
    builder = resume(Tiles(Disk(folder), published.size))
    reached = builder.frontier()
    if frontier_root(reached) != published.root:
        raise damaged(checkpoint.FILE, "does not fit the published tiles: their root hash is another one")
    known = split(bytes(builder.open_tiles.get(0, b"")))
    for place, bodies in _new_bundles(session, published.size, size):
        for offset, body in enumerate(bodies):
            index, leaf = place.n * WIDTH + offset, leaf_hash(body)
            if index >= published.size:
                grow(reached, index, leaf)
            elif leaf != known[offset]:
                msg = f"Log entry {index} in the database is not the published one."
                raise IntegrityError(msg, _RESTORE)
    if reached != frontier:
        msg = f"The log in the database does not continue the {published.size} published entries."
        raise IntegrityError(msg, _RESTORE)
    return builder


def _new_bundles(session: Session, published: int, size: int) -> Iterator[tuple[Place, list[bytes]]]:
    """Yield the bundles that hold entries from `published` on, with all of their entries."""
    for place in bundles(size, published // WIDTH) if size > published else ():
        first = place.n * WIDTH
        yield place, entries.stored(session, first, first + place.width)
