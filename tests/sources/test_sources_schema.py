from __future__ import annotations

import json
from pathlib import Path

import pytest

from passersby.errors import BadRecord, Refusal, UnknownName, WrongSchema
from passersby.sources import forbidden
from passersby.sources.layout import layout
from passersby.sources.schema import builtin_names, load, parse
from passersby.sources.times import Clock

MINIMAL = """
name = "x"
description = "x"
[columns]
id = "i"
time = "t"
latitude = "a"
longitude = "o"
"""


def test_all_suppliers_that_are_promised_have_a_schema() -> None:
    promised = {"sovrn", "veraset", "quadrant", "foursquare", "cuebiq", "adtech", "openrtb", "simple"}
    assert promised <= set(builtin_names())


@pytest.mark.parametrize("name", builtin_names())
def test_every_schema_that_comes_along_is_valid_and_named_like_its_file(name: str) -> None:
    assert load(name).name == name


def test_a_schema_is_loaded_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL)
    assert load(path) == load(str(path)) == parse(MINIMAL, "mine.toml")


def test_the_defaults_accept_what_is_safe_only() -> None:
    schema = parse(MINIMAL, "x")
    assert (schema.format, schema.header, schema.collection) == ("any", True, "sdk")
    assert schema.clock(3600) == Clock("iso", None)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName) as error:
        load("sovrm")
    assert "sovrn" in error.value.next_step


def test_a_schema_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadRecord, match="UTF-8"):
        load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name =", "not a schema"),
        (MINIMAL.replace("name", "nmae"), "`nmae`"),
        (MINIMAL.replace('name = "x"\n', ""), "`name` is missing"),
        (MINIMAL + "[time]\nunits = 's'", r"\[time\] `units`"),
        (MINIMAL + "[time]\nunit = 'minutes'", r"\[time\] unit"),
        (MINIMAL + "[time]\nzone = 'Europe/Berlin'", r"\[time\] zone"),
        (MINIMAL + "[time]\nutc_shift_s = 1.5", "must be a int"),
        (MINIMAL + "[coordinates]\ncrs = 'EPSG:25832'", "crs"),
        (MINIMAL + "[coordinates]\ncrs = 'EPSG:3857'", r"\[columns\] `y` is missing"),
        (MINIMAL + "[coordinates]\ndecimal = 'x'", "decimal"),
        (MINIMAL + "[coordinates]\ndivide_by = 0", "divide_by"),
        (MINIMAL + "[id]\ntypes = ['idfa']", "go together"),
        (MINIMAL + "[opt_out]\nvalues = ['1']", "go together"),
        (MINIMAL + "opt_out = 'flag'", "go together"),
        (MINIMAL + "accuracy = 'a'", "a column has two uses"),
        (MINIMAL + "speed = 's'", "`speed`"),
        (MINIMAL + "accuracy = 1", "must be a str"),
        (MINIMAL.replace('id = "i"\n', ""), r"\[columns\] `id` is missing"),
        (MINIMAL.replace('"i"', '"msisdn"'), "forbidden \\(phone number\\)"),
        (MINIMAL.replace('"i"', '"device.ip"'), "forbidden \\(IP address\\)"),
        ("header = false" + MINIMAL, "_c0"),
        ("format = 'xlsx'" + MINIMAL, "`format`"),
        ("collection = 'overheard'" + MINIMAL, "`collection`"),
        ("delimiter = ';;'" + MINIMAL, "`delimiter`"),
        ("delimiter = '\"'" + MINIMAL, "`delimiter`"),
        ("dropped = [1]" + MINIMAL, "list of texts"),
        ("dropped = ['i']" + MINIMAL, "two uses"),
        ("optional = ['id']" + MINIMAL, "`optional`"),
    ],
)
def test_a_schema_with_a_mistake_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(BadRecord, match=message) as error:
        parse(text, "mine.toml")
    assert str(error.value).startswith("mine.toml is not a schema")


def test_bidstream_is_refused_whoever_declares_it() -> None:
    schema = parse("collection = 'bidstream'" + MINIMAL, "x")
    with pytest.raises(WrongSchema, match="bidstream"):
        schema.require_accepted()


@pytest.mark.parametrize("prefix", ["", "payload."])
@pytest.mark.parametrize("owner", ["device", "user"])
def test_a_bid_request_is_refused_whatever_the_schema_says(owner: str, prefix: str, tmp_path: Path) -> None:
    geo = f"{prefix}{owner}.geo"
    schema = parse(
        f"""name = "mine"
        description = "x"
        [columns]
        id = "{prefix}{owner}.ifa"
        time = "time"
        latitude = "{geo}.lat"
        longitude = "{geo}.lon"
        [time]
        unit = "s"
        """,
        "x",
    )
    request = {"imp": [{"id": "1"}], owner: {"ifa": "a", "geo": {"lat": 52.1, "lon": 13.2}}}
    path = tmp_path / "requests"
    path.write_text(json.dumps({"time": 1_779_000_000} | ({"payload": request} if prefix else request)))
    with pytest.raises(Refusal) as caught:
        layout(path, schema)
    assert caught.value.code == "bidstream"
    del request["imp"]
    path.write_text(json.dumps({"time": 1_779_000_000} | ({"payload": request} if prefix else request)))
    assert layout(path, schema).format == "ndjson"


@pytest.mark.parametrize(
    ("column", "why"),
    [
        ("ip", "IP address"),
        ("ip_address", "IP address"),
        ("payload.device.ipv6", "IP address"),
        ("clientIp", "IP address"),
        ("user_agent", "user agent"),
        ("userAgent", "user agent"),
        ("UA", "user agent"),
        ("wifi_ssid", "Wi-Fi"),
        ("bssid", "Wi-Fi"),
        ("Wi-Fi network", "Wi-Fi"),
        ("mac_address", "Wi-Fi"),
        ("carrier", "carrier"),
        ("carrier_name", "carrier"),
        ("mccmnc", "carrier"),
        ("msisdn", "phone number"),
        ("phone", "phone number"),
        ("Phone Number", "phone number"),
        ("imei", "SIM or hardware number"),
        ("name", "name"),
        ("first_name", "name"),
        ("deviceName", "name"),
        ("email", "e-mail"),
        ("e-mail", "e-mail"),
        ("hashed_email", "e-mail"),
        ("device_language", "device language"),
        ("locale", "device language"),
        ("country", "country"),
        ("iso_country_code", "country"),
        ("client_ip_address", "IP address"),
        ("deviceIpAddress", "IP address"),
        ("remote_addr", "IP address"),
        ("user_agent_string", "user agent"),
        ("wifi.mac", "Wi-Fi"),
        ("mac_addr", "Wi-Fi"),
        ("MSISDN", "phone number"),
        ("msisdn_sha256", "phone number"),
        ("hashedMsisdn", "phone number"),
        ("MS-ISDN", "phone number"),
        ("telephone_number", "phone number"),
        ("mobilephone", "phone number"),
        ("cellphone", "phone number"),
        ("phone_hash", "phone number"),
        ("phone1", "phone number"),
        ("user.phone.number", "phone number"),
        ("user.msisdn.value", "phone number"),
        ("imei_hash", "SIM or hardware number"),
        ("simSerial", "SIM or hardware number"),
        ("name_first", "name"),
        ("mail", "e-mail"),
        ("language_code", "device language"),
        ("country_code_iso3", "country"),
    ],
)
def test_forbidden_columns(column: str, why: str) -> None:
    assert forbidden.reason(column) == why


@pytest.mark.parametrize(
    "column",
    [
        "id",
        "ad_id",
        "mobile_ad_id",
        "timestamp",
        "ship",
        "description",
        "phone_model",
        "phone.id",
        "phone.lat",
        "telemetry_id",
        "machine_id",
        "payload.device.geo.lat",
        "route_name",
        "zip",
        "guac",
    ],
)
def test_other_columns_are_not_forbidden(column: str) -> None:
    assert forbidden.reason(column) is None


def test_no_schema_declares_a_forbidden_column_as_dropped_only() -> None:
    """The global list covers what each schema would have to repeat otherwise."""
    for name in builtin_names():
        schema = load(name)
        if not schema.refused:
            assert forbidden.forbidden(schema.declared) == ()
