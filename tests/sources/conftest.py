"""Files for tests of the readers, and one way of reading them whole."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
import zstandard

from passersby.sources.read import Limits, read
from passersby.sources.schema import Schema, load

NOW = 1_780_000_000
"""2026-05-28."""


@dataclass(frozen=True)
class Reading:
    """All batches of a file, joined."""

    frame: pl.DataFrame
    read: int
    rejected: dict[str, int]
    examples: dict[str, list[int]]
    batches: int


Reader = Callable[..., Reading]
Writer = Callable[..., Path]


def read_all(
    path: Path,
    schema: str | Schema,
    *,
    offset: int = 0,
    block_bytes: int = 8 << 20,
    batch_rows: int = 1 << 20,
    max_accuracy_m: int = 10_000,
) -> Reading:
    """Read a file whole and check what must hold for every batch."""
    limits = Limits(NOW, max_accuracy_m, block_bytes, batch_rows, threads=2)
    declared = load(schema) if isinstance(schema, str) else schema
    rejected: Counter[str] = Counter()
    examples: dict[str, list[int]] = {}
    frames, total, position, batches = [], 0, 0, 0
    for batch in read(path, declared, limits=limits, offset=offset):
        assert batch.read == batch.frame.height + sum(batch.rejected.values())
        assert batch.rejected.keys() == batch.examples.keys()
        assert position <= batch.position <= path.stat().st_size
        position, batches, total = batch.position, batches + 1, total + batch.read
        rejected.update(batch.rejected)
        frames.append(batch.frame)
        for reason, lines in batch.examples.items():
            assert len(lines) == min(5, batch.rejected[reason])
            examples.setdefault(reason, []).extend(lines)
    frame = pl.concat(frames) if frames else pl.DataFrame()
    return Reading(frame, total, dict(rejected), examples, batches)


def compressed(data: bytes, compression: str) -> bytes:
    """Return data as a supplier would pack it."""
    if compression == "gzip":
        return gzip.compress(data)
    return zstandard.compress(data) if compression == "zstd" else data


@pytest.fixture
def reading() -> Reader:
    """Read a file whole."""
    return read_all


@pytest.fixture
def put(tmp_path: Path) -> Writer:
    """Write bytes or lines to a file whose name says nothing, and return its path."""

    def write(content: bytes | Sequence[str], compression: str = "", name: str = "delivery") -> Path:
        data = content if isinstance(content, bytes) else ("\n".join(content) + "\n").encode()
        path = tmp_path / name
        path.write_bytes(compressed(data, compression))
        return path

    return write
