"""Reads a supplier's consent file in batches and checks every record of it.

CSV, JSON (an array of records), NDJSON or Parquet, told apart by content. Fields are those of
`consent.fields`; times are epoch seconds or ISO 8601 with an offset.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from passersby.consent.fields import NAMES, TIMES, Normalise, checked
from passersby.errors import BadRecord, UnreadableFile, WrongSchema

_SEE = "docs/reference/consent.md says what a file may hold."
_BATCH_ROWS = 500_000
_BLOCK_BYTES = 16 << 20
_HEAD_BYTES = 1 << 16
_LONGEST_JSON = 1 << 30
_GZIP, _ZSTD, _PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
_KNOWN = frozenset(name for names in NAMES.values() for name in names)
_GROUPS = frozenset(name.partition(".")[0] for name in _KNOWN)
_TIME_NAMES = tuple(name for field in TIMES for name in NAMES[field])


def read(path: Path, normalise: Normalise, *, now: int) -> Iterator[pl.DataFrame]:
    """Yield checked records, see `fields.CHECKED`.

    Args:
        path: CSV, JSON, NDJSON or Parquet, plain or in gzip or zstd; told apart by content. A JSON array is
            held in memory whole, at most 1 GiB of it.
        normalise: brings ids to the form that pings carry.
        now: epoch s; a consent cannot have been given after tomorrow.

    Raises:
        UnreadableFile: the file cannot be read to its end.
        WrongSchema: a field is missing, or is there twice.
        BadRecord: a record is not valid; the message names its line, in JSON and Parquet its number.
        Refusal: a record says that it is of a source that is never taken.
    """
    with _opened(path) as (batches, first_line):
        line = first_line
        for batch in batches:
            frame = _known(batch)
            yield checked(frame, normalise, line, now)
            line += len(frame)


def _known(batch: pa.RecordBatch) -> pl.DataFrame:
    """Return the fields that are read, those of groups under dotted names, checked down to their bytes."""
    found: dict[str, pa.Array] = {}
    for name, values in _columns(batch):
        if name in found:
            raise WrongSchema(f"The consent file has the column `{name}` twice.", "Leave one of them out.")
        if not _is_plain(values.type):
            raise WrongSchema(f"The field `{name}` of the consent file is of a strange type.", _SEE)
        values.validate(full=True)
        found[name] = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
    return pl.DataFrame({name: pl.Series(name, values) for name, values in found.items()})


def _columns(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.Array]]:
    for field, values in zip(batch.schema, batch.columns, strict=True):
        if pa.types.is_struct(field.type) and field.name in _GROUPS:
            for inner, part in zip(field.type, values.flatten(), strict=True):
                if f"{field.name}.{inner.name}" in _KNOWN:
                    yield f"{field.name}.{inner.name}", part
        elif field.name in _KNOWN:
            yield field.name, values


def _is_plain(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (
        *(pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null),
        *(pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_timestamp),
    )
    return any(test(kind) for test in tests)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Iterator[pa.RecordBatch], int]]:
    """Give the batches of a file and the line of its first record."""
    try:
        with pa.OSFile(str(path)) as file:
            magic = file.read(4)
            file.seek(0)
            if magic == _PARQUET:
                parquet = pq.ParquetFile(file)
                wanted = [name for name in parquet.schema_arrow.names if name in _KNOWN | _GROUPS]
                yield parquet.iter_batches(_BATCH_ROWS, columns=wanted), 1
                return
        compression = "gzip" if magic[:2] == _GZIP else "zstd" if magic == _ZSTD else None
        with _stream(path, compression) as stream:
            start = stream.read(_HEAD_BYTES)
        with _stream(path, compression) as stream:
            yield _text(stream, start)
    except (pa.ArrowInvalid, UnicodeError):
        raise _invalid() from None
    except (OSError, pa.ArrowException):
        msg = "The consent file cannot be read: it is missing, truncated or damaged."
        raise UnreadableFile(msg, "Check the path, or ask the supplier to deliver it again.") from None


def _invalid() -> BadRecord:
    return BadRecord(
        "The consent file is not valid CSV, JSON, NDJSON or Parquet.",
        "Ask the supplier to deliver it again; nothing of it is in force.",
    )


def _stream(path: Path, compression: str | None) -> pa.NativeFile:
    return pa.input_stream(str(path), compression=compression)


def _as_written(start: bytes) -> pa_json.ParseOptions:
    """Keep ISO 8601 times as texts if the first record has such: Arrow would take their offsets away."""
    try:
        first = json.loads(start.partition(b"\n")[0])
    except (ValueError, RecursionError):
        first = {}
    first = first if isinstance(first, dict) else {}
    event = first.get("event")
    event = event if isinstance(event, dict) else {}
    outer, inner = _time_texts(first, ""), _time_texts(event, "event.")
    if inner:
        outer.append(("event", pa.struct(inner)))
    return pa_json.ParseOptions(explicit_schema=pa.schema(outer))


def _time_texts(record: Mapping[str, Any], prefix: str) -> list[tuple[str, pa.DataType]]:
    """Return the time fields of a record that are to be read as text: all of them, if one is text."""
    names = [
        name.removeprefix(prefix)
        for name in _TIME_NAMES
        if name.startswith(prefix) and "." not in name.removeprefix(prefix)
    ]
    texts = any(isinstance(record.get(name), str) for name in names)
    present = [name for name in names if name in record or name in TIMES[1:]]
    return [(name, pa.string()) for name in present] if texts else []


def _text(stream: pa.NativeFile, start: bytes) -> tuple[Iterator[pa.RecordBatch], int]:
    if start.startswith(b"{"):
        return pa_json.open_json(stream, pa_json.ReadOptions(block_size=_BLOCK_BYTES), _as_written(start)), 1
    if start.lstrip().startswith(b"["):
        return iter([_array(stream.read(_LONGEST_JSON + 1))]), 1
    header = start.partition(b"\n")[0].decode("utf-8", "replace").strip("\ufeff\r")
    try:
        names = next(csv.reader([header]), [])
    except csv.Error:
        raise _invalid() from None
    if _KNOWN.isdisjoint(names):
        raise WrongSchema("The consent file has no column that is known.", _SEE)
    reader = pa_csv.open_csv(
        stream,
        read_options=pa_csv.ReadOptions(block_size=_BLOCK_BYTES),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=[name for name in names if name in _KNOWN],
            strings_can_be_null=True,
            null_values=[""],
        ),
    )
    return reader, 2


def _array(data: bytes) -> pa.RecordBatch:
    """Return the records of a JSON array as texts, groups under dotted names."""
    if len(data) > _LONGEST_JSON:
        raise BadRecord("The JSON array of consent records is larger than 1 GiB.", "Write it as NDJSON.")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise _invalid() from None
    if not all(isinstance(record, dict) for record in found):
        raise _invalid()
    rows = [_leaves(record) for record in found]
    names = sorted({name for row in rows for name in row})
    columns = [pa.array([row.get(name) for row in rows], pa.string()) for name in names]
    return pa.RecordBatch.from_arrays(columns, names)


def _leaves(record: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in record.items():
        if isinstance(value, dict) and not prefix:
            found |= _leaves(value, f"{name}.")
        elif f"{prefix}{name}" in _KNOWN and value is not None:
            found[f"{prefix}{name}"] = _word(value)
    return found


def _word(value: object) -> str:
    if isinstance(value, list):
        text = ",".join(str(item) for item in value)
    elif isinstance(value, bool):
        text = "true" if value else "false"
    else:
        text = str(value)
    return text.encode(errors="replace").decode()
