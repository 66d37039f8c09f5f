"""Verifies an order's document whole, before anybody is asked and before anything is looked up.

    1 read        a signed PDF or signed JSON, told apart by content; anything else is paper to us
    2 contents    kind, devices, scope, window, validity (`order.parse`)
    3 authority   the court that it names acts here and now, in its own jurisdiction
    4 signatures  every one, against that court's root and the registered clocks

The same steps run again when the order is carried out: nothing of an order is taken from the database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from asn1crypto import crl
from sqlalchemy.orm import Session

from passersby.disclosure import authorities
from passersby.disclosure.authorities import COURT, TIMESTAMP, Authority, PublishedLog
from passersby.disclosure.chains import Trust
from passersby.disclosure.jose import JoseDocument
from passersby.disclosure.mark import accepting
from passersby.disclosure.order import LONGEST, Limits, Order, parse
from passersby.disclosure.pades import PadesDocument
from passersby.errors import PassersbyError, UnreadableFile
from passersby.policy.refusals import refusal

PDF, JSON_FORM = "pdf", "json"

T = TypeVar("T")


@dataclass(frozen=True)
class Verified:
    """An order that passed all steps.

    Args:
        order: what it says.
        court: who issued it.
        form: `PDF` or `JSON_FORM`.
        sha256: of the document's bytes.
        payload_sha256: of the JSON within it.
        signers: common names of who signed.
    """

    order: Order
    court: Authority
    form: str
    sha256: str
    payload_sha256: str
    signers: tuple[str, ...]


def verify(
    document: bytes,
    session: Session,
    log: PublishedLog,
    limits: Limits,
    lists: Sequence[crl.CertificateList] = (),
    *,
    now: int,
) -> Verified:
    """Return an order from its document once it passed the four steps.

    Args:
        document: the bytes that were handed in.
        session: a read of the control database.
        log: the published log, in which authorities must stand.
        limits: most that an order may ask for here.
        lists: newer lists of revoked certificates.
        now: epoch s.

    Raises:
        Refusal: with the code of the first thing that is wrong.
        IntegrityError: the registry of authorities was tampered with.
    """
    # 1 read
    found = read(document)
    # 2 contents
    order = parse(found.signed.payload, limits, now=now)
    # 3 authority
    courts = authorities.acting(session, log, use=COURT, now=now, name=order.court)
    clocks = authorities.acting(session, log, use=TIMESTAMP, now=now)
    if not courts or courts[0].jurisdiction != order.jurisdiction:
        raise refusal("InvalidIssuingAuthority")
    # 4 signatures
    trust = Trust([courts[0].root()], [clock.root() for clock in clocks], lists, now)
    with accepting(marked=authorities.made_as_demo(session)):
        _foreign(lambda: found.verify(trust), "SignatureInvalid")
    return Verified(
        order,
        courts[0],
        PDF if isinstance(found, PadesDocument) else JSON_FORM,
        hashlib.sha256(document).hexdigest(),
        hashlib.sha256(found.signed.payload).hexdigest(),
        tuple(each.subject.human_friendly for each in found.signed.signers),
    )


def read(document: bytes) -> PadesDocument | JoseDocument:
    """Return a signed document by its content; nothing but its own consistency is checked.

    Raises:
        Refusal: NotMachineVerifiable, SignatureInvalid or Incomplete.
    """
    kind = PadesDocument if document[:1024].lstrip().startswith(b"%PDF-") else JoseDocument
    if len(document) > LONGEST:
        raise refusal("NotMachineVerifiable")
    return _foreign(lambda: kind(document), "NotMachineVerifiable")


def revocation_list(data: bytes) -> crl.CertificateList:
    """Return a list of revoked certificates (DER).

    Raises:
        UnreadableFile: it is none.
    """
    try:
        found = crl.CertificateList.load(data, strict=True)
        found.native  # noqa: B018 (reads all of it: damage shows now)
    except (ValueError, TypeError):
        raise UnreadableFile(
            "The list of revoked certificates cannot be read.", "Name a CRL in its binary form (DER)."
        ) from None
    return found


def _foreign(step: Callable[[], T], code: str) -> T:
    """Run a step of parsers that were not written for hostile bytes: whatever they raise is a refusal."""
    try:
        return step()
    except PassersbyError:
        raise
    except Exception:  # noqa: BLE001 (the parsers' own errors have no common base, and some are plain bugs)
        raise refusal(code) from None
