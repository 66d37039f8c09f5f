"""Records with the names of ISO/IEC TS 27560: what permits, what withdraws, what is evidence only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from passersby.consent.records import read
from passersby.errors import BadRecord, InputError, Refusal, WrongSchema

NOW = 1_780_000_000
T = 1_700_000_000
TCF = "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA"
GPP = "DBABMA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA"


def normalise(ids: pl.Series) -> pl.Series:
    return pl.select(pl.when(ids.str.len_bytes() > 0).then(ids.str.to_lowercase())).to_series()


def record(**changed: Any) -> dict[str, Any]:
    """Return a whole record as the standard names it; `event` is changed by its own names."""
    event = {"event_time": "2023-11-14T22:13:20Z", "event_type": "explicit", "event_state": "ConsentGiven"}
    event |= {
        name: changed.pop(name)
        for name in ("event_time", "event_state", "validity_duration")
        if name in changed
    }
    return {
        "schema_version": "27560-1",
        "record_id": "r1",
        "pii_principal_id": "A",
        "privacy_notice": "v2",
        "notice_hash": "ab" * 32,
        "language": "de",
        "purpose": "dpv:ImproveTransportMobility",
        "lawful_basis": "dpv:Consent",
        "pii_controllers": ["Acme"],
        "storage_locations": ["CH"],
        "event": event,
        **changed,
    }


def one(tmp_path: Path, form: str = "ndjson", **changed: Any) -> dict[str, Any]:
    """Write a record in a form, read it, and return it."""
    found = many(tmp_path, [record(**changed)], form)
    return found.to_dicts()[0]


def many(tmp_path: Path, records: list[dict[str, Any]], form: str) -> pl.DataFrame:
    path = tmp_path / "consent"
    if form == "ndjson":
        path.write_text("".join(json.dumps(each) + "\n" for each in records))
    elif form == "json":
        path.write_text(json.dumps(records, indent=1))
    elif form == "parquet":
        pl.DataFrame(records).write_parquet(path)
    else:
        flat = [{**each["event"], **each} for each in records]
        names = dict.fromkeys(
            name for each in flat for name in each if not isinstance(each[name], list | dict)
        )
        kept = {
            name: [None if each.get(name) is None else str(each[name]) for each in flat] for name in names
        }
        pl.DataFrame(kept).write_csv(path)
    return pl.concat(list(read(path, normalise, now=NOW)))


@pytest.mark.parametrize("form", ["ndjson", "json", "parquet", "csv"])
def test_the_standard_s_names_in_every_form(tmp_path: Path, form: str) -> None:
    assert one(tmp_path, form) == {
        "id": "a",
        "given_at": T,
        "withdrawn_at": None,
        "expires_at": None,
        "permits": True,
        "withdraws": False,
        "consent": True,
        "notice_version": "v2",
        "notice_hash": "ab" * 32,
        "language": "de",
        "purpose": "dpv:ImproveTransportMobility",
    }


@pytest.mark.parametrize("form", ["ndjson", "json", "csv"])
@pytest.mark.parametrize(
    ("changed", "permits", "withdraws"),
    [
        ({"event_state": "given"}, True, False),
        ({"event_state": "dpv:RenewedConsentGiven"}, True, False),
        ({"event_state": "refused"}, False, True),
        ({"event_state": "ConsentInvalidated"}, False, True),
        ({"event_state": "expired"}, False, False),
        ({"event_state": "ConsentUnknown"}, False, False),
        ({"event_state": "withdrawn"}, False, True),
        ({"event_state": "dpv:ConsentRevoked"}, False, True),
        ({"os_opt_out": True}, False, True),
        ({"os_opt_out": "LAT"}, False, True),
        ({"os_opt_out": "false"}, True, False),
        ({"os_permission": "denied"}, False, True),
        ({"os_permission": "restricted"}, False, True),
        ({"os_permission": "not_determined"}, False, True),
        ({"os_permission": "when_in_use"}, True, False),
        ({"gpc": 1}, False, True),
        ({"gpc": "0"}, True, False),
        ({"minor": True}, False, True),
        ({"age": 17}, False, True),
        ({"age": 18}, True, False),
        ({"tcf_string": TCF}, True, False),
        ({"gpp_string": GPP}, True, False),
        ({"event_state": "refused", "tcf_string": TCF, "gpp_string": GPP}, False, True),
    ],
)
def test_what_permits_and_what_withdraws(
    tmp_path: Path, form: str, changed: dict[str, Any], permits: bool, withdraws: bool
) -> None:
    found = one(tmp_path, form, **changed)
    assert (found["permits"], found["withdraws"]) == (permits, withdraws)


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        ("P1Y", 31_536_000),
        ("P2M", 5_184_000),
        ("P1W", 604_800),
        ("P1DT2H3M4S", 93_784),
        ("3600", 3600),
        ("P", 0),
    ],
)
def test_a_validity_ends_it(tmp_path: Path, duration: str, seconds: int) -> None:
    assert one(tmp_path, validity_duration=duration)["expires_at"] == T + seconds
    assert one(tmp_path, validity_duration=duration, expires_at=str(T + 5))["expires_at"] == T + min(
        seconds, 5
    )


@pytest.mark.parametrize("basis", ["dpv:LegitimateInterest", "dpv:ImpliedConsent", "contract", ""])
def test_another_basis_is_no_consent(tmp_path: Path, basis: str) -> None:
    assert one(tmp_path, lawful_basis=basis)["consent"] is False
    assert one(tmp_path, lawful_basis=None)["consent"] is True


@pytest.mark.parametrize("form", ["ndjson", "json", "csv"])
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"event_state": "maybe"}, "state"),
        ({"event_state": TCF}, "state"),
        ({"event_time": "2023-11-14T22:13:20"}, "given_at"),
        ({"validity_duration": "a year"}, "validity_duration"),
        ({"validity_duration": "-5"}, "validity_duration"),
        ({"os_opt_out": "perhaps"}, "os_opt_out"),
        ({"gpc": "2"}, "gpc"),
        ({"age": "young"}, "age"),
        ({"tcf_string": "nonsense"}, "tcf_string"),
        ({"gpp_string": TCF}, "gpp_string"),
        ({"withdrawn_at": "9999999999999"}, "withdrawn_at"),
    ],
)
def test_a_bad_value_is_named_by_its_field_and_never_told(
    tmp_path: Path, form: str, changed: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadRecord, match=words) as caught:
        many(tmp_path, [record(**changed), record()], form)
    assert not [value for value in changed.values() if len(value) > 3 and value in str(caught.value)]


def test_the_same_field_under_two_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongSchema, match="`id` and `pii_principal_id`"):
        one(tmp_path, id="b")


def test_records_of_the_bidstream_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as refused:
        one(tmp_path, collection_method="OpenRTB")
    assert refused.value.code == "bidstream"


@pytest.mark.parametrize("text", ["[1]", "[", "[[]]", '["a"]', "[{}]", '[{"id": {}}]', "[" * 100_000, "[]"])
def test_an_array_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c"
    path.write_text(text)
    with pytest.raises(InputError):
        list(read(path, normalise, now=NOW))
