"""Times of fixes as epoch seconds (UTC), from counts of any unit, ISO 8601 texts or timestamps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from passersby.compiled import compiled
from passersby.sources.kernels import Bytes, Flags, Ints, text_buffers

PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
UNITS = (*PER_SECOND, "iso")

EARLIEST = 946_684_800
"""2000-01-01T00:00:00Z. No fix of a phone is older."""

INVALID, ZONED, NAIVE = 0, 1, 2


@dataclass(frozen=True)
class Clock:
    """How a supplier writes times.

    `unit` is one of `UNITS`. `zone` is the offset (s east of UTC) of times that carry none; None means
    that such a time is not accepted. `shift_s` is added to UTC by the supplier, and taken off here.
    """

    unit: str
    zone: int | None
    shift_s: int = 0


def epoch(times: pl.Series, clock: Clock, offsets: pl.Series | None = None) -> pl.Series:
    """Return whole epoch seconds (Int64, rounded down); null where a time cannot be read.

    Args:
        times: counts, ISO 8601 texts or timestamps.
        clock: how they are written.
        offsets: seconds east of UTC for each row, for times that do not carry their own offset; a
            row without one has no time.
    """
    counted = clock.unit != "iso" and not isinstance(times.dtype, pl.Datetime)
    if isinstance(times.dtype, pl.Datetime):
        seconds, naive = _of_timestamps(times)
    elif counted:
        seconds, naive = (
            _whole(times, PER_SECOND[clock.unit]),
            pl.repeat(offsets is not None, len(times), eager=True),
        )
    else:
        seconds, naive = _of_texts(times)
    if offsets is not None:
        taken = offsets.cast(pl.Int64, strict=False)
    else:
        taken = pl.repeat(clock.zone, len(times), dtype=pl.Int64, eager=True)
    if naive.any():
        seconds = (seconds - taken).zip_with(naive, seconds)
    return (seconds - clock.shift_s if clock.shift_s else seconds).alias("t")


def _of_timestamps(times: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return seconds of a timestamp column, and that all of them are naive or none is."""
    naive = isinstance(times.dtype, pl.Datetime) and times.dtype.time_zone is None
    return times.dt.timestamp("us") // 1_000_000, pl.repeat(naive, len(times), eager=True)


def _whole(counts: pl.Series, per_second: int) -> pl.Series:
    """Return counts divided to seconds, exactly for integers."""
    whole = counts.cast(pl.Int64, strict=False) if not counts.dtype.is_float() else None
    if whole is None or whole.null_count() > counts.null_count():
        floats = counts.cast(pl.Float64, strict=False).to_numpy()
        # numpy divides; Polars multiplies by the reciprocal, which can land in another second
        decimal = pl.Series(np.floor(floats / per_second), nan_to_null=True).cast(pl.Int64, strict=False)
        return decimal if whole is None else (whole // per_second).fill_null(decimal)
    return whole // per_second


def _of_texts(times: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return seconds of ISO 8601 texts (naive ones read as UTC), and which are naive."""
    data, offsets = text_buffers(times)
    seconds = np.zeros(len(times), dtype=np.int64)
    kinds = np.zeros(len(times), dtype=np.uint8)
    _parse(data, offsets, seconds, kinds)
    valid = pl.Series(kinds != INVALID)
    return pl.Series(seconds).zip_with(valid, pl.Series([None], dtype=pl.Int64)), pl.Series(kinds == NAIVE)


@compiled
def _parse(data: Bytes, offsets: Ints, seconds: Ints, kinds: Flags) -> None:
    for row in range(len(seconds)):
        begin, end = offsets[row], offsets[row + 1]
        moment, at = _moment(data, begin, end)
        if at > 0:
            shift, kinds[row] = _zone(data, at, end)
            seconds[row] = moment - shift


@compiled
def _digits(data: Bytes, at: int, count: int, end: int) -> int:
    """Return the number in `count` digits at `at`, or -1."""
    if at + count > end:
        return -1
    number = 0
    for i in range(at, at + count):
        if data[i] < 48 or data[i] > 57:
            return -1
        number = 10 * number + data[i] - 48
    return number


@compiled
def _moment(data: Bytes, begin: int, end: int) -> tuple[int, int]:
    """Return seconds of `YYYY-MM-DD[T ]HH:MM[:SS[.f]]` and the place behind it; 0 where it is none."""
    if end - begin < 16 or data[begin + 4] != 45 or data[begin + 7] != 45 or data[begin + 13] != 58:
        return 0, 0
    year, month, day = (
        _digits(data, begin, 4, end),
        _digits(data, begin + 5, 2, end),
        _digits(data, begin + 8, 2, end),
    )
    hour, minute = _digits(data, begin + 11, 2, end), _digits(data, begin + 14, 2, end)
    between = data[begin + 10]
    separated = between == 32 or between == 84 or between == 116  # noqa: PLR1714 (slow when compiled)
    if year < 0 or not 1 <= month <= 12 or day < 1 or not 0 <= hour <= 23 or not 0 <= minute <= 59:
        return 0, 0
    if not separated or day > _month_days(year, month):
        return 0, 0
    at, second = begin + 16, 0
    if at < end and data[at] == 58:
        second = _digits(data, at + 1, 2, end)
        at += 3
        if not 0 <= second <= 60:  # 60: a leap second
            return 0, 0
        if at < end and (data[at] == 46 or data[at] == 44):
            at += 1
            while at < end and 48 <= data[at] <= 57:
                at += 1
    return _days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second, at


@compiled
def _zone(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Return the offset (s) that a time ends with, and `ZONED`, `NAIVE` or `INVALID`."""
    while at < end and data[at] == 32:
        at += 1
    left = end - at
    if left == 0:
        return 0, NAIVE
    if left == 1 and (data[at] == 90 or data[at] == 122):
        return 0, ZONED
    if left == 3 and data[at] == 85 and data[at + 1] == 84 and data[at + 2] == 67:  # UTC
        return 0, ZONED
    if data[at] != 43 and data[at] != 45:
        return 0, INVALID
    hours, minutes = _digits(data, at + 1, 2, end), 0
    colon = left == 6 and data[at + 3] == 58
    if left != 3:
        minutes = _digits(data, at + 3 + colon, 2, end)
    if not (left == 3 or left == 5 or colon) or not 0 <= hours <= 15 or not 0 <= minutes <= 59:  # noqa: PLR1714 (the same)
        return 0, INVALID
    shift = hours * 3_600 + minutes * 60
    return (-shift if data[at] == 45 else shift), ZONED


@compiled
def _month_days(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31  # noqa: PLR1714 (the same)


@compiled
def _days(year: int, month: int, day: int) -> int:
    """Return days since 1970-01-01 (H. Hinnant, chrono-compatible low-level date algorithms)."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
