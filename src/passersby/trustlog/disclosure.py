"""Shows an auditor chosen hidden fields of an entry, so that they can check that these were logged.

The document carries the entry, the proof that it is in the log, and for each field what SD-JWT calls a
disclosure (RFC 9901 section 4.2): base64url of the JSON array [salt, name, value]. Showing is itself logged.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import rfc8785

from passersby.errors import IntegrityError, UnknownName, UnreadableFile, UsageError
from passersby.keys import signed
from passersby.keys.signed import Actor, digest
from passersby.store.database import Database
from passersby.trustlog.entries import COMMITMENTS, JSON, append, b64url, stored
from passersby.trustlog.publish import Publisher
from passersby.trustlog.receipts import Proven, Revealed, prove, reveal, verify_proof
from passersby.trustlog.rekey import Rekeyed

FORMAT = "passersby-log-disclosure-v1"

LONGEST = 1 << 22
"""Most bytes of a document that are looked at."""

_KIND = "log.disclosed"


@dataclass(frozen=True)
class Disclosed:
    """Hidden fields that were shown, checked against the log.

    Args:
        proven: where the entry stands, and under which checkpoint.
        entry: the entry's public fields.
        fields: the hidden fields that were shown.
        unshown: how many hidden fields the entry has besides.
    """

    proven: Proven
    entry: dict[str, Any]
    fields: tuple[Revealed, ...]
    unshown: int


def disclose(
    database: Database,
    publisher: Publisher,
    index: int,
    names: Sequence[str],
    *,
    to: str,
    actor: Actor,
    now: int,
) -> bytes:
    """Return the document that shows hidden fields of an entry to an auditor, once the act is logged.

    Args:
        database: the control database.
        publisher: of its log.
        index: index of the entry.
        names: of the hidden fields.
        to: who is shown them; a hidden field of the act's own entry.
        actor: who shows them: a custodian or an overseer.
        now: epoch s.

    Raises:
        Refusal: the actor has neither role.
        UnknownName: there is no such entry, or no such field in it, or it was erased.
        UsageError: no field is named, or nobody to be shown it.
    """
    with database.write() as session:
        signed.require(session, actor, "custodian", "overseer")
        _check_names(names, to, [field.name for field in reveal(session, index)])
        what: dict[str, JSON] = {"entry": index, "fields": sorted(names), "to": to}
        private: dict[str, JSON] = {**what, "signature": actor.sign(digest(what), _KIND)}
        del private["entry"]
        append(session, _KIND, {"entry": index, "by": actor.id}, private, now=now)
    publisher.publish(database)
    shown = shown_fields(database, publisher, index, names)
    return json.dumps(shown, indent=2, ensure_ascii=False).encode() + b"\n"


def document(entry: bytes, fields: Sequence[Revealed], proof: str) -> dict[str, Any]:
    """Return as a JSON object what shows hidden fields of an entry; `check_object` checks it.

    Args:
        entry: the entry's bytes.
        fields: its hidden fields that are shown; none: the document only proves that the entry is in the log.
        proof: what `receipts.prove` gives for it.
    """
    disclosures = [_encode(field) for field in fields]
    return {"format": FORMAT, "entry": entry.decode(), "disclosures": disclosures, "proof": proof}


def shown_fields(
    database: Database, publisher: Publisher, index: int, names: Sequence[str]
) -> dict[str, Any]:
    """Return the document about a published entry and some of its hidden fields; the caller logs why."""
    with database.read() as session:
        held = {field.name: field for field in reveal(session, index)}
        entry = stored(session, index, index + 1)[0]
    return document(entry, [held[name] for name in sorted(names)], prove(publisher.folder, index))


def check(document: bytes, vkey: str, changes: Sequence[Rekeyed] = ()) -> Disclosed:
    """Check a document that `disclose` made; the log is not needed.

    Args:
        document: its bytes, from anybody.
        vkey: the log's verifier key, from another source than the document.
        changes: how the log's key was replaced; see `verify_proof`.

    Raises:
        UnreadableFile: it is no such document.
        IntegrityError: the entry is not in the log under this key, or did not commit to a field.
        UsageError: the verifier key is malformed.
    """
    if len(document) > LONGEST:
        raise _unreadable()
    return check_object(_object(document.decode("utf-8", "replace")), vkey, changes)


def check_object(whole: Mapping[str, Any], vkey: str, changes: Sequence[Rekeyed] = ()) -> Disclosed:
    """Check a document that was parsed already. See `check`."""
    entry, proof, parts = _parse(whole)
    proven = verify_proof(entry, proof, vkey, changes)
    fields = _object(entry.decode("utf-8", "replace"))
    committed = fields.pop(COMMITMENTS, [])
    if not isinstance(committed, list):
        raise _unreadable()
    for part in parts:
        if _commitment(part) not in committed:
            raise IntegrityError(
                f"Entry {proven.index} of the log did not commit to a field that the document shows.",
                "Do not rely on the document; ask the custodian for it again.",
            )
    if len(set(parts)) != len(parts):
        raise _unreadable()
    shown = tuple(_decode(part) for part in parts)
    return Disclosed(proven, fields, shown, len(committed) - len(shown))


def _check_names(names: Sequence[str], to: str, held: Sequence[str]) -> None:
    if not names:
        shown = ", ".join(held) or "none"
        raise UsageError(f"No field is named; hidden in this entry are: {shown}.", "Name one with --field.")
    if not to.strip():
        raise UsageError("It is not said who is shown the fields.", "Name the auditor with --to.")
    missing = sorted(set(names) - set(held))
    if missing:
        raise UnknownName(
            f"The entry has no hidden field {missing[0]!r}, or it was erased.",
            f"Hidden in this entry are: {', '.join(held) or 'none'}.",
        )


def _encode(field: Revealed) -> str:
    return b64url(rfc8785.dumps([field.salt, field.name, field.value]))


def _commitment(part: str) -> str:
    return b64url(hashlib.sha256(part.encode()).digest())


def _decode(part: str) -> Revealed:
    try:
        data = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        salt, name, value = json.loads(data)
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise _unreadable() from None
    if not isinstance(salt, str) or not isinstance(name, str):
        raise _unreadable()
    return Revealed(name, value, salt)


def _parse(whole: Mapping[str, Any]) -> tuple[bytes, str, list[str]]:
    entry, proof, parts = whole.get("entry"), whole.get("proof"), whole.get("disclosures")
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise _unreadable()
    if whole.get("format") != FORMAT or not isinstance(entry, str) or not isinstance(proof, str):
        raise _unreadable()
    try:
        "".join((proof, *parts)).encode()
        return entry.encode(), proof, parts
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell
        raise _unreadable() from None


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _unreadable()
    return found


def _unreadable() -> UnreadableFile:
    return UnreadableFile(
        "This is no disclosure of fields of a log.", "Name the file that `passersby log disclose` wrote."
    )
