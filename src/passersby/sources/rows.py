"""Rows of a file as they stand, in pieces that fit in memory: one column for each role, and line numbers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from passersby.sources import tokens
from passersby.sources.kernels import Ints
from passersby.sources.layout import Layout, broken_parquet, json_object
from passersby.sources.opening import Block, blocks

PIECE_ROWS = 1 << 17
"""Rows of Parquet that are parsed at a time."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Rows:
    """A piece of a file.

    `frame` has a column for each role in the file's own type (text formats: text) and `line` (Int64,
    from 1; the row number in Parquet). `bad` holds the lines that are no row. `position` is the number
    of bytes of the file that were read so far.
    """

    frame: pl.DataFrame
    bad: Ints
    position: int


def pieces(layout: Layout, block_bytes: int) -> Generator[Callable[[], Rows]]:
    """Give work that yields the file's rows, in order; each can run in any thread.

    Raises:
        UnreadableFile: the file turns out to be truncated or damaged.
    """
    if layout.format == "parquet":
        yield from _parquet(layout)
        return
    parse = _delimited if layout.format == "delimited" else _ndjson
    for block in blocks(layout.source, block_bytes):
        yield partial(parse, layout, block)


def in_order(work: Iterator[Item], function: Callable[[Item], Result], threads: int) -> Generator[Result]:
    """Apply `function` to each item in `threads` threads, give the results in order.

    Items are taken one ahead in a thread of their own; at most `threads` + 2 exist at a time.
    """

    def taken() -> Item | None:
        return next(work, None)

    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(threads) as pool:
        running: deque[Future[Result]] = deque()
        following = reader.submit(taken)
        try:
            while (item := following.result()) is not None:
                following = reader.submit(taken)
                running.append(pool.submit(function, item))
                if len(running) > threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()


def _delimited(layout: Layout, block: Block) -> Rows:
    data, first, lines = block.data, block.first, block.lines
    skipped = min(max(0, layout.header - first + 1), lines)  # the header may lie in a later block
    for _ in range(skipped):
        data = data[data.index(b"\n") + 1 :]
    first, lines = first + skipped, lines - skipped
    fields = tokens.cut(data, lines, layout.delimiter, layout.fields, layout.width, quote=layout.quote)
    frame = fields.frame.with_columns(pl.col("line") + first)
    return Rows(frame, fields.bad + first, block.position)


def _ndjson(layout: Layout, block: Block) -> Rows:
    numbers = np.arange(block.first, block.first + block.lines)
    frame = _json_frame(layout, block.data, block.lines)
    if frame is None:
        lines = block.data.split(b"\n")[:-1]
        filled = [i for i, line in enumerate(lines) if line.strip()]
        parts = list(_salvaged(layout, [lines[i] for i in filled], numbers[filled]))
        every = numbers[filled]
        numbers = np.concatenate([part for _, part in parts]) if parts else every[:0]
        frame = pl.concat([part for part, _ in parts]) if parts else _json_empty(layout)
        bad = np.setdiff1d(every, numbers)
    else:
        bad = numbers[:0]
    frame = frame.with_columns(line=pl.Series(numbers, dtype=pl.Int64))
    # an object with none of the declared fields is something else: a message, an error, a footer
    empty = pl.all_horizontal(pl.col(role).is_null() for role in layout.columns.used)
    nothing = frame.filter(empty)["line"].to_numpy()
    if len(nothing):
        frame, bad = frame.filter(~empty), np.union1d(bad, nothing)
    return Rows(frame, bad, block.position)


def _json_frame(layout: Layout, data: bytes, lines: int) -> pl.DataFrame | None:
    """Return the rows of NDJSON text, or None where they are not one for each line."""
    try:
        frame = pl.read_ndjson(data, schema=_json_types(layout), ignore_errors=True)
    except pl.exceptions.PolarsError:
        return None
    if frame.height != lines:
        return None
    return frame.select(_leaf(path).alias(role) for role, path in layout.columns.used.items())


def _json_empty(layout: Layout) -> pl.DataFrame:
    return pl.DataFrame(schema=dict.fromkeys(layout.columns.used, pl.String))


def _salvaged(layout: Layout, lines: list[bytes], numbers: Ints) -> Iterator[tuple[pl.DataFrame, Ints]]:
    """Give the readable lines of a text that holds broken ones, by halving it."""
    if not lines:
        return
    frame = _json_frame(layout, b"\n".join(lines) + b"\n", len(lines))
    if frame is not None:
        yield frame, numbers
    elif len(lines) > 1000:
        middle = len(lines) // 2
        yield from _salvaged(layout, lines[:middle], numbers[:middle])
        yield from _salvaged(layout, lines[middle:], numbers[middle:])
    elif len(lines) > 1:
        objects = [
            i for i, line in enumerate(lines) if json_object(line.decode("utf-8", "replace")) is not None
        ]
        if len(objects) < len(lines):
            yield from _salvaged(layout, [lines[i] for i in objects], numbers[objects])
        else:  # valid to one parser and not to the other
            for i, line in enumerate(lines):
                yield from _salvaged(layout, [line], numbers[i : i + 1])


def _json_types(layout: Layout) -> dict[str, pl.DataType]:
    """Return the types of the wanted leaves: text, inside of as many structs as the path has parts."""
    tree: dict[str, object] = {}
    for path in layout.columns.used.values():
        node = tree
        *parents, leaf = path.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})  # type: ignore[assignment] # a tree has no simple type
        node[leaf] = pl.String()
    return {name: _json_type(child) for name, child in tree.items()}


def _json_type(node: object) -> pl.DataType:
    if isinstance(node, dict):
        return pl.Struct({name: _json_type(child) for name, child in node.items()})
    return pl.String()


def _leaf(path: str) -> pl.Expr:
    first, *rest = path.split(".")
    found = pl.col(first)
    for part in rest:
        found = found.struct.field(part)
    return found


def _parquet(layout: Layout) -> Iterator[Callable[[], Rows]]:
    path = layout.source.path
    size = path.stat().st_size
    try:
        with pq.ParquetFile(path, buffer_size=1 << 20) as file:
            total, first = max(1, file.metadata.num_rows), 1
            for batch in file.iter_batches(PIECE_ROWS, columns=list(layout.columns.used.values())):
                position = size * (first - 1 + batch.num_rows) // total
                yield partial(_arrow, layout, batch, first, position)
                first += batch.num_rows
    except (pa.ArrowException, OSError):
        raise broken_parquet(path) from None


def _arrow(layout: Layout, batch: pa.RecordBatch, first: int, position: int) -> Rows:
    columns: dict[str, pl.Series] = {}
    for role, path in layout.columns.used.items():
        found = _arrow_leaf(batch, path)
        if pa.types.is_timestamp(found.type):
            zone = "UTC" if found.type.tz else None
            found = found.cast(pa.timestamp("us", tz=zone), safe=False)
        column = pl.Series(role, found)
        columns[role] = column.cast(pl.String, strict=False) if column.dtype in _AS_TEXT else column
    columns["line"] = pl.int_range(first, first + batch.num_rows, eager=True, dtype=pl.Int64)
    return Rows(pl.DataFrame(columns), np.empty(0, dtype=np.int64), position)


_AS_TEXT = (pl.Binary, pl.Categorical, pl.Boolean, pl.Null)


def _arrow_leaf(batch: pa.RecordBatch, path: str) -> pa.Array:
    if path in batch.schema.names:
        return batch.column(path)
    first, *rest = path.split(".")
    found = batch.column(first)
    for part in rest:
        found = found.flatten()[found.type.get_field_index(part)]
    return found
