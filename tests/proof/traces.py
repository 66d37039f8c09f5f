"""Looks for one device in bytes, files and databases, in every encoding that it could have left in.

What is compressed or encoded is decoded first: gzip, zstd, Parquet, rows of SQLite, text chunks of PNG.
"""

from __future__ import annotations

import base64
import gzip
import io
import sqlite3
import struct
import uuid
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

Needles = Mapping[str, bytes]
"""Name of an encoding -> what it looks like. Text is in lower case and is found in either case."""

_TEXT = "text "


def of_id(name: str) -> Needles:
    """Return the encodings of an advertising id, a UUID."""
    value = uuid.UUID(name)
    plain, short = str(value), value.hex
    found = {
        f"{_TEXT}with dashes": plain.encode(),
        f"{_TEXT}without dashes": short.encode(),
        f"{_TEXT}hexadecimal of the text": plain.encode().hex().encode(),
        f"{_TEXT}utf-16-le": plain.encode("utf-16-le"),
        f"{_TEXT}utf-16-be": plain.encode("utf-16-be"),
        "16 bytes": value.bytes,
        "16 bytes, little-endian": value.bytes_le,
    }
    for text in (plain, plain.upper(), short, short.upper()):
        found |= _base64(text, text.encode())
    return found | _base64("16 bytes", value.bytes)


def of_number(number: int) -> Needles:
    """Return the encodings of a pseudonym, a signed 64-bit integer."""
    little, big = struct.pack("<q", number), struct.pack(">q", number)
    return {
        f"{_TEXT}decimal": str(number).encode(),
        f"{_TEXT}unsigned decimal": str(number % (1 << 64)).encode(),
        f"{_TEXT}hexadecimal": big.hex().encode(),
        f"{_TEXT}hexadecimal, little-endian": little.hex().encode(),
        "8 bytes": big,
        "8 bytes, little-endian": little,
        **_base64("8 bytes", big),
        **_base64("8 bytes, little-endian", little),
    }


def within(data: bytes, needles: Needles) -> set[str]:
    """Return the encodings that occur in `data`."""
    lowered = data.lower()
    return {name for name, seen in needles.items() if seen in (lowered if name.startswith(_TEXT) else data)}


def decoded(data: bytes) -> Iterator[bytes]:
    """Yield `data`, and what it holds if it is compressed, Parquet or a PNG picture."""
    yield data
    if data[:4] == b"PAR1" and data[-4:] == b"PAR1":
        yield _columns(pq.read_table(io.BytesIO(data)))
    elif data[:2] == b"\x1f\x8b":
        yield gzip.decompress(data)
    elif data[:4] == b"\x28\xb5\x2f\xfd":
        yield zstandard.ZstdDecompressor().stream_reader(data).read()
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        yield from _chunks(data)
    elif data[:16] == b"SQLite format 3\0":
        yield from _rows(data)


def in_bytes(data: bytes, needles: Needles) -> set[str]:
    """Return the encodings that occur in `data` or in what it holds."""
    return set().union(*(within(part, needles) for part in decoded(data)))


def in_files(root: Path, needles: Needles) -> dict[str, set[str]]:
    """Return the encodings that occur in each file below `root`, or in its name."""
    found = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        name = path.relative_to(root).as_posix()
        seen = within(name.encode(), needles) | in_bytes(path.read_bytes(), needles)
        if seen:
            found[name] = seen
    return found


def flattened(value: Any) -> bytes:
    """Return everything that a result says, as bytes: fields of values, rows of tables, names of paths."""
    if isinstance(value, bytes):
        return b"\n".join(decoded(value))
    if isinstance(value, pa.Table):
        return _columns(value)
    if isinstance(value, Mapping):
        return b"\n".join(flattened(part) for pair in value.items() for part in pair)
    if isinstance(value, (list, tuple, set, frozenset)):
        return b"\n".join(map(flattened, value))
    if is_dataclass(value) and not isinstance(value, type):
        return b"\n".join(flattened(getattr(value, field.name)) for field in fields(value))
    return f"{value!s}\n{value!r}".encode()


def _base64(name: str, data: bytes) -> dict[str, bytes]:
    """Return what base64 makes of `data` wherever it stands in a longer text: three alignments."""
    found = {}
    for shift in range(3):
        for kind, encode in (("", base64.b64encode), (", url", base64.urlsafe_b64encode)):
            whole = encode(b"\0" * shift + data)
            core = whole[-(-8 * shift // 6) : 8 * (shift + len(data)) // 6]
            found[f"base64 of {name}, shift {shift}{kind}"] = core
    return found


def _columns(table: pa.Table) -> bytes:
    lines = (
        value if isinstance(value, bytes) else str(value).encode()
        for column in table.columns
        for value in column.to_pylist()
    )
    return b"\n".join([str(table.schema.metadata).encode(), *lines])


def _rows(data: bytes) -> Iterator[bytes]:
    """Yield every value of every table: a value can lie across two pages of the file."""
    connection = sqlite3.connect(":memory:")
    # a file in WAL mode cannot be opened from memory: bytes 18 and 19 are its format's versions
    connection.deserialize(data[:18] + b"\1\1" + data[20:])
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for name in names:
        for row in connection.execute(f'SELECT * FROM "{name}"'):
            for value in row:
                yield from decoded(value if isinstance(value, bytes) else str(value).encode())
    connection.close()


def _chunks(data: bytes) -> Iterator[bytes]:
    """Yield the text chunks of a PNG (ISO/IEC 15948, 11.3.4)."""
    at = 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        if kind in {b"tEXt", b"zTXt", b"iTXt"}:
            yield body
        if kind == b"zTXt":
            yield zlib.decompress(body.split(b"\0", 1)[1][1:])
        at += 12 + size
