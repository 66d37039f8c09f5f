"""The decision of a witness about one request, step by step as C2SP tlog-witness numbers its answers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from passersby.errors import IntegrityError, UnreadableFile
from passersby.trustlog.checkpoint import WITNESS, Checkpoint, VerifierKey, unverified, verified
from passersby.trustlog.cosignature import cosign
from passersby.trustlog.proofs import extends
from passersby.trustlog.request import SIZE_TYPE, AddCheckpoint
from passersby.witness.memory import Evidence, Memory, Seen

_PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Reply:
    """What a witness answers: an HTTP status, its body and the body's type."""

    status: int
    body: bytes
    content_type: str = _PLAIN


class Witness:
    """Signs checkpoints of the logs that it was told of.

    Args:
        name: its name, such as `witness.example.org/w1`.
        key: its key.
        logs: verifier keys of the logs; several of one origin where a log changes its key.
        memory: what it signed before.

    Raises:
        UsageError: the name is no key name.
    """

    def __init__(
        self, name: str, key: Ed25519PrivateKey, logs: Collection[VerifierKey], memory: Memory
    ) -> None:
        self.vkey = VerifierKey.of(name, key, WITNESS)
        self._key = key
        self.logs = tuple(logs)
        self._memory = memory

    def add_checkpoint(self, body: bytes, *, now: int) -> Reply:
        """Answer a request; the signature in the answer is remembered before it is given.

        Raises:
            OperationError: the memory cannot be written; nothing is signed.
        """
        # 1. a request, of a log that we know, signed with its key
        try:
            request = AddCheckpoint.parse(body)
            origin = unverified(request.note).origin
        except (UnreadableFile, IntegrityError) as error:
            return _refused(400, error.message)
        keys = [key for key in self.logs if key.name == origin]
        if not keys:
            return _refused(404, "This witness does not know a log of this origin.")
        head = _verified(request.note, keys)
        if head is None:
            return _refused(403, "The checkpoint is not signed with a key that this witness knows.")
        if request.old > head.size:
            return _refused(400, "The old size is above that of the checkpoint.")
        # 2. compare and remember in one transaction: two requests at once must not both be signed
        with self._memory.writing() as writing:
            seen = writing.seen(origin)
            reply = _compare(request, head, seen)
            if reply is None:
                signature = cosign(request.note, self.vkey.name, self._key, now=now)
                writing.sign(origin, Seen(head.size, head.root, request.note, now))
            elif what := _contradiction(request, head, seen):
                writing.keep(Evidence(origin, now, what, body))
        # 3. the signature leaves only now that what it says is on the disk
        return Reply(200, signature.encode()) if reply is None else reply


def _verified(note: bytes, keys: Collection[VerifierKey]) -> Checkpoint | None:
    for key in keys:
        try:
            return verified(note, key.encode())
        except IntegrityError:
            continue
    return None


def _compare(request: AddCheckpoint, head: Checkpoint, seen: Seen) -> Reply | None:
    """Return the answer to a checkpoint that is not to be signed; None for one that is."""
    same_size_other_root = request.old == head.size and head.root != seen.root
    if request.old != seen.size or same_size_other_root:
        return Reply(409, f"{seen.size}\n".encode(), SIZE_TYPE)
    if not extends(request.old, head.size, request.proof, seen.root, head.root):
        return _refused(422, "The proof does not show that the checkpoint continues what was signed before.")
    return None


def _contradiction(request: AddCheckpoint, head: Checkpoint, seen: Seen) -> str:
    """Say what a refused request shows of its log, which has signed it; "" if it is an ordinary mistake.

    A proof that does not hold may be one too. It is kept: the checkpoint in it can be compared with the log.
    """
    if head.size == seen.size and head.root != seen.root:
        return f"a second history of {head.size} entries"
    return f"no continuation of the {seen.size} entries seen" if request.old == seen.size else ""


def _refused(status: int, text: str) -> Reply:
    return Reply(status, f"{text}\n".encode())
