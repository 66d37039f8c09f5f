"""Steps 1 to 4 of ingest: open, map columns, drop what is not wanted, parse and check.

The file is read once, in pieces: memory is bounded by `Limits`, whatever the file's size, and the file
is never changed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from passersby.errors import WrongSchema
from passersby.sources import checks
from passersby.sources.layout import Columns, layout
from passersby.sources.opening import BLOCK_BYTES
from passersby.sources.rows import Rows, in_order, pieces
from passersby.sources.schema import Schema

_SECONDS_AHEAD = 86_400
_ENOUGH = 100_000
"""With so many rows, a file is judged before its end."""
_Part = tuple[checks.Checked, int]
_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


@dataclass(frozen=True)
class Limits:
    """Limits of one reading. `now` is epoch s; `threads` 0 means all cores.

    A batch holds about `batch_rows` rows (100 MB); besides, memory grows with `block_bytes` * `threads`.
    """

    now: int
    max_accuracy_m: int = 10_000
    block_bytes: int = BLOCK_BYTES
    batch_rows: int = 1 << 20
    threads: int = 0


@dataclass(frozen=True)
class Batch:
    """A piece of a file, checked.

    `frame` has the columns `checks.COLUMNS`. `read` is the number of rows, accepted or not:
    `read == frame.height + sum(rejected.values())`. `examples` holds the first line numbers (row
    numbers in Parquet, both from 1) of each reason. `position` is the number of the file's bytes read
    so far.
    """

    frame: pl.DataFrame
    read: int
    rejected: dict[str, int]
    examples: dict[str, list[int]]
    position: int


def columns(path: Path, schema: Schema) -> Columns:
    """Return what becomes of the file's columns: used, dropped, forbidden, undeclared.

    Raises:
        UnreadableFile: the file is damaged or of a kind that is not read.
        WrongSchema: it does not fit the schema, or the schema is refused.
    """
    return layout(path, schema).columns


def read(path: Path, schema: Schema, *, limits: Limits, offset: int = 0) -> Generator[Batch]:
    """Give the rows of a file, checked, in the file's order.

    Args:
        path: the file; its name does not matter.
        schema: what it is declared to hold.
        limits: limits of rows and of memory.
        offset: the deployment's offset, s east of UTC, for schemas whose zone is "deployment".

    Raises:
        UnreadableFile: the file is damaged, maybe only at its end: what was given before does not
            count then.
        WrongSchema: it does not fit the schema, or most of its times are out of range.
    """
    found = layout(path, schema)
    rules = checks.Rules(schema, limits.now + _SECONDS_AHEAD, limits.max_accuracy_m, offset)
    header = dict(found.columns.used) if found.header else {}

    def checked(piece: Callable[[], Rows]) -> _Part:
        rows = piece()
        return checks.check(rows, rules, header), rows.position

    total = strange = 0
    hint, parts = "", list[_Part]()
    threads = limits.threads or os.cpu_count() or 1
    with (
        closing(pieces(found, limits.block_bytes)) as work,
        closing(in_order(work, checked, threads)) as results,
    ):
        for part in results:
            parts.append(part)
            total, strange = total + part[0].read, strange + part[0].rejected.get("time-range", 0)
            hint = hint or part[0].unit_hint
            if sum(done.read for done, _ in parts) >= limits.batch_rows:
                if total >= _ENOUGH:
                    _require_times(path, schema, total, strange, hint)
                yield _batch(parts)
                parts = []
    _require_times(path, schema, total, strange, hint)
    if parts:
        yield _batch(parts)


def _batch(parts: list[_Part]) -> Batch:
    """Join pieces that follow one another."""
    rejected: Counter[str] = Counter()
    examples: dict[str, list[int]] = {}
    for done, _ in parts:
        rejected.update(done.rejected)
        for reason, lines in done.examples.items():
            examples[reason] = [*examples.get(reason, []), *lines][: checks.EXAMPLES]
    return Batch(
        frame=pl.concat([done.frame for done, _ in parts]),
        read=sum(done.read for done, _ in parts),
        rejected=dict(rejected),
        examples=examples,
        position=parts[-1][1],
    )


def _require_times(path: Path, schema: Schema, rows: int, strange: int, hint: str) -> None:
    """Raise where more than half of the times are out of range."""
    if 2 * strange <= rows:
        return
    msg = f"More than half of the times in {path.name} are before 2000 or in the future."
    step = "Compare the schema's [time] section with `passersby supplier sniff FILE`."
    if hint:
        msg += f" They look like {_UNITS[hint]}; the schema `{schema.name}` says {_UNITS[schema.unit]}."
        step = f'Set `unit = "{hint}"` in the [time] section of a copy of the schema.'
    raise WrongSchema(msg, step)
