"""The passes over sorted pings, against plain loops; and the split by device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from passersby.errors import DiskFull
from passersby.ingest import kernels, partition, spill
from passersby.model.period import Period

WEEK_END = Period.parse("2026-W21").span(0).start

PINGS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(WEEK_END - 4000, WEEK_END + 4000), st.booleans()),
    max_size=25,
).map(lambda rows: sorted(rows, key=lambda row: row[:2]))


@given(rows=PINGS)
def test_the_first_row_of_a_fix_is_kept(rows: list[tuple[int, int, bool]]) -> None:
    device = np.array([row[0] for row in rows], dtype=np.int64)
    t = np.array([row[1] for row in rows], dtype=np.int32)
    kept = kernels.first_of_fix(device, t)
    assert [row[:2] for row, keep in zip(rows, kept, strict=True) if keep] == sorted(
        {row[:2] for row in rows}
    )


def test_devices_and_teleports_are_counted() -> None:
    device = np.array([1, 1, 1, 2, 2], dtype=np.int64)
    t = np.array([0, 10, 20, 0, 10], dtype=np.int32) + np.int32(WEEK_END)
    lat = np.array([4700000, 4700600, 4702000, 0, 0], dtype=np.int32)  # 667 m in 10 s, 1,557 m in 10 s
    lon = np.array(
        [800000, 800000, 800000, 17999990, -17999990], dtype=np.int32
    )  # 22 m over the antimeridian
    assert kernels.summary(device, t, lat, lon, 0) == (2, 1)


FIX = st.tuples(st.integers(0, 60), st.integers(-9_000_000, 9_000_000), st.integers(-18_000_000, 18_000_000))


@given(
    first=FIX,
    step=st.tuples(st.integers(0, 60), st.integers(-30_000, 30_000), st.integers(-30_000, 30_000)),
)
def test_the_speed_of_a_move_is_along_the_great_circle(
    first: tuple[int, int, int], step: tuple[int, int, int]
) -> None:
    north = min(9_000_000, max(-9_000_000, first[1] + step[1]))
    east = (first[2] + step[2] + 18_000_000) % 36_000_000 - 18_000_000
    (a, b), (c, d) = np.radians([[first[1] / 1e5, north / 1e5], [first[2] / 1e5, east / 1e5]])
    here, there = (
        np.array([np.cos(x) * np.cos(y), np.cos(x) * np.sin(y), np.sin(x)]) for x, y in ((a, c), (b, d))
    )
    metres = 2 * 6_371_008.8 * np.arcsin(min(1.0, float(np.linalg.norm(here - there)) / 2))
    assume(abs(metres - 70 * step[0]) > 1e-3)
    found = kernels.summary(
        np.zeros(2, np.int64),
        np.array([WEEK_END, WEEK_END + step[0]], dtype=np.int32),
        np.array([first[1], north], dtype=np.int32),
        np.array([first[2], east], dtype=np.int32),
        0,
    )
    assert found == (1, int(metres > 70 * step[0]))


def test_a_move_over_the_end_of_a_period_is_no_teleport() -> None:
    device, t = np.zeros(2, np.int64), np.array([WEEK_END - 1, WEEK_END], dtype=np.int32)
    far = np.array([0, 4700000], dtype=np.int32)
    assert kernels.summary(device, t, far, far, 0) == (1, 0)


@given(
    devices=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1),
    bits=st.integers(1, 8),
    skip=st.integers(0, 40),
)
def test_ranges_ascend_with_the_pseudonyms(devices: list[int], bits: int, skip: int) -> None:
    ordered = np.array(sorted(devices), dtype=np.int64)
    ranges = spill.range_of(ordered, bits)
    assert ((ranges >= 0) & (ranges < 1 << bits)).all()
    assert (np.diff(ranges) >= 0).all()
    finer = spill.range_of(ordered, bits, skip=skip)
    expected = [((int(d) + 2**63) >> (64 - skip - bits)) % (1 << bits) for d in ordered]
    assert finer.tolist() == expected


def frame(rng: np.random.Generator, rows: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "device": rng.integers(-(2**63), 2**63 - 1, rows),
            "t": np.arange(rows, dtype=np.int32),
            "lat_e5": rng.integers(0, 9, rows).astype(np.int32),
            "lon_e5": rng.integers(0, 9, rows).astype(np.int32),
            "cell": rng.integers(0, 2**60, rows),
            "accuracy_m": np.full(rows, -1, dtype=np.int32),
        }
    )


def test_a_spill_keeps_every_row_once_and_in_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    pieces = [frame(rng, 100), frame(rng, 1), frame(rng, 0), frame(rng, 57)]
    with spill.Spill(tmp_path, 4, "a") as parts:
        for piece in pieces:
            parts.add(piece, np.mod(piece["device"].to_numpy(), 4))
    found = [(spill.load(path), rows) for path, rows in parts.filled()]
    assert [part.height for part, _ in found] == [rows for _, rows in found]
    for number, (part, _) in enumerate(found):
        expected = pl.concat(pieces).filter(
            pl.Series(np.mod(pl.concat(pieces)["device"].to_numpy(), 4) == number)
        )
        assert part.equals(expected)


def test_a_large_partition_is_split_until_it_fits(tmp_path: Path) -> None:
    whole = frame(np.random.default_rng(2), 5000)
    with spill.Spill(tmp_path, 1, "a") as parts:
        parts.add(whole, np.zeros(5000, dtype=np.int64))
    ((path, rows),) = parts.filled()
    split = [spill.load(piece) for piece in partition.pieces(path, rows, 300)]
    assert len(split) > 16
    assert max(piece.height for piece in split) <= 300
    assert not path.exists()
    assert pl.concat(split).sort("t").equals(whole)
    lowest = [piece["device"].min() for piece in split]
    assert lowest == sorted(lowest)  # type: ignore[type-var] # no piece is empty


def test_one_device_is_never_split(tmp_path: Path) -> None:
    whole = frame(np.random.default_rng(3), 50).with_columns(device=pl.lit(7, pl.Int64))
    with spill.Spill(tmp_path, 1, "a") as parts:
        parts.add(whole, np.zeros(50, dtype=np.int64))
    ((path, rows),) = parts.filled()
    pieces = [spill.load(piece) for piece in partition.pieces(path, rows, 10)]
    assert [piece.height for piece in pieces] == [50]


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    piece = frame(np.random.default_rng(4), 3)
    path = tmp_path / "full"
    path.mkdir()
    (path / "a-000.arrow").symlink_to("/dev/full")
    with pytest.raises(DiskFull), spill.Spill(path, 1, "a") as parts:  # noqa: PT012  (closing may be what fails)
        for _ in range(100):
            parts.add(piece, np.zeros(3, dtype=np.int64))
