"""Opens a supplier's file by what it holds, never by its name, and reads text in blocks of whole lines."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from passersby.errors import UnreadableFile

BLOCK_BYTES = 8 << 20
"""Text is parsed in blocks of about this size."""
MAX_LINES = 1 << 20
"""Most lines in one block."""
_HEAD_BYTES = 1 << 20
_NEWLINE = ord("\n")

_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_OTHERS = {
    b"PK\x03\x04": "a ZIP archive or a spreadsheet",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"PARE": "an encrypted Parquet file",
    b"SQLite format 3": "an SQLite database",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
}
_KINDS_READ = "Deliver CSV, TSV or NDJSON (UTF-8; plain, gzip or zstd), or Parquet."
_UTF8_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Opened:
    """What a file is: `container` is "text" or "parquet", `compression` is "", "gzip" or "zstd".

    `head` holds the first lines (at most 1 MiB, whole lines only unless it is a single longer one)
    of a text, without a byte order mark; it is empty for Parquet.
    """

    path: Path
    container: str
    compression: str
    head: bytes


@dataclass(frozen=True)
class Block:
    """Whole lines of a text.

    `first` is the number of its first line (from 1), `position` the bytes of the file read so far.
    """

    data: bytes
    first: int
    lines: int
    position: int


def fingerprint(path: Path) -> tuple[str, int]:
    """Return the SHA-256 (hexadecimal) and the size in bytes of a file.

    Raises:
        UnreadableFile: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return digest, file.tell()
    except OSError as error:
        raise _unreadable(path, error) from None


def opened(path: Path) -> Opened:
    """Look at the first bytes of a file and tell what it is.

    Raises:
        UnreadableFile: it is missing, empty, damaged or of a kind that is not read.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(16)
    except OSError as error:
        raise _unreadable(path, error) from None
    if magic.startswith(b"PAR1"):
        return Opened(path, "parquet", "", b"")
    compression = _compression(magic)
    with text_stream(path, compression) as (stream, _):
        head = stream.read(_HEAD_BYTES).removeprefix(_UTF8_BOM)
    if not head.strip():
        msg = f"{path.name} is empty."
        raise UnreadableFile(msg, "Ask the supplier to deliver it again.")
    _refuse_others(path, head)
    whole = head.rfind(b"\n") + 1
    return Opened(path, "text", compression, head[:whole] if len(head) > _HEAD_BYTES // 2 and whole else head)


def _compression(magic: bytes) -> str:
    skippable = (
        len(magic) >= 4 and magic[1:4] == b"\x2a\x4d\x18" and 0x50 <= magic[0] <= 0x5F
    )  # RFC 8878, 3.1.2
    found = (name for start, name in _COMPRESSIONS.items() if magic.startswith(start))
    return "zstd" if skippable else next(found, "")


def _refuse_others(path: Path, head: bytes) -> None:
    kind = next((kind for start, kind in _OTHERS.items() if head.startswith(start)), "")
    if head.startswith(b"PAR1"):
        kind = "a compressed Parquet file"
    elif head.lstrip().startswith(b"["):
        kind = "a JSON array"
    elif b"\n" not in head and b"\r" in head.strip():
        kind = "text whose lines end with a carriage return alone"
    elif b"\0" in head and not kind:
        kind = "not a text"
    if kind:
        msg = f"{path.name} is {kind}, which is not read."
        raise UnreadableFile(msg, _KINDS_READ)


def _unreadable(path: Path, error: OSError) -> UnreadableFile:
    msg = f"{path.name} cannot be read: {error.strerror or 'input/output error'}."
    return UnreadableFile(msg, "Check the path and the permissions of the file.")


@contextmanager
def text_stream(path: Path, compression: str) -> Iterator[tuple[pa.NativeFile, pa.NativeFile]]:
    """Give the decompressed stream of a file, and the file itself, whose `tell` is the progress.

    Every gzip member and every zstd frame is read; a stream that ends early is an error.

    Raises:
        UnreadableFile: the file is truncated or damaged, wherever that shows.
    """
    try:
        with pa.OSFile(str(path)) as file:
            if not compression:
                yield file, file
                return
            with pa.CompressedInputStream(file, compression) as stream:
                yield stream, file
    except (OSError, pa.ArrowException) as error:
        if not compression and isinstance(error, OSError) and error.strerror:
            raise _unreadable(path, error) from None
        msg = f"{path.name} is damaged: its {compression or 'text'} stream is broken or ends early."
        raise UnreadableFile(msg, "Ask the supplier to deliver it again; nothing of it is stored.") from None


def blocks(source: Opened, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Give the text of a file in blocks of whole lines; each ends with a line break.

    Raises:
        UnreadableFile: the file is damaged, or a line is longer than a block.
    """
    with text_stream(source.path, source.compression) as (stream, file):
        rest, line = b"", 1
        while chunk := stream.read(block_bytes):
            if line == 1 and not rest:
                chunk = chunk.removeprefix(_UTF8_BOM)
            end = chunk.rfind(b"\n") + 1
            if not end and len(rest) + len(chunk) >= block_bytes:
                msg = f"Line {line:,} of {source.path.name} is longer than {block_bytes:,} bytes."
                raise UnreadableFile(msg, _KINDS_READ)
            whole = memoryview(chunk)[:end]
            data, rest = (b"".join((rest, whole)), chunk[end:]) if end else (b"", rest + chunk)
            for block in _limited(data, line, file.tell()):
                yield block
                line += block.lines
        if rest:
            yield Block(rest + b"\n", line, 1, file.tell())


def _limited(data: bytes, first: int, position: int) -> Iterator[Block]:
    """Halve a block until it has at most `MAX_LINES` lines."""
    lines = int(np.count_nonzero(np.frombuffer(data, np.uint8) == _NEWLINE))
    if lines <= MAX_LINES:
        if lines:
            yield Block(data, first, lines, position)
        return
    middle = data.index(b"\n", len(data) // 2) + 1
    if middle == len(data):
        middle = data.rindex(b"\n", 0, len(data) // 2) + 1
    yield from _limited(data[:middle], first, position)
    yield from _limited(data[middle:], first + data.count(b"\n", 0, middle), position)
