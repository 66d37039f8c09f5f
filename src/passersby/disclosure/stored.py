"""Orders as the database keeps them: encrypted, and read from their document, never from columns."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence

from asn1crypto import crl
from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.disclosure import documents
from passersby.disclosure.order import Order, decoded
from passersby.disclosure.order import read as read_order
from passersby.disclosure.parts import envelope
from passersby.errors import IntegrityError, UnknownName
from passersby.keys.ring import KeyRing
from passersby.store.order_tables import CourtOrder


def wrapped(
    session: Session, ring: KeyRing, document: bytes, lists: Sequence[crl.CertificateList]
) -> tuple[bytes, bytes]:
    """Return a document and the lists that came with it as they are stored."""
    seal, sha256 = envelope(session, ring), hashlib.sha256(document).hexdigest()
    text = json.dumps([base64.b64encode(each.dump()).decode() for each in lists])
    return seal.wrap(document, f"order:{sha256}"), seal.wrap(text.encode(), f"lists:{sha256}")


def get(session: Session, number: int, *, lock: bool = False) -> CourtOrder:
    """Return one order's row; `lock` it for a transaction that writes.

    Raises:
        UnknownName: there is none of that number.
    """
    query = select(CourtOrder).where(CourtOrder.id == number)
    row = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise UnknownName("There is no order of that number.", "`passersby order list` shows all of them.")
    return row


def document_of(session: Session, ring: KeyRing, row: CourtOrder) -> bytes:
    """Return an order's document.

    Raises:
        IntegrityError: it is not the one that was verified.
    """
    found = envelope(session, ring).unwrap(row.document, f"order:{row.sha256}")
    if hashlib.sha256(found).hexdigest() != row.sha256:
        raise IntegrityError(
            "A stored order is not the document that was verified.",
            "Compare with the log: `passersby log verify`; submit the court's document again elsewhere.",
        )
    return found


def lists_of(session: Session, ring: KeyRing, row: CourtOrder) -> list[crl.CertificateList]:
    """Return the lists of revoked certificates that came with an order."""
    text = envelope(session, ring).unwrap(row.lists, f"lists:{row.sha256}")
    return [documents.revocation_list(base64.b64decode(each)) for each in json.loads(text)]


def open_order(session: Session, ring: KeyRing, row: CourtOrder) -> Order:
    """Return what an order says, from its document."""
    return read_order(decoded(payload_of(session, ring, row)))


def payload_of(session: Session, ring: KeyRing, row: CourtOrder) -> bytes:
    """Return an order's JSON, from its document."""
    return documents.read(document_of(session, ring, row)).signed.payload
