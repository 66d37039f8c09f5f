from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passersby.sources.times import PER_SECOND, Clock, epoch

ISO = Clock("iso", None)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda m: dt.timezone(dt.timedelta(minutes=m)))
MOMENTS = st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2199, 12, 31), timezones=ZONES)  # noqa: DTZ001 (bounds)


def one(value: object, clock: Clock, offset: object = None) -> int | None:
    offsets = None if offset is None else pl.Series([offset])
    found: int | None = epoch(pl.Series([value]), clock, offsets)[0]
    return found


@given(MOMENTS, st.sampled_from(["T", " ", "t"]), st.sampled_from(["auto", "milliseconds", "seconds"]))
def test_iso_texts_are_read_as_python_reads_them(moment: dt.datetime, between: str, detail: str) -> None:
    text = moment.isoformat(between, detail)
    assert one(text, ISO) == int(dt.datetime.fromisoformat(text).timestamp() // 1)


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-06 10:29:32-04:00",
        "2024-01-06T10:29:32-0400",
        "2024-01-06T10:29:32-04",
        "2024-01-06T14:29:32Z",
        "2024-01-06 14:29:32 UTC",
        "2024-01-06 14:29:32,999 +00:00",
        "2024-01-06t14:29:32.123456789z",
    ],
)
def test_ways_of_writing_one_moment(text: str) -> None:
    assert one(text, ISO) == 1_704_551_372


def test_minutes_are_enough() -> None:
    assert one("1970-01-01 00:01Z", ISO) == 60


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024-01-06",
        "06/01/2024 10:29",
        "2024-13-06 10:29:32Z",
        "2024-02-30 10:29:32Z",
        "2023-02-29 10:29:32Z",
        "2024-01-06 24:29:32Z",
        "2024-01-06 10:60:32Z",
        "2024-01-06 10:29:61Z",
        "2024-01-06 10:29:32 CET",
        "2024-01-06 10:29:32+4",
        "2024-01-06 10:29:32+04:0",
        "2024-01-06 10:29:32+99:00",
        "2024-01-06x10:29:32Z",
        "1704551372",
    ],
)
def test_what_is_no_iso_time_is_no_time(text: str) -> None:
    assert one(text, ISO) is None


def test_29_february_of_a_leap_year() -> None:
    assert one("2024-02-29 00:00:00Z", ISO) == 1_709_164_800


def test_a_text_without_offset_needs_a_zone() -> None:
    assert one("2024-01-06 10:29:32", ISO) is None
    assert one("2024-01-06 10:29:32", Clock("iso", 3600)) == 1_704_536_972 - 3600


def test_a_zone_does_not_touch_texts_with_an_offset() -> None:
    assert one("2024-01-06 10:29:32Z", Clock("iso", 3600)) == 1_704_536_972


@pytest.mark.parametrize("unit", PER_SECOND)
def test_counts_of_each_unit_are_rounded_down(unit: str) -> None:
    one_less = 1_700_000_001 * PER_SECOND[unit] - (1 if unit != "s" else 0)
    expected = 1_700_000_001 if unit == "s" else 1_700_000_000
    assert one(one_less, Clock(unit, None)) == expected
    assert one(str(one_less), Clock(unit, None)) == expected


@pytest.mark.parametrize("value", ["1700000000.9", "1.7e9", 1_700_000_000.5])
def test_fractions_of_seconds_are_left_out(value: object) -> None:
    assert one(value, Clock("s", None)) == 1_700_000_000


@pytest.mark.parametrize(
    "value", ["", "abc", "nan", "inf", float("nan"), float("inf"), "99999999999999999999999"]
)
def test_what_is_no_count_is_no_time(value: object) -> None:
    assert one(value, Clock("s", None)) is None


def test_counts_ignore_the_zone_and_heed_the_shift() -> None:
    assert one(1_700_000_000, Clock("s", 7200)) == 1_700_000_000
    assert one(1_700_003_600, Clock("s", None, 3600)) == 1_700_000_000


def test_an_offset_for_each_row_makes_counts_local() -> None:
    assert one(1_700_000_000, Clock("s", None), -14_400) == 1_700_014_400
    assert one("1700000000", Clock("s", None), "-14400") == 1_700_014_400


def test_a_row_without_its_offset_has_no_time() -> None:
    assert epoch(pl.Series([5, 5]), Clock("s", None), pl.Series([None, 0])).to_list() == [None, 5]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_timestamps_with_a_zone_are_moments(unit: str) -> None:
    column = pl.Series([dt.datetime(2024, 1, 6, 14, 29, 32, 999, dt.UTC)]).dt.cast_time_unit(unit)  # type: ignore[arg-type]  # a literal by parametrisation
    assert epoch(column, Clock("s", None)).to_list() == [1_704_551_372]


def test_timestamps_without_a_zone_are_local() -> None:
    column = pl.Series([dt.datetime(2024, 1, 6, 14, 29, 32)])  # noqa: DTZ001 (the case that is tested)
    assert epoch(column, Clock("iso", -14_400)).to_list() == [1_704_551_372 + 14_400]
    assert epoch(column, ISO).to_list() == [None]
