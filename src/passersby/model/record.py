"""Strict reading of records that people write by hand: each field by name and type, none unknown.

Errors name the record and the field, never the value: a record can name people.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import tomllib
from collections.abc import Collection, Mapping
from typing import Any

from passersby.errors import BadRecord

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
"""Identifiers that people choose: of suppliers, licences and persons."""

SHA256 = re.compile(r"[0-9a-f]{64}")

_NEXT = "Correct the file and run the command again."
_EPOCH = dt.date(1970, 1, 1)


class Fields:
    """Values of one record, taken one by one; `done()` refuses what nobody took.

    An empty text or list counts as not filled in. A field with a default may be left out.

    Args:
        values: a parsed TOML table or JSON object.
        what: what the record is, for error texts, e.g. `Licence`.
    """

    def __init__(self, values: Mapping[str, Any], what: str) -> None:
        self._left = dict(values)
        self._what = what

    @classmethod
    def from_toml(cls, text: str, what: str) -> Fields:
        """Return the fields of a TOML document.

        Raises:
            BadRecord: the text is not TOML; the message gives the line and column.
        """
        try:
            return cls(tomllib.loads(text), what)
        except tomllib.TOMLDecodeError as error:
            place = re.search(r"\(at (.*)\)$", str(error))
            msg = f"{what}: the file is not valid TOML ({place[1] if place else 'no place is known'})."
            raise BadRecord(msg, _NEXT) from None

    def error(self, name: str, why: str) -> BadRecord:
        """Return the error that says what is wrong with a field; the caller raises it."""
        return BadRecord(f"{self._what}: `{name}` {why}.", _NEXT)

    def text(
        self,
        name: str,
        *,
        default: str | None = None,
        choices: Collection[str] = (),
        pattern: re.Pattern[str] | None = None,
    ) -> str:
        """Return a text without blanks at its ends, one of `choices` or of the whole `pattern` if given."""
        value = self._take(name, default)
        if not isinstance(value, str):
            raise self.error(name, "must be a text")
        if value == default:
            return value
        if not value.strip():
            raise self.error(name, "is not filled in")
        if choices and value not in choices:
            raise self.error(name, f"must be one of {', '.join(choices)}")
        if pattern and not pattern.fullmatch(value):
            raise self.error(name, f"does not have the form {pattern.pattern}")
        return value.strip()

    def texts(self, name: str, *, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Return a list of different, non-empty texts, in its own order."""
        value = self._take(name, default)
        if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) and v.strip() for v in value):
            raise self.error(name, "must be a list of texts")
        if len(set(value)) != len(value):
            raise self.error(name, "names something twice")
        return tuple(value)

    def whole(self, name: str, low: int, high: int, *, default: int | None = None) -> int:
        """Return a whole number from `low` to `high`."""
        value = self._take(name, default)
        if type(value) is not int:
            raise self.error(name, "must be a whole number")
        if not low <= value <= high:
            raise self.error(name, f"must lie between {low} and {high}")
        return value

    def number(self, name: str, low: float, high: float) -> float:
        """Return a number above `low` and at most `high`."""
        value = self._take(name, None)
        if type(value) not in {int, float}:
            raise self.error(name, "must be a number")
        if not (math.isfinite(value) and low < value <= high):
            raise self.error(name, f"must be above {low:g} and at most {high:g}")
        return float(value)

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return a list of finite numbers."""
        value = self._take(name, None)
        if not isinstance(value, list) or any(type(v) not in {int, float} for v in value):
            raise self.error(name, "must be a list of numbers")
        if not all(map(math.isfinite, value)):
            raise self.error(name, "must be a list of finite numbers")
        return tuple(float(v) for v in value)

    def flag(self, name: str, *, default: bool | None = None) -> bool:
        """Return true or false."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise self.error(name, "must be true or false")
        return value

    def day(self, name: str) -> int:
        """Return a date, written as a TOML date or an ISO text, in days since 1970-01-01."""
        value = self._take(name, None)
        if isinstance(value, str):
            try:
                value = dt.date.fromisoformat(value)
            except ValueError:
                raise self.error(name, "must be a date such as 2026-05-12") from None
        if type(value) is not dt.date:
            raise self.error(name, "must be a date such as 2026-05-12")
        return (value - _EPOCH).days

    def instant(self, name: str) -> int:
        """Return a time with its UTC offset (TOML or ISO text) in epoch seconds."""
        value = self._take(name, None)
        why = "must be a time with its UTC offset, such as 2026-12-31T00:00:00+01:00"
        if isinstance(value, str):
            try:
                value = dt.datetime.fromisoformat(value)
            except ValueError:
                raise self.error(name, why) from None
        if not isinstance(value, dt.datetime) or value.tzinfo is None or value.microsecond:
            raise self.error(name, why)
        return int(value.timestamp())

    def table(self, name: str) -> Fields:
        """Return the fields of a table within the record."""
        value = self._take(name, None)
        if not isinstance(value, Mapping):
            raise self.error(name, "must be a table")
        return Fields(value, f"{self._what}, {name}")

    def tables(self, name: str) -> tuple[Fields, ...]:
        """Return the fields of each table of a list (`[[name]]`), at least one."""
        value = self._take(name, None)
        if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
            raise self.error(name, f"must be tables, each under [[{name}]]")
        return tuple(Fields(each, f"{self._what}, {name} {i}") for i, each in enumerate(value, 1))

    def peek(self, name: str) -> Any:  # noqa: ANN401  (the caller looks before it takes)
        """Return a value as it was parsed, without taking it; None if it is not there."""
        return self._left.get(name)

    def done(self) -> None:
        """Refuse every field that nobody took.

        Raises:
            BadRecord: fields are left; the message names them.
        """
        if self._left:
            names = ", ".join(f"`{name}`" for name in sorted(self._left))
            msg = f"{self._what}: there is no field {names}."
            raise BadRecord(msg, "Remove it or correct its name, and run the command again.")

    def _take(self, name: str, default: Any) -> Any:  # noqa: ANN401  (values of any TOML type)
        value = self._left.pop(name, None)
        if value is None and default is None:
            raise self.error(name, "is missing")
        if value is None or (value in ("", []) and default is not None):
            return default
        if value in ("", []):
            raise self.error(name, "is not filled in")
        return value
