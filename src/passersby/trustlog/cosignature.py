"""Cosignatures: what witnesses add to a checkpoint (C2SP tlog-cosignature, Ed25519, `cosignature/v1`).

A cosignature says: at this time, the largest consistent log that this witness had seen under the origin was
this one. It counts only under a key that the reader got from elsewhere than the log.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Collection, Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from passersby.trustlog.checkpoint import FILE, WITNESS, VerifierKey, bad_note, split_note

_ID_BYTES, _TIME_BYTES, _SIGNATURE_BYTES = 4, 8, 64
_LAST_TIME = (1 << 63) - 1


def cosign(note: bytes, name: str, key: Ed25519PrivateKey, *, now: int) -> str:
    """Return the signature line, its newline included, that a witness adds to a note.

    Args:
        note: a signed note that the witness has checked.
        name: name of the witness.
        key: its key.
        now: time that it states, epoch s.

    Raises:
        IntegrityError: the note is malformed.
        UsageError: the name is no key name.
    """
    signer = VerifierKey.of(name, key, WITNESS)
    signature = key.sign(_message(split_note(note)[0], now))
    data = signer.key_id + struct.pack(">Q", now) + signature
    return f"\u2014 {name} {base64.b64encode(data).decode()}\n"


def cosigned(note: bytes, witnesses: Collection[VerifierKey], name: str = FILE) -> dict[VerifierKey, int]:
    """Return which of the witnesses signed a note, and when at the latest (epoch s).

    Signatures of others are passed over, as the format wants; one of a known key that is wrong is not.

    Args:
        note: a signed note; the log's own signature is not looked at.
        witnesses: keys of kind `WITNESS`.
        name: what to call the note in an error.

    Raises:
        IntegrityError: the note is malformed, or carries a wrong signature of one of the witnesses.
    """
    text, signatures = split_note(note, name)
    found: dict[VerifierKey, int] = {}
    for key in witnesses:
        for data in (data for signer, data in signatures if key.is_of(signer, data)):
            found[key] = max(found.get(key, 0), _time_of(key, data, text, name))
    return found


def add_lines(note: bytes, lines: Mapping[VerifierKey, str]) -> bytes:
    """Return a note with signature lines of witnesses added; older lines of the same keys go.

    Args:
        note: a signed note.
        lines: by witness, a line as `cosign` returns it.

    Raises:
        IntegrityError: the note is malformed.
    """
    text, signatures = split_note(note)
    kept = "".join(
        f"\u2014 {signer} {base64.b64encode(data).decode()}\n"
        for signer, data in signatures
        if not any(key.is_of(signer, data) for key in lines)
    )
    return f"{text}\n{kept}{''.join(lines.values())}".encode()


def line_of(key: VerifierKey, reply: bytes, note: bytes) -> str | None:
    """Return the newest line of a witness among those that it answered with, None if there is none.

    Args:
        key: the witness.
        reply: signature lines, as C2SP tlog-witness defines the answer.
        note: the note that they are for.

    Raises:
        IntegrityError: they are no signature lines, or the witness's signature is wrong.
    """
    text, signatures = split_note(note.rpartition(b"\n\n")[0] + b"\n\n" + reply, "The witness's answer")
    mine = [data for signer, data in signatures if key.is_of(signer, data)]
    if not mine:
        return None
    newest = max(mine, key=lambda data: _time_of(key, data, text, "The witness's answer"))
    return f"\u2014 {key.name} {base64.b64encode(newest).decode()}\n"


def _time_of(key: VerifierKey, data: bytes, text: str, name: str) -> int:
    """Return the time that a cosignature states, once its signature was checked."""
    if len(data) != _ID_BYTES + _TIME_BYTES + _SIGNATURE_BYTES:
        raise bad_note(name, f"carries a malformed cosignature of {key.name}")
    time = int.from_bytes(data[_ID_BYTES : _ID_BYTES + _TIME_BYTES], "big")
    if time > _LAST_TIME:
        raise bad_note(name, f"carries a malformed cosignature of {key.name}")
    try:
        public = Ed25519PublicKey.from_public_bytes(key.public_key)
        public.verify(data[_ID_BYTES + _TIME_BYTES :], _message(text, time))
    except InvalidSignature:
        raise bad_note(name, f"carries a wrong cosignature of {key.name}") from None
    return time


def _message(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()
