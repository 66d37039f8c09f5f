"""Rewrites files of the lake without some of their rows, in order; what is not touched stays as it is.

The new files take the place of the old ones in the commit of the same work, and the old ones leave the disk
in the next sweep that no reader holds up: what was removed is gone physically.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from passersby.errors import IntegrityError
from passersby.lake.files import FileWriter
from passersby.lake.layout import ROW_GROUP, Part
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


def rewrite(work: Work, files: Iterable[FileRef], keep: Keep) -> Rewritten:
    """Write each file anew that has rows to lose; call it from several threads for several files.

    A file of which nothing is left gets no successor. Sources and deletion dates stay what they were. At
    most two row groups are in memory.

    Args:
        work: the work that writes and will commit; nothing is visible before.
        files: files of one snapshot, whose lease the caller keeps alive.
        keep: which rows stay.

    Raises:
        IntegrityError: a file cannot be read.
        DiskFull: there is no room.
    """
    return sum((_one(work, file, keep) for file in files), Rewritten())


def tables(file: FileRef, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Yield the rows of one file in their order, one row group or less at a time; all columns by default.

    Raises:
        IntegrityError: the file cannot be read.
    """
    with readable(), pq.ParquetFile(file.path) as parquet:
        schema = TABLES[file.table]
        names = list(columns or schema.names)
        wanted = pa.schema([schema.field(name) for name in names])
        # whoever has several files reads them in threads of their own
        for batch in parquet.iter_batches(ROW_GROUP, columns=names, use_threads=False):
            yield pa.Table.from_batches([batch]).select(names).cast(wanted)


def _one(work: Work, file: FileRef, keep: Keep) -> Rewritten:
    gone = before = 0
    with ExitStack() as stack:
        writer: FileWriter | None = None
        for table in tables(file):
            stays = keep(table)
            gone += len(stays) - int(stays.sum())
            if not gone:
                before += 1
                continue
            if writer is None and (before or stays.any()):
                writer = stack.enter_context(_successor(work, file))
                _copy(file, writer, before)
            if writer is not None:
                writer.append(table.filter(pa.array(stays)))
    if not gone:
        return Rewritten()
    return Rewritten((file.id,), frozenset({Part(file.table, file.day, file.bucket)}), gone)


def _successor(work: Work, file: FileRef) -> FileWriter:
    return work.writer(file.table, file.day, file.bucket, sources=file.sources, until=file.until)


def _copy(file: FileRef, writer: FileWriter, groups: int) -> None:
    """Write the first groups of a file, of which nothing goes."""
    for number, table in enumerate(tables(file)):
        if number == groups:
            return
        writer.append(table)


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
