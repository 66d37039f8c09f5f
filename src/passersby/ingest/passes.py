"""The two passes over a delivery: spill its rows by device (steps 1 to 7), store them (8 to 10)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from passersby.ingest import partition, spill
from passersby.ingest.partition import Stored, Target
from passersby.ingest.report import Source
from passersby.ingest.screen import Rules, Screened, screen
from passersby.sources.opening import opened
from passersby.sources.read import Batch, Limits, read
from passersby.sources.rows import in_order
from passersby.sources.schema import Schema

Progress = Callable[[int, int, int], None]
"""Called with (rows read, bytes done, bytes in all): a byte is half done once it is read."""

_RENEW_S = 60
_ROW_BYTES = {"gzip": 18, "zstd": 18, "": 55}
_PARQUET_ROW_BYTES = 14
"""Bytes of a file for one row, about; only the number of partitions hangs on it."""


class Clock:
    """The caller's time (epoch s), which goes on while the work does."""

    def __init__(self, now: int) -> None:
        self._now, self._begun = now, time.monotonic()

    @property
    def now(self) -> int:
        """Epoch s."""
        return self._now + int(time.monotonic() - self._begun)


@dataclass
class Counts:
    """What was counted in steps 1 to 7: rows read, rejected by reason, and lines of some of them.

    `met` are the ids of deletion lists that came along; they are in memory only.
    """

    read: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    examples: dict[str, tuple[int, ...]] = field(default_factory=dict)
    met: set[str] = field(default_factory=set, repr=False)

    def add(self, part: Screened) -> None:
        """Count one batch."""
        self.read += part.read
        self.rejected.update(part.rejected)
        self.met |= part.met
        for reason, lines in part.examples.items():
            self.examples.setdefault(reason, tuple(lines))


@dataclass(frozen=True)
class Passes:
    """One delivery on its way into the lake.

    Args:
        files: what is read.
        schema: how.
        rules: which rows may be stored.
        target: where they go.
        folder: private folder for the partitions, made here.
        clock: the time.
        threads: batches and partitions at a time.
        batch_rows: rows that are checked at a time.
        naive_offset: s east of UTC of times without an offset.
        progress: told after each batch and partition.
    """

    files: Sequence[Source]
    schema: Schema
    rules: Rules
    target: Target
    folder: Path
    clock: Clock
    threads: int
    batch_rows: int
    naive_offset: int
    progress: Progress | None

    def run(self) -> tuple[Counts, Stored]:
        """Read, check and write everything; nothing is visible yet.

        Raises:
            InputError: a file is damaged or does not fit the schema.
            DiskFull: there is no room.
        """
        self.folder.mkdir(mode=0o700)
        counts = Counts()
        groups, bits = self._split()
        parts = self._spilled(counts, groups, bits)
        return counts, self._stored(parts, counts.read, bits)

    def _spilled(self, counts: Counts, groups: int, bits: int) -> list[tuple[Path, int]]:
        renewed = self.clock.now
        with (
            spill.Spill(self.folder, groups << bits, "all") as spilled,
            closing(self._batches()) as batches,
            closing(in_order(batches, self._screened, self.threads)) as screened,
        ):
            for part in screened:
                devices = part.pings["device"].to_numpy()
                spilled.add(part.pings, self._partition(devices, groups, bits))
                counts.add(part)
                self._report(counts.read, part.position / 2)
                renewed = self._renewed(renewed)
        return spilled.filled()

    def _stored(self, parts: list[tuple[Path, int]], read_rows: int, bits: int) -> Stored:
        total = sum(rows for _, rows in parts)
        renewed, done, result = self.clock.now, 0, Stored()
        pieces = (
            piece
            for path, rows in parts
            for piece in partition.pieces(path, rows, self.target.most_rows, bits=bits)
        )
        with closing(in_order(pieces, self._partition_stored, self.threads)) as every:
            for part in every:
                result += part
                done += part.stored + part.duplicates + part.suppressed + part.sealed
                self._report(read_rows, self._total * (0.5 + 0.5 * done / total))
                renewed = self._renewed(renewed)
        return result

    def _batches(self) -> Generator[Batch]:
        """Give the batches of all files; `position` counts on over the files."""
        limits = Limits(now=self.clock.now, batch_rows=self.batch_rows, threads=self.threads)
        before = 0
        for file in self.files:
            with closing(
                read(Path(file.path), self.schema, limits=limits, offset=self.naive_offset)
            ) as batches:
                for batch in batches:
                    yield replace(batch, position=before + batch.position)
            before += file.bytes

    def _screened(self, batch: Batch) -> Screened:
        return screen(batch, self.rules)

    def _partition_stored(self, path: Path) -> Stored:
        return partition.store(path, self.target)

    def _split(self) -> tuple[int, int]:
        """Return the number of bucket groups, and of the bits by which each is split further."""
        rows = sum(file.bytes // _row_bytes(Path(file.path)) for file in self.files)
        groups = min(self.target.work.layout.buckets, spill.MOST_FILES)
        bits = 0
        while groups << (bits + 1) <= spill.MOST_FILES and rows > (groups << bits) * self.target.most_rows:
            bits += 1
        return groups, bits

    def _partition(self, devices: npt.NDArray[np.int64], groups: int, bits: int) -> npt.NDArray[np.int64]:
        group = self.target.bucket_of(devices) % groups
        return (group << bits) + spill.range_of(devices, bits)

    @property
    def _total(self) -> int:
        return sum(file.bytes for file in self.files)

    def _report(self, rows: int, done: float) -> None:
        if self.progress is not None:
            self.progress(rows, int(done), self._total)

    def _renewed(self, last: int) -> int:
        now = self.clock.now
        if now - last < _RENEW_S:
            return last
        self.target.work.renew(now)
        return now


def _row_bytes(path: Path) -> int:
    found = opened(path)
    return _PARQUET_ROW_BYTES if found.container == "parquet" else _ROW_BYTES[found.compression]
