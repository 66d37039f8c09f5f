"""Each bad row, with what becomes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from passersby.errors import WrongSchema
from passersby.sources.checks import REASONS
from passersby.sources.read import Limits, read
from passersby.sources.schema import parse
from sources.given import GOOD, HEAD, NOW, ZERO, Put, Reading, T, record

ROWS = {
    f"a,{T},52.52,13.405": "bad-line",
    f"a,{T},52.52,13.405,12,more": "bad-line",
    f'a,{T},52.52,13.405,"12': "bad-line",
    f'"a,{T},52.52,13.405,12': "bad-line",
    HEAD: "bad-line",
    f"a,{T},,13.405,12": "bad-coordinates",
    f"a,{T},52.52,east,12": "bad-coordinates",
    f"a,{T},nan,13.405,12": "bad-coordinates",
    f"a,{T},52.52,inf,12": "bad-coordinates",
    f"a,{T},90.00001,13.405,12": "latitude-range",
    f"a,{T},-91,13.405,12": "latitude-range",
    f"a,{T},52.52,180.00001,12": "longitude-range",
    f"a,{T},52.52,-181,12": "longitude-range",
    f"a,{T},0,0,12": "null-island",
    f"a,{T},0.0000049,-0.0000049,12": "null-island",
    "a,,52.52,13.405,12": "bad-time",
    "a,yesterday,52.52,13.405,12": "bad-time",
    "a,946684799,52.52,13.405,12": "time-range",
    f"a,{NOW + 86_401},52.52,13.405,12": "time-range",
    f",{T},52.52,13.405,12": "missing-id",
    f"NULL,{T},52.52,13.405,12": "missing-id",
    f"{'a' * 129},{T},52.52,13.405,12": "bad-id",
    f"a\x07b,{T},52.52,13.405,12": "bad-id",
    f"{ZERO},{T},52.52,13.405,12": "opt-out",
    f"a,{T},52.52,13.405,10000.5": "accuracy-range",
    f"a,{T},52.52,13.405,inf": "accuracy-range",
}


@pytest.mark.parametrize("row", ROWS)
def test_a_bad_row_is_rejected_with_its_reason_and_line(row: str, put: Put, reading: Reading) -> None:
    found = reading(put([HEAD, GOOD, row, GOOD]), "simple")
    assert found.rejected == {ROWS[row]: 1}
    assert found.examples == {ROWS[row]: [3]}
    assert found.frame["line"].to_list() == [2, 4]


def test_a_row_at_each_bound_is_taken(put: Put, reading: Reading) -> None:
    rows = [
        "a,946684800,90,180,0",
        f"a,{NOW + 86_400},-90,-180,10000",
        f"a,{T},0,0.00001,1",
        f"{'a' * 128},{T},0.00001,0,1",
    ]
    assert reading(put([HEAD, *rows]), "simple").rejected == {}


@pytest.mark.parametrize(
    ("accuracy", "expected"), [("-1", None), ("nan", None), ("", None), ("x", None), ("0", 0), ("3.01", 4)]
)
def test_a_bad_accuracy_is_unknown_and_a_good_one_rounded_up(
    accuracy: str, expected: int | None, put: Put, reading: Reading
) -> None:
    found = reading(put([HEAD, f"a,{T},1,2,{accuracy}"]), "simple")
    assert found.frame["accuracy_m"].to_list() == [expected]


def test_the_limit_of_accuracy_can_be_set(put: Put, reading: Reading) -> None:
    path = put([HEAD, f"a,{T},1,2,200", f"a,{T},1,2,201"])
    assert reading(path, "simple", max_accuracy_m=200).rejected == {"accuracy-range": 1}


def test_a_row_has_the_first_of_its_reasons(put: Put, reading: Reading) -> None:
    wrong = ["", "", "", "99999"]  # id, time, latitude and accuracy are wrong: coordinates come first
    found = reading(put([HEAD, ",".join([*wrong[:3], "1", wrong[3]])]), "simple")
    assert found.rejected == {"bad-coordinates": 1}
    assert next(iter(REASONS)) == "bad-line"
    found = reading(put([HEAD, f"{ZERO},{T},1,2,99999"]), "simple")
    assert found.rejected == {"opt-out": 1}


FLAGGED = """
name = "flagged"
description = "x"
[columns]
id = "id"
id_type = "kind"
time = "time"
latitude = "lat"
longitude = "lon"
opt_out = "lmt"
consent = "tcf"
[time]
unit = "s"
[id]
types = ["IDFA"]
[opt_out]
values = ["1", "TRUE"]
"""


def test_flags_types_and_consent(put: Put, reading: Reading) -> None:
    rows = [
        f"a,idfa,{T},1,2,1,x",
        f"b,IDFA,{T},1,2,True,x",
        f"c,hem,{T},1,2,0,x",
        f"d,,{T},1,2,0,x",
        f'e,IDFA,{T},1,2,0,"{{""given"": ""yes"", ""by"": 1}}"',
        f"f,idfa,{T},1,2,,",
    ]
    found = reading(put(["id,kind,time,lat,lon,lmt,tcf", *rows]), parse(FLAGGED, "x"))
    assert found.rejected == {"opt-out": 2, "bad-id": 2}
    assert found.frame.select("id", "consent", "opt_out").rows() == [
        ("e", '{"given": "yes", "by": 1}', False),
        ("f", None, False),
    ]


@pytest.mark.parametrize("missing", ["tcf", "lmt", "kind"])
def test_a_declared_column_for_consent_or_opt_out_must_be_there(missing: str, put: Put) -> None:
    head = ["id", "kind", "time", "lat", "lon", "lmt", "tcf"]
    head.remove(missing)
    with pytest.raises(WrongSchema, match=f"`{missing}`"):
        list(read(put([",".join(head), "a,b,c,d,e,f"]), parse(FLAGGED, "x"), limits=Limits(NOW)))


@pytest.mark.parametrize("compression", ["", "gzip", "zstd"])
def test_only_the_broken_line_deep_in_a_file_is_lost(compression: str, put: Put, reading: Reading) -> None:
    lines = [HEAD, *[GOOD] * 50_000]
    lines[40_000] = "a broken line"
    found = reading(put(lines, compression), "simple", block_bytes=100_000, batch_rows=7_000)
    assert found.read == 50_000
    assert found.examples == {"bad-line": [40_001]}
    assert found.frame["line"].to_list() == [n for n in range(2, 50_002) if n != 40_001]
    assert found.batches == 7


@pytest.mark.slow
def test_a_broken_five_millionth_line_is_found_by_its_number(put: Put, reading: Reading) -> None:
    data = (HEAD + "\n" + (GOOD + "\n") * 4_999_998 + "broken\n" + (GOOD + "\n") * 10).encode()
    found = reading(put(data, "zstd"), "simple")
    assert found.examples == {"bad-line": [5_000_000]}
    assert found.frame.height == 5_000_008


def test_lines_shorter_than_expected_do_not_break_the_reader(put: Put, reading: Reading) -> None:
    found = reading(put((HEAD + "\n" + GOOD + "\n").encode() + b",\n" * 1_500_000), "simple")
    assert (found.frame.height, found.rejected) == (1, {"bad-line": 1_500_000})


def test_a_line_break_in_quotes_is_two_bad_lines(put: Put, reading: Reading) -> None:
    found = reading(put([HEAD, GOOD, f'"a\nb",{T},1,2,3', GOOD]), "simple")
    assert (found.frame.height, found.examples) == (2, {"bad-line": [3, 4]})


def test_blank_lines_are_no_rows_but_count_as_lines(put: Put, reading: Reading) -> None:
    found = reading(put(["", HEAD, "", GOOD, "", "  ", GOOD, ""]), "simple")
    assert (found.read, found.frame["line"].to_list()) == (2, [4, 7])


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_every_way_of_ending_lines(end: str, put: Put, reading: Reading) -> None:
    between = end or "\n"
    found = reading(put(b"\xef\xbb\xbf" + (between.join([HEAD, GOOD, GOOD]) + end).encode()), "simple")
    assert (found.frame.height, found.frame["accuracy_m"].to_list()) == (2, [12, 12])


def test_a_header_alone_is_an_empty_delivery(put: Put, reading: Reading) -> None:
    assert reading(put([HEAD]), "simple").read == 0


def test_rejections_are_the_same_whatever_the_blocks(put: Put, reading: Reading) -> None:
    path = put([HEAD, *(row for bad in ROWS for row in (GOOD, bad, GOOD))])
    whole, small = reading(path, "simple"), reading(path, "simple", block_bytes=200, batch_rows=1)
    assert (whole.rejected, whole.read) == (small.rejected, small.read)
    assert whole.frame.equals(small.frame)
    assert sum(whole.rejected.values()) == len(ROWS)


# NDJSON


@pytest.mark.parametrize(
    "line",
    [
        '{"id": "a", "time":',
        "[1, 2]",
        "null",
        "text",
        "{}",
        '{"error": "footer"}',
        record() + record(),
        '{"id": NaN}',
    ],
)
def test_a_line_that_is_no_record_is_a_bad_line(line: str, put: Put, reading: Reading) -> None:
    found = reading(put([record(), line, "", record()]), "simple")
    assert found.examples == {"bad-line": [2]}
    assert found.frame["line"].to_list() == [1, 4]


def test_broken_lines_among_many_records(put: Put, reading: Reading) -> None:
    lines = [record(id=f"d{n}") for n in range(5000)]
    for n in (0, 17, 3000, 4999):
        lines[n] = lines[n][:-5]
    found = reading(put(lines, "gzip"), "simple", block_bytes=50_000)
    assert found.examples["bad-line"] == [1, 18, 3001, 5000]
    assert found.frame["id"].to_list() == [f"d{n}" for n in range(5000) if n not in {0, 17, 3000, 4999}]


def test_a_file_of_broken_records_only_has_no_rows(put: Put, reading: Reading) -> None:
    found = reading(put([record(), *["{"] * 30]), "simple", block_bytes=200)
    assert (found.frame.height, found.rejected) == (1, {"bad-line": 30})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"latitude": None}, "bad-coordinates"),
        ({"latitude": "x"}, "bad-coordinates"),
        ({"latitude": [1]}, "bad-coordinates"),
        ({"latitude": 91}, "latitude-range"),
        ({"time": {"s": 1}}, "bad-time"),
        ({"id": None}, "missing-id"),
        ({"id": "  "}, "missing-id"),
        ({"id": "\ud800"}, "bad-id"),
    ],
)
def test_a_bad_record_has_its_reason(change: dict[str, Any], reason: str, put: Put, reading: Reading) -> None:
    assert reading(put([record(), record(**change)]), "simple").rejected == {reason: 1}


@pytest.mark.parametrize("lines", [1, 1500])
def test_an_opt_out_counts_wherever_the_first_one_stands(lines: int, put: Put, reading: Reading) -> None:
    def nested(**device: Any) -> str:
        geo = {"lat": 52.52, "lon": 13.405}
        return json.dumps({"timestamp": T * 1000, "payload": {"device": {"ifa": "a", "geo": geo, **device}}})

    found = reading(put([nested()] * lines + [nested(lmt=1)]), "foursquare")
    assert (found.frame.height, found.rejected) == (lines, {"opt-out": 1})


def test_numbers_as_texts_are_numbers(put: Put, reading: Reading) -> None:
    found = reading(put([record(time=str(T), latitude="52.52", accuracy="7")]), "simple")
    assert found.frame.select("t", "lat", "accuracy_m").rows() == [(T, 52.52, 7)]
