"""Writes one Parquet file of the lake: checked rows in, a hashed file on the disk out.

The file lies in a staging folder, where nobody reads it; `lake.write` gives it its place.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from passersby.lake import durable
from passersby.lake.layout import ENCODINGS, ROW_GROUP, Checker, Layout, Part
from passersby.model.schema import TABLES


@dataclass(frozen=True)
class Target:
    """A file to be written.

    Args:
        part: where all its rows belong.
        staged: absolute path where it is written.
        path: its later place, relative to the lake.
        sources: sorted ids of the deliveries that its rows come from.
        until: deletion date, epoch s.
        label: what is being done, for error messages.
    """

    part: Part
    staged: Path
    path: str
    sources: tuple[int, ...]
    until: int
    label: str


@dataclass(frozen=True)
class Written:
    """A file that is on the disk but that nobody can see."""

    target: Target
    rows: int
    bytes: int
    sha256: str


class FileWriter:
    """Writes one file of the lake from sorted tables, at most `ROW_GROUP` rows in memory.

    A context manager; the file counts only if the block ends without an error.

    Args:
        target: what and where.
        layout: the deployment's buckets and offset.
        finished: told when the file is whole and on the disk.
    """

    def __init__(self, target: Target, layout: Layout, finished: Callable[[Written], None]) -> None:
        self._target = target
        self._finished = finished
        self._checker = Checker(target.part, buckets=layout.buckets, offset=layout.offset)
        self._waiting: list[pa.Table] = []
        self.rows = 0

    def __enter__(self) -> Self:
        table = self._target.part.table
        with durable.as_operation_error(self._target.label):
            self._sink = durable.Sink(self._target.staged)
            try:
                self._parquet = pq.ParquetWriter(
                    self._sink, TABLES[table], **ENCODINGS[table].options(TABLES[table].names)
                )
            except BaseException:
                self._sink.discard()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._discard()
            return
        try:
            with durable.as_operation_error(self._target.label):
                self._flush(everything=True)
                self._parquet.close()
                self._sink.close()
        except BaseException:
            self._discard()
            raise
        self._finished(Written(self._target, self.rows, self._sink.bytes, self._sink.sha256))

    def append(self, table: pa.Table) -> None:
        """Write the next rows, sorted after all rows so far.

        Raises:
            IntegrityError: they are not, or belong to another day or bucket.
            DiskFull: there is no room; the file is void.
        """
        self._checker.check(table)
        self.rows += table.num_rows
        self._waiting.append(table)
        with durable.as_operation_error(self._target.label):
            self._flush(everything=False)

    def _flush(self, *, everything: bool) -> None:
        """Write full row groups, and what remains at the end."""
        if not self._waiting or (not everything and sum(t.num_rows for t in self._waiting) < ROW_GROUP):
            return
        table = pa.concat_tables(self._waiting)
        whole = table.num_rows if everything else table.num_rows - table.num_rows % ROW_GROUP
        self._parquet.write_table(table.slice(0, whole), row_group_size=ROW_GROUP)
        self._waiting = [table.slice(whole)] if whole < table.num_rows else []

    def _discard(self) -> None:
        self._sink.discard()
        with contextlib.suppress(OSError, pa.ArrowException):
            self._parquet.close()
        with contextlib.suppress(OSError):
            self._target.staged.unlink(missing_ok=True)
