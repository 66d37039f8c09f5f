"""Time: weeks as privacy periods, days and hours, all at the deployment's one fixed UTC offset.

There is no daylight saving in here: a deployment has one offset, so that a day always has 24 hours
and a "day" is a local day. Instants are whole epoch seconds; a span is half-open, [start, end).
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from passersby.errors import UsageError

HOUR = 3600
DAY = 24 * HOUR
WEEK = 7 * DAY
_FIRST_MONDAY = 4 * DAY
"""1970-01-05, the first Monday of the Unix epoch."""

_WEEK = re.compile(r"(\d{4})-W(\d{2})")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, order=True)
class Period:
    """One ISO 8601 week: the span of the privacy unit (one device over one period).

    `index` counts weeks from the first Monday of 1970.
    """

    index: int

    @classmethod
    def parse(cls, name: str) -> Period:
        """Return the period of a name such as `2026-W20`.

        Raises:
            UsageError: the name is not an ISO week.
        """
        match = _WEEK.fullmatch(name)
        if match:
            try:
                monday = dt.date.fromisocalendar(int(match[1]), int(match[2]), 1)
            except ValueError:
                match = None
            else:
                return cls((monday - dt.date(1970, 1, 5)).days // 7)
        msg = f"{name!r} is not a period."
        raise UsageError(msg, "Write an ISO week, for example 2026-W20.")

    @classmethod
    def containing(cls, instant: int, offset: int) -> Period:
        """Return the period that holds `instant` (epoch s) at `offset` (s east of UTC)."""
        return cls((instant + offset - _FIRST_MONDAY) // WEEK)

    @property
    def name(self) -> str:
        """The ISO 8601 name, `2026-W20`."""
        monday = dt.date(1970, 1, 5) + dt.timedelta(weeks=self.index)
        year, week, _ = monday.isocalendar()
        return f"{year}-W{week:02d}"

    def span(self, offset: int) -> Span:
        """Return its span of instants at `offset`."""
        start = self.index * WEEK + _FIRST_MONDAY - offset
        return Span(start, start + WEEK)


@dataclass(frozen=True)
class Span:
    """Half-open span of instants, epoch seconds."""

    start: int
    end: int

    def periods(self, offset: int) -> tuple[Period, ...]:
        """Return every period that the span touches, in order."""
        first = Period.containing(self.start, offset).index
        last = Period.containing(self.end - 1, offset).index
        return tuple(Period(i) for i in range(first, last + 1))

    def days(self, offset: int) -> tuple[int, ...]:
        """Return every local day that the span touches (see `day_of`), in order."""
        return tuple(range(day_of(self.start, offset), day_of(self.end - 1, offset) + 1))

    @property
    def hours(self) -> int:
        """Length in hours, rounded up."""
        return -(-(self.end - self.start) // HOUR)


def day_of(instant: int, offset: int) -> int:
    """Return the local day of an instant: days since 1970-01-01 at the deployment's offset."""
    return (instant + offset) // DAY


def day_start(day: int, offset: int) -> int:
    """Return the first instant (epoch s) of a local day."""
    return day * DAY - offset


def day_name(day: int) -> str:
    """Return the ISO date of a local day."""
    return (dt.date(1970, 1, 1) + dt.timedelta(days=day)).isoformat()


def parse_day(name: str) -> int:
    """Return the local day of an ISO date.

    Raises:
        UsageError: the name is not an ISO date.
    """
    try:
        return (dt.date.fromisoformat(name) - dt.date(1970, 1, 1)).days
    except ValueError:
        msg = f"{name!r} is not a date."
        raise UsageError(msg, "Write a date as 2026-05-12.") from None


def parse_span(text: str, offset: int) -> Span:
    """Return the span of a week, a day, or a range of either (`2026-W20..2026-W22`).

    Raises:
        UsageError: the text is neither, or the range runs backwards.
    """
    first, _, last = text.partition("..")
    start, end = _one(first, offset), _one(last or first, offset)
    if end.end <= start.start:
        msg = f"The range {text!r} runs backwards."
        raise UsageError(msg, "Put the earlier week or day first.")
    return Span(start.start, end.end)


def _one(text: str, offset: int) -> Span:
    if _DAY.fullmatch(text):
        start = day_start(parse_day(text), offset)
        return Span(start, start + DAY)
    return Period.parse(text).span(offset)


def instant_text(instant: int, offset: int) -> str:
    """Return an instant as ISO 8601 with the deployment's offset."""
    zone = dt.timezone(dt.timedelta(seconds=offset))
    return dt.datetime.fromtimestamp(instant, zone).isoformat()


def parse_offset(text: str) -> int:
    """Return seconds east of UTC for `+02:00`, `-04:30` or `Z`.

    Raises:
        UsageError: the text is not such an offset, or is not a multiple of 15 minutes.
    """
    match = re.fullmatch(r"([+-])(\d{2}):(\d{2})", text)
    if text == "Z":
        return 0
    if match:
        seconds = int(match[2]) * HOUR + int(match[3]) * 60
        if seconds <= 14 * HOUR and seconds % 900 == 0:
            return -seconds if match[1] == "-" else seconds
    msg = f"{text!r} is not a UTC offset."
    raise UsageError(msg, "Write it as +02:00.")
