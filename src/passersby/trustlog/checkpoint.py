"""Checkpoints: what the log's key signs (C2SP tlog-checkpoint and signed-note, Ed25519).

A checkpoint says: the log of this origin has this many entries, and the root of their tree is this hash.
Whoever holds one can later prove that the log was rewritten. The verifier key ("vkey") must come to the
reader on another way than the log itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from passersby.errors import IntegrityError, UsageError
from passersby.trustlog.hashing import HASH_BYTES
from passersby.trustlog.sources import Source

FILE = "checkpoint"
"""Name of the checkpoint's file in the log's folder (C2SP tlog-tiles)."""

LOG, WITNESS = 1, 4
"""Signature types of Ed25519 keys: of a log, of a witness (C2SP signed-note, tlog-cosignature)."""

_KEY_ID_BYTES = 4
_KEY_BYTES = 32
LONGEST_NOTE = 1 << 20
"""Most bytes of a signed note that are looked at."""
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_NAME = re.compile(r"[^\s+\ud800-\udfff]+")  # half a surrogate pair is no UTF-8
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True)
class Checkpoint:
    """The head of a log.

    Args:
        origin: name of the log, such as `example.org/passersby`.
        size: entries that it covers.
        root: root hash of their Merkle tree, 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the signed text: origin, size, root hash in base64, one a line."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True)
class VerifierKey:
    """A public key with the name it signs under.

    Args:
        name: key name; for a log, its origin.
        public_key: raw Ed25519 key, 32 bytes.
        kind: `LOG` or `WITNESS`; a signature of one kind is worth nothing as the other.
    """

    name: str
    public_key: bytes
    kind: int = LOG

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name, newline, signature type, key) (C2SP signed-note)."""
        data = self.name.encode() + b"\n" + self._typed_key
        return hashlib.sha256(data).digest()[:_KEY_ID_BYTES]

    def encode(self) -> str:
        """Return the one-line form `name+id+key` that Go's `sumdb/note` reads too."""
        key = base64.b64encode(self._typed_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{key}"

    @property
    def _typed_key(self) -> bytes:
        return bytes([self.kind]) + self.public_key

    def is_of(self, name: str, data: bytes) -> bool:
        """Tell whether a note's signature, key id first, says that it is of this key."""
        return name == self.name and data[:_KEY_ID_BYTES] == self.key_id

    @staticmethod
    def is_name(name: str) -> bool:
        """Tell whether a key can have this name."""
        return _NAME.fullmatch(name) is not None

    @classmethod
    def of(cls, name: str, key: Ed25519PrivateKey | Ed25519PublicKey, kind: int = LOG) -> VerifierKey:
        """Return the verifier key that belongs to a signing or public key.

        Raises:
            UsageError: the name is empty or holds a space or `+`.
        """
        if not cls.is_name(name):
            msg = "The name of a log or witness must not be empty and must hold no space and no `+`."
            raise UsageError(msg, "Use the form example.org/name.")
        public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
        return cls(name, public.public_bytes_raw(), kind)

    @classmethod
    def parse(cls, text: str, kind: int = LOG) -> VerifierKey:
        """Return the key that `encode` wrote.

        Raises:
            UsageError: the text is no Ed25519 verifier key of that kind, or its id does not fit its key.
        """
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        data = canonical_base64(encoded)
        if (
            data is not None
            and data[:1] == bytes([kind])
            and len(data) == 1 + _KEY_BYTES
            and _NAME.fullmatch(name)
        ):
            key = cls(name, data[1:], kind)
            if key.key_id.hex() == key_id:
                return key
        msg = f"This is not a verifier key of a {'log' if kind == LOG else 'witness'}."
        raise UsageError(
            msg, "It is one line, name+8 hex digits+base64; copy it whole from where it was published."
        )


def load(source: Source) -> bytes | None:
    """Return the signed note of a published log, unchecked; None if nothing was published.

    Raises:
        IntegrityError: it is longer than a note can be.
        OperationError: it cannot be read.
    """
    return source.read(FILE, LONGEST_NOTE)


def sign(checkpoint: Checkpoint, *keys: Ed25519PrivateKey) -> str:
    """Return the checkpoint as a signed note; the keys' name is the checkpoint's origin.

    Raises:
        UsageError: the origin is not a valid key name.
    """
    text = checkpoint.text()
    lines = ""
    for key in keys:
        signer = VerifierKey.of(checkpoint.origin, key)
        signature = base64.b64encode(signer.key_id + key.sign(text.encode())).decode()
        lines += f"\u2014 {signer.name} {signature}\n"
    return f"{text}\n{lines}"


def verified(note: bytes, vkey: str, name: str = FILE) -> Checkpoint:
    """Return the checkpoint in a signed note, if the log's key signed it.

    Signatures of other keys (witnesses) are passed over, as the format wants.

    Args:
        note: the signed note.
        vkey: the log's verifier key.
        name: what to call the note in an error.

    Raises:
        IntegrityError: the note is malformed, carries no signature of this key or a wrong one, or is of
            another log.
        UsageError: the verifier key is malformed.
    """
    signer = VerifierKey.parse(vkey)
    text, signatures = split_note(note, name)
    checkpoint = _parse_text(text, name)
    mine = [data[_KEY_ID_BYTES:] for key, data in signatures if signer.is_of(key, data)]
    if not mine:
        raise bad_note(name, "carries no signature of the log's key")
    public = Ed25519PublicKey.from_public_bytes(signer.public_key)
    for signature in mine:
        try:
            public.verify(signature, text.encode())
        except InvalidSignature:
            raise bad_note(name, "carries a wrong signature") from None
    if checkpoint.origin != signer.name:
        raise bad_note(name, "is of another log than the key")
    return checkpoint


def unverified(note: bytes, name: str = FILE) -> Checkpoint:
    """Return the checkpoint in a note without a look at its signatures.

    Raises:
        IntegrityError: the note is malformed.
    """
    return _parse_text(split_note(note, name)[0], name)


def signers(note: bytes, name: str = FILE) -> list[tuple[str, bytes]]:
    """Return (key name, key id) of a note's signature lines, in order, unchecked.

    Raises:
        IntegrityError: the note is malformed.
    """
    return [(key, data[:_KEY_ID_BYTES]) for key, data in split_note(note, name)[1]]


def split_note(note: bytes, name: str = FILE) -> tuple[str, list[tuple[str, bytes]]]:
    """Return the signed text of a note, and key name, key id and signature of each signature line.

    Raises:
        IntegrityError: the note is malformed.
    """
    if len(note) > LONGEST_NOTE:
        raise bad_note(name, "is too long")
    try:
        text, blank, lines = note.decode().rpartition("\n\n")
    except UnicodeDecodeError:
        raise bad_note(name, "is not UTF-8") from None
    if not blank or not lines.endswith("\n") or _CONTROL.search(note.decode()):
        raise bad_note(name, "is not a signed note")
    return text + "\n", [_signature(line, name) for line in lines[:-1].split("\n")]


def _signature(line: str, name: str) -> tuple[str, bytes]:
    parts = line.split(" ")
    data = canonical_base64(parts[2]) if len(parts) == 3 else None
    if data is None or parts[0] != "\u2014" or not _NAME.fullmatch(parts[1]) or len(data) <= _KEY_ID_BYTES:
        raise bad_note(name, "holds a malformed signature line")
    return parts[1], data


def _parse_text(text: str, name: str) -> Checkpoint:
    """Parse origin, size and root; further lines are extensions, which must not be empty."""
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise bad_note(name, "is not a checkpoint: three lines are needed")
    root = canonical_base64(lines[2])
    if not _SIZE.fullmatch(lines[1]) or root is None or len(root) != HASH_BYTES:
        raise bad_note(name, "is not a checkpoint: its size or its root hash is malformed")
    return Checkpoint(lines[0], int(lines[1]), root)


def canonical_base64(text: str) -> bytes | None:
    """Return the bytes of canonical base64; None for anything else, so that no note has two spellings."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


def bad_note(name: str, what: str) -> IntegrityError:
    """Return the error for a note that is not as it should be; `name` is what to call it."""
    msg = f"{name}: the note {what}."
    return IntegrityError(
        msg, "Fetch it again from the log; check that the verifier key is the published one."
    )
