"""Reads the pings of one day and bucket in order, whole devices at a time, from any number of deliveries.

Memory holds about one row group of each file. A chunk ends before the lowest device that some file may
still continue.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from passersby.derive import kernel
from passersby.errors import IntegrityError
from passersby.lake.layout import ROW_GROUP

Columns: TypeAlias = tuple[
    npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int32]
]
"""device, t, cell, delivery."""

_NAMES = ["device", "t", "cell", "delivery"]


class _Stream:
    """One file's rows that were read and not given out yet."""

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetFile(path)
        self._batches = self._file.iter_batches(ROW_GROUP, columns=_NAMES, use_threads=False)
        self._held: list[Columns] = []
        self.ended = False
        self.read()

    @property
    def last(self) -> int:
        """The last device read; more of it may follow unless the file has ended."""
        return int(self._held[-1][0][-1])

    @property
    def empty(self) -> bool:
        return not self._held

    def read(self) -> None:
        """Read one more row group."""
        for batch in self._batches:
            if batch.num_rows:
                self._held.append(_columns(batch))
                return
        self.ended = True
        self._file.close()

    def take(self, limit: int | None) -> Columns | None:
        """Give out the rows of devices below `limit` (None: all)."""
        if not self._held:
            return None
        columns = self._held[0] if len(self._held) == 1 else _joined(self._held)
        cut = len(columns[0]) if limit is None else int(np.searchsorted(columns[0], limit))
        self._held = [_part(columns, slice(cut, None))] if cut < len(columns[0]) else []
        return _part(columns, slice(0, cut)) if cut else None


def devices(paths: Sequence[Path]) -> Iterator[Columns]:
    """Yield chunks of pings sorted by (device, t); a device is never split over two chunks.

    Args:
        paths: ping files of one day and bucket, each sorted by (device, t).

    Raises:
        IntegrityError: a file cannot be read.
    """
    try:
        yield from _chunks([_Stream(path) for path in paths])
    except (OSError, pa.ArrowException) as error:
        # damage shows as either, depending on where in the file it is
        raise IntegrityError(
            "A file of the lake cannot be read: it is missing, damaged or another account's.",
            "Restore the deployment from its backup, or remove the delivery and ingest it again.",
        ) from error


def _chunks(streams: list[_Stream]) -> Iterator[Columns]:
    while streams := [stream for stream in streams if not (stream.empty and stream.ended)]:
        open_ends = [stream.last for stream in streams if not stream.ended]
        limit = min(open_ends, default=None)
        taken = [part for stream in streams if (part := stream.take(limit)) is not None]
        for stream in streams:
            if not stream.ended and (stream.empty or stream.last == limit):
                stream.read()
        if taken:
            yield _merged(taken)


def _merged(parts: list[Columns]) -> Columns:
    """Merge sorted parts two by two."""
    while len(parts) > 1:
        odd = [parts[-1]] if len(parts) % 2 else []
        parts = [_pair(a, b) for a, b in zip(parts[::2], parts[1::2], strict=False)] + odd
    return parts[0]


def _pair(left: Columns, right: Columns) -> Columns:
    rows = len(left[0]) + len(right[0])
    out = (
        np.empty(rows, np.int64),
        np.empty(rows, np.int32),
        np.empty(rows, np.int64),
        np.empty(rows, np.int32),
    )
    kernel.merge(left, right, out)
    return _frozen(out)


def _columns(batch: pa.RecordBatch) -> Columns:
    device, time, cell, delivery = (batch.column(name).to_numpy() for name in _NAMES)
    return _frozen((device, time, cell, delivery))


def _joined(parts: list[Columns]) -> Columns:
    device, time, cell, delivery = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _frozen((device, time, cell, delivery))


def _frozen(columns: Columns) -> Columns:
    """Mark arrays read-only, as Arrow's are: Numba compiles a loop for each kind of array it meets."""
    for column in columns:
        column.setflags(write=False)
    return columns


def _part(columns: Columns, rows: slice) -> Columns:
    device, time, cell, delivery = columns
    return device[rows], time[rows], cell[rows], delivery[rows]
