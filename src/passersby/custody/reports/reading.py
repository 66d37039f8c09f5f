"""Reads the public fields of a published log, entry by entry, while the log is verified.

Nothing else goes into a report that an outsider is to make again: no database, no hidden field, no clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from passersby.errors import IntegrityError, UsageError
from passersby.model.period import DAY, day_name, parse_day
from passersby.trustlog.entries import COMMITMENTS
from passersby.trustlog.sources import Source
from passersby.trustlog.verify import Report as LogReport
from passersby.trustlog.verify import verify_source

_LATEST = 1 << 36
"""An instant (epoch s) that no entry reaches: some two thousand years ahead."""


@dataclass(frozen=True)
class Entry:
    """What anybody may read of one entry of a log.

    Args:
        index: its place in the log.
        kind: one of `trustlog.kinds.KINDS`, or one that this version does not know.
        time: epoch s.
        fields: its public fields.
    """

    index: int
    kind: str
    time: int
    fields: Mapping[str, Any]

    def text(self, name: str) -> str:
        """Return a text, "" where an older entry does not have it."""
        found: str = self._of(name, str, "")
        return found

    def whole(self, name: str) -> int:
        """Return a whole number that is not negative, 0 where it is not there."""
        found: int = self._of(name, int, 0)
        if found < 0:
            raise _strange(self.index)
        return found

    def flag(self, name: str) -> bool | None:
        """Return true or false, None where an older entry does not have it."""
        return None if self.fields.get(name) is None else self._of(name, bool, default=False)

    def texts(self, name: str) -> list[str]:
        """Return a list of texts, empty where it is not there."""
        found: list[str] = self._of(name, list, [])
        if not all(isinstance(value, str) for value in found):
            raise _strange(self.index)
        return found

    def _of(self, name: str, kind: type[Any], default: Any) -> Any:  # noqa: ANN401 (the caller names the type)
        value = self.fields.get(name)
        if value is None:
            return default
        if type(value) is not kind:
            raise _strange(self.index)
        return value


@dataclass(frozen=True)
class Days:
    """The days of a report, first and last included. They are days of UTC: a log does not tell an offset."""

    first: int
    last: int

    @classmethod
    def parse(cls, first: str, last: str) -> Days:
        """Return the days from `first` to `last`, both as 2026-05-12.

        Raises:
            UsageError: one is no date, or the last is before the first.
        """
        days = cls(parse_day(first), parse_day(last))
        if days.last < days.first:
            raise UsageError("The last day is before the first.", "Give --from and --to the other way round.")
        return days

    @property
    def end(self) -> int:
        """First instant (epoch s) after the last day."""
        return (self.last + 1) * DAY

    @property
    def text(self) -> str:
        """The days for people."""
        return f"{day_name(self.first)} to {day_name(self.last)} (UTC)"

    def hold(self, instant: int) -> bool:
        """Tell whether an instant (epoch s) lies in these days."""
        return self.first * DAY <= instant < self.end

    def to_json(self) -> dict[str, str]:
        """Return them as a JSON object."""
        return {"from": day_name(self.first), "to": day_name(self.last)}


def read(source: Source, vkey: str, *visitors: Callable[[Entry], None]) -> LogReport:
    """Verify a published log, whole, and show each entry to the visitors, in order.

    Args:
        source: the log, from anybody.
        vkey: its verifier key, from another source than the log.
        visitors: called once for each entry; what they saw counts only once this returns.

    Raises:
        IntegrityError: something does not fit, or an entry has not the form of this product's entries.
        OperationError: the log cannot be read.
        UsageError: the verifier key is malformed.
    """

    def visit(index: int, body: bytes) -> None:
        entry = parse(index, body)
        for each in visitors:
            each(entry)

    return verify_source(source, vkey, visit=visit)


def head(log: LogReport) -> dict[str, Any]:
    """Return as a JSON object which log a report was made from, and how much of it."""
    return {"origin": log.origin, "size": log.size, "root": log.root}


def parse(index: int, body: bytes) -> Entry:
    """Return an entry's public fields.

    Raises:
        IntegrityError: it has not the form of an entry.
    """
    try:
        fields = json.loads(body)
        kind, time = fields.pop("kind"), fields.pop("time")
        fields.pop(COMMITMENTS, None)
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        raise _strange(index) from None
    if not isinstance(kind, str) or type(time) is not int or not 0 <= time < _LATEST:
        raise _strange(index)
    return Entry(index, kind, time, fields)


def _strange(index: int) -> IntegrityError:
    return IntegrityError(
        f"Entry {index} of the log does not have the form of an entry.",
        "Do not rely on a report from this log; ask its operator which program wrote it.",
    )
