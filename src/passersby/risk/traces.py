"""Reads any location data once into traces: distinct (device, minute, cell), sorted, put aside by device.

No id survives the reading of its batch: a device is a 64-bit number that hangs on the seed of the run and
never leaves it. No coordinate is kept either.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from passersby.errors import InputError, WrongSchema
from passersby.model.cells import cells_at
from passersby.risk.rates import require_enough
from passersby.risk.spill import Spill
from passersby.sources.opening import fingerprint
from passersby.sources.read import Batch, Limits, read
from passersby.sources.rows import in_order
from passersby.sources.schema import Schema, load, parse
from passersby.sources.sniff import sniff

FINEST = 11
"""H3 resolution of traces (edge about 29 m); coarser cells are computed from it."""

Numbers = npt.NDArray[np.uint64]
Minutes = npt.NDArray[np.int32]
Cells = npt.NDArray[np.int64]
Points = tuple[Numbers, Minutes, Cells]
"""Device, epoch minute and cell at `FINEST` of some rows; see `points_of`."""
Watch = Callable[[Numbers, pl.DataFrame], None]
"""Is told the devices and the checked rows (`sources.checks.COLUMNS`) of each batch while they are read."""
Progress = Callable[[int, int, int], None]
"""Is called with (rows read, bytes done, bytes in all)."""

Piece = TypeVar("Piece")

_BATCH_ROWS = 1 << 18

_PARTS = 64
"""Groups of devices; one of them at a time and thread is in memory."""


@dataclass(frozen=True)
class Trace:
    """Rows of some devices, sorted by (device, minute, cell) and distinct.

    `device` is uint64, `minute` int32 (epoch minutes), `cell` int64 (H3 at `FINEST`).
    """

    device: Numbers
    minute: Minutes
    cell: Cells

    def starts(self) -> npt.NDArray[np.int64]:
        """Return where each device begins, and the number of rows at the end."""
        new = np.flatnonzero(self.device[1:] != self.device[:-1]) + 1
        return np.concatenate([[0], new, [len(self.device)]]).astype(np.int64)


@dataclass(frozen=True)
class Source:
    """A file and how it is read."""

    path: Path
    schema: Schema


@dataclass
class Facts:
    """What is said about the rows themselves. `rejected` counts rows by the reason that the readers give.

    `files` are (name, SHA-256), none of a lake; `first` and `last` are the span of the rows, epoch minutes.
    """

    files: tuple[tuple[str, str], ...]
    bytes: int
    schemas: tuple[str, ...]
    rows: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    devices: int = 0
    first: int = 1 << 40
    last: int = -(1 << 40)


class Traces:
    """The traces of one data set, most of them in a nameless file; a context that frees it.

    Args:
        key: number under which ids become devices; the same for files that are compared.
        most: devices that are drawn as a sample, each with equal chance (those of the lowest numbers).
        threads: parts that are worked on at a time.
        folder: where the nameless file lies, by default where the system keeps such files.
    """

    def __init__(self, key: int, most: int, threads: int, folder: Path | None = None) -> None:
        self._key, self._most, self.threads, self._folder = key, most, threads, folder
        self._raw = Spill((np.uint64, np.int32, np.int64), folder)
        self._sorted: Spill | None = None
        self._extents: list[list[tuple[int, int]]] = [[] for _ in range(_PARTS)]
        self._blocks: list[tuple[int, int]] = []
        self._lowest: Numbers = np.empty(0, dtype=np.uint64)
        self._lock = threading.Lock()
        self.sample = Trace(self._lowest, np.empty(0, np.int32), np.empty(0, np.int64))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._raw.__exit__()
        if self._sorted is not None:
            self._sorted.__exit__()

    def fill(
        self,
        sources: Sequence[Source],
        *,
        now: int,
        offset: int,
        watch: Watch | None = None,
        progress: Progress | None = None,
    ) -> Facts:
        """Read files as one and sort their rows by device; draw the sample.

        Args:
            sources: any files that ingest reads.
            now: epoch s.
            offset: s east of UTC of times without an offset, where a schema leaves that open.
            watch: is told each batch.
            progress: is told after each batch.

        Raises:
            InputError: a file is damaged, does not fit its schema, or there are rows of too few devices.
            DiskFull: there is no room for what does not fit in memory.
        """
        prints = [fingerprint(source.path) for source in sources]
        total = sum(size for _, size in prints)
        named = tuple((s.path.name, sha256) for s, (sha256, _) in zip(sources, prints, strict=True))
        facts = Facts(named, total, tuple(dict.fromkeys(s.schema.name for s in sources)))
        limits = Limits(now=now, threads=self.threads, batch_rows=_BATCH_ROWS)

        def batches() -> Generator[tuple[Batch, int]]:
            before = 0
            for source, (_, size) in zip(sources, prints, strict=True):
                with closing(read(source.path, source.schema, limits=limits, offset=offset)) as found:
                    for batch in found:
                        yield batch, before + batch.position
                before += size

        def points(piece: tuple[Batch, int]) -> Points:
            frame = piece[0].frame
            lat, lon, t = (frame[name].to_numpy() for name in ("lat", "lon", "t"))
            return points_of(frame["id"], lat, lon, t, key=self._key)

        def seen(piece: tuple[Batch, int], devices: Numbers) -> None:
            batch, position = piece
            facts.rows += batch.read
            facts.rejected.update(batch.rejected)
            if watch is not None:
                watch(devices, batch.frame)
            if progress is not None:
                progress(facts.rows, position // 2, total)

        return self.take(batches(), points, facts, seen=seen, progress=progress)

    def take(
        self,
        pieces: Generator[Piece],
        points: Callable[[Piece], Points],
        facts: Facts,
        *,
        seen: Callable[[Piece, Numbers], None],
        progress: Progress | None = None,
    ) -> Facts:
        """Take rows from anywhere and sort them by device; draw the sample.

        Args:
            pieces: give the rows, so many at a time that several fit in memory.
            points: the points of a piece; is called in several threads.
            facts: what is known of the rows; gets devices and time. `bytes` is what progress is told of.
            seen: is told each piece that was taken, in order, and the devices of its points.
            progress: is told while rows are sorted.

        Raises:
            InputError: there are rows of too few devices.
            DiskFull: there is no room for what does not fit in memory.
        """

        def placed(piece: Piece) -> tuple[Piece, Numbers]:
            device, minute, cell = points(piece)
            self._place(device, minute, cell)
            return piece, device

        with closing(pieces), closing(in_order(pieces, placed, self.threads)) as done:
            for piece, devices in done:
                seen(piece, devices)
        self._sort(facts, progress)
        require_enough(facts.devices)
        return facts

    def parts(self) -> Iterator[Callable[[], Trace]]:
        """Yield work that returns the traces of one group of devices; each can run in any thread."""
        for block in self._blocks:
            yield partial(self._loaded, block)

    def _place(self, device: Numbers, minute: Minutes, cell: Cells) -> None:
        """Write points to their parts."""
        part = (device % np.uint64(_PARTS)).astype(np.uint8)
        order = np.argsort(part, kind="stable")
        columns = device[order], minute[order], cell[order]
        ends = np.cumsum(np.bincount(part, minlength=_PARTS))
        found = [
            (number, self._raw.write([column[start:end] for column in columns]))
            for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True))
            if end > start
        ]
        with self._lock:
            for number, block in found:
                self._extents[number].append(block)
            limit = self._lowest[-1] if len(self._lowest) == self._most else np.uint64(2**64 - 1)
            fresh = np.unique(device[device <= limit])
            self._lowest = np.union1d(self._lowest, fresh)[: self._most]

    def _sort(self, facts: Facts, progress: Progress | None) -> None:
        self._sorted = Spill((np.uint64, np.int32, np.int64), self._folder)
        sampled: list[Trace] = []
        filled = [blocks for blocks in self._extents if blocks]
        with ThreadPoolExecutor(self.threads) as pool:
            for number, (block, trace, devices, span) in enumerate(pool.map(self._part_sorted, filled), 1):
                self._blocks.append(block)
                sampled.append(trace)
                facts.devices += devices
                facts.first, facts.last = min(facts.first, span[0]), max(facts.last, span[1])
                if progress is not None:
                    progress(
                        facts.rows, facts.bytes // 2 * (len(filled) + number) // len(filled), facts.bytes
                    )
        self._raw.__exit__()
        if sampled:
            self.sample = _sorted_trace(
                *(np.concatenate([getattr(part, name) for part in sampled]) for name in _COLUMNS)
            )

    def _part_sorted(
        self, blocks: Sequence[tuple[int, int]]
    ) -> tuple[tuple[int, int], Trace, int, tuple[int, int]]:
        pieces = [self._raw.read(block) for block in blocks]
        trace = _sorted_trace(*(np.concatenate(column) for column in zip(*pieces, strict=True)))
        assert self._sorted is not None  # noqa: S101 (for the type checker)
        block = self._sorted.write([trace.device, trace.minute, trace.cell])
        mine = np.isin(trace.device, self._lowest)
        drawn = Trace(trace.device[mine], trace.minute[mine], trace.cell[mine])
        span = int(trace.minute.min()), int(trace.minute.max())
        return block, drawn, len(trace.starts()) - 1, span

    def _loaded(self, block: tuple[int, int]) -> Trace:
        assert self._sorted is not None  # noqa: S101 (for the type checker)
        return Trace(*self._sorted.read(block))


_COLUMNS = ("device", "minute", "cell")


def _sorted_trace(device: Numbers, minute: Minutes, cell: Cells) -> Trace:
    frame = pl.DataFrame({"device": device, "minute": minute, "cell": cell}).sort(_COLUMNS)
    device, minute, cell = (frame[name].to_numpy() for name in _COLUMNS)
    new = np.ones(len(device), dtype=np.bool_)
    new[1:] = (device[1:] != device[:-1]) | (minute[1:] != minute[:-1]) | (cell[1:] != cell[:-1])
    return Trace(device[new], minute[new], cell[new])


def points_of(
    ids: pl.Series, lat: npt.NDArray[Any], lon: npt.NDArray[Any], t: npt.NDArray[Any], *, key: int
) -> Points:
    """Return rows as points.

    Args:
        ids: of the devices, texts or whole numbers.
        lat: degrees.
        lon: degrees.
        t: epoch s.
        key: number under which ids become devices.
    """
    device = ids.hash(key).to_numpy()
    return device, (t // 60).astype(np.int32), cells_at(lat, lon, FINEST)


def key_of(seed: int) -> int:
    """Return the key of a run: with the same seed the same sample is drawn again."""
    return int(np.random.default_rng(seed).integers(2**63))


def sources_of(paths: Sequence[Path], schema: str = "") -> list[Source]:
    """Return how files are read: under a named schema, or as each of them looks.

    Raises:
        UnknownName: there is no such schema.
        InputError: a file is a folder, or no column looks like an id, a time or a position.
        WrongSchema: files of this kind are refused.
    """
    for path in paths:
        if path.is_dir():
            raise InputError(
                f"{path.name or path} is a folder.",
                "Name its files; for the lake of a deployment see `passersby lake assess`.",
            )
    if schema:
        chosen = load(schema)
        return [Source(path, chosen) for path in paths]
    return [Source(path, _recognised(path)) for path in paths]


def _recognised(path: Path) -> Schema:
    found = sniff(path)
    if found.refused:
        raise WrongSchema(f"{path.name} is refused. {found.refused}", "Give another file.")
    if found.missing:
        raise WrongSchema(
            f"{path.name} has no column that looks like: {', '.join(found.missing)}.",
            "Write its schema (see docs/how-to/add-a-supplier-format.md) and name it with --schema.",
        )
    return load(found.builtin) if found.builtin else parse(found.to_toml(), path.name)
