from __future__ import annotations

import csv
import errno
import hashlib
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import shapely
import zstandard
from shapely.geometry import shape

from passersby.errors import DiskFull, OperationError, UnknownName, UsageError
from passersby.synth import world as world_module
from passersby.synth import write
from passersby.synth.country import Country
from passersby.synth.formats import FORMATS
from passersby.synth.write import Summary, generate

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {"seed": 7, "devices": 300, "days": 2, "pings_per_device_day": 30.0}


def _digests(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def test_a_seed_gives_the_same_bytes_with_any_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "BATCH_PINGS", 2_000)
    for name, threads in (("one", 1), ("three", 3)):
        generate(tmp_path / name, **SMALL, suppliers=tuple(FORMATS), threads=threads)
    one = _digests(tmp_path / "one")
    assert len(one) == 2 * len(FORMATS) + 4
    assert one == _digests(tmp_path / "three")


def test_another_seed_gives_another_world(tmp_path: Path) -> None:
    for seed in (1, 2):
        generate(tmp_path / str(seed), **SMALL | {"seed": seed})
    one, two = _digests(tmp_path / "1"), _digests(tmp_path / "2")
    assert one.keys() == two.keys()
    assert not set(one.values()) & set(two.values())


def test_a_longer_run_begins_with_the_shorter_one(tmp_path: Path) -> None:
    short = generate(tmp_path / "short", **SMALL | {"dirt": False, "days": 1}, suppliers=("quadrant",))
    long = generate(tmp_path / "long", **SMALL | {"dirt": False}, suppliers=("quadrant",))
    assert long.of("quadrant")[0].read_bytes() == short.of("quadrant")[0].read_bytes()


def test_the_summary_names_what_is_on_disk(world: Summary) -> None:
    assert len(world.files) == 2 * len(FORMATS)
    for file in world.files:
        assert (world.root / file.path).stat().st_size == file.bytes > 0
        assert file.path == f"{file.supplier}/{file.supplier}-{file.day}.{FORMATS[file.supplier].suffix}"
    assert [file.day for file in world.files[:: len(FORMATS)]] == ["2026-05-11", "2026-05-12"]
    assert world.bytes == sum(file.bytes for file in world.files)
    assert world.rows == sum(file.rows for file in world.files)
    assert world.rows == pytest.approx(2 * 1_500 * 60, rel=0.35)  # a power law varies


def test_the_truth_file_says_the_same(world: Summary) -> None:
    truth = json.loads(world.truth.read_text())
    assert truth["utc_offset"] == "+02:00"
    assert truth["country"] == "CH"
    assert truth["basis"]["adtech"] == "consent"
    assert [row["path"] for row in truth["files"]] == [file.path for file in world.files]
    for row in truth["files"]:
        assert row["rows"] == row["stored"] + row["duplicates"] + sum(row["rejected"].values())


def test_consent_is_recorded_for_those_who_need_it(world: Summary) -> None:
    assert set(world.consent) == {"sovrn", "adtech"}
    for path in world.consent.values():
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == ["id", "given_at", "state", "notice_version"]
        assert {row["state"] for row in rows} == {"given", "withdrawn"}
        assert 0.01 < sum(row["state"] == "withdrawn" for row in rows) / len(rows) < 0.06
        assert any(row["given_at"] == "2026-05-12T00:00:00+02:00" for row in rows)
        assert len({row["id"].lower() for row in rows}) == len(rows)
        assert {row["notice_version"] for row in rows} == {"2025-01"}


def test_without_dirt_everybody_consented_in_time(clean_world: Summary) -> None:
    with clean_world.consent["sovrn"].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["state"] for row in rows} == {"given"}
    assert max(row["given_at"] for row in rows) < "2026-05-11"


def test_sensitive_places_are_valid_and_within_the_country(world: Summary, country: Country) -> None:
    features = json.loads(world.sensitive.read_text())["features"]
    shapes = [shape(feature["geometry"]) for feature in features]
    assert len(shapes) > len(country.cities)
    assert all(one.is_valid for one in shapes)
    assert {one.geom_type for one in shapes} == {"Point", "Polygon"}
    west, south, east, north = shapely.total_bounds(shapes)
    assert 5.8 < west < east < 10.7
    assert 45.7 < south < north < 48
    assert all(feature["properties"]["category"] and feature["properties"]["name"] for feature in features)


def test_progress_counts_device_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "BATCH_PINGS", 3_000)
    seen: list[tuple[int, int]] = []
    generate(tmp_path / "out", **SMALL, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 600) for done in (100, 200, 300, 400, 500, 600)]


def test_few_batches_are_in_memory_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "BATCH_PINGS", 600)
    begun, most, taken = 0, 0, 0
    real = world_module.make

    def counting(*args: Any) -> Any:
        nonlocal begun, most
        begun += 1
        most = max(most, begun - taken)
        return real(*args)

    def report(_done: int, _total: int) -> None:
        nonlocal taken
        taken += 1

    monkeypatch.setattr(write, "make", counting)
    generate(tmp_path / "out", **SMALL, threads=2, progress=report)
    assert begun == taken == 30
    assert 1 <= most <= 4


@pytest.mark.parametrize("rate", [0.1, 60.0, 500.0])
def test_a_batch_is_bounded_whatever_the_totals(rate: float) -> None:
    for devices in (1_000, 1_000_000):
        bounds = write._bounds(devices, rate)
        assert bounds[0][0] == 0
        assert bounds[-1][1] == devices
        assert all(before[1] == after[0] for before, after in pairwise(bounds))
        assert max(last - first for first, last in bounds) <= max(write.BATCH_PINGS / rate, 1)
        assert max(last - first for first, last in bounds) <= write._DEVICES


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"devices": 0}, UsageError, "`devices`"),
        ({"days": 0}, UsageError, "`days`"),
        ({"seed": -1}, UsageError, "`seed`"),
        ({"pings_per_device_day": 0.0}, UsageError, "`pings_per_device_day`"),
        ({"pings_per_device_day": float("nan")}, UsageError, "`pings_per_device_day`"),
        ({"pings_per_device_day": 501.0}, UsageError, "`pings_per_device_day`"),
        ({"start_day": "11.5.2026"}, UsageError, "not a date"),
        ({"suppliers": ()}, UsageError, "at least one"),
        ({"suppliers": ("sovrn", "sovrn")}, UsageError, "none twice"),
        ({"suppliers": ("acme",)}, UnknownName, "'acme'"),
        ({"country": "QQ"}, UnknownName, "'QQ'"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_written(
    tmp_path: Path, change: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        generate(tmp_path / "out", **SMALL | change)
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        generate(tmp_path, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(("number", "error"), [(errno.ENOSPC, DiskFull), (errno.EACCES, OperationError)])
def test_a_failing_disk_is_named_and_leaves_no_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    def failing(*_args: Any) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(write, "_write_day", failing)
    with pytest.raises(error) as caught:
        generate(tmp_path / "out", **SMALL)
    assert type(caught.value) is error
    assert not (tmp_path / "out" / write.TRUTH).exists()


def test_days_off_follow_the_calendar_not_the_start(tmp_path: Path) -> None:
    arguments = SMALL | {"devices": 1_500, "days": 1, "dirt": False}
    early = {}
    for name, start in (("sunday", "2026-05-17"), ("monday", "2026-05-18")):
        got = generate(tmp_path / name, **arguments, suppliers=("adtech",), start_day=start)
        assert got.files[0].day == start
        with zstandard.open(got.of("adtech")[0], "rt", encoding="utf-8") as file:
            hours = [line[11:13] for line in file][1:]
        early[name] = sum(hour in {"01", "02"} for hour in hours) / len(hours)
    assert early["sunday"] > 1.4 * early["monday"]


_CHILD = """
import resource, sys
from pathlib import Path
from passersby.synth.write import generate
days = int(sys.argv[2])
rows = generate(Path(sys.argv[1]), seed=1, devices=6000, days=days, pings_per_device_day=200.0).rows
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_pings(tmp_path: Path) -> None:
    found = []
    for days in (2, 10):
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, str(tmp_path / str(days)), str(days)],
            check=True,
            capture_output=True,
            text=True,
        )
        found.append([int(number) for number in done.stdout.split()])
    (few, small), (many, large) = found
    assert many > 4 * few
    assert large < 1.25 * small
