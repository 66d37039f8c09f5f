"""Checks each row and gives one reason to each that is rejected: the first in a fixed order."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from passersby.sources import coordinates, ids, times
from passersby.sources.rows import Rows
from passersby.sources.schema import Schema

REASONS = {
    "bad-line": "The line is no row: too few or too many fields, quotes that do not close, broken JSON, "
    "bytes that are not UTF-8, or a header line that is repeated.",
    "bad-coordinates": "Latitude or longitude is missing, not a number, NaN or infinite.",
    "latitude-range": "The latitude is not in [-90, 90].",
    "longitude-range": "The longitude is not in [-180, 180].",
    "null-island": "Latitude and longitude are both 0 to five decimals: a fix that failed.",
    "bad-time": "The time is missing, cannot be read, or has no UTC offset where the schema gives none.",
    "time-range": "The time is before 2000 or more than a day ahead.",
    "missing-id": "The id is empty, or a word for it such as null.",
    "bad-id": "The id is longer than 128 bytes, holds control characters, or is of a type that is not taken.",
    "opt-out": "The phone's owner opted out: a flag says so, or the advertising id is all zeros.",
    "accuracy-range": "The accuracy is worse than the limit.",
}
"""Every reason with its meaning, in the order in which rows are checked."""

_CODES = {reason: code for code, reason in enumerate(REASONS, 1)}
_NULL_ISLAND = 0.5e-5
"""Smaller values are 0 at the lake's precision of 1e-5 degrees."""
EXAMPLES = 5

COLUMNS = {
    "id": pl.String,
    "t": pl.Int64,
    "lat": pl.Float64,
    "lon": pl.Float64,
    "accuracy_m": pl.Int32,
    "consent": pl.String,
    "opt_out": pl.Boolean,
    "line": pl.Int64,
}
"""Columns of accepted rows. `accuracy_m` is rounded up; null where it is missing, negative or NaN."""


@dataclass(frozen=True)
class Rules:
    """What rows are checked against. `latest` is epoch s; `offset` the deployment's, s east of UTC."""

    schema: Schema
    latest: int
    max_accuracy_m: int
    offset: int


@dataclass(frozen=True)
class Checked:
    """Accepted rows with `COLUMNS`; the others by reason: how many, and the first lines.

    `unit_hint` is the unit that times out of range would fit, or "".
    """

    frame: pl.DataFrame
    read: int
    rejected: dict[str, int]
    examples: dict[str, list[int]]
    unit_hint: str


def check(rows: Rows, rules: Rules, header: dict[str, str]) -> Checked:
    """Parse and check rows; `header` maps roles to the names in the file's header, where it has one."""
    typed = _typed(rows.frame, rules, header).with_columns(reason=_reason(rules))
    wrong = typed.filter(pl.col("reason") > 0)
    kept = typed if wrong.is_empty() else typed.filter(pl.col("reason") == 0)
    lines = {
        reason: wrong.filter(pl.col("reason") == code)["line"].to_list()
        for reason, code in _CODES.items()
        if (wrong["reason"] == code).any()
    }
    if len(rows.bad):
        lines["bad-line"] = sorted([*rows.bad.tolist(), *lines.get("bad-line", [])])
    return Checked(
        frame=kept.with_columns(pl.col("accuracy_m").ceil()).select(
            pl.col(name).cast(dtype) for name, dtype in COLUMNS.items()
        ),
        read=typed.height + len(rows.bad),
        rejected={reason: len(lines[reason]) for reason in REASONS if reason in lines},
        examples={reason: lines[reason][:EXAMPLES] for reason in REASONS if reason in lines},
        unit_hint=_unit_hint(wrong.filter(pl.col("reason") == _CODES["time-range"])["t"], rules),
    )


def _typed(frame: pl.DataFrame, rules: Rules, header: dict[str, str]) -> pl.DataFrame:
    """Return parsed values, and flags for what only the unparsed ones can tell."""
    schema = rules.schema
    north, east = (frame[role] for role in schema.positions)
    lat, lon = coordinates.degrees(north, east, schema.grid)
    normal, state = ids.normalised(frame["id"], schema.id_prefix)
    local = frame["utc_offset"] if "utc_offset" in frame.columns else None
    return pl.DataFrame(
        [
            normal.alias("id"),
            pl.Series("id_state", state),
            times.epoch(frame["time"], schema.clock(rules.offset), local).alias("t"),
            lat,
            lon,
            _accuracy(frame, schema).alias("accuracy_m"),
            _text(frame, "consent").replace("", None).alias("consent"),
            _text(frame, "opt_out").str.to_lowercase().is_in(schema.opt_out_values).alias("opt_out"),
            _text(frame, "id_type").str.to_lowercase().is_in(schema.id_types).alias("known_type"),
            _repeated_header(frame, header).alias("repeated"),
            frame["line"],
        ]
    )


def _text(frame: pl.DataFrame, role: str) -> pl.Series:
    """Return a role's column as text; empty where the file has none."""
    if role not in frame.columns:
        return pl.repeat("", frame.height, eager=True)
    return frame[role].cast(pl.String).fill_null("").str.strip_chars()


def _accuracy(frame: pl.DataFrame, schema: Schema) -> pl.Series:
    """Return metres (Float64), null where they are missing, negative or NaN."""
    if "accuracy" not in frame.columns:
        return pl.repeat(None, frame.height, dtype=pl.Float64, eager=True)
    metres = coordinates.numbers(frame["accuracy"], schema.grid.decimal)
    return metres.zip_with(metres >= 0, pl.Series([None], dtype=pl.Float64)).fill_nan(None)


def _repeated_header(frame: pl.DataFrame, header: dict[str, str]) -> pl.Series:
    """Tell which rows are the file's header line once more."""
    if not header:
        return pl.repeat(value=False, n=frame.height, eager=True)
    return (frame["id"] == header["id"]) & (frame["time"] == header["time"])


def _reason(rules: Rules) -> pl.Expr:
    """Return the code of the first check that a row fails, 0 where it passes all."""
    lat, lon, t, state = pl.col("lat"), pl.col("lon"), pl.col("t"), pl.col("id_state")
    tests = {
        "bad-line": pl.col("repeated"),
        "bad-coordinates": lat.is_null() | lon.is_null(),
        "latitude-range": lat.abs() > 90,
        "longitude-range": lon.abs() > 180,
        "null-island": (lat.abs() < _NULL_ISLAND) & (lon.abs() < _NULL_ISLAND),
        "bad-time": t.is_null(),
        "time-range": ~t.is_between(times.EARLIEST, rules.latest),
        "missing-id": state == ids.MISSING,
        "bad-id": (state == ids.BAD) | (~pl.col("known_type") & bool(rules.schema.id_types)),
        "opt-out": (state == ids.ZEROED) | pl.col("opt_out"),
        "accuracy-range": pl.col("accuracy_m") > rules.max_accuracy_m,
    }
    code = pl.lit(0, pl.UInt8)
    for reason in reversed(REASONS):  # the last one written wins: the first check
        code = pl.when(tests[reason]).then(pl.lit(_CODES[reason], pl.UInt8)).otherwise(code)
    return code


def _unit_hint(times_out: pl.Series, rules: Rules) -> str:
    """Return the unit in which times out of range would mostly be in range, or ""."""
    declared = times.PER_SECOND.get(rules.schema.unit)
    if declared is None or times_out.is_empty():
        return ""
    for unit, per_second in times.PER_SECOND.items():
        seconds = times_out.cast(pl.Float64) * declared / per_second
        fitting = seconds.is_between(times.EARLIEST, rules.latest).sum()
        if unit != rules.schema.unit and 2 * int(fitting) > len(times_out):
            return unit
    return ""
