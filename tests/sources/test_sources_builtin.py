"""One file for every built-in schema, as its supplier writes it."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard

from passersby.errors import Refusal, WrongSchema
from passersby.sources.read import Limits, columns, read
from passersby.sources.schema import builtin_names, load
from passersby.sources.sniff import sniff

A, B = "38400000-8cf0-11bd-b23e-10b96e40000d", "6d92078a-8246-4ba4-ae5b-76104861e7dc"
T = 1_779_000_000
EXPECTED = [(A, T, 52.52, 13.405, 12), (B, T + 61, -33.868, 151.209, None)]
LIMITS = Limits(now=1_780_000_000)
PLAIN = [(A, T, 52.52, 13.405), (B, T + 61, -33.868, 151.209)]


def parquet(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


def text(*lines: str) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def sovrn() -> bytes:
    names = [
        *("mobile_ad_id", "id_type", "timestamp", "latitude", "longitude", "ip_address"),
        *("horizontal_accuracy", "country_code", "location_context", "location_method", "altitude"),
        *("vertical_accuracy", "speed", "course_bearing", "device_model", "os_version"),
        *("device_language", "user_agent"),
    ]
    rest = ["foreground", "gps", "34", "5", "0", "", "iPhone15,3", "17.4", "de", 'Mozilla/5.0 "x"']
    rows = [
        [A.upper(), "IDFA", str(T * 1000 + 999), "52.52", "13.405", "192.0.2.1", "12", "DE", *rest],
        [B, "AAID", str((T + 61) * 1000), "-33.868", "151.209", "192.0.2.2", "", "AU", *rest],
    ]
    return gzip.compress(text(*("\t".join(row) for row in [names, *rows])))


def veraset() -> bytes:
    frame = pl.DataFrame(
        {
            "utc_timestamp": [T, T + 61],
            "ad_id": [A, B],
            "latitude": [52.52, -33.868],
            "longitude": [13.405, 151.209],
            "horizontal_accuracy": [11.2, None],
            "geo_hash": ["u33dc", "r3gx2"],
            "ip_address": ["192.0.2.1", "192.0.2.2"],
            "iso_country_code": ["DE", "AU"],
        }
    )
    return parquet(frame)


def quadrant() -> bytes:
    rows = [f"{A.upper()},aaid,52.52,13.405,12,{T * 1000}", f"{B},idfa,-33.868,151.209,,{(T + 61) * 1000}"]
    return gzip.compress(text(*rows))


def foursquare() -> bytes:
    def row(ifa: str, t: int, geo: dict[str, float]) -> str:
        payload = {"device": {"ifa": ifa, "lmt": 0, "ip": "192.0.2.1", "geo": geo}, "app": {"id": "a"}}
        return json.dumps({"timestamp": t * 1000, "payload": payload})

    first = row(A, T, {"lat": 52.52, "lon": 13.405, "accuracy": 12})
    return gzip.compress(text(first, row(B, T + 61, {"lat": -33.868, "lon": 151.209})))


def adtech() -> bytes:
    lines = [
        "datetime,latitude,longitude,advertiser_id,horizontal_accuracy,carrier,model,wifi_ssid,wifi_bssid",
        f'{stamp(T)},52.52,13.405,{A},12,o2,"iPhone15,3",home,02:00:5e:00:53:01',
        f"{stamp(T + 61)},-33.868,151.209,{B},,optus,Pixel 8,cafe,02:00:5e:00:53:02",
    ]
    return zstandard.compress(text(*lines))


def stamp(t: int) -> str:
    return dt.datetime.fromtimestamp(t, dt.timezone(dt.timedelta(hours=2))).isoformat(" ")


def simple() -> bytes:
    rows = [f"{A},{T},52.52,13.405,12", f"{B},{T + 61},-33.868,151.209,"]
    return text("id,time,latitude,longitude,accuracy", *rows)


def timestamps(**more: Any) -> pl.DataFrame:
    moments = [dt.datetime(1970, 1, 1) + dt.timedelta(seconds=t) for t in (T, T + 61)]  # noqa: DTZ001 (naive on purpose)
    return pl.DataFrame(
        {"user": [A, B], "ts": moments, "lat": [52.52, -33.868], "lon": [13.405, 151.209], **more}
    )


def taxi() -> bytes:
    return parquet(timestamps(occupied=[0, 1]))


def phone() -> bytes:
    return parquet(timestamps(run=["a", "b"], platform=["ios", "android"], accuracy=[11.01, None]))


def naive(t: int) -> str:
    return f"{dt.datetime.fromtimestamp(t, dt.UTC):%Y-%m-%d %H:%M:%S}"


def bus() -> bytes:
    names = "id,vehicle_id,trip_id,timestamp,latitude,longitude,bearing,origin,destination,route_name"
    rows = [
        f'1,"{A}","10","{naive(T)}",52.52,13.405,,Here,There,"14",out,XY',
        f'2,"{B}","11","{naive(T + 61)}",-33.868,151.209,,Here,There,"14",out,XY',
    ]
    return text(f"{names},direction,operator", *rows)


def tracks() -> bytes:
    rows = [f"52.52,13.405,{A},{naive(T - 10_800)}", f"-33.868,151.209,{B},{naive(T + 61 - 10_800)}"]
    return text("latitude,longitude,track_id,time", *rows)


def nomad() -> bytes:
    rows = [(A, T, 52.52, 13.405), (B, T + 61, -33.868, 151.209)]
    return parquet(pl.DataFrame(rows, schema=["uid", "timestamp", "latitude", "longitude"], orient="row"))


def nomad_local() -> bytes:
    names = '"user_id","dev_lat","dev_lon","local_datetime"'
    return text(names, f'"{A}",52.52,13.405,"{stamp(T)}"', f'"{B}",-33.868,151.209,"{stamp(T + 61)}"')


def nomad_mercator() -> bytes:
    frame = pl.DataFrame(
        {
            "gc_identifier": [A, B],
            "dev_x": [6_378_137 * math.radians(lon) for lon in (13.405, 151.209)],
            "dev_y": [6_378_137 * math.atanh(math.sin(math.radians(lat))) for lat in (52.52, -33.868)],
            "unix_ts": [T, T + 61],
            "ha": [12.0, None],
            "tz_offset": [7200, 36000],
        }
    )
    return parquet(frame)


FILES: dict[str, Callable[[], bytes]] = {
    "sovrn": sovrn,
    "veraset": veraset,
    "quadrant": quadrant,
    "foursquare": foursquare,
    "adtech": adtech,
    "simple": simple,
    "taxi": taxi,
    "phone": phone,
    "bus": bus,
    "tracks": tracks,
    "nomad": nomad,
    "nomad-local": nomad_local,
    "nomad-mercator": nomad_mercator,
}
WITHOUT_ACCURACY = {"taxi", "bus", "tracks", "nomad", "nomad-local"}


def test_every_accepted_schema_has_a_file_here() -> None:
    assert set(FILES) == {name for name in builtin_names() if not load(name).refused}


@pytest.mark.parametrize("name", FILES)
def test_a_suppliers_file_is_read(name: str, put: Callable[..., Path], reading: Callable[..., Any]) -> None:
    found = reading(put(FILES[name]()), name, offset=-10_800 if name == "tracks" else 0)
    assert (found.read, found.rejected) == (2, {})
    rows = found.frame.select("id", "t", pl.col("lat", "lon").round(9), "accuracy_m").rows()
    assert rows == ([(*row, None) for row in PLAIN] if name in WITHOUT_ACCURACY else EXPECTED)
    first = 1 if name in {"quadrant", "foursquare"} or FILES[name]()[:4] == b"PAR1" else 2
    assert found.frame["line"].to_list() == [first, first + 1]


@pytest.mark.parametrize("name", FILES)
def test_no_column_of_a_suppliers_file_is_undeclared(name: str, put: Callable[..., Path]) -> None:
    assert columns(put(FILES[name]()), load(name)).undeclared == ()


@pytest.mark.parametrize("name", FILES)
def test_sniffing_recognises_a_suppliers_file(name: str, put: Callable[..., Path]) -> None:
    assert sniff(put(FILES[name]())).builtin == name


def test_what_is_forbidden_is_dropped_and_reported(put: Callable[..., Path]) -> None:
    found = columns(put(sovrn()), load("sovrn"))
    assert found.forbidden == ("ip_address", "country_code", "device_language", "user_agent")
    assert columns(put(adtech()), load("adtech")).forbidden == ("carrier", "wifi_ssid", "wifi_bssid")


OPENRTB = text("lat,long,type,country,utcoffset", "52.52,13.405,1,DEU,120")
CUEBIQ = text(f"{stamp(T)}\t{A}\t600\tp1\tCorner Shop\tg1", f"{stamp(T)}\t{B}\t60\tp2\tCafe\tg1")


@pytest.mark.parametrize(
    ("name", "data", "word"), [("openrtb", OPENRTB, "bidstream"), ("cuebiq", CUEBIQ, "places")]
)
def test_what_is_refused_says_why(name: str, data: bytes, word: str, put: Callable[..., Path]) -> None:
    path = put(data)
    with pytest.raises(WrongSchema, match=word):
        next(read(path, load(name), limits=LIMITS))
    proposal = sniff(path)
    assert proposal.builtin == name
    assert word in proposal.refused


def test_bidstream_columns_are_refused_under_any_schema(put: Callable[..., Path]) -> None:
    path = put(OPENRTB.replace(b"lat,", b"id,time,lat,").replace(b"52.52", b"a,1779000000,52.52"))
    with pytest.raises(Refusal, match="bidstream"):
        columns(path, load("simple"))


@pytest.mark.parametrize(
    "extra",
    [
        "cell_tower_id",
        "CellTower",
        "tower_id",
        "cgi",
        "ECGI",
        "eNodeB_id",
        "base_station",
        "lac,cid",
        "tac,eci",
    ],
)
def test_columns_of_cell_towers_are_refused_under_any_schema(put: Callable[..., Path], extra: str) -> None:
    values = ",".join("1" for _ in extra.split(","))
    path = put(f"id,time,latitude,longitude,{extra}\na,1779000000,52.5,13.4,{values}\n".encode())
    with pytest.raises(Refusal) as refused:
        columns(path, load("simple"))
    assert refused.value.code == "cell-towers"
    assert "towers" in sniff(path).refused


@pytest.mark.parametrize("extra", ["cell_id", "cid", "lac", "h3_cell", "towering", "cgi_version"])
def test_columns_that_may_be_something_else_are_only_dropped(put: Callable[..., Path], extra: str) -> None:
    path = put(f"id,time,latitude,longitude,{extra}\na,1779000000,52.5,13.4,1\n".encode())
    assert extra in columns(path, load("simple")).undeclared
