"""Steps 8 to 10 on one partition: sensitive places, duplicates, and the files of the lake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from passersby.ingest import kernels, spill
from passersby.lake.write import Work
from passersby.model.period import DAY
from passersby.model.schema import PINGS
from passersby.sensitive.cover import Cover
from passersby.sensitive.kernels import withheld


@dataclass(frozen=True)
class Target:
    """Where a delivery's pings go.

    Args:
        work: the lake's work that writes them.
        bucket_of: bucket of each device.
        supplier: number of the supplier.
        delivery: id of the delivery.
        until: deletion date of the pings, epoch s.
        sealed: (day, bucket) pairs that take no more pings.
        cover: the sensitive places.
        most_rows: rows that a partition may have in memory.
    """

    work: Work
    bucket_of: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]
    supplier: int
    delivery: int
    until: int
    sealed: frozenset[tuple[int, int]]
    cover: Cover
    most_rows: int


@dataclass(frozen=True)
class Stored:
    """What became of a partition's rows.

    `days` are the local days that it wrote, `inside` the fixes at sensitive places (`purging.FIXES`).
    """

    stored: int = 0
    duplicates: int = 0
    suppressed: int = 0
    sealed: int = 0
    devices: int = 0
    teleports: int = 0
    days: frozenset[int] = frozenset()
    inside: tuple[pl.DataFrame, ...] = ()

    def __add__(self, other: Stored) -> Stored:
        return Stored(
            self.stored + other.stored,
            self.duplicates + other.duplicates,
            self.suppressed + other.suppressed,
            self.sealed + other.sealed,
            self.devices + other.devices,
            self.teleports + other.teleports,
            self.days | other.days,
            self.inside + other.inside,
        )


def pieces(path: Path, rows: int, most_rows: int, *, bits: int = 0) -> Iterator[Path]:
    """Yield the partition in `path`, split by further bits of the pseudonyms until each piece fits.

    A single device is never split: it has at most one fix a second once duplicates are gone.
    """
    if rows <= most_rows or bits >= 48:
        yield path
        return
    more = min(8, int(rows // most_rows).bit_length())
    with spill.Spill(path.parent, 1 << more, path.stem) as parts:
        for frame in spill.batches(path):
            parts.add(frame, spill.range_of(frame["device"].to_numpy(), more, skip=bits))
    path.unlink()
    for part, size in parts.filled():
        yield from pieces(part, size, most_rows, bits=bits + more)


def store(path: Path, target: Target) -> Stored:
    """Store the pings of one partition and remove its file.

    Raises:
        DiskFull: there is no room.
    """
    frame = spill.load(path)
    path.unlink()
    offset = target.work.layout.offset
    frame, sealed = _without_sealed(frame, target, offset)
    frame = _sorted(frame)
    device, t = frame["device"].to_numpy(), frame["t"].to_numpy()
    # 8 sensitive places, and the neighbouring fixes that reveal entry
    columns = (frame[name].to_numpy() for name in ("lat_e5", "lon_e5", "cell", "accuracy_m", "t"))
    hits = target.cover.hits(*columns)
    gone = withheld(device, t, hits, offset)
    inside = frame.select("device", "t").filter(pl.Series(hits)).unique()
    # 9 duplicates within the delivery; a fix is withheld as a whole, so that its first row decides
    kept = kernels.first_of_fix(device, t) & ~gone
    frame = frame.filter(pl.Series(kept))
    # 10 the files of each day and bucket
    days = _write(frame, target, offset)
    devices, teleports = kernels.summary(
        frame["device"].to_numpy(),
        frame["t"].to_numpy(),
        frame["lat_e5"].to_numpy(),
        frame["lon_e5"].to_numpy(),
        offset,
    )
    suppressed = int(gone.sum())
    return Stored(
        stored=len(frame),
        duplicates=len(device) - suppressed - len(frame),
        suppressed=suppressed,
        sealed=sealed,
        devices=devices,
        teleports=teleports,
        days=days,
        inside=() if inside.is_empty() else (inside,),
    )


def _sorted(frame: pl.DataFrame) -> pl.DataFrame:
    """Sort by (device, t); rows of one device and second stay in the order of the files.

    Two stable sorts by one column each take half the time of one by both; where the supplier delivers in
    the order of time, the first does nothing.
    """
    return frame.sort("t", maintain_order=True).sort("device", maintain_order=True)


def _without_sealed(frame: pl.DataFrame, target: Target, offset: int) -> tuple[pl.DataFrame, int]:
    if not target.sealed:
        return frame, 0
    day = (frame["t"].to_numpy().astype(np.int64) + offset) // DAY
    bucket = target.bucket_of(frame["device"].to_numpy())
    closed = np.array([d * target.work.layout.buckets + b for d, b in target.sealed], dtype=np.int64)
    shut = np.isin(day * target.work.layout.buckets + bucket, closed)
    return frame.filter(pl.Series(~shut)), int(shut.sum())


def _write(frame: pl.DataFrame, target: Target, offset: int) -> frozenset[int]:
    """Write one file for each (day, bucket) of sorted pings."""
    if frame.is_empty():
        return frozenset()
    buckets = target.work.layout.buckets
    day = (frame["t"].to_numpy().astype(np.int64) + offset) // DAY
    first = int(day.min())
    part = (day - first) * buckets + target.bucket_of(frame["device"].to_numpy())
    sizes = np.bincount(part)
    # short keys are sorted by radix
    order = np.argsort(part.astype(np.uint16) if len(sizes) <= 1 << 16 else part, kind="stable")
    ends = np.cumsum(sizes)
    for number in np.flatnonzero(sizes).tolist():
        rows = (
            frame
            if sizes[number] == len(frame)
            else frame[order[ends[number] - sizes[number] : ends[number]]]
        )
        target.work.write(
            "pings",
            first + number // buckets,
            number % buckets,
            _lake_rows(rows, target),
            sources=[target.delivery],
            until=target.until,
        )
    return frozenset(first + number // buckets for number in np.flatnonzero(sizes).tolist())


def _lake_rows(frame: pl.DataFrame, target: Target) -> pa.Table:
    accuracy = pl.when(pl.col("accuracy_m") >= 0).then(pl.col("accuracy_m"))
    rows = frame.with_columns(
        accuracy_m=accuracy,
        supplier=pl.lit(target.supplier, pl.Int32),
        delivery=pl.lit(target.delivery, pl.Int32),
    )
    return rows.select(PINGS.names).to_arrow().cast(PINGS)
