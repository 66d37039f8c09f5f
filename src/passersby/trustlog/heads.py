"""The heads of a published log: its newest checkpoint, and the newest one that a quorum of witnesses signed.

The log is published whether witnesses answer or not, so that the two can differ. The entries in between are
signed by the operator alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from passersby.errors import IntegrityError, UsageError
from passersby.trustlog import checkpoint, rekey
from passersby.trustlog.checkpoint import (
    FILE,
    LONGEST_NOTE,
    Checkpoint,
    VerifierKey,
    load,
    unverified,
    verified,
)
from passersby.trustlog.cosignature import cosigned
from passersby.trustlog.proofs import consistency, extends
from passersby.trustlog.rekey import Rekeyed
from passersby.trustlog.sources import Source, damaged
from passersby.trustlog.tiles import WIDTH, Tiles, bundles

WITNESSED = "checkpoint.witnessed"
"""File beside the checkpoint: the newest one that carried a quorum."""

ALONE = "No outside witness signs the log: the operator could rewrite it."
"""What status, labels and reports say where no quorum is configured."""

EVIDENCE = "Keep copies of the folder, the checkpoint and the database as evidence, and ask the operator."


@dataclass(frozen=True)
class Quorum:
    """Whose cosignatures count, and how many are needed.

    Args:
        witnesses: their verifier keys, from another source than the log.
        needed: how many of them; 0 means that no quorum is asked for.

    Raises:
        UsageError: a key is there twice, or more are needed than there are.
    """

    witnesses: tuple[VerifierKey, ...] = ()
    needed: int = 0

    def __post_init__(self) -> None:
        if len({key.public_key for key in self.witnesses}) < len(self.witnesses):
            raise UsageError("A witness is named twice.", "Name each witness once: one key is one witness.")
        if not 0 <= self.needed <= len(self.witnesses):
            raise UsageError(
                "The quorum is larger than the number of witnesses.", "Name more, or ask for fewer."
            )

    def signers(self, note: bytes, name: str = FILE) -> dict[VerifierKey, int]:
        """Return who signed a note and when (epoch s). See `cosigned`."""
        return cosigned(note, self.witnesses, name)

    def holds(self, signers: Collection[VerifierKey]) -> bool:
        """Tell whether a quorum is configured and these are enough."""
        return 0 < self.needed <= len(signers)


@dataclass(frozen=True)
class Witnessed:
    """The newest checkpoint that a quorum signed.

    Args:
        size: entries that it covers.
        signers: names of the witnesses, with the time that each states (epoch s).
    """

    size: int
    signers: Mapping[str, int]


@dataclass(frozen=True)
class Standing:
    """How far outside witnesses have signed a log.

    Args:
        size: published entries.
        witnessed: newest checkpoint that a quorum signed.
        needed: witnesses that must sign; 0 where no quorum is configured.
        of: witnesses that are configured.
    """

    size: int
    witnessed: Witnessed | None
    needed: int
    of: int

    @property
    def whole(self) -> bool:
        """Whether a quorum signed every published entry."""
        return self.witnessed is not None and self.witnessed.size == self.size

    @property
    def text(self) -> str:
        """What status and checks say."""
        if not self.needed:
            return ALONE
        rule = f"{self.needed} of {self.of} outside witnesses must sign this log"
        if self.witnessed is None:
            return f"{rule}, and too few did: the operator could rewrite it."
        if not self.whole:
            rest = f"the operator could rewrite entries from {self.witnessed.size:,} on"
            return f"{rule}, and signed {self.witnessed.size:,} of {self.size:,} entries: {rest}."
        return f"{rule}; {len(self.witnessed.signers)} signed all {self.size:,} published entries."

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        signed = None if self.witnessed is None else vars(self.witnessed)
        return {
            "size": self.size,
            "witnessed": signed,
            "quorum": self.needed,
            "witnesses": self.of,
            "text": self.text,
        }

    @property
    def limit(self) -> str:
        """What the label of a release says where a quorum is configured: nothing that changes by entry."""
        if not self.needed:
            return ALONE
        if not self.whole:
            return "Outside witnesses of the log were away at the release: the operator could rewrite it."
        return f"What {self.needed} of {self.of} outside witnesses did not sign, the operator could rewrite."


def newest(source: Source, vkey: str) -> tuple[Checkpoint, bytes]:
    """Return the newest checkpoint of a published log, and its note.

    It is signed by the reader's key, or by the newest of those that the entries lead to from it. That the
    entries are those of the checkpoint is for the caller to check.

    Raises:
        IntegrityError: there is none, or no such key signed it.
        UsageError: the verifier key is malformed.
    """
    note = load(source)
    if note is None:
        raise damaged(FILE, "is missing")
    try:
        return verified(note, vkey), note
    except IntegrityError:
        keys = rekey.line(_readable(Tiles(source, unverified(note).size)))
        if vkey.strip() not in keys:
            raise
        return verified(note, keys[-1]), note


def changes(tiles: Tiles, first: int = 0) -> Iterator[Rekeyed]:
    """Yield what the entries from index `first` on say of the log's key.

    Raises:
        IntegrityError: a bundle is missing or malformed, or a change is not signed by both keys.
    """
    for place in bundles(tiles.size, first // WIDTH):
        for index, body in enumerate(tiles.bundle(place), place.n * WIDTH):
            found = rekey.read(index, body) if index >= first else None
            if found is not None:
                yield found


def _readable(tiles: Tiles) -> Iterator[Rekeyed]:
    """Yield the changes of a log of which nothing is checked yet, as far as they can be read."""
    with suppress(IntegrityError):
        yield from changes(tiles)


def witnessed(
    source: Source,
    head: Checkpoint,
    note: bytes,
    vkey: str,
    quorum: Quorum,
    changed: Sequence[Rekeyed] | None = None,
) -> Witnessed | None:
    """Return the newest checkpoint of a log that a quorum signed; None if there is none.

    Args:
        source: the published log.
        head: its newest checkpoint.
        note: the note of that checkpoint.
        vkey: the log's verifier key.
        quorum: whose signatures count.
        changed: how its key was replaced, from the entries; by default they are read where that is needed,
            and `vkey` must be the key of the newest checkpoint.

    Raises:
        IntegrityError: a cosignature is wrong, or the log does not continue what the witnesses signed.
    """
    signers = quorum.signers(note)
    if quorum.holds(signers):
        return _witnessed(head, signers)
    kept = source.read(WITNESSED, LONGEST_NOTE) if quorum.needed else None
    if kept is None:
        return None
    tiles, signers = Tiles(source, head.size), quorum.signers(kept, WITNESSED)
    if changed is None:
        changed = _since(tiles, kept, vkey)
    older = rekey.kept(kept, vkey, changed, WITNESSED)
    if not quorum.holds(signers):
        return None
    check_continues(tiles, head, older)
    return _witnessed(older, signers)


def _since(tiles: Tiles, kept: bytes, vkey: str) -> list[Rekeyed]:
    """Return the changes since a checkpoint that is not signed by the log's key of now; else none."""
    key_id = VerifierKey.parse(vkey).key_id
    if any(key_id == told for _, told in checkpoint.signers(kept, WITNESSED)):
        return []
    return list(changes(tiles, unverified(kept, WITNESSED).size))


def check_continues(tiles: Tiles, head: Checkpoint, older: Checkpoint) -> None:
    """Do nothing if a log continues an older checkpoint of its own.

    Raises:
        IntegrityError: it is smaller, or its first entries are others.
    """
    if older.size > head.size:
        msg = (
            "The log was taken back, or this copy of it is old: a saved checkpoint covers "
            f"{older.size} entries, it {head.size}."
        )
        raise IntegrityError(msg, EVIDENCE)
    path = consistency(tiles, older.size, head.size)
    if not extends(older.size, head.size, path, older.root, head.root):
        msg = f"The log was rewritten: its first {older.size} entries are not those of the saved checkpoint."
        raise IntegrityError(msg, EVIDENCE)


def _witnessed(head: Checkpoint, signers: Mapping[VerifierKey, int]) -> Witnessed:
    return Witnessed(head.size, {key.name: time for key, time in signers.items()})
