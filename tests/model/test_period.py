"""Periods, days and hours at one fixed offset."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passersby.errors import UsageError
from passersby.model.period import (
    DAY,
    WEEK,
    Period,
    Span,
    day_name,
    day_of,
    day_start,
    instant_text,
    parse_day,
    parse_offset,
    parse_span,
)

OFFSETS = st.integers(-56, 56).map(lambda quarters: quarters * 900)
INSTANTS = st.integers(946_684_800, 4_102_444_800)


@given(INSTANTS, OFFSETS)
def test_every_instant_lies_in_exactly_its_period(instant: int, offset: int) -> None:
    period = Period.containing(instant, offset)
    span = period.span(offset)
    assert span.start <= instant < span.end
    assert span.end - span.start == WEEK
    assert Period.parse(period.name) == period


@given(INSTANTS, OFFSETS)
def test_names_agree_with_the_calendar(instant: int, offset: int) -> None:
    local = dt.datetime.fromtimestamp(instant, dt.timezone(dt.timedelta(seconds=offset)))
    year, week, _ = local.isocalendar()
    assert Period.containing(instant, offset).name == f"{year}-W{week:02d}"
    assert day_name(day_of(instant, offset)) == local.date().isoformat()
    assert (
        day_start(day_of(instant, offset), offset) <= instant < day_start(day_of(instant, offset) + 1, offset)
    )


def test_a_span_of_one_day_pays_its_whole_week() -> None:
    span = parse_span("2026-05-12", 7200)
    assert span.end - span.start == DAY
    assert [period.name for period in span.periods(7200)] == ["2026-W20"]
    assert span.hours == 24


def test_a_range_of_weeks_holds_both_ends() -> None:
    span = parse_span("2026-W20..2026-W22", 0)
    assert [period.name for period in span.periods(0)] == ["2026-W20", "2026-W21", "2026-W22"]
    assert len(span.days(0)) == 21


def test_a_range_over_the_year_boundary() -> None:
    assert [p.name for p in parse_span("2026-W53..2027-W01", 0).periods(0)] == ["2026-W53", "2027-W01"]


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-W54", "2025-W53", "2026-W00", "2026-02-30", "W20", "2026-w20"]
)
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_span(text, 0)


def test_a_range_that_runs_backwards_is_refused() -> None:
    with pytest.raises(UsageError, match="backwards"):
        parse_span("2026-W22..2026-W20", 0)


def test_dates_are_read_exactly() -> None:
    assert day_name(parse_day("2026-05-11")) == "2026-05-11"
    with pytest.raises(UsageError):
        parse_day("11.05.2026")


@pytest.mark.parametrize(
    ("text", "seconds"), [("Z", 0), ("+02:00", 7200), ("-04:30", -16200), ("+05:45", 20700)]
)
def test_offsets(text: str, seconds: int) -> None:
    assert parse_offset(text) == seconds


@pytest.mark.parametrize("text", ["2", "+2:00", "+15:00", "+02:07", "Europe/Zurich", ""])
def test_bad_offsets_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_offset(text)


def test_instants_are_written_with_the_offset() -> None:
    assert instant_text(1_778_450_400, 7200) == "2026-05-11T00:00:00+02:00"


def test_hours_are_rounded_up() -> None:
    assert Span(0, 3601).hours == 2
