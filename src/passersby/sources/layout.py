"""How one file is read under a schema: its format, its columns, and what becomes of each of them."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from passersby.errors import UnreadableFile, WrongSchema
from passersby.model import banned
from passersby.sources import forbidden
from passersby.sources.opening import Opened, opened
from passersby.sources.schema import Schema

DELIMITERS = (",", "\t", ";", "|")
_LOOKED_AT = 1000
"""Lines of a text that are looked at before it is read."""


@dataclass(frozen=True)
class Columns:
    """What becomes of a file's columns: `used` maps roles to names, the others are never parsed."""

    used: Mapping[str, str]
    dropped: tuple[str, ...]
    forbidden: tuple[str, ...]
    undeclared: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """How one file is read.

    `format` is "delimited", "ndjson" or "parquet". For delimited text: `header` is the number of the
    header's line (0: none), `width` the number of fields, `fields` the position of each role.
    """

    source: Opened
    format: str
    columns: Columns
    delimiter: str = ""
    header: int = 0
    width: int = 0
    fields: Mapping[str, int] = field(default_factory=dict)
    quote: bool = True


def layout(path: Path, schema: Schema) -> Layout:
    """Return how the file at `path` is read under `schema`.

    Raises:
        UnreadableFile: the file is damaged or of a kind that is not read.
        WrongSchema: it is of another format, or a declared column is missing; or the schema is refused.
    """
    schema.require_accepted()
    source = opened(path)
    if source.container == "parquet":
        return _of_parquet(source, schema)
    lines = text_lines(source)
    if is_ndjson(lines):
        return _of_ndjson(source, schema, lines)
    return _of_delimited(source, schema, lines)


def text_lines(source: Opened) -> list[str]:
    """Return the first lines of a text, blank ones included.

    Raises:
        UnreadableFile: all of them are blank.
    """
    lines = source.head.decode("utf-8", errors="replace").split("\n")[:_LOOKED_AT]
    if not any(line.strip() for line in lines):
        msg = f"{source.path.name} has nothing in its first {len(lines):,} lines."
        raise UnreadableFile(msg, "Ask the supplier to deliver it again.")
    return lines


def is_ndjson(lines: Sequence[str]) -> bool:
    """Tell whether one of the first lines is a JSON object."""
    return any(json_object(line) is not None for line in lines[:20])


def json_object(line: str) -> dict[str, Any] | None:
    """Return the JSON object in a line, or None."""
    try:
        value = json.loads(line) if line.lstrip().startswith("{") else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def json_paths(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of a JSON object by their dotted paths."""
    leaves: dict[str, Any] = {}
    for key, child in value.items():
        if isinstance(child, dict):
            leaves |= json_paths(child, f"{prefix}{key}.")
        else:
            leaves[prefix + key] = child
    return leaves


def split(line: str, delimiter: str) -> list[str]:
    """Return the trimmed fields of one line."""
    text = line.strip("\r\n")
    try:
        fields = next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:  # a field of more than 128 KiB, or a carriage return in the middle
        fields = text.split(delimiter)
    return [field.strip() for field in fields]


def best_delimiter(line: str) -> str:
    """Return the delimiter that cuts a line into most fields."""
    return max(DELIMITERS, key=lambda delimiter: len(split(line, delimiter)))


def _sorted_out(names: Sequence[str], schema: Schema, path: Path) -> Columns:
    """Return what becomes of the columns `names`, or raise where a declared one is missing."""
    if code := banned.shown_by(names):
        raise banned.refusal(code)
    missing = [
        f"`{column}` ({role})"
        for role, column in schema.columns.items()
        if column not in names and role not in schema.optional
    ]
    if missing:
        _refuse(path, schema, f"these columns are missing: {', '.join(missing)}")
    used = {role: column for role, column in schema.columns.items() if column in names}
    twice = [column for column in used.values() if list(names).count(column) > 1]
    if twice:
        _refuse(path, schema, f"the column `{twice[0]}` is there twice")
    rest = [name for name in names if name not in used.values()]
    barred = forbidden.forbidden(rest)
    return Columns(
        used=used,
        dropped=tuple(name for name in rest if name in schema.dropped and name not in barred),
        forbidden=barred,
        undeclared=tuple(name for name in rest if name not in schema.dropped and name not in barred),
    )


def _refuse(path: Path, schema: Schema, reason: str) -> None:
    msg = f"{path.name} does not fit the schema `{schema.name}`: {reason}."
    step = f"Run `passersby supplier sniff {path.name}` to see its columns and get a schema proposed."
    raise WrongSchema(msg, step)


def _require_format(source: Opened, schema: Schema, found: str, accepted: Iterable[str]) -> None:
    if schema.format not in {"any", *accepted}:
        _refuse(source.path, schema, f"it is {found}, and the schema is for {schema.format}")


def _of_ndjson(source: Opened, schema: Schema, lines: Sequence[str]) -> Layout:
    _require_format(source, schema, "NDJSON", ("ndjson",))
    names: dict[str, None] = {}
    for line in lines:
        names |= dict.fromkeys(json_paths(json_object(line) or {}))
    # records leave out what is empty: the first opt-out may stand on any line
    names |= dict.fromkeys(schema.columns[role] for role in schema.optional if role in schema.columns)
    return Layout(source, "ndjson", _sorted_out(tuple(names), schema, source.path))


def _of_delimited(source: Opened, schema: Schema, lines: Sequence[str]) -> Layout:
    _require_format(source, schema, "delimited text", ("csv", "tsv"))
    filled = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    header, first = filled[0]
    default = {"csv": ",", "tsv": "\t"}.get(schema.format)
    delimiter = schema.delimiter or default or best_delimiter(first)
    if schema.header:
        names = split(first, delimiter)
    else:
        widths = Counter(len(split(line, delimiter)) for _, line in filled)
        names, header = [f"_c{i}" for i in range(widths.most_common(1)[0][0])], 0
    columns = _sorted_out(names, schema, source.path)
    fields = {role: names.index(column) for role, column in columns.used.items()}
    return Layout(source, "delimited", columns, delimiter, header, len(names), fields, schema.quote)


def _of_parquet(source: Opened, schema: Schema) -> Layout:
    _require_format(source, schema, "Parquet", ("parquet",))
    leaves = _parquet_leaves(source.path)
    types = dict(leaves)
    columns = _sorted_out([name for name, _ in leaves], schema, source.path)
    for role, column in columns.used.items():
        kind = types[column]
        stamp = pa.types.is_timestamp(kind)
        if not _fits(role, kind.value_type if pa.types.is_dictionary(kind) else kind):
            _refuse(source.path, schema, f"the column `{column}` ({role}) is of type {kind}")
        if stamp and kind.tz is None and not schema.zone and "utc_offset" not in columns.used:
            _refuse(source.path, schema, "its times have no UTC offset; declare `[time] zone`")
    return Layout(source, "parquet", columns)


def _fits(role: str, kind: pa.DataType) -> bool:
    """Tell whether a Parquet column of this type can be read as a role; an empty column always can."""
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    stamp = role == "time" and pa.types.is_timestamp(kind)
    written = pa.types.is_boolean(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    named = written and role in {"id", "consent", "opt_out", "id_type"}
    return number or text or stamp or named or pa.types.is_null(kind)


def parquet_types(path: Path) -> dict[str, pa.DataType]:
    """Return the types of a Parquet file's leaf columns by their dotted paths.

    Raises:
        UnreadableFile: the file is truncated or damaged.
    """
    return dict(_parquet_leaves(path))


def _parquet_leaves(path: Path) -> list[tuple[str, pa.DataType]]:
    """Return dotted path and type of each leaf column; Parquet allows a name to be there twice."""
    try:
        found = pq.read_schema(path)
    except (pa.ArrowException, OSError, UnicodeError):
        raise broken_parquet(path) from None
    leaves: list[tuple[str, pa.DataType]] = []
    pending = [(field.name, field.type) for field in reversed(list(found))]
    while pending:
        name, kind = pending.pop()
        if pa.types.is_struct(kind):
            children = [kind.field(i) for i in range(kind.num_fields)]
            pending += [(f"{name}.{child.name}", child.type) for child in reversed(children)]
        else:
            leaves.append((name, kind))
    return leaves


def broken_parquet(path: Path) -> UnreadableFile:
    """Return the error for a Parquet file that cannot be read."""
    msg = f"{path.name} is a truncated or damaged Parquet file."
    return UnreadableFile(msg, "Ask the supplier to deliver it again; nothing of it is stored.")
