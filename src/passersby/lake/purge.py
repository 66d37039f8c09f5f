"""Rewrites files of the lake without some of their rows, in order; what is not touched stays as it is.

The new files take the place of the old ones in the commit of the same work, and the old ones leave the disk
in the next sweep that no reader holds up: what was removed is gone physically.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from passersby.errors import IntegrityError
from passersby.lake.files import FileWriter
from passersby.lake.layout import Part
from passersby.lake.manifest import FileRef
from passersby.lake.write import Work
from passersby.model.schema import TABLES

Keep = Callable[[pa.Table], npt.NDArray[np.bool_]]
"""Takes rows of one file, of the schema of its table, and returns which of them stay."""


@dataclass(frozen=True)
class Rewritten:
    """What a rewrite will have changed once its work is committed.

    Args:
        replaces: ids of the files that go, for `Work.commit(replaces=...)`.
        parts: what they held rows of.
        rows: rows that go with them.
    """

    replaces: tuple[int, ...] = ()
    parts: frozenset[Part] = frozenset()
    rows: int = 0

    def __add__(self, other: Rewritten) -> Rewritten:
        return Rewritten(self.replaces + other.replaces, self.parts | other.parts, self.rows + other.rows)


def rewrite(
    work: Work, files: Iterable[FileRef], keep: Keep, *, by: Sequence[str] | None = None
) -> Rewritten:
    """Write each file anew that has rows to lose; call it from several threads for several files.

    A file of which nothing is left gets no successor. Sources and deletion dates stay what they were. At
    most two row groups are in memory.

    Args:
        work: the work that writes and will commit; nothing is visible before.
        files: files of one snapshot, whose lease the caller keeps alive.
        keep: which rows stay.
        by: the columns that `keep` looks at, all by default; the others of a file are read only where rows
            of it go.

    Raises:
        IntegrityError: a file cannot be read.
        DiskFull: there is no room.
    """
    return sum((_one(work, file, keep, by) for file in files), Rewritten())


def tables(file: FileRef, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Yield the rows of one file in their order, one row group at a time; all columns by default.

    Raises:
        IntegrityError: the file cannot be read.
    """
    with _Groups(file) as groups:
        for number in range(groups.count):
            yield groups.read(number, columns)


def _one(work: Work, file: FileRef, keep: Keep, by: Sequence[str] | None) -> Rewritten:
    gone = whole = 0
    with _Groups(file) as groups, ExitStack() as stack:
        writer: FileWriter | None = None
        for number in range(groups.count):
            rows = groups.read(number, by)
            stays = keep(rows)
            gone += len(stays) - int(stays.sum())
            if not gone:
                whole += 1
                continue
            if writer is None and (whole or stays.any()):
                writer = stack.enter_context(_successor(work, file))
                for earlier in range(whole):
                    writer.append(groups.read(earlier))
            if writer is not None:
                writer.append(groups.whole(number, rows).filter(pa.array(stays)))
    if not gone:
        return Rewritten()
    return Rewritten((file.id,), frozenset({Part(file.table, file.day, file.bucket)}), gone)


def _successor(work: Work, file: FileRef) -> FileWriter:
    return work.writer(file.table, file.day, file.bucket, sources=file.sources, until=file.until)


class _Groups:
    """The row groups of one file of the lake, by columns; a context manager.

    Raises:
        IntegrityError: the file cannot be read; so does each method.
    """

    def __init__(self, file: FileRef) -> None:
        self._schema = TABLES[file.table]
        with readable():
            self._parquet = pq.ParquetFile(file.path)
        self.count: int = self._parquet.num_row_groups

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._parquet.close()

    def read(self, number: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Return some columns of a row group, all by default."""
        wanted = pa.schema([self._schema.field(name) for name in columns or self._schema.names])
        with readable():
            # whoever has several files reads them in threads of their own
            rows = self._parquet.read_row_group(number, columns=wanted.names, use_threads=False)
            return rows.select(wanted.names).cast(wanted)

    def whole(self, number: int, rows: pa.Table) -> pa.Table:
        """Return all columns of a row group of which some were read."""
        names = self._schema.names
        missing = [name for name in names if name not in rows.column_names]
        if not missing:
            return rows
        rest = self.read(number, missing)
        columns = [rows[name] if name in rows.column_names else rest[name] for name in names]
        return pa.Table.from_arrays(columns, schema=self._schema)


@contextmanager
def readable() -> Iterator[None]:
    """Turn the failure of reading a file into ours.

    Raises:
        IntegrityError: it cannot be read.
    """
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        # damage shows as either, depending on where in the file it is
        raise IntegrityError(
            "A file of the lake cannot be read: it is missing, damaged or another account's.",
            "Restore the deployment from its backup, or remove the delivery and ingest it again.",
        ) from error
