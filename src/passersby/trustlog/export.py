"""Writes a copy of the log that any static web server can serve: tiles, entries, public view, checkpoints.

The verifier key is not in it: whoever checks the copy must have it from elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from passersby.errors import IntegrityError, UsageError
from passersby.trustlog import rekey, view
from passersby.trustlog.checkpoint import LONGEST_NOTE, Checkpoint, load
from passersby.trustlog.heads import WITNESSED, check_continues, newest
from passersby.trustlog.rekey import Rekeyed
from passersby.trustlog.sources import Disk
from passersby.trustlog.tiles import WIDTH, Tiles, bundles, encode_bundle, tiles
from passersby.trustlog.verify import verify_folder
from passersby.trustlog.writing import Writer, alone, disk_errors


@dataclass(frozen=True)
class Exported:
    """What was written: the head of the copy, and how many files are new or were replaced."""

    head: Checkpoint
    written: int


def export(folder: Path, out: Path, vkey: str) -> Exported:
    """Copy a published log, once it was verified whole; an earlier copy in the same place is brought up.

    Readers of an earlier copy see it, whole, until the new checkpoint is there. No salt and no hidden value
    is in a published log, so that none is in the copy.

    Args:
        folder: the published log.
        out: a new folder, an empty one, or one that holds an earlier copy of this log.
        vkey: the log's verifier key.

    Raises:
        UsageError: `out` holds something else.
        IntegrityError: the log does not verify, or does not continue the earlier copy.
        Busy, DiskFull, OperationError: a file cannot be read or written.
    """
    source = Disk(folder)
    with disk_errors(), alone(folder):
        changed = verify_folder(folder, vkey).rekeyed
        head, note = newest(source, vkey)
        reader = Tiles(source, head.size)
        covered = _earlier(out, vkey, changed, head, reader)
        out.mkdir(parents=True, exist_ok=True)
        out.chmod(0o755)
        with alone(out):
            copy = _Copy(out, covered)
            for place in tiles(head.size):
                copy.put(place.path, place.stem, reader.tile(place), full=place.width == WIDTH)
            for place in bundles(head.size):
                bodies = reader.bundle(place)
                full = place.width == WIDTH
                copy.put(place.path, place.stem, encode_bundle(bodies), full=full)
                copy.put(view.path(place), view.stem(place), view.page(place, bodies), full=full)
            kept = source.read(WITNESSED, LONGEST_NOTE)
            if kept is not None:
                copy.writer.put(WITNESSED, kept)
            copy.writer.finish(note)
    return Exported(head, copy.written)


class _Copy:
    """The folder that is written to; files that are right already are left alone."""

    def __init__(self, out: Path, covered: int) -> None:
        self.writer = Writer(out, covered, readable=True)
        self.written = 0
        self._held = Disk(out)

    def put(self, path: str, stem: str, data: bytes, *, full: bool) -> None:
        try:
            same = self._held.read(path, len(data)) == data
        except IntegrityError:  # longer than it should be
            same = False
        if not same:
            self.writer.put(path, data)
            self.written += 1
        if full:
            self.writer.supersede(stem)


def _earlier(out: Path, vkey: str, changed: Sequence[Rekeyed], head: Checkpoint, reader: Tiles) -> int:
    """Return how many entries an earlier copy covers; 0 for a folder that is new or empty."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return 0
    note = load(Disk(out)) if out.is_dir() else None
    if note is None:
        raise UsageError(f"{out} holds something else than a copy of a log.", "Name a new folder.")
    older = rekey.kept(note, vkey, changed, f"{out}/checkpoint")
    check_continues(reader, head, older)
    return older.size
