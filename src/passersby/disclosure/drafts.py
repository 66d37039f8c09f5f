"""Drafts of orders: from what a clerk wishes to a document that a court can sign."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from passersby.disclosure import page, testcourt
from passersby.disclosure.order import Order, decoded, geometry, normal_ids, read, written
from passersby.disclosure.testcourt import Court
from passersby.errors import BadRecord, UnreadableFile
from passersby.model.period import DAY, Span, parse_day, parse_offset, parse_span


@dataclass(frozen=True)
class Wish:
    """What an order is to say, as people write it. Days are ISO dates at `utc_offset`.

    Args:
        window: a day, a week, or a range of either.
        area: a GeoJSON file's bytes; None: anywhere.
        valid_until: last day on which it may be carried out.
        delay_until: day before which no notice goes out; "": at once.
    """

    court: str
    reference: str
    jurisdiction: str
    judge: str
    office: str
    basis: str
    addressee: str
    devices: Sequence[str]
    window: str
    area: bytes | None
    recipient: str
    valid_until: str
    delay_until: str
    utc_offset: str


@dataclass(frozen=True)
class Draft:
    """An unsigned document, and the SHA-256 of the JSON within it, which its page prints."""

    document: bytes
    payload_sha256: str


def draft(wish: Wish, *, as_pdf: bool, now: int) -> Draft:
    """Return the document of a wish.

    Raises:
        UsageError: a date or the offset is not valid.
        BadRecord: a field is not valid; the message names it.
        Refusal: it names no device.
    """
    offset = parse_offset(wish.utc_offset)
    until = (parse_day(wish.valid_until) + 1) * DAY - offset
    order = Order(
        reference=wish.reference,
        jurisdiction=wish.jurisdiction,
        court=wish.court,
        judge=(wish.judge, wish.office),
        basis=wish.basis,
        approved=now,
        valid=Span(now, until),
        addressee=wish.addressee,
        devices=normal_ids(wish.devices),
        window=parse_span(wish.window, offset),
        area=None if wish.area is None else _area(wish.area),
        recipient=wish.recipient,
        delay_until=parse_day(wish.delay_until) * DAY - offset if wish.delay_until else None,
    )
    payload = written(order)
    read(decoded(payload))
    document = page.document(payload) if as_pdf else payload
    return Draft(document, hashlib.sha256(payload).hexdigest())


def signed(document: bytes, court: Court, *, now: int) -> bytes:
    """Return a draft with a test court's signature.

    Raises:
        UnreadableFile: it is no draft.
    """
    try:
        if document.startswith(b"%PDF-"):
            return testcourt.sign_pdf(document, court, now=now)
        read(decoded(document))
    except Exception:  # noqa: BLE001 (a file that is no draft fails somewhere in the PDF library)
        raise UnreadableFile(
            "This is no draft of an order.", "Make one with `passersby order new`."
        ) from None
    return testcourt.sign_json(document, court, now=now)


def _area(data: bytes) -> Mapping[str, Any]:
    """Return the one geometry of a GeoJSON file: a geometry, a feature, or a collection of one feature."""
    try:
        value = json.loads(data)
        if value.get("type") == "FeatureCollection":
            (value,) = value["features"]
        value = value["geometry"] if value.get("type") == "Feature" else value
        area = {name: value[name] for name in ("type", "coordinates")}
        geometry(area)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadRecord(
            "The area is not one valid GeoJSON polygon.", "Name a file with one polygon or multipolygon."
        ) from None
    return area
