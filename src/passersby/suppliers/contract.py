"""A supplier's contract: what is delivered, on which legal basis, and how long it may be kept.

Controls A2, A3, A5, B4 and E1. A contract is written by hand as TOML (`templates.contract`), and
stored as the same fields in JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from passersby.config import Config
from passersby.errors import UsageError
from passersby.model import banned
from passersby.model.period import day_name, parse_offset
from passersby.model.purposes import BROADER, is_prohibited
from passersby.model.record import NAME, SHA256, Fields

BASES = (
    "consent",
    "contract",
    "legitimate-interest",
    "public-task",
    "legal-obligation",
    "synthetic-or-test-data",
)
"""Legal bases (GDPR article 6), and data that is about nobody or was published for tests."""

METHODS = ("sdk", "os-aggregate", "survey", "panel", "vehicle", "published-dataset", "synthetic")
"""How positions were collected."""

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_COUNTRY = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
_DEFAULTS = Config()
_LONGEST_DAYS = 730


@dataclass(frozen=True)
class Contract:
    """One supplier's contract.

    Args:
        id: short name of the supplier.
        name: its full name.
        schema: name of a built-in schema, or path of a schema file.
        collection_method: one of `METHODS`.
        basis: one of `BASES`; with `consent`, every row needs a consent record.
        dates_from: first local day (since 1970-01-01) that is accepted.
        dates_to: last local day that is accepted.
        purposes: what the notice to the people named, as terms of `model.purposes`.
        notice_version: version of that notice; "" for synthetic or test data.
        notice_sha256: hash of its text, in hexadecimal; "" for synthetic or test data.
        notice_language: its language (BCP 47); "" for synthetic or test data.
        raw_days: days after delivery when raw pings are deleted.
        derived_days: days after delivery when unit-level derived rows are deleted.
        jurisdiction: country of the supplier (ISO 3166).
        original_source: who collected the positions first.
        upstream: everyone they passed through on the way to the supplier, in order.
        naive_offset: seconds east of UTC of times without an offset.
        expected_devices: public size of the panel, None where it is not published.
    """

    id: str
    name: str
    schema: str
    collection_method: str
    basis: str
    dates_from: int
    dates_to: int
    purposes: tuple[str, ...]
    notice_version: str
    notice_sha256: str
    notice_language: str
    raw_days: int
    derived_days: int
    jurisdiction: str
    original_source: str
    upstream: tuple[str, ...] = ()
    naive_offset: int = 0
    expected_devices: int | None = None

    @property
    def synthetic(self) -> bool:
        """Whether the data is about nobody, or was published for tests.

        Generated data may name any basis: so is a path that needs consent tried out.
        """
        return self.basis == "synthetic-or-test-data" or self.collection_method == "synthetic"

    @property
    def needs_consent(self) -> bool:
        """Whether a row without a consent record is rejected."""
        return self.basis == "consent"

    def to_record(self) -> dict[str, Any]:
        """Return the JSON object that is signed and stored; `from_record` reads it."""
        record: dict[str, Any] = {name: value for name, value in vars(self).items() if value is not None}
        record["dates_from"], record["dates_to"] = day_name(self.dates_from), day_name(self.dates_to)
        record["purposes"], record["upstream"] = list(self.purposes), list(self.upstream)
        record["utc_offset"] = _offset_text(record.pop("naive_offset"))
        return record


def parse(text: str, *, config: Config = _DEFAULTS) -> Contract:
    """Return the contract of a TOML document.

    Args:
        text: the document.
        config: settings of the deployment; its retention is the longest that a contract may name.

    Raises:
        BadRecord: a field is missing, not filled in, unknown or not valid; the message names it.
        Refusal: it is about positions that are never taken (bidstream, cell-towers).
    """
    return _read(Fields.from_toml(text, "Supplier contract"), config.raw_days, config.derived_days)


def from_record(record: Mapping[str, Any], *, config: Config | None = None) -> Contract:
    """Return the contract of a stored JSON object; without `config`, retention is not compared again.

    Raises:
        BadRecord, Refusal: see `parse`.
    """
    limits = (config.raw_days, config.derived_days) if config else (_LONGEST_DAYS, _LONGEST_DAYS)
    return _read(Fields(record, "Supplier contract"), *limits)


def _read(fields: Fields, raw_limit: int, derived_limit: int) -> Contract:
    source, upstream = fields.text("original_source"), fields.texts("upstream", default=())
    method, basis = _method(fields, (source, *upstream)), fields.text("basis", choices=BASES)
    notice = _notice(fields, needed=basis != "synthetic-or-test-data")
    contract = Contract(
        id=fields.text("id", pattern=NAME),
        name=fields.text("name"),
        schema=fields.text("schema"),
        collection_method=method,
        basis=basis,
        dates_from=fields.day("dates_from"),
        dates_to=fields.day("dates_to"),
        purposes=_purposes(fields),
        notice_version=notice[0],
        notice_sha256=notice[1],
        notice_language=notice[2],
        raw_days=_days(fields, "raw_days", raw_limit),
        derived_days=_days(fields, "derived_days", derived_limit),
        jurisdiction=fields.text("jurisdiction", pattern=_COUNTRY),
        original_source=source,
        upstream=upstream,
        naive_offset=_offset(fields),
        expected_devices=fields.whole("expected_devices", 0, 10**10, default=0) or None,
    )
    fields.done()
    if contract.dates_to < contract.dates_from:
        raise fields.error("dates_to", "is earlier than `dates_from`")
    return contract


def _method(fields: Fields, sources: tuple[str, ...]) -> str:
    """Refuse bidstream and cell-tower data first, wherever the contract says it."""
    for word in (fields.peek("collection_method"), *sources):
        if code := banned.named_in(word if isinstance(word, str) else ""):
            raise banned.refusal(code)
    return fields.text("collection_method", choices=METHODS)


def _notice(fields: Fields, *, needed: bool) -> tuple[str, str, str]:
    default = None if needed else ""
    return (
        fields.text("notice_version", default=default),
        fields.text("notice_sha256", default=default, pattern=SHA256),
        fields.text("notice_language", default=default, pattern=_LANGUAGE),
    )


def _purposes(fields: Fields) -> tuple[str, ...]:
    purposes = fields.texts("purposes")
    if not BROADER.keys() >= set(purposes):
        raise fields.error("purposes", "names something that is no purpose of the vocabulary (DPV 2.2)")
    if any(is_prohibited(purpose) for purpose in purposes):
        raise fields.error("purposes", "names a purpose that is prohibited in every deployment")
    return tuple(sorted(purposes))


def _days(fields: Fields, name: str, limit: int) -> int:
    value = fields.peek(name)
    if isinstance(value, str) and value:
        raise fields.error(name, "must be a number of days: data cannot be kept indefinitely")
    return fields.whole(name, 1, limit)


def _offset(fields: Fields) -> int:
    try:
        return parse_offset(fields.text("utc_offset", default="+00:00"))
    except UsageError:
        raise fields.error("utc_offset", "must be an offset such as +02:00") from None


def _offset_text(seconds: int) -> str:
    sign, minutes = "-" if seconds < 0 else "+", abs(seconds) // 60
    return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"
