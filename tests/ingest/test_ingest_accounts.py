"""Every row is exactly one of stored, duplicate, suppressed or rejected for one reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h3.api.numpy_int as h3i
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passersby.ingest.report import Report
from passersby.synth.write import generate

T = 1_779_000_000  # 2026-05-17 06:40 UTC, a Sunday
NOW = 1_780_000_000


def write(path: Path, rows: list[str]) -> Path:
    path.write_text("id,time,latitude,longitude,accuracy\n" + "".join(f"{row}\n" for row in rows))
    return path


def clinic(tmp_path: Path, lat: float, lon: float) -> Path:
    path = tmp_path / "clinic.csv"
    path.write_text(f"lat,lon,name,category\n{lat},{lon},A,clinic\n")
    return path


def test_rows_of_every_kind(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier(dates=("2026-05-01", "2026-05-20"))
    deployed.places().load(clinic(tmp_path, 47.0, 8.0), name="clinics", actor=deployed.actor, now=NOW)
    rows = [
        f"a,{T},47.5,8.5,10",
        f"a,{T},47.6,8.6,10",  # duplicate: the row above came first
        f"a,{T + 60},47.5,8.5,",
        f"b,{T},47.0,8.0,10",  # at the clinic
        f"b,{T + 60},47.1,8.1,10",  # reveals it
        f"b,{T + 7200},47.1,8.1,10",
        f"c,{T - 86_400 * 30},47.1,8.1,10",  # April: outside the contract
        f"c,{T},95,8.1,10",
        "c,soon,47,8.1,10",
    ]
    report = deployed.take(write(tmp_path / "pings.csv", rows))
    assert (report.stored, report.suppressed) == (3, 2)
    assert report.to_json() == {
        **report.to_json(),
        "delivery": 1,
        "read": 9,
        "stored": "fewer than 100",
        "duplicates": 1,
        "suppressed": "fewer than 100",
        "rejected": {"bad-time": 1, "latitude-range": 1, "outside-contract": 1},
        "examples": {"bad-time": [10], "latitude-range": [9], "outside-contract": [8]},
        "first_day": "2026-05-17",
        "last_day": "2026-05-17",
        "devices": "fewer than 100",
        "notes": [],
    }
    stored = deployed.pings()
    assert sorted(zip(stored["t"], stored["lat_e5"], stored["accuracy_m"], strict=True)) == [
        (T, 4_750_000, 10),
        (T + 60, 4_750_000, None),
        (T + 7200, 4_710_000, 10),
    ]
    assert deployed.presence()["pings"].sum() == 3


def test_stored_rows_carry_what_they_should(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    rows = [
        f"{'ABCDEF00-0000-0000-0000-00000000000'}{i % 7},{T + i},{47 + i / 3e3},{8 - i / 7e3},{i}"
        for i in range(99)
    ]
    report = deployed.take(write(tmp_path / "pings.csv", rows))
    stored = deployed.pings()
    assert report.stored == len(stored) == 99
    assert stored["device"].n_unique() == 7
    assert set(stored["supplier"]) == {1}
    assert set(stored["delivery"]) == {report.delivery}
    position = zip(stored["lat_e5"], stored["lon_e5"], stored["cell"], strict=True)
    assert all(int(h3i.latlng_to_cell(lat / 1e5, lon / 1e5, 10)) == cell for lat, lon, cell in position)
    with deployed.lake.snapshot(NOW) as snapshot:
        for file in snapshot.files("pings"):
            rows_of = pl.read_parquet(file.path)
            assert rows_of.equals(rows_of.sort("device", "t"))
            assert set(np.mod(rows_of["device"].to_numpy(), 4)) == {file.bucket}
            assert file.until == NOW + 30 * 86_400


def test_ids_are_nowhere_and_one_phone_is_one_device_whoever_delivers_it(
    deployed: Any, tmp_path: Path
) -> None:
    deployed.supplier("acme")
    deployed.supplier("other")
    idfa = "6d92078a-8246-4ba4-ae5b-76104861e7dc"
    deployed.take(write(tmp_path / "a.csv", [f"{idfa},{T},47,8,5"]), "acme")
    deployed.take(write(tmp_path / "b.csv", [f"{idfa.upper().replace('-', '')},{T + 60},47,8,5"]), "other")
    assert deployed.pings()["device"].n_unique() == 1
    for path in deployed.files():
        data = path.read_bytes().lower()
        assert idfa.encode() not in data
        assert idfa.replace("-", "").encode() not in data


def test_a_device_gets_a_new_pseudonym_in_a_new_epoch(deploy: Callable[..., Any], tmp_path: Path) -> None:
    deployed = deploy(epoch_weeks=1)
    deployed.supplier()
    rows = [f"a,{T - week * 7 * 86_400},47,8,5" for week in range(3)]
    report = deployed.take(write(tmp_path / "a.csv", rows))
    assert (report.stored, deployed.pings()["device"].n_unique()) == (3, 3)
    assert sum('"epoch.opened"' in entry for entry in deployed.log()) == 3


@pytest.mark.slow
def test_a_file_in_many_partitions_gives_the_same_lake(
    deploy: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(8)
    ids, times = rng.integers(0, 300, 6000), T + rng.integers(0, 200_000, 6000)
    rows = [f"{who},{t},{47 + who / 1e4},8,7" for who, t in zip(ids, times, strict=True)]
    path = write(tmp_path / "a.csv", rows)
    expected = len(set(zip(ids, times, strict=True)))
    whole = deploy(buckets=1)
    whole.supplier()
    assert whole.take(path).stored == expected
    monkeypatch.setattr("passersby.ingest.pipeline._MEMORY_A_ROW", 1 << 21)  # 128 rows fit
    monkeypatch.setattr("passersby.ingest.pipeline._MEMORY_A_BATCH_ROW", 1 << 19)  # 1,024 rows a batch
    split = deploy(buckets=3)
    split.supplier()
    report = split.take(path)
    assert (report.stored, report.duplicates) == (expected, 6000 - expected)
    positions = ["t", "lat_e5", "lon_e5", "cell"]
    assert (
        split.pings()
        .select(positions)
        .sort(positions)
        .equals(whole.pings().select(positions).sort(positions))
    )


KINDS: dict[str, Callable[[int], str]] = {
    "good": lambda i: f"dev{i % 5},{T + i},47.5,8.5,10",
    "duplicate": lambda _: f"dev9,{T},47.5,8.5,10",
    "bad-line": lambda _: "only,three,fields",
    "latitude-range": lambda i: f"dev1,{T + i},400,8.5,10",
    "bad-coordinates": lambda i: f"dev1,{T + i},NaN,8.5,10",
    "time-range": lambda i: f"dev1,{4_070_908_800 + i},47.5,8.5,10",
    "missing-id": lambda i: f",{T + i},47.5,8.5,10",
    "outside-contract": lambda i: f"dev1,{1_700_000_000 + i},47.5,8.5,10",
    "place": lambda i: f"far{i},{T + i},47.0,8.0,10",
}


@pytest.mark.slow
@given(kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=60))
@settings(max_examples=15)
def test_any_mixture_of_rows_is_counted_right(
    deploy: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory, kinds: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("mixture")
    wanted = Counter(kinds)
    if 2 * wanted["time-range"] > len(kinds):
        return
    deployed = deploy()
    deployed.supplier(dates=("2026-05-01", "2026-05-28"))
    deployed.places().load(clinic(folder, 47.0, 8.0), name="clinics", actor=deployed.actor, now=NOW)
    report = deployed.take(write(folder / "a.csv", [KINDS[kind](i) for i, kind in enumerate(kinds)]))
    rejected = {
        kind: wanted[kind] for kind in KINDS if kind not in {"good", "duplicate", "place"} and wanted[kind]
    }
    assert report.rejected == rejected
    assert report.suppressed == wanted["place"]
    assert report.duplicates == max(0, wanted["duplicate"] - 1)
    assert report.stored == wanted["good"] + min(1, wanted["duplicate"])
    assert report.balanced()


@pytest.mark.slow
def test_a_generated_country_gives_the_counts_of_its_truth(deployed: Any, tmp_path: Path) -> None:
    world = generate(tmp_path / "world", seed=5, devices=400, days=2, pings_per_device_day=30.0)
    truth = json.loads(world.truth.read_text())
    for supplier in ("sovrn", "veraset", "adtech"):
        deployed.supplier(supplier, supplier, basis="consent" if supplier in world.consent else "contract")
        report: Report = deployed.take(world.of(supplier), supplier, consent=world.consent.get(supplier))
        files = [file for file in truth["files"] if file["supplier"] == supplier]
        assert report.read == sum(file["rows"] for file in files)
        assert report.stored == sum(file["stored"] for file in files)
        assert report.duplicates == sum(file["duplicates"] for file in files)
        wanted: Counter[str] = Counter()
        for file in files:
            wanted.update(file["rejected"])
        assert report.rejected == wanted
        assert ("consent-later" in wanted) == (supplier in world.consent)


@pytest.mark.slow
def test_a_generated_country_with_its_sensitive_places(deployed: Any, tmp_path: Path) -> None:
    world = generate(
        tmp_path / "world", seed=6, devices=400, days=1, pings_per_device_day=60.0, suppliers=("veraset",)
    )
    lists = deployed.places()
    lists.load(world.sensitive, name="generated", actor=deployed.actor, now=NOW)
    deployed.supplier("veraset", "veraset", basis="contract")
    report = deployed.take(world.of("veraset"), "veraset")
    assert report.balanced()
    assert report.suppressed > 0
    stored = deployed.pings()
    columns = [stored[name].to_numpy() for name in ("lat_e5", "lon_e5", "cell")]
    assert (
        not lists.cover()
        .hits(*columns, stored["accuracy_m"].fill_null(-1).to_numpy(), stored["t"].to_numpy())
        .any()
    )


def test_a_receipt_tells_only_what_the_file_tells(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    deployed.places().load(clinic(tmp_path, 47.0, 8.0), name="clinics", actor=deployed.actor, now=NOW)
    rows = (
        [f"a,{T + i},47.5,8.5,10" for i in range(5)]
        + [f"b{i},{T},47.0,8.0,10" for i in range(7)]
        + ["x,y,1,1,1"]
    )
    rows += [f"a,{T},47.5,8.5,10"] * 3
    report = deployed.take(write(tmp_path / "a.csv", rows))
    assert (report.suppressed, report.duplicates) == (7, 3)
    receipt = report.receipt()
    assert receipt.pop("files") == [
        {"name": "a.csv", "bytes": (tmp_path / "a.csv").stat().st_size, "sha256": report.files[0].sha256}
    ]
    assert receipt == {
        "supplier": "acme",
        "delivery": 1,
        "delivered_before": [],
        "read": 16,
        "rejected": {"bad-time": 1},
        "examples": {"bad-time": [14]},
        "dropped": [],
        "otherwise_not_stored": "fewer than 100",
    }


def test_progress_goes_up_to_the_size_of_the_files(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    path = write(tmp_path / "a.csv", [f"{i},{T + i},47,8,5" for i in range(500)])
    seen: list[tuple[int, int, int]] = []
    deployed.take(path, progress=lambda *figures: seen.append(figures))
    size = path.stat().st_size
    assert seen[-1] == (500, size, size)
    assert seen == sorted(seen)
    assert len(seen) >= 3
