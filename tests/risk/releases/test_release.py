"""Releases are recognised by their columns and read in every form in which they are published."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from passersby.errors import InputError, PassersbyError, WrongSchema
from passersby.risk.releases import release as tested
from passersby.risk.releases.columns import recognised
from passersby.risk.releases.release import TOTAL, read
from risk.given import csv, people
from risk.releases.given import CHILDREN, DAY, load

A, B = (format(cell, "x") for cell in CHILDREN[:2])


def test_a_release_of_ours(tmp_path: Path) -> None:
    text = (
        "cell,start,estimate,low,high,count,flag\n"
        f"{A},2026-05-11T02:00:00+02:00,12.5,3.5,21.5,12,\n"
        f"{A},2026-05-11T03:00:00+02:00,-1.5,-10.5,7.5,0,low_precision\n"
        f"{B},2026-05-11T02:00:00+02:00,,,,,suppressed\n"
    )
    found = load(tmp_path / "ours.csv", text)
    assert found.place.tolist() == [CHILDREN[0], CHILDREN[0], CHILDREN[1]]
    assert found.start.tolist() == [DAY, DAY + 60, DAY]
    assert found.value[:2].tolist() == [12.5, -1.5]
    assert found.shown.tolist() == [True, True, False]
    assert (found.h3, found.noisy, found.step, found.half) == (True, True, 60, 9)
    assert found.resolutions == (7,)


@pytest.mark.parametrize(
    ("text", "step"),
    [
        (f"H3 Index;Hour;Users\n{A};2026-05-11 00:00;7\n{B};2026-05-11 01:00;8\n", 60),
        (f"hex\tdate\tvisitors\n{A}\t2026-05-11\t7\n{B}\t2026-05-12\t8\n", 1440),
        (f"cell,start,count\n{CHILDREN[0]},{60 * DAY},7\n{CHILDREN[1]},{60 * DAY + 900},8\n", 15),
        (f"cell,time,n\n{A},{60_000 * DAY},7\n{B},{60_000 * DAY + 3_600_000},8\n", 60),
    ],
)
def test_other_peoples_releases(tmp_path: Path, text: str, step: int) -> None:
    found = load(tmp_path / "release.csv", text)
    assert found.place.tolist() == CHILDREN[:2]
    assert found.start.tolist() == [DAY, DAY + step]
    assert found.value.tolist() == [7, 8]
    assert (found.h3, found.noisy, found.step) == (True, False, step)


def test_negative_counts_mean_noise(tmp_path: Path) -> None:
    text = f"cell,date,count\n{A},2026-05-11,12\n{B},2026-05-11,-3\n"
    assert load(tmp_path / "noisy.csv", text).noisy
    assert not load(tmp_path / "exact.csv", text.replace("-3", "3")).noisy


def test_the_offset_is_that_of_times_without_one(tmp_path: Path) -> None:
    text = f"cell,start,count\n{A},2026-05-11T02:00,7\n"
    assert load(tmp_path / "release.csv", text, offset=7200).start.tolist() == [DAY]


def test_places_by_name_with_a_total_and_what_is_not_told(tmp_path: Path) -> None:
    text = "zone,date,count\nBern,2026-05-11,12\nTotal,2026-05-11,20\nThun,2026-05-11,<5\n"
    found = load(tmp_path / "zones.csv", text)
    assert not found.h3
    assert found.resolutions == ()
    by_place = dict(zip(found.place.tolist(), found.value.tolist(), strict=True))
    assert by_place.pop(TOTAL) == 20
    assert sorted(by_place.values(), key=np.isnan) == [12, pytest.approx(float("nan"), nan_ok=True)]


def test_places_without_times(tmp_path: Path) -> None:
    found = load(tmp_path / "whole.csv", f"cell,count\n{A},7\n{B},8\n")
    assert not found.timed
    assert found.start.tolist() == [0, 0]


def test_movements_between_two_places(tmp_path: Path) -> None:
    text = f"origin,destination,start,count\n{A},{B},2026-05-11,3\n{B},{A},2026-05-11,4\n"
    found = load(tmp_path / "flows.csv", text)
    assert not found.h3
    assert len(found.value) == 2


def test_compressed_and_parquet_say_the_same(tmp_path: Path) -> None:
    text = f"cell,start,count\n{A},2026-05-11T00:00:00Z,7\n{B},2026-05-11T01:00:00Z,8\n"
    plain = load(tmp_path / "a.csv", text)
    (tmp_path / "b").write_bytes(gzip.compress(text.encode()))
    frame = pl.read_csv(text.encode()).with_columns(pl.col("start").str.to_datetime(time_zone="UTC"))
    frame.write_parquet(tmp_path / "c")
    for name in ("b", "c"):
        columns = recognised(tmp_path / name)
        assert columns is not None
        again = read(tmp_path / name, columns, offset=0)
        assert again.place.tolist() == plain.place.tolist()
        assert again.start.tolist() == plain.start.tolist()
        assert again.value.tolist() == plain.value.tolist()


def test_other_files_are_no_releases(tmp_path: Path) -> None:
    assert recognised(csv(tmp_path / "pings.csv", people(3, 1, seed=1))) is None
    (tmp_path / "strange.csv").write_text("a,b\nx,1\n")
    assert recognised(tmp_path / "strange.csv") is None
    (tmp_path / "lines.ndjson").write_text('{"cell": 1, "count": 2}\n')
    assert recognised(tmp_path / "lines.ndjson") is None
    assert recognised(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "said", "kind"),
    [
        (f"cell,time,count,device_id\n{A},2026-05-11,1,x1\n", "tells devices apart", WrongSchema),
        (f"cell,day,count\n{A},Monday,1\n", "are not understood", WrongSchema),
        (f"cell,date,count,sex\n{A},2026-05-11,1,f\n{A},2026-05-11,2,m\n", "several counts", WrongSchema),
        (f"cell,date,count\n{A},2026-05-11,1\n{B},2026-05-11\n{A},2026-05-11,1,1\n", "damaged", InputError),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, said: str, kind: type[PassersbyError]) -> None:
    with pytest.raises(kind, match=said) as caught:
        load(tmp_path / "bad.csv", text)
    assert caught.value.next_step
    assert A not in str(caught.value)


def test_no_rows_and_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="has no count"):
        load(tmp_path / "empty.csv", "cell,start,count\n")
    monkeypatch.setattr(tested, "MOST_ROWS", 1)
    with pytest.raises(InputError, match="more than 1 counts"):
        load(tmp_path / "many.csv", f"cell,date,count\n{A},2026-05-11,1\n{B},2026-05-11,1\n")
