"""Real files, from their bytes to the lake, against counts that other programs make."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from passersby.ingest import purging
from passersby.sensitive.places import read

NOW = 1_780_000_000


def take(deployed: Any, schema: str, files: Iterable[Path]) -> Any:
    deployed.supplier(schema, schema)
    report = deployed.take(list(files), schema)
    assert report.balanced()
    assert len(deployed.pings()) == report.stored
    hours = deployed.pings().select("device", hour=pl.col("t") // 3600).unique()
    assert len(deployed.presence()) == len(hours)
    return report


def distinct(ids: Iterable[str], seconds: Iterable[float]) -> int:
    """Return the number of different (id, whole second) pairs."""
    return len({(who.lower(), int(t // 1)) for who, t in zip(ids, seconds, strict=True)})


def epoch(column: Any) -> list[float]:
    return list(pd.to_datetime(column, utc=True).astype("datetime64[us, UTC]").astype("int64") / 1e6)


def test_four_phones(deployed: Any, real_data: Path) -> None:
    path = real_data / "mobilitynet" / "mobilitynet_samples.parquet"
    frame = pd.read_parquet(path)
    report = take(deployed, "phone", [path])
    assert report.read == len(frame) == 1440
    assert report.rejected == {}
    assert report.stored == distinct(frame["user"], epoch(frame["ts"]))
    assert deployed.pings()["device"].n_unique() == frame["user"].nunique()


@pytest.mark.slow
def test_one_bus(deployed: Any, real_data: Path) -> None:
    path = real_data / "liverpool_bus" / "route14_outbound.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    report = take(deployed, "bus", [path])
    seconds = [dt.datetime.fromisoformat(row["timestamp"]).replace(tzinfo=dt.UTC).timestamp() for row in rows]
    assert report.read == len(rows) == 1533
    assert report.rejected == {}
    assert report.stored == distinct([row["vehicle_id"] for row in rows], seconds)


@pytest.mark.slow
def test_tracks_without_devices(deployed: Any, real_data: Path) -> None:
    path = real_data / "gotrack" / "go_track_trackspoints.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    report = take(deployed, "tracks", [path])
    seconds = [dt.datetime.fromisoformat(row["time"]).replace(tzinfo=dt.UTC).timestamp() for row in rows]
    assert report.read == len(rows) == 18_107
    assert report.rejected == {}
    assert report.stored == distinct([row["track_id"] for row in rows], seconds)


@pytest.mark.slow
def test_nomad_in_three_styles(deployed: Any, real_data: Path) -> None:
    folder = real_data / "nomad_synth"
    whole = pd.read_parquet(folder / "single_parquet__part-0.parquet")
    report = take(deployed, "nomad", [folder / "single_parquet__part-0.parquet"])
    assert (report.read, report.rejected) == (len(whole), {})
    assert report.stored == distinct(whole["uid"], whole["timestamp"])

    local = pd.read_csv(folder / "partitioned_csv__2024-01-06__part-0.csv")
    deployed.supplier("nomad-local", "nomad-local")
    report = deployed.take(folder / "partitioned_csv__2024-01-06__part-0.csv", "nomad-local")
    assert (report.read, report.rejected) == (len(local), {})
    assert report.stored == distinct(local["user_id"], epoch(local["local_datetime"]))

    files = sorted(folder.glob("gc_data_long__*.parquet"))
    mercator = pd.concat([pd.read_parquet(path) for path in files])
    deployed.supplier("nomad-mercator", "nomad-mercator")
    report = deployed.take(files, "nomad-mercator")
    assert (report.read, report.rejected) == (len(mercator), {})
    assert report.stored == distinct(mercator["gc_identifier"], mercator["unix_ts"])
    assert len(whole) + len(local) + len(mercator) == 114_526 + 8_815 + 7_474


@pytest.mark.slow
def test_cabs_keep_away_from_the_facilities_of_san_francisco(
    deploy: Callable[..., Any], real_data: Path
) -> None:
    deployed = deploy(memory_mb=1024)
    listed = real_data / "sf_health" / "sf_health_facilities.csv"
    deployed.places().load(listed, name="health", actor=deployed.actor, now=NOW)
    path = real_data / "cabspotting" / "cabspotting_dev107.parquet"
    frame = pl.read_parquet(path)
    report = take(deployed, "taxi", [path])
    assert report.read == len(frame) == 2_193_952
    assert report.rejected == {}
    assert 107 <= deployed.pings()["device"].n_unique() <= 2 * 107  # a new epoch begins within the days
    fixes = frame.select("user", t=pl.col("ts").dt.epoch("s")).n_unique()
    # suppressed rows may be duplicates of each other, so that only this much is known of the sum
    assert report.stored <= fixes <= report.stored + report.suppressed
    assert report.suppressed > 50_000
    require_away(deployed, listed)


@pytest.mark.slow
def test_cabs_that_were_stored_before_the_facilities_were_listed(
    deploy: Callable[..., Any], real_data: Path
) -> None:
    deployed = deploy(memory_mb=1024)
    path = real_data / "cabspotting" / "cabspotting_dev107.parquet"
    before = take(deployed, "taxi", [path]).stored
    listed = real_data / "sf_health" / "sf_health_facilities.csv"
    lists = deployed.places()
    draft = lists.draft(listed, name="health", owner="ada", now=NOW)
    lists.keep(draft)
    with deployed.database.write() as session:
        lists.enact(session, draft.row, {}, now=NOW)
        purging.want(session, "list health 1", now=NOW)
    assert purging.finish(deployed.lake, lists.cover, now=NOW, threads=2)
    stored = deployed.pings()
    assert 1_000_000 < len(stored) < before - 50_000
    require_away(deployed, listed)
    hours = stored.select("device", hour=pl.col("t") // 3600).unique()
    assert len(deployed.presence()) == len(hours)


def require_away(deployed: Any, listed: Path) -> None:
    """Fail if a stored ping lies within the buffer of a place; distances by the haversine formula."""
    stored = deployed.pings()
    lat, lon = np.radians(stored["lat_e5"].to_numpy() / 1e5), np.radians(stored["lon_e5"].to_numpy() / 1e5)
    for x, y, _, _ in np.radians(read(listed).edges):
        half = np.sin((lat - y) / 2) ** 2 + np.cos(lat) * np.cos(y) * np.sin((lon - x) / 2) ** 2
        assert 2 * 6_371_008.8 * np.arcsin(np.sqrt(half.min())) > deployed.config.sensitive_buffer_m


@pytest.mark.slow
def test_cabs_without_a_list_come_in_whole(deploy: Callable[..., Any], real_data: Path) -> None:
    deployed = deploy(memory_mb=1024)
    path = real_data / "cabspotting" / "cabspotting_dev107.parquet"
    fixes = pl.read_parquet(path).select("user", t=pl.col("ts").dt.epoch("s")).n_unique()
    report = take(deployed, "taxi", [path])
    assert (report.read, report.stored, report.suppressed) == (2_193_952, fixes, 0)
