"""The assessment of a supplier: made at the start, then at least once a year (controls B1, B2, B5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from passersby.model.period import DAY, day_name
from passersby.model.record import NAME, SHA256, Fields

RESULTS = ("pass", "conditional", "fail", "ambiguous")
"""`fail` and `ambiguous` suspend the supplier: an answer that can be read two ways is no answer."""

GOOD = frozenset({"pass", "conditional"})

_WHAT = "Supplier assessment"
_LONGEST_DAYS = 366


@dataclass(frozen=True)
class Assessment:
    """What was looked at, by whom, with which result.

    Args:
        supplier: id of the supplier.
        ownership: who owns and controls it.
        assessed_at: local day of the assessment, since 1970-01-01.
        next_due: local day from which it counts as overdue, at most a year later.
        assessor: the person or firm that assessed.
        consent_sample: references of the consent artefacts that were checked.
        evidence_sha256: hash of the archived evidence, in hexadecimal.
        result: one of `RESULTS`.
        conditions: what must change; needed with `conditional`.
    """

    supplier: str
    ownership: str
    assessed_at: int
    next_due: int
    assessor: str
    consent_sample: tuple[str, ...]
    evidence_sha256: str
    result: str
    conditions: str = ""

    @property
    def good(self) -> bool:
        """Whether data may be taken on it."""
        return self.result in GOOD

    @property
    def due(self) -> int:
        """Instant (epoch s) from which it is overdue: midnight UTC at the start of `next_due`."""
        return self.next_due * DAY

    def to_record(self) -> dict[str, Any]:
        """Return the JSON object that is signed and stored; `from_record` reads it."""
        record = dict(vars(self))
        record["assessed_at"], record["next_due"] = day_name(self.assessed_at), day_name(self.next_due)
        record["consent_sample"] = list(self.consent_sample)
        return record


def parse(text: str) -> Assessment:
    """Return the assessment of a TOML document.

    Raises:
        BadRecord: a field is missing, not filled in, unknown or not valid; the message names it.
    """
    return _read(Fields.from_toml(text, _WHAT))


def from_record(record: Mapping[str, Any]) -> Assessment:
    """Return the assessment of a stored JSON object.

    Raises:
        BadRecord: see `parse`.
    """
    return _read(Fields(record, _WHAT))


def _read(fields: Fields) -> Assessment:
    assessment = Assessment(
        supplier=fields.text("supplier", pattern=NAME),
        ownership=fields.text("ownership"),
        assessed_at=fields.day("assessed_at"),
        next_due=fields.day("next_due"),
        assessor=fields.text("assessor"),
        consent_sample=fields.texts("consent_sample", default=()),
        evidence_sha256=fields.text("evidence_sha256", pattern=SHA256),
        result=fields.text("result", choices=RESULTS),
        conditions=fields.text("conditions", default=""),
    )
    fields.done()
    if not 0 < assessment.next_due - assessment.assessed_at <= _LONGEST_DAYS:
        raise fields.error("next_due", "must be later than `assessed_at`, by a year at most")
    if assessment.result == "conditional" and not assessment.conditions:
        raise fields.error("conditions", "is not filled in: a conditional result needs them")
    return assessment
