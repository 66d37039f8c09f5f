"""Bytes of suppliers: pings and consent records at random end in an error of ours, or in checked rows.

PASSERSBY_FUZZ sets the number of inputs of each form; the seed is that of the test run (`-p randomly`).
"""

from __future__ import annotations

import io
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from passersby.consent import records
from passersby.consent.fields import CHECKED, GPP, NAMES, TCF, checked
from passersby.errors import PassersbyError
from passersby.sources import read as sources
from passersby.sources import schema as schemas
from passersby.sources import sniff
from passersby.sources.read import Limits
from trustlog.test_fuzz import mutated

SLOW, STRINGS_TRIED = 2_000, 100_000
NOW, T = 1_780_000_000, 1_700_000_000
TC = "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA"
STRINGS = [TC, f"{TC}.YAAAAAAAAAA", f"DBABMA~{TC}", "DBABTA~1YNN~BVQqAAAAAgA.QA", "", "1YNN"]

WHOLE: dict[str, Any] = {
    "pii_principal_id": "3f9d2c71-5b8e-4a06-9d13-7e21c04ab95f",
    "event": {
        "event_time": "2023-11-14T22:13:20Z",
        "event_state": "dpv:ConsentGiven",
        "validity_duration": "P1Y",
    },
    "privacy_notice": "v2",
    "purpose": ["dpv:ImproveTransportMobility", "dpv:Marketing"],
    "lawful_basis": "dpv:Consent",
    "gpc": False,
    "age": 30,
    "tcf_string": TC,
}
PLAIN: dict[str, Any] = {
    "id": "a",
    "given_at": T,
    "state": "given",
    "withdrawn_at": None,
    "os_opt_out": "LAT",
}
PING: dict[str, Any] = {"id": "a", "time": T, "latitude": 52.52, "longitude": 13.405, "accuracy": 12}


def csv_of(row: dict[str, Any], lines: int = 3) -> bytes:
    sink = io.BytesIO()
    flat = {name: value for name, value in row.items() if not isinstance(value, list | dict)}
    pl.DataFrame([flat] * lines).write_csv(sink)
    return sink.getvalue()


def ndjson_of(*rows: dict[str, Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet_of(row: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    pl.DataFrame([row] * 3).write_parquet(sink)
    return sink.getvalue()


SEEDS: dict[str, list[bytes]] = {
    "consent csv": [csv_of(PLAIN), csv_of({**WHOLE, **WHOLE["event"]})],
    "consent json": [json.dumps([PLAIN, PLAIN]).encode(), json.dumps([WHOLE, PLAIN], indent=1).encode()],
    "consent ndjson": [ndjson_of(PLAIN, PLAIN), ndjson_of(WHOLE, WHOLE)],
    "consent parquet": [parquet_of(PLAIN), parquet_of(WHOLE)],
    "pings csv": [csv_of(PING)],
    "pings ndjson": [ndjson_of(PING, PING)],
    "pings parquet": [parquet_of(PING)],
    "sniff": [csv_of(PING), ndjson_of(PING), csv_of({**PING, "cell_tower_id": 1})],
}


def as_is(ids: pl.Series) -> pl.Series:
    return ids


def consent(path: Path) -> None:
    for frame in records.read(path, as_is, now=NOW):
        assert frame.schema == CHECKED
        assert frame["permits"].null_count() == 0


def pings(path: Path) -> None:
    schema = schemas.load("simple")
    for batch in sources.read(path, schema, limits=Limits(now=NOW, threads=1)):
        assert batch.read == batch.frame.height + sum(batch.rejected.values())


def sniffed(path: Path) -> None:
    sniff.sniff(path).to_toml()


PARSERS: dict[str, Callable[[Path], None]] = {
    name: consent if name.startswith("consent") else sniffed if name == "sniff" else pings for name in SEEDS
}


def feed(name: str, count: int, tmp_path: Path) -> None:
    dice = random.Random(random.random())  # the run's seed
    path, through = tmp_path / "input", 0
    for number in range(count):
        data = mutated(dice, SEEDS[name]) if number else SEEDS[name][0]
        path.write_bytes(data)
        try:
            PARSERS[name](path)
        except PassersbyError:
            continue
        except BaseException as error:
            error.add_note(f"{name}, input: {data[:2000]!r}")
            raise
        through += 1
    assert through > 0, "not even good input got through"


def test_a_header_after_a_blank_line_with_nothing_below(tmp_path: Path) -> None:
    """What the search found: the header lies in a later block than the file's first lines."""
    path = tmp_path / "pings.csv"
    path.write_bytes(b"\nid,time,latitude,longitude")
    pings(path)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", SEEDS)
def test_many_inputs(name: str, tmp_path: Path) -> None:
    feed(name, int(os.environ.get("PASSERSBY_FUZZ", SLOW)), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("field", "shape"), [("tcf_string", TCF), ("gpp_string", GPP)])
def test_strings_of_iab_by_the_hundred_thousand(field: str, shape: str) -> None:
    """Each is of the shape, or the record is refused; nothing is ever permitted by one."""
    dice = random.Random(random.random())
    samples = [text.encode() for text in STRINGS]
    texts = [mutated(dice, samples).decode("utf-8", "replace") for _ in range(STRINGS_TRIED)]
    frame = pl.DataFrame({"id": "a", "given_at": T, "state": "refused", field: [*STRINGS, *texts]})
    good = frame.filter(pl.col(field).str.contains(shape))
    assert good.height > 1000
    assert not checked(good, as_is, 2, NOW)["permits"].any()
    for bad in frame.join(good, on=field, how="anti").head(200).iter_slices(1):
        with pytest.raises(PassersbyError, match=field):
            checked(bad, as_is, 2, NOW)
    assert field in NAMES
