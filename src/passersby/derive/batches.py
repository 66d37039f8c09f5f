"""Reads the pings of one bucket in order, whole devices at a time, from any number of days and deliveries.

Memory holds a bounded number of rows of all files together. A chunk ends before the lowest device that
some file may still continue.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from passersby.derive import kernel
from passersby.errors import IntegrityError
from passersby.lake.layout import ROW_GROUP

Columns: TypeAlias = tuple[npt.NDArray[Any], ...]
"""Columns of pings as arrays: device and t first."""

_HELD = 4 * ROW_GROUP
"""Rows of all files together that are read at a time, but for `_LEAST_ROWS` of each."""

_LEAST_ROWS = 10_000
_ABSENT = -1


class _Stream:
    """One file's rows that were read and not given out yet."""

    def __init__(self, path: Path, names: Sequence[str], rows: int) -> None:
        self._names = names
        self._file = pq.ParquetFile(path)
        self._batches = self._file.iter_batches(rows, columns=list(names), use_threads=False)
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
        """Read some more rows."""
        for batch in self._batches:
            if batch.num_rows:
                self._held.append(_columns(batch, self._names))
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


def devices(paths: Sequence[Path], names: Sequence[str]) -> Iterator[Columns]:
    """Yield chunks of pings sorted by (device, t); a device is never split over two chunks.

    Args:
        paths: ping files of one bucket, each sorted by (device, t).
        names: the columns, `device` and `t` first; an accuracy that is not there reads as -1.

    Raises:
        IntegrityError: a file cannot be read.
    """
    try:
        rows = min(ROW_GROUP, max(_LEAST_ROWS, _HELD // max(1, len(paths))))
        yield from _chunks([_Stream(path, names, rows) for path in paths])
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
    order = kernel.merged(left[:2], right[:2])
    return _frozen(tuple(np.concatenate(both)[order] for both in zip(left, right, strict=True)))


def _columns(batch: pa.RecordBatch, names: Sequence[str]) -> Columns:
    return _frozen(tuple(_values(batch.column(name)) for name in names))


def _values(column: pa.Array) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = (column.fill_null(_ABSENT) if column.null_count else column).to_numpy()
    return found


def _joined(parts: list[Columns]) -> Columns:
    return _frozen(tuple(np.concatenate(column) for column in zip(*parts, strict=True)))


def _frozen(columns: Columns) -> Columns:
    """Mark arrays read-only, as Arrow's are: Numba compiles a loop for each kind of array it meets."""
    for column in columns:
        column.setflags(write=False)
    return columns


def _part(columns: Columns, rows: slice) -> Columns:
    return tuple(column[rows] for column in columns)
