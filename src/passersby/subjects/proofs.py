"""Proofs that a request comes from a device's holder, signed by a supplier's app or on the device.

A *proof* is a JSON object with the fields of `FIELDS` and a signature over them. Two kinds of keys make one:

- the key of a supplier's app: its owner says that whoever uses the app on this device asks. It opens
  this supplier's part only. Two people enrol it (`subject.enrol-app`);
- the key of one device, made on it and enrolled with the consent, in a list that the app's key signed. It
  opens that supplier's part as well, and is the only one that opens copies of pings.

A proof is for one deployment and one thing, is a day old at most, and works once. Whatever is wrong with it,
the refusal is the same: it does not tell whether a device is known.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pyrage
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.errors import Refusal, UnreadableFile, UsageError
from passersby.keys.ring import KeyRing
from passersby.keys.signed import digest, statement
from passersby.model.period import DAY
from passersby.notices import queue
from passersby.policy.refusals import refusal
from passersby.store.subject_tables import ProofKey, SubjectRequest
from passersby.store.tables import Supplier
from passersby.subjects.parts import normal_ids
from passersby.trustlog.entries import JSON, append

FORMAT = "passersby-holder-proof-v1"

SHOW, RECIPIENTS, COPY, STOP, NOTICES, ENROL = "show", "recipients", "copy", "stop", "notices", "enrol"
WHAT = (SHOW, RECIPIENTS, COPY, STOP, NOTICES, ENROL)
"""What can be asked for; `enrol` hands over the keys of devices."""

APP, DEVICE = "app", "device-key"
"""Who signed."""

FIELDS: Mapping[str, type] = MappingProxyType(
    {
        "format": str,
        "deployment": str,  # the log's origin
        "what": str,
        "supplier": str,
        "signer": str,  # app | device-key
        "devices": list,  # one advertising id; of `enrol`, many
        "keys": list,  # of `enrol`: their public keys, Ed25519 in hexadecimal
        "recipient": str,  # of `copy`: age public key, else empty
        "made": int,  # epoch s
        "nonce": str,
    }
)
"""Field of a proof -> its type."""

LONGEST = 1 << 26
"""Most bytes of a proof; one that enrols 500,000 devices is shorter."""

_FRESH_S = DAY
_PURPOSE = "holder's proof"
_KEY = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Proven:
    """A proof that holds.

    Args:
        what: what is asked for.
        supplier: number of the supplier whose part it opens.
        signer: `APP` or `DEVICE`.
        devices: normalised ids; one of them but for `enrol`.
        keys: of `enrol`, one for each device.
        recipient: of `copy`.
        made: when it was signed, epoch s.
        sha256: of the proof, by which it works once.
    """

    what: str
    supplier: int
    signer: str
    devices: tuple[str, ...]
    keys: tuple[str, ...]
    recipient: str
    made: int
    sha256: str


@dataclass(frozen=True)
class Claim:
    """What a proof is made of.

    Args:
        what: one of `WHAT`.
        devices: advertising ids: one, or of `enrol` one for each of `keys`.
        deployment: origin of the deployment's log.
        supplier: id of the supplier whose app it is.
        signer: `APP` or `DEVICE`.
        keys: of `enrol`, the devices' public keys, in the same order.
        recipient: of `copy`, the age public key that the pings are sealed to.
    """

    what: str
    devices: Sequence[str]
    deployment: str
    supplier: str
    signer: str
    keys: Sequence[str] = ()
    recipient: str = ""


def make(claim: Claim, key: Ed25519PrivateKey, *, now: int) -> bytes:
    """Return a signed proof: what an app, or a phone, does. Needs no deployment.

    Args:
        claim: what it says.
        key: the private key of the app or the device.
        now: epoch s.

    Raises:
        UsageError: ids or keys are none, their numbers do not fit, or a copy names no key to seal it to.
    """
    names = [normal_ids([each])[0] for each in claim.devices]
    if claim.what == ENROL:
        fits = 0 < len(names) == len(claim.keys) and all(_KEY.fullmatch(each) for each in claim.keys)
    else:
        fits = len(names) == 1 and not claim.keys
    if not fits or (claim.what == COPY and not is_recipient(claim.recipient)):
        raise UsageError(
            "A proof is about one device; one that enrols keys has one for each; one for a copy names a key.",
            "Give one id; or lines of an id, a comma and 64 hexadecimal digits; or an age key (age1...).",
        )
    body: dict[str, Any] = {
        "format": FORMAT,
        **vars(claim),
        "devices": names,
        "keys": list(claim.keys),
        "made": now,
        "nonce": secrets.token_hex(16),
    }
    signature = key.sign(statement(digest(body), _PURPOSE)).hex()
    return json.dumps({**body, "signature": signature}, indent=2).encode() + b"\n"


def is_recipient(text: str) -> bool:
    """Tell whether a text is an age public key."""
    try:
        pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        return False
    return True


def check(
    session: Session, ring: KeyRing, document: bytes, *, deployment: str, what: Sequence[str], now: int
) -> Proven:
    """Return what a proof says, once its signature, its freshness and its one use were checked.

    Args:
        session: a session that may write.
        ring: the deployment's keys.
        document: the proof, from anybody.
        deployment: origin of the deployment's log.
        what: what it may ask for.
        now: epoch s.

    Raises:
        UnreadableFile: it is no proof.
        Refusal: proof-invalid.
    """
    body, signature = _parsed(document)
    sealed = body["what"] != COPY or is_recipient(body["recipient"])
    if body["deployment"] != deployment or body["what"] not in what or not sealed:
        raise refusal("proof-invalid")
    if not now - _FRESH_S < body["made"] <= now + 300:
        raise refusal("proof-invalid")
    supplier = session.scalar(select(Supplier.number).where(Supplier.id == body["supplier"]))
    try:
        names = tuple(normal_ids([each])[0] for each in body["devices"])
    except UsageError:
        raise refusal("proof-invalid") from None
    sha256 = hashlib.sha256(rfc8785.dumps(body)).hexdigest()
    used = session.scalars(select(SubjectRequest).where(SubjectRequest.proof == sha256)).first()
    if supplier is None or used is not None or not names or (body["what"] != ENROL and len(names) != 1):
        raise refusal("proof-invalid")
    holder = b"" if body["signer"] == APP else queue.holder(session, ring, names[0])
    _verify(session, supplier, holder, body, signature)
    return Proven(
        body["what"],
        supplier,
        body["signer"],
        names,
        tuple(body["keys"]),
        body["recipient"],
        body["made"],
        sha256,
    )


def enrol_app(session: Session, supplier: str, public_key: str, *, by: str, now: int) -> None:
    """Put the key of a supplier's app in force, in place of the one before. Two people decided it.

    Raises:
        UsageError: it is no key, or there is no such supplier.
    """
    number = require_app_key(session, supplier, public_key)
    mine = select(ProofKey).where(ProofKey.supplier == number, ProofKey.holder == b"")
    row = session.scalars(mine).one_or_none()
    if row is None:
        session.add(ProofKey(supplier=number, holder=b"", public_key=public_key, created=now))
    else:
        row.public_key, row.created = public_key, now
    session.flush()
    append(session, "subject.enrolled", {"supplier": supplier, "by": by}, {"app": True}, now=now)


def require_app_key(session: Session, supplier: str, public_key: str) -> int:
    """Return the number of a supplier whose app's key could be enrolled.

    Raises:
        UsageError: it is no key, or there is no such supplier.
    """
    number = session.scalar(select(Supplier.number).where(Supplier.id == supplier))
    if number is None or not _KEY.fullmatch(public_key):
        raise UsageError(
            "There is no such supplier, or the key is not an Ed25519 key of 64 hexadecimal digits.",
            "`passersby supplier list` shows the suppliers.",
        )
    return number


def enrol_devices(
    session: Session, ring: KeyRing, supplier: int, pairs: Sequence[tuple[str, str]], *, by: str, now: int
) -> int:
    """Enrol the keys of devices that consented in a supplier's app; return how many are new.

    A device's key is never replaced: who took a phone over, or the app's owner, cannot put their own in its
    place.

    Args:
        session: a session that may write.
        ring: the deployment's keys.
        supplier: number of the supplier.
        pairs: normalised ids and public keys.
        by: who hands them over.
        now: epoch s.
    """
    known = set(session.scalars(select(ProofKey.holder).where(ProofKey.supplier == supplier)))
    fresh = {queue.holder(session, ring, name): key for name, key in reversed(pairs)}
    fresh = {holder: key for holder, key in fresh.items() if holder not in known}
    session.add_all(
        ProofKey(supplier=supplier, holder=holder, public_key=key, created=now)
        for holder, key in fresh.items()
    )
    session.flush()
    name = session.get_one(Supplier, supplier).id
    private: dict[str, JSON] = {"app": False, "devices": len(fresh)}
    append(session, "subject.enrolled", {"supplier": name, "by": by}, private, now=now)
    return len(fresh)


def _verify(session: Session, supplier: int, holder: bytes, body: Mapping[str, Any], signature: str) -> None:
    """Do nothing if the key on record signed.

    Raises:
        Refusal: proof-invalid.
    """
    mine = select(ProofKey.public_key).where(ProofKey.supplier == supplier, ProofKey.holder == holder)
    known = session.scalar(mine)
    try:
        if known is None:
            raise refusal("proof-invalid")
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(known))
        key.verify(bytes.fromhex(signature), statement(digest(body), _PURPOSE))
    except (InvalidSignature, ValueError, Refusal):
        raise refusal("proof-invalid") from None


def _parsed(document: bytes) -> tuple[dict[str, Any], str]:
    """Return the fields of a proof and its signature.

    Raises:
        UnreadableFile: it is no proof.
    """
    try:
        whole: dict[str, Any] = json.loads(document) if len(document) <= LONGEST else {}
        body = {name: whole[name] for name in FIELDS}
        good = set(whole) == {*FIELDS, "signature"} and isinstance(whole["signature"], str)
        good &= all(type(body[name]) is kind for name, kind in FIELDS.items())
        good &= all(isinstance(each, str) for each in (*body["devices"], *body["keys"]))
        good &= body["format"] == FORMAT and body["what"] in WHAT and body["signer"] in {APP, DEVICE}
        good &= all(_KEY.fullmatch(each) for each in body["keys"])
        good &= len(body["keys"]) == (len(body["devices"]) if body["what"] == ENROL else 0)
        rfc8785.dumps(body)
    except (ValueError, KeyError, TypeError, RecursionError):
        good = False
    if not good:
        raise UnreadableFile(
            "This is no proof of a holder.",
            "Name the file that the supplier's app, or the phone, has signed.",
        )
    return body, whole["signature"]
