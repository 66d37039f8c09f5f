"""Text columns as compiled loops work on them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]
Flags = npt.NDArray[np.uint8]


def text_buffers(column: pl.Series) -> tuple[Bytes, Ints]:
    """Return a text column as its bytes and its n + 1 offsets; a null reads as an empty text."""
    array = pa.array(
        column.cast(pl.String).fill_null("").rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()),
        pa.large_string(),
    )
    _, offsets, data = array.buffers()
    starts = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(data or b"", np.uint8), starts


def text_column(name: str, data: Bytes, offsets: Ints) -> pl.Series:
    """Return a text column of UTF-8 bytes and n + 1 offsets."""
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    array = pa.Array.from_buffers(pa.large_string(), len(offsets) - 1, buffers)
    return pl.Series(name, array, dtype=pl.String)
