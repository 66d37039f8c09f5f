"""Receipts of withdrawals and erasures: what anyone can check with the log's public key and nothing else.

A receipt holds the log's entry, the proof that it is in the published log, and the commitment to the list of
ids that the entry hides, with the salt that opens it: whoever has the receipt and the ids can tell that it is
about them. It holds no id.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import select

from passersby.consent import withdrawals
from passersby.errors import IntegrityError, UnknownName, UnreadableFile
from passersby.store.subject_tables import Erasure
from passersby.subjects import erasing
from passersby.subjects.parts import Parts
from passersby.trustlog import disclosure
from passersby.trustlog.receipts import Proven
from passersby.trustlog.rekey import Rekeyed

FORMAT = "passersby-subject-receipt-v1"

SAYS = MappingProxyType(
    {
        "subject.withdrawn": (
            "These devices withdrew: from this entry of the log on, no question, derivation or later court "
            "order reads their rows, and no delivery brings new ones in."
        ),
        "subject.erased": (
            "The rows of these devices were removed from every table of the lake, and every file that could "
            "hold them was decoded to check it. No delivery brings new ones in."
        ),
    }
)
"""Kind of entry -> what its receipt says."""

OUTSIDE = (
    "Files that suppliers delivered, where they still lie where they were read from; what suppliers keep.",
    "Backups made before, until they are overwritten; withdrawals are replayed when one is restored.",
    "What a court ordered to hold before this, sealed for that order alone; what was disclosed before.",
    "Answers that were given before: noisy numbers about crowds, from which no device can be taken out.",
)
"""What lies outside every receipt; it says so."""

_HOLDER = "holder"


@dataclass(frozen=True)
class Checked:
    """A receipt that holds. `about_ids` tells whether it is about the ids that were given, None for none."""

    kind: str
    time: int
    proven: Proven
    about_ids: bool | None


def written(parts: Parts, index: int, ids: Sequence[str]) -> bytes:
    """Return the receipt of a published entry about some devices.

    Args:
        parts: the deployment's parts.
        index: of the entry.
        ids: normalised advertising ids.

    Raises:
        UnknownName: the entry is about other devices.
    """
    with parts.database.read() as session:
        salt = withdrawals.receipt_salt(session, parts.ring, ids)
    log = disclosure.shown_fields(parts.database, parts.publisher, index, [_HOLDER])
    checked = disclosure.check(json.dumps(log).encode(), parts.publisher.vkey)
    if checked.fields[0].value != withdrawals.commitment_of(salt, ids):
        raise UnknownName(
            "That erasure is about other devices.", "Give exactly the list of ids that it was asked for with."
        )
    receipt = {
        "format": FORMAT,
        "says": SAYS[checked.entry["kind"]],
        "outside": list(OUTSIDE),
        "salt": salt.hex(),
        "log": log,
    }
    return json.dumps(receipt, indent=2, ensure_ascii=False).encode() + b"\n"


def of_erasure(parts: Parts, number: int, ids: Sequence[str]) -> bytes:
    """Return the receipt of an erasure.

    Raises:
        UnknownName: there is none of that number, it waits for something, or it is about other devices.
    """
    with parts.database.read() as session:
        row = session.scalars(select(Erasure).where(Erasure.id == number)).one_or_none()
    if row is None or not row.holder:
        raise UnknownName(
            "There is no erasure of that number with a receipt.", "`subject erase` says its number."
        )
    if row.log_index is None:
        raise UnknownName(
            f"The rows are out of use, and not proven gone yet: that waits for "
            f"{erasing.waits_for(parts, number)}.",
            "Run the command again later: each command goes on with it.",
        )
    return written(parts, row.log_index, ids)


def check(
    receipt: bytes, vkey: str, changes: Sequence[Rekeyed] = (), *, ids: Sequence[str] | None = None
) -> Checked:
    """Check a receipt; neither the log nor a deployment is needed.

    Args:
        receipt: its bytes, from anybody.
        vkey: the log's verifier key, from another source than the receipt.
        changes: how the log's key was replaced; see `trustlog.receipts.verify_proof`.
        ids: normalised advertising ids that it should be about.

    Raises:
        UnreadableFile: it is no receipt.
        IntegrityError: the entry is not in the log under this key, or the receipt says something else.
        UsageError: the verifier key is malformed.
    """
    found = _parse(receipt)
    shown = disclosure.check(json.dumps(found["log"]).encode(), vkey, changes)
    kind = str(shown.entry.get("kind"))
    holders = [field.value for field in shown.fields if field.name == _HOLDER]
    if kind not in SAYS or len(holders) != 1 or found.get("says") != SAYS[kind]:
        raise IntegrityError(
            "The receipt says something else than the entry of the log that it proves.",
            "Do not rely on it; ask the custodian for it again.",
        )
    about = (
        None if ids is None else withdrawals.commitment_of(bytes.fromhex(found["salt"]), ids) == holders[0]
    )
    return Checked(kind, int(shown.entry["time"]), shown.proven, about)


def _parse(receipt: bytes) -> dict[str, Any]:
    try:
        found = json.loads(receipt) if len(receipt) <= disclosure.LONGEST else {}
        good = found["format"] == FORMAT and isinstance(found["log"], dict)
        bytes.fromhex(found["salt"])
    except (ValueError, KeyError, TypeError, RecursionError):
        good = False
    if not good:
        raise UnreadableFile(
            "This is no receipt of a holder's request.", "Name the file that `passersby subject` wrote."
        )
    return dict(found)
