"""The written files, counted once more by other means than those that wrote them."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
import math
import uuid
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow.parquet as pq
import pytest
import zstandard

from passersby.synth.write import File, Summary

COLUMNS = {
    "sovrn": "mobile_ad_id id_type timestamp latitude longitude ip_address horizontal_accuracy country_code "
    "location_context location_method altitude vertical_accuracy speed course_bearing device_model "
    "os_version device_language user_agent",
    "veraset": "utc_timestamp ad_id latitude longitude horizontal_accuracy geo_hash ip_address "
    "iso_country_code",
    "adtech": "datetime latitude longitude advertiser_id horizontal_accuracy carrier model wifi_ssid "
    "wifi_bssid",
}
SUPPLIERS = ("sovrn", "veraset", "adtech", "foursquare", "quadrant")
ZERO = "00000000-0000-0000-0000-000000000000"
YEARS_2000_TO_2050 = range(946_684_800, 2_524_608_000)


class Row(NamedTuple):
    id: str
    time: str
    lat: str
    lon: str
    limited: bool = False


@cache
def _text(path: Path) -> str:
    if path.suffix == ".zst":
        with zstandard.open(path, "rt", encoding="utf-8", newline="") as file:
            return str(file.read())
    return gzip.decompress(path.read_bytes()).decode()


def _csv_rows(path: Path, supplier: str) -> Iterator[Row | None]:
    places = {"sovrn": (0, 2, 3, 4, 18), "adtech": (3, 0, 1, 2, 9), "quadrant": (0, 5, 2, 3, 6)}[supplier]
    lines = csv.reader(io.StringIO(_text(path)), delimiter="\t" if supplier == "sovrn" else ",")
    if supplier != "quadrant":
        assert next(lines) == COLUMNS[supplier].split()
    for fields in lines:
        if len(fields) != places[4]:
            yield None
            continue
        yield Row(id=fields[places[0]], time=fields[places[1]], lat=fields[places[2]], lon=fields[places[3]])


def _json_rows(path: Path) -> Iterator[Row | None]:
    for line in _text(path).splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            yield None
            continue
        device = row["payload"]["device"]
        assert row.keys() == {"timestamp", "payload"}
        assert row["payload"].keys() == {"device", "app"}
        assert row["payload"]["app"].keys() == {"id"}
        assert device.keys() == {"ifa", "lmt", "geo"}
        lat, lon = (_plain(device["geo"][k]) for k in ("lat", "lon"))
        yield Row(_plain(device["ifa"]), _plain(row["timestamp"]), lat, lon, device["lmt"] == 1)


def _parquet_rows(path: Path) -> Iterator[Row]:
    table = pq.read_table(path)
    assert table.schema.names == COLUMNS["veraset"].split()
    for row in table.to_pylist():
        lat, lon = _plain(row["latitude"]), _plain(row["longitude"])
        yield Row(_plain(row["ad_id"]), _plain(row["utc_timestamp"]), lat, lon)


def _plain(value: Any) -> str:
    return "" if value is None else str(value)


@cache
def _rows(path: Path, supplier: str) -> list[Row | None]:
    if supplier == "foursquare":
        return list(_json_rows(path))
    return list(_parquet_rows(path) if supplier == "veraset" else _csv_rows(path, supplier))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _instant(text: str, supplier: str) -> int | None:
    if supplier == "adtech":
        try:
            return int(dt.datetime.fromisoformat(text).timestamp())
        except ValueError:
            return None
    return int(text) // (1 if supplier == "veraset" else 1000) if text.isdecimal() else None


def _consents(world: Summary, supplier: str) -> dict[str, int] | None:
    """Instant from which each id has consented; None where the supplier needs no consent."""
    if supplier not in world.consent:
        return None
    with world.consent[supplier].open(newline="") as file:
        return {
            row["id"].lower(): int(dt.datetime.fromisoformat(row["given_at"]).timestamp())
            for row in csv.DictReader(file)
            if row["state"] == "given"
        }


def _reason(row: Row | None, supplier: str, consents: dict[str, int] | None) -> str:  # noqa: C901, PLR0911 (one line a check)
    if row is None:
        return "bad-line"
    lat, lon, t = _number(row.lat), _number(row.lon), _instant(row.time, supplier)
    if math.isnan(lat) or math.isnan(lon):
        return "bad-coordinates"
    if abs(lat) > 90:
        return "latitude-range"
    if abs(lon) > 180:
        return "longitude-range"
    if lat == lon == 0:
        return "null-island"
    if t is None:
        return "bad-time"
    if t not in YEARS_2000_TO_2050:
        return "time-range"
    if row.id in {"", "null"}:
        return "missing-id"
    if row.id == ZERO or row.limited:
        return "opt-out"
    try:
        uuid.UUID(row.id)
    except ValueError:
        return "bad-id"
    since = 0 if consents is None else consents.get(row.id.lower())
    if since is None:
        return "no-consent"
    return "consent-later" if t < since else ""


def _first(world: Summary, supplier: str) -> tuple[File, list[Row | None]]:
    file = next(f for f in world.files if f.supplier == supplier)
    return file, _rows(world.root / file.path, supplier)


@pytest.mark.parametrize("supplier", SUPPLIERS)
def test_the_truth_is_what_another_count_finds(world: Summary, supplier: str) -> None:
    file, rows = _first(world, supplier)
    consents = _consents(world, supplier)
    reasons = [_reason(row, supplier, consents) for row in rows]
    assert len(rows) == file.rows
    found = Counter(reasons)
    stored = found.pop("")
    assert dict(found) == file.rejected
    good = [
        (row.id.lower(), _instant(row.time, supplier))
        for row, why in zip(rows, reasons, strict=True)
        if row and not why
    ]
    assert len(good) == stored
    assert len(good) - len(set(good)) == file.duplicates > 0
    assert len(set(good)) == file.stored


@pytest.mark.parametrize("supplier", SUPPLIERS)
def test_every_kind_of_dirt_is_planted(world: Summary, supplier: str) -> None:
    expected = {"bad-coordinates", "latitude-range", "longitude-range", "null-island", "bad-time"}
    expected |= {"time-range", "missing-id", "bad-id", "opt-out"}
    expected |= {"bad-line"} if supplier != "veraset" else set()
    expected |= {"no-consent"} if supplier in {"sovrn", "adtech"} else set()
    for file in (f for f in world.files if f.supplier == supplier):
        # the consents that are given on the way are all there when the second of the two days begins
        late = {"consent-later"} if "no-consent" in expected and file.day == world.files[0].day else set()
        assert set(file.rejected) == expected | late
        assert file.teleports > 0


@pytest.mark.parametrize("supplier", SUPPLIERS)
def test_duplicates_are_whole_rows(world: Summary, supplier: str) -> None:
    file, rows = _first(world, supplier)
    consents = _consents(world, supplier)
    kept = [row for row in rows if row and not _reason(row, supplier, consents)]
    assert len(kept) - len(set(kept)) == file.duplicates


def test_without_dirt_every_row_can_be_stored(clean_world: Summary) -> None:
    for file in clean_world.files:
        assert file.stored == file.rows
        assert not file.rejected
        rows = _rows(clean_world.root / file.path, file.supplier)
        consents = _consents(clean_world, file.supplier)
        assert {_reason(row, file.supplier, consents) for row in rows} == {""}
        assert len({(row.id.lower(), _instant(row.time, file.supplier)) for row in rows if row}) == file.rows


def test_times_in_the_files_lie_on_their_local_day(clean_world: Summary) -> None:
    for file in clean_world.files:
        midnight = int(dt.datetime.fromisoformat(f"{file.day}T00:00:00+02:00").timestamp())
        times = [
            _instant(row.time, file.supplier)
            for row in _rows(clean_world.root / file.path, file.supplier)
            if row
        ]
        assert all(t is not None and midnight < t < midnight + 86_400 for t in times)


def test_the_same_phone_has_one_id_at_all_suppliers(clean_world: Summary) -> None:
    ids = {
        file.supplier: {row.id.lower() for row in _rows(clean_world.root / file.path, file.supplier) if row}
        for file in clean_world.files
    }
    for one, other in combinations(ids.values(), 2):
        assert len(one & other) / min(len(one), len(other)) > 0.2
    assert len(set.union(*ids.values())) < 1_500


def test_ids_are_in_both_cases_where_the_phones_write_them_so(clean_world: Summary) -> None:
    frame = pl.read_csv(io.StringIO(_text(clean_world.of("sovrn")[0])), separator="\t")
    upper = frame["mobile_ad_id"] == frame["mobile_ad_id"].str.to_uppercase()
    assert (upper == (frame["id_type"] == "IDFA")).all()
    assert 0.2 < upper.sum() / len(upper) < 0.6


def test_forbidden_columns_hold_plausible_values_of_nobody(clean_world: Summary) -> None:
    sovrn = pl.read_csv(io.StringIO(_text(clean_world.of("sovrn")[0])), separator="\t")
    assert sovrn["ip_address"].str.starts_with("100.").all()  # RFC 6598
    assert set(sovrn["country_code"].unique()) == {"CH"}
    adtech = pl.read_csv(io.StringIO(_text(clean_world.of("adtech")[0])))
    assert adtech["wifi_bssid"].str.contains(r"^02(:[0-9a-f]{2}){5}$").all()  # locally administered
    assert adtech["model"].str.contains(",").any()  # a quoted comma, as real feeds have
    assert 0 < adtech["horizontal_accuracy"].null_count() < 0.05 * len(adtech)


def test_movement_columns_are_filled_where_the_phone_moves(clean_world: Summary) -> None:
    sovrn = pl.read_csv(
        io.StringIO(_text(clean_world.of("sovrn")[0])), separator="\t", infer_schema_length=None
    )
    assert (sovrn["speed"].is_null() == sovrn["course_bearing"].is_null()).all()
    assert 0.01 < sovrn["speed"].count() / len(sovrn) < 0.3
    assert sovrn["altitude"].count() == sovrn["vertical_accuracy"].count() > 0


def test_parquet_is_plain_for_every_reader(clean_world: Summary) -> None:
    schema = pq.read_schema(clean_world.of("veraset")[0])
    assert {str(field.type) for field in schema} == {"int64", "string", "double"}


def test_teleports_lie_three_degrees_off(clean_world: Summary, world: Summary) -> None:
    border = 45.7
    far = pl.read_parquet(world.of("veraset")[0]).filter(pl.col("latitude").is_between(40, border))
    near = pl.read_parquet(clean_world.of("veraset")[0]).filter(pl.col("latitude") < border)
    assert len(near) == 0
    assert len(far) == next(f.teleports for f in world.files if f.supplier == "veraset")
