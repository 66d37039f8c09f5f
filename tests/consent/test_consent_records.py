"""Consent files: every accepted form, and each bad input by itself."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path

import polars as pl
import pytest
import zstandard

from passersby.consent.fields import STATES, permits
from passersby.consent.records import read
from passersby.errors import BadRecord, InputError, UnreadableFile, WrongSchema

NOW = 1_780_000_000
HEADER = "id,given_at,state\n"


def normalise(ids: pl.Series) -> pl.Series:
    return pl.select(pl.when(ids.str.len_bytes() > 0).then(ids.str.to_lowercase())).to_series()


def records(tmp_path: Path, data: str | bytes) -> pl.DataFrame:
    path = tmp_path / "consent.bin"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return pl.concat(list(read(path, normalise, now=NOW)))


def test_a_csv_with_all_columns(tmp_path: Path) -> None:
    found = records(
        tmp_path,
        "id,given_at,state,withdrawn_at,expires_at,notice_version,note\n"
        "A,1700000000,given,,1900000000,v2,x\n"
        "b,2024-01-01T00:00:00+02:00,dpv:ConsentWithdrawn,2024-02-01T00:00:00Z,,,\n",
    )
    assert found["id"].to_list() == ["a", "b"]
    assert found["given_at"].to_list() == [1_700_000_000, 1_704_060_000]
    assert found["permits"].to_list() == [True, False]
    assert found["withdrawn_at"].to_list() == [None, 1_706_745_600]
    assert found["expires_at"].to_list() == [1_900_000_000, None]
    assert found["notice_version"].to_list() == ["v2", None]
    assert "note" not in found.columns


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress, bytes])
def test_compression_is_told_by_content(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    assert len(records(tmp_path, pack(f"{HEADER}a,1700000000,given\n".encode()))) == 1


def test_ndjson(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "given_at": 1_700_000_000, "state": "given"},
        {"id": "b", "given_at": 1, "state": "given"},
    ]
    rows[1]["given_at"] = 1_700_000_001
    found = records(tmp_path, "".join(json.dumps(row) + "\n" for row in rows))
    assert found["given_at"].to_list() == [1_700_000_000, 1_700_000_001]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2026-01-01T01:00:00+02:00", "2025-12-31T23:00:00Z"),
        (1_767_222_000, 1_767_222_000),
    ],
)
def test_ndjson_times_keep_their_offset(tmp_path: Path, first: object, second: object) -> None:
    path = tmp_path / "c"
    lines = [
        {"id": "a", "given_at": first, "state": "given", "withdrawn_at": None},
        {"id": "b", "given_at": second, "state": "withdrawn", "withdrawn_at": second},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = pl.concat(list(read(path, normalise, now=NOW)))
    assert found["given_at"].to_list() == [1_767_222_000, 1_767_222_000]
    assert found["withdrawn_at"].to_list() == [None, 1_767_222_000]


def test_ndjson_times_without_an_offset_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRecord, match=r"Line 1 .*given_at"):
        records(tmp_path, '{"id": "a", "given_at": "2026-01-01T01:00:00", "state": "given"}\n')


def test_parquet_with_timestamps(tmp_path: Path) -> None:
    path = tmp_path / "c"
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    pl.DataFrame({"id": ["a"], "given_at": [moment], "state": ["given"], "phone": ["1"]}).write_parquet(path)
    found = pl.concat(list(read(path, normalise, now=NOW)))
    assert found["given_at"].to_list() == [int(moment.timestamp())]
    assert "phone" not in found.columns


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("a,1700000000,maybe", "state"),
        ("a,1700000000,", "state"),
        (",1700000000,given", "id"),
        ("a,,given", "given_at"),
        ("a,yesterday,given", "given_at"),
        ("a,2024-01-01T00:00:00,given", "given_at"),
        ("a,1700000000000,given", "given_at"),
        ("a,3,given", "given_at"),
        (f"a,{NOW + 90_000},given", "given_at"),
    ],
)
def test_a_bad_record_is_named_by_its_line(tmp_path: Path, row: str, what: str) -> None:
    with pytest.raises(BadRecord, match=rf"Line 4 of the consent file .*{what}") as caught:
        records(tmp_path, f"{HEADER}x,1700000000,given\ny,1700000000,given\n{row}\nz,1700000000,given\n")
    assert "maybe" not in str(caught.value)


def test_a_bad_withdrawal_time_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRecord, match=r"Line 2 .*withdrawn_at"):
        records(tmp_path, "id,given_at,state,withdrawn_at\na,1700000000,withdrawn,soon\n")


def test_the_line_counts_on_over_batches(tmp_path: Path) -> None:
    good = "a,1700000000,given\n" * 900_000
    with pytest.raises(BadRecord, match="Line 900002 "):
        records(tmp_path, f"{HEADER}{good}b,1700000000,maybe\n")


def test_a_missing_column_is_a_wrong_schema(tmp_path: Path) -> None:
    with pytest.raises(WrongSchema, match="`state`"):
        records(tmp_path, "id,given_at\na,1700000000\n")


@pytest.mark.parametrize(
    "data", [b"", b"id,given_at,state\na,1,given,4\n", b'{"id": 1}\nbroken\n', b"PAR1 no"]
)
def test_what_is_no_table_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InputError):
        records(tmp_path, data)


def test_a_truncated_gzip_is_unreadable(tmp_path: Path) -> None:
    rows = b"".join(b"%d,1700000000,given\n" % i for i in range(300_000))
    packed = gzip.compress(b"id,given_at,state\n" + rows)
    with pytest.raises(UnreadableFile):
        records(tmp_path, packed[:-5000])


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile):
        list(read(tmp_path / "nothing", normalise, now=NOW))


def test_only_given_and_renewed_consent_permit() -> None:
    assert {state for state, good in STATES.items() if good} == {
        "given",
        "consentgiven",
        "renewedconsentgiven",
    }
    said = pl.Series(
        ["dpv:ConsentGiven", "https://w3id.org/dpv#ConsentRevoked", " Given ", "CPXxRfAPXxRfAAfKAB", None]
    )
    assert said.to_frame("s").select(permits(pl.col("s"))).to_series().to_list() == [
        True,
        False,
        True,
        None,
        None,
    ]
