"""Real files: every row is accounted for, by counts that were made without the reader."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from passersby.sources.schema import load
from passersby.sources.sniff import sniff

KEPT = {
    "cabspotting/cabspotting_dev107.parquet": ("taxi", 2_193_952),
    "mobilitynet/mobilitynet_samples.parquet": ("phone", 1_440),
    "liverpool_bus/route14_outbound.csv": ("bus", 1_533),
    "gotrack/go_track_trackspoints.csv": ("tracks", 18_107),
    "nomad_synth/single_parquet__part-0.parquet": ("nomad", 114_526),
    "nomad_synth/partitioned_csv__2024-01-06__part-0.csv": ("nomad-local", 8_815),
    "nomad_synth/gc_data_long__date=2024-01-01__part-0.parquet": ("nomad-mercator", 1_949),
    "nomad_synth/gc_data_long__date=2024-01-02__part-0.parquet": ("nomad-mercator", 2_526),
    "nomad_synth/gc_data_long__date=2024-01-03__part-0.parquet": ("nomad-mercator", 2_999),
}


def counted(path: Path) -> int:
    if path.suffix == ".parquet":
        return int(pq.read_metadata(path).num_rows)
    with path.open(newline="", encoding="utf-8") as file:
        return sum(1 for _ in csv.DictReader(file))


@pytest.mark.parametrize("name", KEPT)
def test_all_rows_are_accounted_for(name: str, real_data: Path, reading: Callable[..., Any]) -> None:
    schema, kept = KEPT[name]
    path = real_data / name
    found = reading(path, schema)
    assert found.read == counted(path)
    assert found.frame.height == kept
    assert found.frame.height + sum(found.rejected.values()) == found.read


@pytest.mark.parametrize("name", KEPT)
def test_sniffing_recognises_real_files(name: str, real_data: Path) -> None:
    assert sniff(real_data / name).builtin == KEPT[name][0]


def test_the_bounds_of_accuracy_reject_real_rows(real_data: Path, reading: Callable[..., Any]) -> None:
    path = real_data / "mobilitynet/mobilitynet_samples.parquet"
    worse = sum(
        accuracy > 50 for accuracy in pq.read_table(path, columns=["accuracy"])["accuracy"].to_pylist()
    )
    found = reading(path, "phone", max_accuracy_m=50)
    assert (worse > 0, found.rejected) == (True, {"accuracy-range": worse})


def test_local_times_move_with_the_deployments_offset(real_data: Path, reading: Callable[..., Any]) -> None:
    path = real_data / "gotrack/go_track_trackspoints.csv"
    utc, aracaju = reading(path, "tracks"), reading(path, "tracks", offset=-10_800)
    assert (aracaju.frame["t"] - utc.frame["t"]).unique().to_list() == [10_800]
    assert load("tracks").zone == "deployment"


def test_projected_and_plain_rows_lie_in_the_same_town(real_data: Path, reading: Callable[..., Any]) -> None:
    town = reading(real_data / "nomad_synth/single_parquet__part-0.parquet", "nomad").frame
    other = reading(
        real_data / "nomad_synth/gc_data_long__date=2024-01-01__part-0.parquet", "nomad-mercator"
    ).frame
    for axis in ("lat", "lon"):
        low, high = town[axis].min(), town[axis].max()
        assert other[axis].is_between(low - 1e-3, high + 1e-3).all()
