"""What a log sends to a witness: `add-checkpoint` (C2SP tlog-witness)."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from passersby.errors import UnreadableFile
from passersby.trustlog.checkpoint import canonical_base64
from passersby.trustlog.hashing import HASH_BYTES

PATH = "add-checkpoint"
"""Last part of the address that it is sent to."""

SIZE_TYPE = "text/x.tlog.size"
"""Content type of the answer that tells how much of the log a witness has seen."""

LONGEST = 1 << 16
"""Most bytes of a request or an answer: a checkpoint with its signatures, and 63 hashes."""

_MOST_HASHES = 63
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class AddCheckpoint:
    """A checkpoint with the proof that it continues what the witness has seen.

    Args:
        old: entries of the last checkpoint that the witness signed; 0 if it signed none.
        proof: consistency proof from there (RFC 6962 section 2.1.2).
        note: the checkpoint, signed by the log.
    """

    old: int
    proof: tuple[bytes, ...]
    note: bytes

    def encode(self) -> bytes:
        """Return the request's body."""
        hashes = "".join(f"{base64.b64encode(node).decode()}\n" for node in self.proof)
        return f"old {self.old}\n{hashes}\n".encode() + self.note

    @classmethod
    def parse(cls, body: bytes) -> AddCheckpoint:
        """Return the request of a body; the note in it is not looked at.

        Raises:
            UnreadableFile: it is none.
        """
        head, _, note = body.partition(b"\n\n")
        try:
            first, *lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            first, lines = "", []
        word, _, size = first.partition(" ")
        proof = [canonical_base64(line) for line in lines[:_MOST_HASHES]]
        whole = [node for node in proof if node is not None and len(node) == HASH_BYTES]
        if word != "old" or not _SIZE.fullmatch(size) or len(whole) != len(lines) or not note:
            raise UnreadableFile(
                "This is no request of C2SP tlog-witness.", "See https://c2sp.org/tlog-witness."
            )
        return cls(int(size), tuple(whole), note)


def parse_size(body: bytes) -> int | None:
    """Return the size that a witness answered with; None if it is no size."""
    text = body.removesuffix(b"\n").decode("ascii", "replace")
    return int(text) if _SIZE.fullmatch(text) else None
