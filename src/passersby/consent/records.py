"""Reads a supplier's consent file in batches and checks every record of it.

Columns: `id`, `given_at`, `state`, and if there are any `withdrawn_at`, `expires_at`, `notice_version`
(after ISO/IEC TS 27560). Times are epoch seconds or ISO 8601 with an offset. States are those of W3C
DPV 2 (https://w3id.org/dpv), with or without their prefix, or one of the plain words of `STATES`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from passersby.errors import BadRecord, UnreadableFile, WrongSchema

STATES = MappingProxyType(
    {
        "given": True,
        "refused": False,
        "withdrawn": False,
        "expired": False,
        "consentgiven": True,
        "renewedconsentgiven": True,
        "consentrefused": False,
        "consentwithdrawn": False,
        "consentrevoked": False,
        "consentexpired": False,
        "consentinvalidated": False,
        "consentrequested": False,
        "consentrequestdeferred": False,
        "consentunknown": False,
        "denied": False,
        "false": False,
        "no": False,
        "0": False,
    }
)
"""State of a record, in lower case -> whether it permits processing (control A6)."""

Normalise = Callable[[pl.Series], pl.Series]
"""Brings advertising ids to their normal form; null where an id is none."""

EARLIEST = 946_684_800
"""2000-01-01T00:00:00Z: no consent of a phone's owner is older."""

_DAY = 86_400
_NEEDED = ("id", "given_at", "state")
_TIMES = ("given_at", "withdrawn_at", "expires_at")
_COLUMNS = (*_NEEDED, "withdrawn_at", "expires_at", "notice_version")
_BATCH_ROWS = 500_000
_BLOCK_BYTES = 16 << 20
_HEAD_BYTES = 1 << 16
_GZIP, _ZSTD, _PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"


def permits(state: pl.Expr) -> pl.Expr:
    """Return whether each state permits processing; null where it is no known state."""
    plain = state.str.strip_chars().str.to_lowercase().str.strip_prefix("https://w3id.org/dpv#")
    return plain.str.strip_prefix("dpv:").replace_strict(dict(STATES), default=None, return_dtype=pl.Boolean)


def read(path: Path, normalise: Normalise, *, now: int) -> Iterator[pl.DataFrame]:
    """Yield checked records: id, given_at, withdrawn_at, expires_at (Int64), permits, notice_version.

    Args:
        path: CSV, NDJSON or Parquet, plain or in gzip or zstd; told apart by content.
        normalise: brings ids to the form that pings carry.
        now: epoch s; a consent cannot have been given after tomorrow.

    Raises:
        UnreadableFile: the file cannot be read to its end.
        WrongSchema: a column is missing.
        BadRecord: a record is not valid; the message names its line.
    """
    with _opened(path) as (batches, first_line):
        line = first_line
        for batch in batches:
            frame = pl.DataFrame(batch)
            missing = [name for name in _NEEDED if name not in frame.columns]
            if missing:
                msg = f"The consent file has no column `{missing[0]}`."
                raise WrongSchema(msg, f"It needs the columns {', '.join(_NEEDED)}.")
            yield _checked(frame, normalise, line, now)
            line += len(frame)


def _checked(frame: pl.DataFrame, normalise: Normalise, line: int, now: int) -> pl.DataFrame:
    absent = [pl.lit(None, pl.String).alias(name) for name in _COLUMNS if name not in frame.columns]
    frame = frame.with_columns(absent).select(_COLUMNS)
    raw = frame.select(pl.col(name).is_not_null() for name in _TIMES)
    frame = frame.with_columns(
        normalise(frame["id"].cast(pl.String)).alias("id"),
        *(_seconds(frame[name]) for name in _TIMES),
        permits=permits(pl.col("state").cast(pl.String)),
        notice_version=pl.col("notice_version").cast(pl.String),
    )
    latest = pl.col("given_at") <= now + _DAY
    wrong = {
        "has no valid id": pl.col("id").is_null(),
        "has an unknown state": pl.col("permits").is_null(),
        "has no valid time in `given_at`": ~(
            pl.col("given_at").is_between(EARLIEST, None or 2**40) & latest
        ).fill_null(value=False),
        "has no valid time in `withdrawn_at`": pl.col("withdrawn_at").is_null() & raw["withdrawn_at"],
        "has no valid time in `expires_at`": pl.col("expires_at").is_null() & raw["expires_at"],
    }
    for what, test in wrong.items():
        at = frame.select(test.arg_true()).to_series()
        if len(at):
            msg = f"Line {line + int(at[0])} of the consent file {what}."
            raise BadRecord(msg, _help(what))
    return frame.drop("state")


def _help(what: str) -> str:
    if "state" in what:
        return "States are given, refused, withdrawn, expired, or those of W3C DPV, such as dpv:ConsentGiven."
    if "time" in what:
        return "Write times as epoch seconds or as 2026-05-12T08:00:00+02:00."
    return "Ask the supplier to deliver the file again; nothing of it is in force."


def _seconds(values: pl.Series) -> pl.Series:
    """Return whole epoch seconds, null where a value is no time with an offset."""
    if isinstance(values.dtype, pl.Datetime):
        aware = values.dtype.time_zone is not None
        return values.dt.epoch("s") if aware else pl.Series(values.name, [None] * len(values), dtype=pl.Int64)
    whole = values.cast(pl.Int64, strict=False)
    if values.dtype != pl.String:
        return whole
    text = values.str.strip_chars().str.to_datetime("%+", time_zone="UTC", strict=False)
    return whole.fill_null(text.dt.epoch("s"))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Iterator[pa.RecordBatch], int]]:
    """Give the batches of a file and the line of its first record."""
    try:
        with pa.OSFile(str(path)) as file:
            magic = file.read(4)
            file.seek(0)
            if magic == _PARQUET:
                parquet = pq.ParquetFile(file)
                wanted = [name for name in parquet.schema_arrow.names if name in _COLUMNS]
                yield parquet.iter_batches(_BATCH_ROWS, columns=wanted), 1
                return
        compression = "gzip" if magic[:2] == _GZIP else "zstd" if magic == _ZSTD else None
        with _stream(path, compression) as stream:
            start = stream.read(_HEAD_BYTES)
        with _stream(path, compression) as stream:
            yield _text(stream, start)
    except pa.ArrowInvalid:
        msg = "The consent file is not valid CSV, NDJSON or Parquet."
        raise BadRecord(msg, "Ask the supplier to deliver it again; nothing of it is in force.") from None
    except (OSError, pa.ArrowException):
        msg = "The consent file cannot be read: it is missing, truncated or damaged."
        raise UnreadableFile(msg, "Check the path, or ask the supplier to deliver it again.") from None


def _stream(path: Path, compression: str | None) -> pa.NativeFile:
    return pa.input_stream(str(path), compression=compression)


def _as_written(start: bytes) -> pa_json.ParseOptions:
    """Keep ISO 8601 times as texts if the first record has such: Arrow would take their offsets away."""
    try:
        first = json.loads(start.partition(b"\n")[0])
    except ValueError:
        first = {}
    texts = [name for name in _TIMES if isinstance(first.get(name) or first.get("given_at"), str)]
    return pa_json.ParseOptions(explicit_schema=pa.schema([(name, pa.string()) for name in texts]))


def _text(stream: pa.NativeFile, start: bytes) -> tuple[Iterator[pa.RecordBatch], int]:
    if start.startswith(b"{"):
        return pa_json.open_json(stream, pa_json.ReadOptions(block_size=_BLOCK_BYTES), _as_written(start)), 1
    reader = pa_csv.open_csv(
        stream,
        read_options=pa_csv.ReadOptions(block_size=_BLOCK_BYTES),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(_COLUMNS, pa.string()),
            strings_can_be_null=True,
            null_values=[""],
        ),
    )
    return reader, 2
