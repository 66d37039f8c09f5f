"""Writes a supplier's file batch by batch: text in gzip or zstd, or Parquet; equal input, equal bytes.

Encoding is separate from writing, so that several threads can encode while one writes in order.
"""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from passersby.synth.dirt import Soiled
from passersby.synth.formats import Format, nested

Block: TypeAlias = Any
"""One encoded batch: gzip members, text (bytes) that the file compresses, or an Arrow table."""

_CUT_JSON = 60
"""Characters that are left of a JSON line which is cut off."""


class Sink(Protocol):
    """A file that is being written."""

    def write(self, block: Block) -> object:
        """Append one encoded batch."""

    def close(self) -> None:
        """Finish the file."""


def encode(batch: Soiled, form: Format) -> Block:
    """Return a batch in the form in which its file takes it; its odd rows come half-way."""
    half = len(batch.rows) // 2
    if form.container == "parquet":
        return pl.concat([batch.rows[:half], *batch.odd, batch.rows[half:]]).to_arrow()
    packed: Literal["gzip", "uncompressed"] = "gzip" if form.suffix.endswith("gz") else "uncompressed"
    odd = _odd_lines(batch, form)
    if packed == "gzip" and odd:
        odd = gzip.compress(odd, 1, mtime=0)
    return b"".join([_lines(batch.rows[:half], form, packed), odd, _lines(batch.rows[half:], form, packed)])


def _lines(
    frame: pl.DataFrame, form: Format, packed: Literal["gzip", "uncompressed"] = "uncompressed"
) -> bytes:
    """Return rows as text, in a gzip member of their own if `packed` says so."""
    out = io.BytesIO()
    if frame.is_empty():
        return b""
    if form.container == "ndjson":
        nested(frame).write_ndjson(out, compression=packed, compression_level=1)
    else:
        frame.write_csv(
            out,
            include_header=False,
            separator=form.separator,
            quote_style="never",
            compression=packed,
            compression_level=1,
        )
    return out.getvalue()


def _odd_lines(batch: Soiled, form: Format) -> bytes:
    """Return flawed rows, and lines that are no rows: cut off, or with too many fields."""
    parts = [_lines(frame, form) for frame in batch.odd]
    if form.container == "ndjson":
        whole = _lines(batch.broken, form).decode().splitlines()
        return b"".join([*parts, *(f"{line[:_CUT_JSON]}\n".encode() for line in whole)])
    half = len(batch.broken) // 2
    short = batch.broken[:half].select(batch.broken.columns[:3])
    long = batch.broken[half:].with_columns(more=pl.lit("x"), still=pl.lit("x"))
    return b"".join([*parts, _lines(short, form), _lines(long, form)])


class ZstdSink:
    """A single zstd frame (RFC 8878) with a checksum."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._stream = zstandard.ZstdCompressor(level=1, write_checksum=True).stream_writer(
            self._file, closefd=False
        )

    def write(self, block: Block) -> None:
        """Compress and append text."""
        self._stream.write(block)

    def close(self) -> None:
        """Finish the frame and the file."""
        with self._file:
            self._stream.flush(zstandard.FLUSH_FRAME)


class ParquetSink:
    """A Parquet file with one row group a batch."""

    def __init__(self, path: Path, schema: pa.Schema, repeated: tuple[str, ...]) -> None:
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=list(repeated),
            store_schema=False,
        )

    def write(self, block: Block) -> None:
        """Append a row group."""
        if len(block):
            self._writer.write_table(block)

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


def open_sink(path: Path, form: Format, empty: pl.DataFrame) -> Sink:
    """Open a new file and write its header line, if it has one.

    Args:
        path: the file.
        form: its format.
        empty: a frame of the format's columns without rows.
    """
    if form.container == "parquet":
        return ParquetSink(path, empty.to_arrow().schema, form.repeated)
    header = b""
    if form.container == "csv" and form.header:
        header = f"{form.separator.join(empty.columns)}\n".encode()
    if form.suffix.endswith("gz"):
        file = path.open("wb")
        file.write(gzip.compress(header, 1, mtime=0) if header else b"")
        return file
    sink = ZstdSink(path)
    sink.write(header)
    return sink
