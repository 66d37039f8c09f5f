"""Arrays on disk in a file that has no name: the system frees it however this process ends.

A file that is opened and unlinked in one step (`O_TMPFILE`, or an unlink at once where a system lacks it)
cannot be opened by anybody else and is in no folder. So nothing of the data is left after a kill, and
nothing has to be swept.
"""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from passersby.errors import DiskFull, OperationError

Array = npt.NDArray[Any]


class Spill:
    """Blocks of rows in one nameless file; a row is one value of each of `types`.

    Threads may read and write at the same time. `folder` says on which disk; without it the system does.
    """

    def __init__(self, types: Sequence[type[np.generic]], folder: Path | None = None) -> None:
        self._types = [np.dtype(kind) for kind in types]
        try:
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by the context that this class is)
        except OSError as error:
            raise _failed(error) from None
        self._end = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, columns: Sequence[Array]) -> tuple[int, int]:
        """Append rows; return where they are and how many.

        Raises:
            DiskFull: there is no room.
        """
        data = b"".join(
            np.ascontiguousarray(column, dtype=kind).tobytes()
            for column, kind in zip(columns, self._types, strict=True)
        )
        with self._lock:
            place, self._end = self._end, self._end + len(data)
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self._file.fileno(), data[written:], place + written)
        except OSError as error:
            raise _failed(error) from None
        return place, len(columns[0])

    def read(self, block: tuple[int, int]) -> list[Array]:
        """Return the columns of a block that `write` returned."""
        place, rows = block
        found: list[Array] = []
        for kind in self._types:
            column = np.empty(rows, dtype=kind)
            self._fill(column.view(np.uint8).data, place)
            found.append(column)
            place += column.nbytes
        return found

    def _fill(self, target: memoryview, place: int) -> None:
        done = 0
        try:
            while done < len(target) and (
                part := os.preadv(self._file.fileno(), [target[done:]], place + done)
            ):
                done += part
        except OSError as error:
            raise _failed(error) from None


def _failed(error: OSError) -> OperationError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(
            "The disk is full: what does not fit in memory could not be put aside.",
            "Free some space, or let the variable TMPDIR name a folder with more.",
        )
    return OperationError(
        "What does not fit in memory could not be put aside.",
        "Let the variable TMPDIR name a folder that can be written.",
    )
