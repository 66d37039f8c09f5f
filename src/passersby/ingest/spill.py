"""Splits a delivery's pings by device into files that fit in memory, in the staging folder.

A partition holds whole devices: those of one bucket and one range of pseudonyms. Pseudonyms are uniform,
so that equal ranges hold equal shares, and file order is kept within a partition.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from passersby.lake.durable import as_operation_error

SCHEMA = pa.schema(
    [
        pa.field("device", pa.int64()),
        pa.field("t", pa.int32()),
        pa.field("lat_e5", pa.int32()),
        pa.field("lon_e5", pa.int32()),
        pa.field("cell", pa.int64()),
        pa.field("accuracy_m", pa.int32()),
    ]
)
"""A ping in a partition; `accuracy_m` is -1 where the supplier gives none."""

MOST_FILES = 256
"""Partitions of one split, open at the same time."""

_LABEL = "splitting the delivery"


class Spill:
    """Partitions that are being filled.

    Args:
        folder: private folder for the files.
        partitions: how many; see `partition`.
        prefix: start of the files' names.
    """

    def __init__(self, folder: Path, partitions: int, prefix: str) -> None:
        self._paths = [folder / f"{prefix}-{number:03d}.arrow" for number in range(partitions)]
        self._files: list[pa.NativeFile | None] = [None] * partitions
        self._writers: list[pa.RecordBatchStreamWriter | None] = [None] * partitions
        self.rows = np.zeros(partitions, dtype=np.int64)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with as_operation_error(_LABEL):
            for writer, file in zip(self._writers, self._files, strict=True):
                if writer is not None and file is not None:
                    if kind is None:
                        writer.close()
                    file.close()

    def add(self, pings: pl.DataFrame, partition: npt.NDArray[np.int64]) -> None:
        """Append pings (columns of `SCHEMA`) to their partitions, in their order.

        Raises:
            DiskFull: there is no room.
        """
        # short keys are sorted by radix
        order = np.argsort(partition.astype(np.uint16), kind="stable")
        sizes = np.bincount(partition, minlength=len(self._paths))
        ends = np.cumsum(sizes)
        table = pings[order].to_arrow().cast(SCHEMA).combine_chunks()
        with as_operation_error(_LABEL):
            for number in np.flatnonzero(sizes):
                start = int(ends[number] - sizes[number])
                self._writer(int(number)).write_table(table.slice(start, int(sizes[number])))
        self.rows += sizes

    def filled(self) -> list[tuple[Path, int]]:
        """Return the file and the number of rows of each partition that has any, in order."""
        return [(path, int(rows)) for path, rows in zip(self._paths, self.rows, strict=True) if rows]

    def _writer(self, number: int) -> pa.RecordBatchStreamWriter:
        writer = self._writers[number]
        if writer is None:
            file = pa.OSFile(str(self._paths[number]), "wb")
            self._files[number] = file
            writer = self._writers[number] = pa.ipc.new_stream(file, SCHEMA)
        return writer


def load(path: Path) -> pl.DataFrame:
    """Return all pings of a partition, in file order."""
    with as_operation_error(_LABEL), pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
        frame = pl.from_arrow(reader.read_all())
    if not isinstance(frame, pl.DataFrame):
        raise TypeError
    return frame


def batches(path: Path) -> Iterator[pl.DataFrame]:
    """Yield the pings of a partition piece by piece, in file order."""
    with as_operation_error(_LABEL), pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
        for batch in reader:
            yield pl.DataFrame(batch)


def range_of(devices: npt.NDArray[np.int64], bits: int, *, skip: int = 0) -> npt.NDArray[np.int64]:
    """Return `bits` bits of each pseudonym below its `skip` top ones; ranges ascend with the pseudonym."""
    if bits == 0:
        return np.zeros(len(devices), dtype=np.int64)
    unsigned = devices.view(np.uint64) ^ np.uint64(1 << 63)
    ranges: npt.NDArray[np.int64] = ((unsigned << np.uint64(skip)) >> np.uint64(64 - bits)).astype(np.int64)
    return ranges
