"""What an order says: its JSON, with the field names of ETSI TS 103 120, and whether it may be asked.

    1 form       one JSON object of this schema, every field there, none unknown
    2 kind       judicial
    3 devices    named by raw advertising ids; a search for devices is refused as such
    4 scope      not more devices and days than the deployment allows
    5 window     dated, and over
    6 validity   the order is in force

The first thing that is wrong is the one that is said.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import polars as pl
import pyrage
import rfc8785
import shapely

from passersby.errors import BadRecord
from passersby.model.period import DAY, Span, instant_text
from passersby.model.record import NAME, Fields
from passersby.policy.refusals import refusal
from passersby.sources.ids import OK, normalised

SCHEMA = "passersby-order/1"
JUDICIAL = "judicial"
HISTORY = "LocationHistory"
ADVERTISING_ID = {"FormatOwner": "passersby", "FormatName": "AdvertisingId"}

REVERSE_TYPES = ("AreaSearch", "Geofence", "TowerDump", "CoLocation", "KeywordSearch", "DeviceSearch")
"""Types of request that look for devices instead of naming them."""

LIVE_TYPES = ("LiveLocation", "LocationTracking")

LONGEST = 1 << 20
"""Most bytes of an order's JSON, and of its document."""

_MOST_CORNERS = 10_000
_SHORTEST_ID = 8
_WHAT = "Order"


@dataclass(frozen=True)
class Limits:
    """Most that one order may ask for, and whom it must be addressed to.

    Args:
        devices: number of devices.
        days: length of the window, days.
        addressee: public name of the deployment.
    """

    devices: int
    days: int
    addressee: str


@dataclass(frozen=True)
class Order:
    """One order's contents. Instants are epoch s.

    Args:
        reference: the court's case reference.
        jurisdiction: where the court sits.
        court: the court's name in the registry.
        judge: name and role of who approved it.
        basis: its legal basis, in words.
        approved: when it was approved.
        valid: when it may be carried out.
        addressee: public name of the deployment that it is addressed to.
        devices: normalised advertising ids, in the order's own order, none twice.
        window: the span of time asked for.
        area: GeoJSON geometry that the pings must lie in; None: anywhere.
        recipient: the age key that the result is sealed to.
        delay_until: no notice to the holders before; None: at once.
    """

    reference: str
    jurisdiction: str
    court: str
    judge: tuple[str, str]
    basis: str
    approved: int
    valid: Span
    addressee: str
    devices: tuple[str, ...]
    window: Span
    area: Mapping[str, Any] | None
    recipient: str
    delay_until: int | None

    @property
    def reference_key(self) -> str:
        """The reference as it is compared: two orders that differ in case or blanks only are one."""
        return " ".join(self.reference.casefold().split())


def parse(payload: bytes, limits: Limits, *, now: int) -> Order:
    """Return an order from its JSON, once it passed the six steps.

    Raises:
        Refusal: NotMachineVerifiable, Incomplete, NotJudicial, ReverseSearchRefused, NoNamedDevice,
            ScopeTooBroad, WindowOpen or Expired.
    """
    values = decoded(payload)
    try:
        order = read(values)
    except BadRecord:
        raise refusal("Incomplete") from None
    if order.addressee != limits.addressee:
        raise refusal("Incomplete")
    if len(order.devices) > limits.devices or order.window.end - order.window.start > limits.days * DAY:
        raise refusal("ScopeTooBroad")
    if order.window.end > now:
        raise refusal("WindowOpen")
    if not order.valid.start <= now < order.valid.end:
        raise refusal("Expired")
    return order


def read(values: Mapping[str, Any]) -> Order:
    """Return an order from its parsed JSON, whatever its scope and dates.

    Raises:
        BadRecord: a field is missing, wrong or unknown; the message names it.
        Refusal: NotJudicial, ReverseSearchRefused, NoNamedDevice or WindowOpen.
    """
    fields = Fields(values, _WHAT)
    fields.text("schema", choices=(SCHEMA,))
    if fields.text("AuthorisationLegalType") != JUDICIAL:
        raise refusal("NotJudicial")
    task = fields.table("LDTask")
    request = task.table("RequestDetails")
    devices, area = _devices(request), _area(request)
    approval = fields.table("AuthorisationApprovalDetails")
    approver = approval.table("ApproverDetails")
    delivery = task.table("DeliveryDetails")
    timespan = fields.table("AuthorisationTimespan")
    order = Order(
        reference=_line(fields, "AuthorisationReference"),
        jurisdiction=_line(fields, "AuthorisationJurisdiction"),
        court=approver.text("ApproverIdentity", pattern=NAME),
        judge=(_line(approver, "ApproverName"), _line(approver, "ApproverRole")),
        basis=_line(approval, "ApprovalDescription"),
        approved=approval.instant("ApprovalTimestamp"),
        valid=_span(timespan),
        addressee=_line(fields, "AuthorisationCSPID"),
        devices=devices,
        window=_span(request),
        area=area,
        recipient=_recipient(delivery),
        delay_until=_delay(fields),
    )
    for each in (fields, task, request, approval, approver, delivery, timespan):
        each.done()
    return order


def written(order: Order) -> bytes:
    """Return the JSON of an order (RFC 8785), which `read` reads back as the same order."""
    details: dict[str, Any] = {
        "Type": HISTORY,
        **_times(order.window),
        "RequestValues": [{"FormatType": ADVERTISING_ID, "Value": each} for each in order.devices],
    }
    if order.area is not None:
        details["Area"] = order.area
    values: dict[str, Any] = {
        "schema": SCHEMA,
        "AuthorisationReference": order.reference,
        "AuthorisationLegalType": JUDICIAL,
        "AuthorisationJurisdiction": order.jurisdiction,
        "AuthorisationTimespan": _times(order.valid),
        "AuthorisationCSPID": order.addressee,
        "AuthorisationApprovalDetails": {
            "ApprovalDescription": order.basis,
            "ApprovalTimestamp": utc_text(order.approved),
            "ApproverDetails": {
                "ApproverIdentity": order.court,
                "ApproverName": order.judge[0],
                "ApproverRole": order.judge[1],
            },
        },
        "LDTask": {"RequestDetails": details, "DeliveryDetails": {"RecipientKey": order.recipient}},
    }
    if order.delay_until is not None:
        values["NoticeDelay"] = {"Until": utc_text(order.delay_until)}
    return rfc8785.dumps(values)


def utc_text(instant: int) -> str:
    """Return an instant as orders write it: ISO 8601 in UTC."""
    return instant_text(instant, 0).replace("+00:00", "Z")


def normal_ids(values: Iterable[str]) -> tuple[str, ...]:
    """Return advertising ids in normal form, none twice.

    Raises:
        Refusal: `NoNamedDevice`: one of them is no advertising id, or there is none.
    """
    given = list(values)
    if not given or any("*" in value or "%" in value or "?" in value for value in given):
        raise refusal("NoNamedDevice")
    found, flags = normalised(pl.Series("id", given, dtype=pl.String))
    ids = tuple(dict.fromkeys(found.to_list()))
    if (flags != OK).any() or any(len(each) < _SHORTEST_ID for each in ids):
        raise refusal("NoNamedDevice")
    return ids


def geometry(area: Mapping[str, Any]) -> Any:  # noqa: ANN401 (shapely ships no types)
    """Return the polygons of a GeoJSON geometry, degrees.

    Raises:
        ValueError: it is no valid polygon, is empty, too detailed, or lies outside the world.
    """
    if set(area) != {"type", "coordinates"}:
        raise ValueError("more than a geometry")
    try:
        shape = shapely.from_geojson(json.dumps(area, allow_nan=False))
    except (shapely.errors.GEOSException, TypeError):
        raise ValueError("no GeoJSON") from None
    if shape is None or shape.geom_type not in {"Polygon", "MultiPolygon"} or shape.is_empty:
        raise ValueError("no polygon")
    corners = shapely.get_coordinates(shape)
    inside = (abs(corners) <= (180, 90)).all() and all(map(math.isfinite, shape.bounds))
    if not shape.is_valid or not inside or len(corners) > _MOST_CORNERS:
        raise ValueError("no valid polygon")
    return shape


def decoded(payload: bytes) -> dict[str, Any]:
    """Return the one JSON object; a name that stands twice in it could be read in two ways.

    Raises:
        Refusal: NotMachineVerifiable.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name stands twice")
        return found

    def no_constant(_: str) -> NoReturn:
        raise ValueError("no JSON")

    if len(payload) > LONGEST:
        raise refusal("NotMachineVerifiable")
    try:
        values = json.loads(payload, object_pairs_hook=once, parse_constant=no_constant)
    except (ValueError, RecursionError):
        raise refusal("NotMachineVerifiable") from None
    if not isinstance(values, dict):
        raise refusal("NotMachineVerifiable")
    return values


def _devices(request: Fields) -> tuple[str, ...]:
    kind = request.text("Type")
    if kind in REVERSE_TYPES:
        raise refusal("ReverseSearchRefused")
    if kind in LIVE_TYPES:
        raise refusal("WindowOpen")
    if kind != HISTORY:
        raise request.error("Type", f"must be {HISTORY}")
    if not request.peek("RequestValues"):
        raise refusal("ReverseSearchRefused" if request.peek("Area") else "NoNamedDevice")
    given = []
    for each in request.tables("RequestValues"):
        form = each.table("FormatType")
        if (form.text("FormatOwner"), form.text("FormatName")) != tuple(ADVERTISING_ID.values()):
            raise refusal("NoNamedDevice")
        given.append(each.text("Value"))
        form.done()
        each.done()
    return normal_ids(given)


def _area(request: Fields) -> Mapping[str, Any] | None:
    area = request.peek("Area")
    if area is None:
        return None
    request.table("Area")
    try:
        geometry(area)
    except ValueError:
        raise request.error("Area", "must be one valid GeoJSON polygon or multipolygon") from None
    return dict(area)


def _recipient(delivery: Fields) -> str:
    key = delivery.text("RecipientKey")
    try:
        pyrage.x25519.Recipient.from_str(key)
    except pyrage.RecipientError:
        raise delivery.error("RecipientKey", "must be an age public key (age1...)") from None
    return key


def _delay(fields: Fields) -> int | None:
    if fields.peek("NoticeDelay") is None:
        return None
    delay = fields.table("NoticeDelay")
    until = delay.instant("Until")
    delay.done()
    return until


def _span(fields: Fields) -> Span:
    start, end = fields.instant("StartTime"), fields.instant("EndTime")
    if end <= start:
        raise fields.error("EndTime", "must be after `StartTime`")
    return Span(start, end)


def _line(fields: Fields, name: str) -> str:
    value = fields.text(name)
    if len(value) > 500 or any(not each.isprintable() for each in value):
        raise fields.error(name, "must be one line of at most 500 characters")
    return value


def _times(span: Span) -> dict[str, str]:
    return {"StartTime": utc_text(span.start), "EndTime": utc_text(span.end)}
