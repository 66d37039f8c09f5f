from __future__ import annotations

import datetime as dt
import io
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import pytest

from passersby.errors import BadRecord, UnreadableFile
from passersby.sources.schema import load, parse
from passersby.sources.sniff import Proposal, mask, sniff

_RANDOM = random.Random(7)
T = 1_779_000_000
IDS = [str(UUID(int=_RANDOM.getrandbits(128), version=4)) for _ in range(50)]
ROWS = [
    (
        IDS[n % 50],
        T + 17 * n,
        round(52.4 + _RANDOM.random() / 5, 7),
        round(13.3 + _RANDOM.random() / 5, 7),
        n % 40 + 3,
    )
    for n in range(300)
]
EXPECTED = [(i, t, lat, lon, accuracy) for i, t, lat, lon, accuracy in ROWS]

Put = Callable[..., Path]
Reading = Callable[..., Any]


def csv(head: str, row: Callable[..., str]) -> bytes:
    return "\n".join([*([head] if head else []), *(row(*r) for r in ROWS)]).encode() + b"\n"


def iso(t: int) -> str:
    return dt.datetime.fromtimestamp(t, dt.timezone(dt.timedelta(hours=-4))).isoformat()


def parquet() -> bytes:
    out = io.BytesIO()
    frame = pl.DataFrame(ROWS, schema=["maid", "seen", "lat", "lon", "hacc"], orient="row")
    frame.select("maid", pl.struct("lat", "lon", "hacc").alias("fix"), "seen").write_parquet(out)
    return out.getvalue()


def ndjson(i: str, t: int, lat: float, lon: float, accuracy: int) -> str:
    geo = {"lat": lat, "lng": lon, "accuracy": accuracy}
    return json.dumps({"device": {"ifa": i, "lmt": False, "ip": "192.0.2.7", "geo": geo}, "ts": t * 1000})


def mercator(i: str, t: int, lat: float, lon: float, accuracy: int) -> str:
    x = 6_378_137 * math.radians(lon)
    y = 6_378_137 * math.atanh(math.sin(math.radians(lat)))
    return f"{i},{t},{x},{y},{accuracy}"


FILES: dict[str, bytes] = {
    "Parquet": parquet(),
    "CSV with header": csv("device_id,timestamp,lat,lng,h_accuracy", lambda *r: ",".join(map(str, r))),
    "CSV without header": csv("", lambda i, t, lat, lon, a: f"{i},x,{lat},{lon},{a},{t * 1000}"),
    "nested NDJSON": csv("", ndjson),
    "E7 integers": csv(
        "uid,t_ms,latitudeE7,longitudeE7,accuracy".replace("t_ms", "timestamp"),
        lambda i, t, lat, lon, a: f"{i},{t},{round(lat * 1e7)},{round(lon * 1e7)},{a}",
    ),
    "web mercator": csv("uid,ts,x,y,ha", mercator),
    "epoch ms": csv("uid,ts,lat,lon,ha", lambda i, t, lat, lon, a: f"{i},{t * 1000 + 999},{lat},{lon},{a}"),
    "epoch us": csv("uid,ts,lat,lon,ha", lambda i, t, lat, lon, a: f"{i},{t * 10**6 + 1},{lat},{lon},{a}"),
    "ISO with offsets": csv("uid,time,lat,lon,ha", lambda i, t, lat, lon, a: f"{i},{iso(t)},{lat},{lon},{a}"),
    "ISO without offsets": csv(
        "uid,time,lat,lon,ha",
        lambda i, t, lat, lon, a: (
            f"{i},{dt.datetime.fromtimestamp(t, dt.UTC):%Y-%m-%d %H:%M:%S},{lat},{lon},{a}"
        ),
    ),
    "decimal comma": csv(
        "uid;ts;lat;lon;ha", lambda i, t, lat, lon, a: f"{i};{t};{lat};{lon};{a},0".replace(".", ",")
    ),
    "compass letters": csv("uid,ts,lat,lon,ha", lambda i, t, lat, lon, a: f"{i},{t},{lat}N,{lon}E,{a}"),
    "pipes": csv("uid|ts|lat|lon|ha", lambda *r: "|".join(map(str, r))),
    "tabs": csv("uid\tts\tlat\tlon\tha", lambda *r: "\t".join(map(str, r))),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("compression", ["", "gzip"])
def test_a_proposal_reads_the_file_it_was_made_from(
    kind: str, compression: str, put: Put, reading: Reading
) -> None:
    path = put(FILES[kind], "" if kind == "Parquet" else compression)
    proposal = sniff(path)
    assert proposal.missing == ()
    found = reading(path, parse(proposal.to_toml(), "proposed"))
    assert found.rejected == {}
    rows = found.frame.select("id", "t", pl.col("lat", "lon").round(7), "accuracy_m").rows()
    assert rows == EXPECTED


def test_a_proposal_is_loaded_from_its_file(put: Put, tmp_path: Path) -> None:
    target = tmp_path / "proposed.toml"
    target.write_text(sniff(put(FILES["nested NDJSON"])).to_toml())
    schema = load(target)
    assert schema.columns["id"] == "device.ifa"
    assert (schema.columns["opt_out"], schema.opt_out_values) == ("device.lmt", ("1", "true"))


def test_a_headerless_file_is_told_from_one_with_a_header(put: Put) -> None:
    assert sniff(put(FILES["CSV with header"])).header
    proposal = sniff(put(FILES["CSV without header"]))
    assert not proposal.header
    assert [column.name for column in proposal.columns] == [f"_c{i}" for i in range(6)]


def test_guesses_from_names_and_values_are_surer_than_from_values_alone(put: Put) -> None:
    def confidences(kind: str) -> dict[str, float]:
        return {column.role: column.confidence for column in sniff(put(FILES[kind])).columns if column.role}

    named, bare = confidences("CSV with header"), confidences("CSV without header")
    assert named.keys() == bare.keys()
    assert all(named[role] > bare[role] for role in named)


def content(proposal: Proposal) -> str:
    return repr(proposal) + proposal.to_toml()


@pytest.mark.parametrize("kind", FILES)
def test_a_proposal_holds_no_value_of_the_file(kind: str, put: Put) -> None:
    text = content(sniff(put(FILES[kind])))
    for i, t, lat, lon, _ in ROWS[:5]:
        for value in (
            i,
            i[5:],
            str(t),
            str(lat),
            str(lon),
            str(lat)[3:],
            str(lon)[3:],
            str(round(lat * 1e7)),
        ):
            assert value not in text
    assert "192.0.2" not in text


@pytest.mark.parametrize(
    ("text", "role", "shown"),
    [
        ("a1b2c3d4-e5f6", "id", "a1b2…"),
        ("4716", "id", "…"),
        ("52.5200", "latitude", "52.**"),
        ("-122.41", "longitude", "-122.**"),
        ("52,52", "latitude", "52.**"),
        ("-4265512.77", "x", "-42*****"),
        ("892747,98", "x", "*****"),
        ("99512.77", "y", "*****"),
        ("1779000000", "time", "1779******"),
        ("2024-01-06T10:29", "time", "2024-**-**T**:**"),
        ("a1b2c3d4-e5f6", "time", "********-****"),
        ("Anna's iPhone 15", "", "xxxx'x xxxxxx 99"),
    ],
)
def test_masks(text: str, role: str, shown: str) -> None:
    assert mask(text, role) == shown


def test_scaled_integers_show_whole_degrees() -> None:
    assert mask("525200000", "latitude", scaled=True) == "52.**"
    assert mask("-1224100000", "longitude", scaled=True) == "-122.**"
    assert mask("-5200", "latitude", scaled=True) == mask("5200", "latitude", scaled=True) == "0.**"


def test_forbidden_columns_are_listed_and_never_used(put: Put) -> None:
    head = "msisdn,ip_address,ts,lat,lon,wifi_ssid"
    proposal = sniff(put([head, *(f"4917{n},192.0.2.1,{T + n},52.1,13.{n},home" for n in range(30))]))
    assert proposal.forbidden == ("msisdn", "ip_address", "wifi_ssid")
    assert proposal.missing == ("id",)
    assert [c.examples for c in proposal.columns if c.name == "msisdn"] == [("***", "***")]
    with pytest.raises(BadRecord, match="`id` is missing"):
        parse(proposal.to_toml(), "proposed")


def test_awkward_column_names_survive(put: Put) -> None:
    head = 'uid;ts;lat;lon;"weird ""name"" \\ #"'
    proposal = sniff(put([head, *(f"{IDS[n]};{T + n};52.1;13.2{n};x" for n in range(30))]))
    assert parse(proposal.to_toml(), "proposed").dropped == ('weird "name" \\ #',)


@pytest.mark.parametrize("head", [",uid,ts,lat,lon", "lat,uid,ts,lat,lon", "uid,uid,ts,lat,lon"])
def test_a_header_may_have_an_empty_name_or_one_twice(head: str, put: Put) -> None:
    proposal = sniff(put([head, *(f"{n},{IDS[n]},{T + n},52.1,13.2{n}" for n in range(30))]))
    assert proposal.header
    assert {"lat", "lon", "ts", "uid"} <= {column.name for column in proposal.columns}


@pytest.mark.parametrize("long", [0, 5, 30])
def test_a_line_that_is_too_long_for_a_field_does_not_stop_the_rest(long: int, put: Put) -> None:
    lines = ["uid,ts,lat,lon", *(f"{IDS[n]},{T + n},52.1,13.2{n}" for n in range(30))]
    lines.insert(long + 1, "x" * 300_000)
    assert sniff(put(lines)).missing == ()


@pytest.mark.parametrize(
    ("value", "shown"), [("denied", True), ("1", True), (IDS[0], False), ("4917", False)]
)
def test_only_flags_are_shown_as_opt_outs(value: str, shown: bool, put: Put) -> None:
    proposal = sniff(
        put(["uid,ts,lat,lon,opt_out", *(f"{IDS[1]},{T + n},52.1,13.2,{value}" for n in range(9))])
    )
    assert (value in content(proposal)) == shown


def test_bid_requests_are_recognised(put: Put) -> None:
    def request(n: int) -> str:
        geo = {"lat": 52.1, "lon": 13.2 + n / 1e3, "type": 1, "utcoffset": 120}
        return json.dumps({"imp": [{"id": "1"}], "t": T + n, "device": {"ifa": IDS[n], "geo": geo}})

    proposal = sniff(put([request(n) for n in range(30)]))
    assert (proposal.builtin, bool(proposal.refused)) == ("openrtb", True)


def test_a_schema_fits_exactly_or_not_at_all(put: Put) -> None:
    lines = [f"{IDS[n]},{T + n},52.1,13.2{n},5" for n in range(30)]
    head = "id,time,latitude,longitude,accuracy"
    assert sniff(put([head, *lines])).builtin == "simple"
    assert sniff(put([f"{head},speed", *(f"{line},1" for line in lines)])).builtin == ""
    assert (
        sniff(put([head, *(line.replace(f"{T // 1000}", f"{T // 1000}000") for line in lines)])).builtin == ""
    )


def test_a_file_with_one_line_is_proposed(put: Put) -> None:
    assert sniff(put([f"{IDS[0]},{T},52.1234,13.5678"])).missing == ()


@pytest.mark.parametrize("data", [b"", b"PAR1broken", b"PK\x03\x04zip", b"[1]"])
def test_bad_files_are_refused(data: bytes, put: Put) -> None:
    with pytest.raises(UnreadableFile):
        sniff(put(data))
