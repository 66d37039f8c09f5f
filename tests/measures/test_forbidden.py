"""What no measure is: a list of devices, a maximum, a rank, or a filter that chooses devices."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import get_args

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from passersby.config import Config
from passersby.errors import Refusal
from passersby.gate.request import DEVICE_WORDS, Request, check
from passersby.measures.base import HOME_RESOLUTION, Measure, Scope
from passersby.measures.catalogue import CATALOGUE
from passersby.model import schema
from passersby.model.bins import Derived, Quantile, Ratio
from passersby.model.period import parse_span
from passersby.model.place import Area
from passersby.model.question import FILTERS
from passersby.privacy import bound

MEASURES = pytest.mark.parametrize("measure", CATALOGUE.values(), ids=lambda measure: measure.name)
AREA = Area.from_cells(np.array([0x861FB4667FFFFFF]))
FORBIDDEN = re.compile(
    r"\b(max|maximum|minimum|highest|lowest|longest|shortest|top|first|last|rank|ranking|list|device|devices|ids?"
    r"|who|person|people|tracks?|trajectory|trajectories|pings?|homes)\b"
)
_PUBLIC = "MIN(hour) AS since, MAX(hour) + 3600 AS until"
"""Of the question's own hours, in `measures._visits`."""


def _asked(measure: str, *, filters: tuple[str, ...] = (), every: str = "week") -> Request:
    return Request(
        measure=measure,
        period="2026-W20..2026-W21",
        every=every,
        resolution=6,
        area=AREA,
        epsilon=1.0,
        licence="l",
        purpose="p",
        case="c",
        filters=filters,
    )


def _code(asked: Request) -> str:
    with pytest.raises(Refusal) as caught:
        check(asked, Config())
    return caught.value.code


def _rows(measure: Measure, every: str) -> str:
    scope = Scope(parse_span("2026-W20..2026-W21", 0), min(6, measure.finest), every, (), 0)
    return measure.rows(scope, scope.resolution)


@pytest.mark.parametrize("word", sorted(DEVICE_WORDS))
def test_a_word_for_devices_is_no_measure(word: str) -> None:
    assert _code(_asked(word)) == _code(_asked(word.upper())) == "device-level-request"
    assert word not in CATALOGUE


@pytest.mark.parametrize(
    "name",
    [
        "top-devices",
        "top-cells",
        "max-presence",
        "max-trips",
        "min-dwell",
        "longest-stay",
        "first-seen",
        "last-seen",
        "rank",
        "presence-by-device",
        "home-of",
        "homes ",
        "residents,devices",
        "od-of-device",
        "co-location",
        "contacts",
        "meetings",
        "next-place",
    ],
)
def test_what_would_name_rank_or_follow_is_unknown(name: str) -> None:
    assert _code(_asked(name)) == "unknown-measure"


@pytest.mark.parametrize(
    "chosen",
    [
        "device=1",
        "devices=1",
        "supplier=1",
        "app=maps",
        "id=a",
        "cell=1",
        "delivery=3",
        "platform=ios",
        "hour=x",
    ],
)
@MEASURES
def test_no_filter_chooses_devices_suppliers_or_apps(measure: Measure, chosen: str) -> None:
    assert _code(_asked(measure.name, filters=(chosen,), every=measure.grains[0])) == "bad-filter"


def test_filters_choose_hours_only() -> None:
    assert set(FILTERS) == {"hour", "weekday", "daypart"}


@MEASURES
def test_a_measure_that_takes_no_filter_refuses_each(measure: Measure) -> None:
    for chosen in ("hour=8", "weekday=mon", "daypart=night"):
        asked = _asked(measure.name, filters=(chosen,), every=measure.grains[0])
        if measure.filtered:
            check(asked, Config())
        else:
            assert _code(asked) == "bad-filter"


@MEASURES
def test_a_reference_location_is_never_asked_finer_than_its_cell(measure: Measure) -> None:
    if re.search(r"\b(homes|works|modal|usual|baseline|before|after)\b", _rows(measure, measure.grains[0])):
        assert measure.finest == HOME_RESOLUTION
        asked = replace(_asked(measure.name, every=measure.grains[0]), resolution=HOME_RESOLUTION + 1)
        assert _code(asked) == "resolution-too-fine"


def test_names_and_bins_are_no_maximum_rank_or_list() -> None:
    # the farthest distance is that of one device-day, and gives no more than its bin
    assert [name for name in CATALOGUE if FORBIDDEN.search(name)] == ["max-distance-from-home"]
    assert CATALOGUE["max-distance-from-home"].bins
    labels = {each.label for m in CATALOGUE.values() for each in (*m.bins, *m.derived)}
    assert {label for label in labels if FORBIDDEN.search(label)} == {"device-days"}  # so many of them


@MEASURES
def test_derived_rows_are_ratios_of_bins_and_quantiles_well_within(measure: Measure) -> None:
    assert set(get_args(Derived)) == {Ratio, Quantile}
    for each in measure.derived:
        if isinstance(each, Quantile):
            assert 0.25 <= each.q <= 0.75
        else:
            assert {*each.numerators, *each.denominators} <= {own.label for own in measure.bins}


@MEASURES
def test_what_leaves_the_statement_has_no_device(measure: Measure) -> None:
    make = bound.additive_sql if measure.additive else bound.level_sql
    text = make(_rows(measure, measure.grains[0]), squared_bound=1, keys=measure.keys)
    with duckdb.connect() as connection:
        for name, columns in {
            "presence": schema.PRESENCE,
            "stays": schema.STAYS,
            "trips": schema.TRIPS,
            "area": pa.schema([("cell", pa.int64())]),
            "hours": pa.schema([("hour", pa.int64())]),
        }.items():
            connection.register(name, columns.empty_table())
        found = connection.execute(text).description
    assert [column[0] for column in found] == [*measure.keys, "count"]
    assert set(measure.keys) <= {"cell", "origin", "destination", "start", "bin"}


@MEASURES
def test_a_largest_or_smallest_value_of_a_device_leaves_as_a_bin_only(measure: Measure) -> None:
    for every in measure.grains:
        text = _rows(measure, every).replace(_PUBLIC, "")
        if re.search(r"\b(MAX|MIN|LAG|LEAD)\(", text):
            assert measure.bins or measure.pairs
            assert re.findall(r"(.*) AS value\b", text)[-1].endswith("CAST(1 AS BIGINT)")
