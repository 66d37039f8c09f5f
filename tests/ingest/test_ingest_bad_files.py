"""Each kind of bad file by itself: a clear error or a counted rejection, and never half a delivery."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard

from passersby.errors import (
    InputError,
    NotReady,
    Refusal,
    UnknownName,
    UnreadableFile,
    UsageError,
    WrongSchema,
)

T = 1_779_000_000  # 2026-05-17 06:40 UTC
NOW = 1_780_000_000
HEADER = "id,time,latitude,longitude,accuracy\n"


def rows(n: int, first: int = 0) -> str:
    return "".join(f"device-{i % 50},{T + i},{47 + i % 1000 / 1e5},8,10\n" for i in range(first, first + n))


def write(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def assert_untouched(deployed: Any) -> None:
    assert deployed.pings().is_empty()
    assert deployed.presence().is_empty()
    assert not list((deployed.root / "lake").rglob("*.parquet"))
    assert not list((deployed.root / "lake").rglob("*.arrow"))
    assert not any("delivery.stored" in entry for entry in deployed.log())
    assert deployed.lake.sweep(NOW) == []


def test_a_truncated_gzip(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    path = write(tmp_path / "a.csv.gz", gzip.compress((HEADER + rows(60_000)).encode())[:-3000])
    with pytest.raises(UnreadableFile, match="damaged"):
        deployed.take(path)
    assert_untouched(deployed)


def test_a_broken_zstandard_frame(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    packed = bytearray(zstandard.ZstdCompressor().compress((HEADER + rows(60_000)).encode()))
    packed[len(packed) // 2] ^= 0xFF
    packed[len(packed) // 2 + 1] ^= 0xFF
    with pytest.raises(InputError):
        deployed.take(write(tmp_path / "a.csv.zst", bytes(packed[:-7])))
    assert_untouched(deployed)


def test_a_second_file_that_is_damaged_takes_the_first_with_it(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    good = write(tmp_path / "a.csv", HEADER + rows(100))
    bad = write(tmp_path / "b.csv.gz", gzip.compress((HEADER + rows(100)).encode())[:-20])
    with pytest.raises(UnreadableFile):
        deployed.take([good, bad])
    assert_untouched(deployed)


def test_a_parquet_without_a_needed_column(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    pl.DataFrame({"id": ["a"], "time": [T], "latitude": [47.0]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(WrongSchema, match="longitude"):
        deployed.take(tmp_path / "a.parquet")
    assert_untouched(deployed)


def test_a_truncated_parquet(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    pl.DataFrame({"id": ["a"], "time": [T], "latitude": [47.0], "longitude": [8.0]}).write_parquet(
        tmp_path / "a"
    )
    write(tmp_path / "b", (tmp_path / "a").read_bytes()[:-10])
    with pytest.raises(UnreadableFile):
        deployed.take(tmp_path / "b")
    assert_untouched(deployed)


def test_one_broken_line_among_many(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    path = write(tmp_path / "a.csv", HEADER + rows(40_000) + 'x,"1\n' + rows(10, 40_000))
    report = deployed.take(path)
    assert (report.read, report.stored, report.rejected) == (40_011, 40_010, {"bad-line": 1})
    assert report.examples["bad-line"] == (40_002,)


def test_a_header_in_the_middle(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    report = deployed.take(write(tmp_path / "a.csv", HEADER + rows(10) + HEADER + rows(10, 10)))
    assert (report.read, report.stored, report.rejected) == (21, 20, {"bad-line": 1})


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"a,{T},400,8,1", "latitude-range"),
        (f"a,{T},47,-181,1", "longitude-range"),
        (f"a,{T},NaN,8,1", "bad-coordinates"),
        (f"a,{T},47,inf,1", "bad-coordinates"),
        (f"a,{T},0,0,1", "null-island"),
        ("a,1000,47,8,1", "time-range"),  # 1970
        ("a,4070908800,47,8,1", "time-range"),  # 2099
        (f" ,{T},47,8,1", "missing-id"),
        (f"00000000-0000-0000-0000-000000000000,{T},47,8,1", "opt-out"),
    ],
)
def test_a_bad_value_costs_its_row(deployed: Any, tmp_path: Path, row: str, reason: str) -> None:
    deployed.supplier()
    report = deployed.take(write(tmp_path / "a.csv", HEADER + rows(3) + row + "\n"))
    assert (report.stored, report.rejected) == (3, {reason: 1})


def test_milliseconds_that_are_declared_as_seconds(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    text = HEADER + "".join(f"a,{T + i}000,47,8,1\n" for i in range(10))
    with pytest.raises(WrongSchema, match="milliseconds"):
        deployed.take(write(tmp_path / "a.csv", text))
    assert_untouched(deployed)


def test_doubled_rows_are_stored_once(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    report = deployed.take(write(tmp_path / "a.csv", HEADER + rows(30) * 3))
    assert (report.read, report.stored, report.duplicates) == (90, 30, 60)


def test_a_forbidden_column_is_dropped_reported_and_nowhere(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    number = "+41791234567"
    text = "id,msisdn,time,latitude,longitude,loyalty\n" + f"a,{number},{T},47,8,gold-card-77\n"
    report = deployed.take(write(tmp_path / "a.csv", text))
    assert report.stored == 1
    assert report.dropped == ("loyalty", "msisdn")
    for path in deployed.files():
        assert b"41791234567" not in path.read_bytes()
        assert b"gold-card-77" not in path.read_bytes()


def test_rows_outside_the_dates_of_the_contract(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier(dates=("2026-05-17", "2026-05-17"))
    midnight = T - T % 86_400
    text = HEADER + "".join(
        f"a,{t},47,8,1\n" for t in (midnight - 1, midnight, midnight + 86_399, midnight + 86_400)
    )
    report = deployed.take(write(tmp_path / "a.csv", text))
    assert (report.stored, report.rejected) == (2, {"outside-contract": 2})


def test_the_dates_of_a_contract_are_local_days(deploy: Any, tmp_path: Path) -> None:
    deployed = deploy(utc_offset="+02:00")
    deployed.supplier(dates=("2026-05-17", "2026-05-17"))
    midnight = T - T % 86_400 - 7200
    text = HEADER + "".join(
        f"a,{t},47,8,1\n" for t in (midnight - 1, midnight, midnight + 86_399, midnight + 86_400)
    )
    report = deployed.take(write(tmp_path / "a.csv", text))
    assert (report.stored, report.rejected) == (2, {"outside-contract": 2})
    assert report.first_day == report.last_day == T // 86_400


def test_an_unknown_supplier(deployed: Any, tmp_path: Path) -> None:
    before = deployed.log()
    with pytest.raises(UnknownName):
        deployed.take(write(tmp_path / "a.csv", HEADER + rows(3)), "nobody")
    assert deployed.log() == before


def test_a_supplier_that_was_never_assessed_is_refused_and_logged(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier(assessed=False)
    with pytest.raises(NotReady, match="never assessed") as caught:
        deployed.take(write(tmp_path / "a.csv", HEADER + rows(3)))
    assert "passersby supplier assess acme" in caught.value.next_step
    assert '"code":"not-ready"' in deployed.log()[-1]
    assert '"kind":"delivery.refused"' in deployed.log()[-1]


def test_a_bidstream_schema_is_refused_and_logged(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier(schema="openrtb")
    with pytest.raises(Refusal) as caught:
        deployed.take(write(tmp_path / "a.csv", HEADER + rows(3)))
    assert caught.value.code == "bidstream"
    assert '"code":"bidstream"' in deployed.log()[-1]


@pytest.mark.parametrize(
    ("extra", "code"), [("cell_tower_id", "cell-towers"), ("type,country,utcoffset,lat,lon", "bidstream")]
)
def test_a_file_that_shows_such_a_source_is_refused_and_logged(
    deployed: Any, tmp_path: Path, extra: str, code: str
) -> None:
    deployed.supplier()
    text = HEADER.replace("\n", f",{extra}\n") + rows(3).replace("\n", f",{extra}\n")
    with pytest.raises(Refusal) as caught:
        deployed.take(write(tmp_path / "a.csv", text))
    assert caught.value.code == code
    assert f'"code":"{code}"' in deployed.log()[-1]
    assert '"kind":"delivery.refused"' in deployed.log()[-1]
    assert deployed.pings().is_empty()


def test_no_file_at_all(deployed: Any) -> None:
    deployed.supplier()
    with pytest.raises(UsageError):
        deployed.take([])


def test_a_file_that_is_not_there(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    with pytest.raises(UnreadableFile):
        deployed.take(tmp_path / "nothing.csv")


def test_an_empty_file(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    with pytest.raises(UnreadableFile, match="empty"):
        deployed.take(write(tmp_path / "a.csv", ""))
    assert_untouched(deployed)


def test_a_file_of_bad_rows_only_is_a_delivery_without_pings(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    report = deployed.take(write(tmp_path / "a.csv", HEADER + "a,x,y,z,1\n" * 4))
    assert (report.read, report.stored, report.first_day) == (4, 0, None)
    assert sum(report.rejected.values()) == 4
    assert deployed.pings().is_empty()


def test_a_file_that_changes_while_it_is_read(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    path = write(tmp_path / "a.csv", HEADER + rows(100))

    def meddle(*_: int) -> None:
        path.write_text(HEADER + rows(101))

    with pytest.raises(UnreadableFile, match="changed"):
        deployed.take(path, progress=meddle)
    assert_untouched(deployed)


@pytest.mark.slow
def test_a_broken_line_after_five_million(deploy: Any, tmp_path: Path) -> None:
    deployed = deploy(memory_mb=1024)
    deployed.supplier()
    path = tmp_path / "a.csv.zst"
    with zstandard.open(path, "wt") as file:
        file.write(HEADER)
        for first in range(0, 5_000_000, 100_000):
            file.write(rows(100_000, first))
        file.write("this,is,no\n")
        file.write(rows(5, 5_000_000))
    report = deployed.take(path, now=NOW + 10_000_000)
    assert (report.read, report.stored) == (5_000_006, 5_000_005)
    assert report.examples == {"bad-line": (5_000_002,)}
