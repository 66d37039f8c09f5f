"""The first rows of a file of unknown format, as texts by column, for `sniff`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from passersby.sources.layout import (
    DELIMITERS,
    broken_parquet,
    is_ndjson,
    json_object,
    json_paths,
    parquet_types,
    split,
    text_lines,
)
from passersby.sources.opening import Opened, opened

ROWS = 1000


@dataclass(frozen=True)
class Sample:
    """The first rows of a file.

    `format` is "csv", "tsv", "ndjson" or "parquet". `values` maps each column, in the file's order, to
    its values as text; "" where there is none. `stamps` names columns of timestamps, and whether they
    carry a UTC offset.
    """

    format: str
    compression: str
    values: Mapping[str, Sequence[str]]
    header: bool = True
    delimiter: str = ""
    stamps: Mapping[str, bool] | None = None


def sample(path: Path) -> Sample:
    """Return the first rows of a file.

    Raises:
        UnreadableFile: it is damaged or of a kind that is not read.
    """
    source = opened(path)
    if source.container == "parquet":
        return _of_parquet(source)
    lines = [line for line in text_lines(source) if line.strip()]
    if is_ndjson(lines):
        rows = [json_paths(found) for line in lines if (found := json_object(line)) is not None]
        names = dict.fromkeys(name for row in rows for name in row)
        values = {name: [_text(row.get(name)) for row in rows] for name in names}
        return Sample("ndjson", source.compression, values)
    return _of_delimited(source, lines)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _of_parquet(source: Opened) -> Sample:
    types = parquet_types(source.path)
    try:
        with pq.ParquetFile(source.path) as file:
            batch = next(file.iter_batches(ROWS), None)
    except (pa.ArrowException, OSError):
        raise broken_parquet(source.path) from None
    rows = [json_paths(row) for row in batch.to_pylist()] if batch is not None else []
    values = {name: [_text(row.get(name)) for row in rows] for name in types}
    stamps = {name: bool(kind.tz) for name, kind in types.items() if pa.types.is_timestamp(kind)}
    return Sample("parquet", "", values, stamps=stamps)


def _of_delimited(source: Opened, lines: Sequence[str]) -> Sample:
    delimiter = max(DELIMITERS, key=lambda mark: _regularity(lines, mark))
    rows = [split(line, delimiter) for line in lines]
    width = Counter(len(row) for row in rows).most_common(1)[0][0]
    first, *others = rows
    header = _is_header(first, others)
    names = first if header else [f"_c{i}" for i in range(width)]
    body = [row for row in (others if header else rows) if len(row) == len(names)]
    values = {name: [row[i] for row in body] for i, name in enumerate(names)}
    return Sample("tsv" if delimiter == "\t" else "csv", source.compression, values, header, delimiter)


def _regularity(lines: Sequence[str], delimiter: str) -> tuple[float, int]:
    """Return the share of lines with the most common number of fields, if above 1, and that number."""
    widths = Counter(len(split(line, delimiter)) for line in lines)
    width, count = widths.most_common(1)[0]
    return (count / len(lines) if width > 1 else 0.0), width


def _is_header(first: Sequence[str], others: Sequence[Sequence[str]]) -> bool:
    """Tell whether a first line holds names: none of them is a number or a digit-heavy value.

    A name can be empty (pandas writes an index so) or be there twice; a row of values has a digit-heavy one.
    """
    if not any(first) or any(_digit_share(name) > 0.3 for name in first):
        return False
    return any(_digit_share(value) > 0.3 for row in others[:20] for value in row) or not others


def _digit_share(text: str) -> float:
    return sum(character.isdigit() for character in text) / max(1, len(text))
