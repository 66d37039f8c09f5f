"""Random valid rows, written in each format by others' writers, come back equal."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passersby.sources.schema import load

Row = tuple[str, int, float, float, int | None]

PLAIN = replace(load("simple"), delimiter="")
IDS = st.uuids().map(str).filter(lambda text: text.strip("0-")) | st.from_regex(
    r"[a-z][a-z0-9_-]{0,60}", fullmatch=True
)
LATITUDES = st.floats(-90, 90).filter(lambda lat: abs(lat) > 1e-4)
ROWS: st.SearchStrategy[Row] = st.tuples(
    IDS.filter(lambda text: text not in {"null", "none", "nan", "undefined", "unknown"}),
    st.integers(946_684_800, 1_780_000_000),
    LATITUDES,
    st.floats(-180, 180),
    st.none() | st.integers(0, 10_000),
)
NAMES = ["id", "time", "latitude", "longitude", "accuracy"]


def delimited(rows: list[Row], delimiter: str, quoting: int) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]  # a member of csv's constants
    writer.writerows([NAMES, *rows])
    return out.getvalue().encode()


def ndjson(rows: list[Row]) -> bytes:
    return "".join(json.dumps(dict(zip(NAMES, row, strict=True))) + "\n" for row in rows).encode()


def parquet(rows: list[Row]) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(rows, schema=NAMES, orient="row", infer_schema_length=None).write_parquet(out)
    return out.getvalue()


WRITERS: dict[str, Callable[[list[Row]], bytes]] = {
    "csv": lambda rows: delimited(rows, ",", csv.QUOTE_MINIMAL),
    "quoted csv": lambda rows: delimited(rows, ",", csv.QUOTE_ALL),
    "tsv": lambda rows: delimited(rows, "\t", csv.QUOTE_MINIMAL),
    "semicolons": lambda rows: delimited(rows, ";", csv.QUOTE_NONNUMERIC),
    "ndjson": ndjson,
    "parquet": parquet,
}


@pytest.mark.slow
@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("compression", ["", "gzip", "zstd"])
@settings(max_examples=25)
@given(rows=st.lists(ROWS, min_size=1, max_size=30))
def test_rows_come_back_equal(
    form: str, compression: str, rows: list[Row], put: Callable[..., Path], reading: Callable[..., Any]
) -> None:
    packing = "" if form == "parquet" else compression
    found = reading(put(WRITERS[form](rows), packing), PLAIN, block_bytes=2000, batch_rows=10)
    assert found.rejected == {}
    assert found.frame.select("id", "t", "lat", "lon", "accuracy_m").rows() == rows
