"""Each bad file, with what becomes of it."""

from __future__ import annotations

import gzip
import io
import threading
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from passersby.errors import InputError, UnreadableFile, WrongSchema
from passersby.sources.opening import fingerprint
from passersby.sources.read import Limits, read
from passersby.sources.schema import load
from sources.given import GOOD, HEAD, NOW, Put, Reading, T, record


def table(**change: Any) -> pl.DataFrame:
    return pl.DataFrame({"id": ["a"], "time": [T], "latitude": [1.0], "longitude": [2.0]} | change)


def parquet(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


LONG = "\n".join(
    [HEAD, *(f"device-{n * 7919 % 10_007},{T + n},52.{n},13.{n},12" for n in range(60_000))]
).encode()


def spoiled(data: bytes, at: int) -> bytes:
    return data[:at] + bytes(255 - byte for byte in data[at : at + 64]) + data[at + 64 :]


PARQUET = parquet(pl.read_csv(LONG))
FRAME = zstandard.ZstdCompressor(write_checksum=True).compress(LONG)
BAD_FILES = {
    "nothing": b"",
    "blank": b" \n\n",
    "blank to Unicode": b"\x1c\x1f\n",
    "a thousand blank lines": b"\n" * 1000 + LONG[:1000],
    "empty gzip": gzip.compress(b""),
    "truncated gzip": gzip.compress(LONG)[:-100],
    "spoiled gzip": spoiled(gzip.compress(LONG), 200_000),
    "truncated second member": gzip.compress(LONG) + gzip.compress(LONG)[:-100],
    "gzip with a tail": gzip.compress(LONG) + b"tail",
    "truncated zstd": FRAME[:-100],
    "bad frame": spoiled(FRAME, 200_000),
    "bad second frame": FRAME + b"not a frame",
    "truncated Parquet": PARQUET[:-500],
    "Parquet without a footer": PARQUET[:2000],
    "spoiled Parquet page": spoiled(PARQUET, 3000),
    "compressed Parquet": gzip.compress(PARQUET),
    "ZIP": b"PK\x03\x04" + bytes(100),
    "UTF-16": LONG[:1000].decode().encode("utf-16"),
    "Avro": b"Obj\x01" + bytes(100),
    "binary": bytes(range(256)),
    "JSON array": b"[" + record().encode() + b"]",
    "carriage returns alone": LONG[:1000].replace(b"\n", b"\r"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_unreadable_and_says_so(kind: str, put: Put) -> None:
    path = put(BAD_FILES[kind])
    with pytest.raises(UnreadableFile, match="delivery") as error:
        list(read(path, load("simple"), limits=Limits(NOW)))
    assert error.value.next_step


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(UnreadableFile):
            list(read(path, load("simple"), limits=Limits(NOW)))
        with pytest.raises(UnreadableFile):
            fingerprint(path)


def test_a_line_longer_than_a_block_is_unreadable(put: Put) -> None:
    path = put([HEAD, GOOD, "x" * 5000])
    with pytest.raises(UnreadableFile, match="Line 3"):
        list(read(path, load("simple"), limits=Limits(NOW, block_bytes=1000)))


@pytest.mark.parametrize("kind", ["two gzip members", "two zstd frames", "skippable zstd frame"])
def test_streams_in_parts_are_read_whole(kind: str, put: Put, reading: Reading) -> None:
    rest = (GOOD + "\n").encode() * 3
    data = {
        "two gzip members": gzip.compress(LONG + b"\n") + gzip.compress(rest),
        "two zstd frames": FRAME + zstandard.compress(b"\n" + rest),
        "skippable zstd frame": b"\x50\x2a\x4d\x18\x04\0\0\0meta" + FRAME + zstandard.compress(b"\n" + rest),
    }
    assert reading(put(data[kind]), "simple").read == 60_003


@pytest.mark.parametrize(
    ("lines", "schema", "words"),
    [
        (["id,time,latitude", "a,1,2"], "simple", "`longitude`"),
        (["a,b", "1,2"], "simple", "`id` .*`time` .*`latitude` .*`longitude`"),
        ([HEAD.replace(",", "\t"), GOOD.replace(",", "\t")], "adtech", "missing"),
        (["id,id,time,latitude,longitude", "a,b,1,2,3"], "simple", "`id` is there twice"),
        (["a,b", "1,2"], "quadrant", "`_c5`"),
        ([record()], "adtech", "it is NDJSON, and the schema is for csv"),
        ([HEAD, GOOD], "foursquare", "it is delimited text, and the schema is for ndjson"),
        ([HEAD, GOOD], "veraset", "it is delimited text, and the schema is for parquet"),
        ([record()], "foursquare", "`payload.device.ifa`"),
    ],
)
def test_a_file_of_another_kind_names_what_does_not_fit(
    lines: list[str], schema: str, words: str, put: Put
) -> None:
    with pytest.raises(WrongSchema, match=words) as error:
        list(read(put(lines), load(schema), limits=Limits(NOW)))
    assert "passersby supplier sniff" in error.value.next_step


@pytest.mark.parametrize("schema", ["simple", "quadrant"])
def test_a_line_that_is_too_long_for_a_field_costs_itself(schema: str, put: Put, reading: Reading) -> None:
    good = {"simple": f"device-1,{T},52.52,13.405", "quadrant": f"device-1,x,52.52,13.405,12,{T}000"}[schema]
    head = ["id,time,latitude,longitude"] if schema == "simple" else []
    found = reading(put([*head, good, "x" * 300_000, good]), schema)
    assert (found.read, found.frame.height, found.rejected) == (3, 2, {"bad-line": 1})


def test_a_header_that_is_too_long_for_a_field_is_read(put: Put, reading: Reading) -> None:
    head = f"id,time,latitude,longitude,{'x' * 300_000}"
    assert reading(put([head, f"a,{T},52.52,13.405,"]), "simple").frame.height == 1


def test_a_first_row_is_not_shown_where_a_header_was_expected(put: Put) -> None:
    with pytest.raises(WrongSchema) as error:
        list(read(put(["secret-id,1779000000,52.52,13.405"] * 3), load("simple"), limits=Limits(NOW)))
    assert not {"secret", "52", "1779"} & set(str(error.value).replace("-", " ").replace(".", " ").split())


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (table().drop("time"), "`time`"),
        (table(latitude=[[1.0]]), "`latitude` .*list"),
        (table(time=[True]), "`time` .*bool"),
        (table(time=pl.Series([T]).cast(pl.Datetime("ms"))), "no UTC offset"),
    ],
)
def test_parquet_of_another_shape_names_what_does_not_fit(frame: pl.DataFrame, words: str, put: Put) -> None:
    with pytest.raises(WrongSchema, match=words):
        list(read(put(parquet(frame)), load("simple"), limits=Limits(NOW)))


@pytest.mark.parametrize("name", ["id", "time"])
def test_a_parquet_column_that_is_there_twice_is_refused(name: str, put: Put) -> None:
    arrow, out = table().to_arrow(), io.BytesIO()
    pq.write_table(arrow.append_column(name, arrow.column(name)), out)
    with pytest.raises(WrongSchema, match=f"`{name}` is there twice"):
        list(read(put(out.getvalue()), load("simple"), limits=Limits(NOW)))


def test_parquet_rows_are_checked_like_lines(put: Put, reading: Reading) -> None:
    frame = pl.concat(
        [table(), table(latitude=[float("nan")]), table(id=[None]), table(longitude=[181.0]), table()]
    )
    found = reading(put(parquet(frame)), "simple")
    assert found.examples == {"bad-coordinates": [2], "missing-id": [3], "longitude-range": [4]}
    assert found.frame["line"].to_list() == [1, 5]


def test_parquet_ids_of_other_types_are_texts(put: Put, reading: Reading) -> None:
    for ids in ([b"Device"], pl.Series(["Device"], dtype=pl.Categorical)):
        assert reading(put(parquet(table(id=ids))), "simple").frame["id"].to_list() == ["device"]
    assert reading(put(parquet(table(id=[7]))), "simple").frame["id"].to_list() == ["7"]


def test_parquet_types_of_other_writers(put: Put, reading: Reading) -> None:
    arrow = pa.table(
        {
            "id": pa.array(["a"]).dictionary_encode(),
            "time": pa.array([T * 10**9], pa.timestamp("ns", tz="+02:00")),
            "latitude": pa.array(["1.5"]),
            "longitude": pa.array([2]).cast(pa.decimal128(30, 5)),
        }
    )
    out = io.BytesIO()
    pq.write_table(arrow, out)
    assert reading(put(out.getvalue()), "simple").frame.select("id", "t", "lat", "lon").rows() == [
        ("a", T, 1.5, 2.0)
    ]


@pytest.mark.parametrize(
    ("factor", "words"), [(1000, "look like milliseconds"), (10**6, "look like microseconds"), (1, "")]
)
def test_a_wrong_unit_is_named(factor: int, words: str, put: Put) -> None:
    rows = [f"a,{T * factor},1,2,3"] * 60 if factor > 1 else ["a,5,1,2,3"] * 60
    with pytest.raises(WrongSchema, match=f"More than half of the times.*{words}") as error:
        list(read(put([HEAD, *rows, *[GOOD] * 40]), load("simple"), limits=Limits(NOW)))
    assert ("unit = " in error.value.next_step) == bool(words)


def test_seconds_read_as_milliseconds_are_named(put: Put) -> None:
    path = put([f"a,x,1,2,3,{T}"] * 10)
    with pytest.raises(WrongSchema, match="look like seconds"):
        list(read(path, load("quadrant"), limits=Limits(NOW)))


def test_half_of_the_times_out_of_range_are_rows_that_are_rejected(put: Put, reading: Reading) -> None:
    found = reading(put([HEAD, GOOD, "a,5,1,2,3"]), "simple")
    assert found.rejected == {"time-range": 1}


def test_a_wrong_unit_ends_a_long_file_early(put: Put) -> None:
    path = put((HEAD + "\n" + f"a,{T}000,1,2,3\n" * 400_000).encode())
    limits = Limits(NOW, block_bytes=1 << 20, batch_rows=1)
    seen: list[int] = []
    with pytest.raises(WrongSchema):
        seen.extend(batch.read for batch in read(path, load("simple"), limits=limits))
    assert sum(seen) < 200_000


def test_a_reader_that_is_left_early_stops_its_threads(put: Put) -> None:
    before = threading.active_count()
    batches = read(
        put([HEAD, *[GOOD] * 10_000]), load("simple"), limits=Limits(NOW, block_bytes=1000, batch_rows=1)
    )
    assert next(batches).read > 0
    batches.close()
    assert threading.active_count() == before


def test_reading_does_not_change_the_file(put: Put, reading: Reading) -> None:
    path = put([HEAD, GOOD], "gzip")
    before = (fingerprint(path), path.stat().st_mtime_ns)
    reading(path, "simple")
    assert (fingerprint(path), path.stat().st_mtime_ns) == before


def test_the_fingerprint_is_the_sha256_of_the_bytes(put: Put) -> None:
    abc_sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert fingerprint(put(b"abc")) == (abc_sha256, 3)


def test_no_error_of_a_bad_file_is_of_another_kind(put: Put) -> None:
    for data in BAD_FILES.values():
        with pytest.raises(InputError):
            list(read(put(data), load("veraset"), limits=Limits(NOW)))
