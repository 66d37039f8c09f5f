"""Reads a release: published counts by place and time, as arrays. No name of a place is kept or told."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from passersby.errors import InputError, UnreadableFile, WrongSchema
from passersby.model.cells import resolution_of
from passersby.risk.guessing import Floats, Ints
from passersby.risk.releases.columns import Columns
from passersby.sources.opening import blocks, fingerprint, opened
from passersby.sources.times import Clock, epoch

MOST_ROWS = 10_000_000
"""Counts of one release: it is held in memory, at up to 500 bytes a count (benchmarks/releases.py)."""

TOTAL = -1
"""The place of a count over all places."""
_TOTALS = ("total", "all", "sum", "*")

UNTIMED = 1 << 40
"""The step of a release without times."""

_HOUR, _DAY = 60, 1440
_BATCH_ROWS = 1 << 18
_WHOLE = 0.99
"""A release with a smaller share of whole counts has noise."""


@dataclass(frozen=True)
class Release:
    """The counts of one file; rows are distinct in (place, start) and sorted by them.

    `place` are H3 cells, or where `h3` is False numbers that stand for names, alike in all files; `TOTAL` is
    the whole. `start` are epoch minutes, `step` the minutes from one to the next. `value` is NaN where the
    release tells that it does not tell. `noisy`: there are negative or broken counts, or intervals. `half` is
    the median half width of its intervals, NaN without.
    """

    name: str
    sha256: str
    place: Ints
    start: Ints
    value: Floats
    h3: bool
    step: int
    noisy: bool
    half: float

    @property
    def timed(self) -> bool:
        """Whether it tells times; else its counts are of one whole time, not told which."""
        return self.step < UNTIMED

    @property
    def shown(self) -> npt.NDArray[np.bool_]:
        """Which counts are told."""
        return ~np.isnan(self.value)

    @property
    def resolutions(self) -> tuple[int, ...]:
        """The H3 resolutions of its places, the coarsest first; none where they are no cells."""
        if not self.h3:
            return ()
        return tuple(int(r) for r in np.unique(resolution_of(self.place[self.place != TOTAL])))

    def at(self, resolution: int) -> Release:
        """Return its counts of one resolution."""
        mine = (self.place != TOTAL) & (resolution_of(self.place) == resolution)
        return replace(self, place=self.place[mine], start=self.start[mine], value=self.value[mine])


def read(path: Path, columns: Columns, *, offset: int) -> Release:
    """Read a release.

    Args:
        path: delimited text, plain or compressed, or Parquet.
        columns: what its columns mean.
        offset: s east of UTC of times that carry no offset.

    Raises:
        InputError: it has no count, or more than `MOST_ROWS`.
        WrongSchema: it has several counts for the same place and time, or its times are not understood.
        UnreadableFile: the file is damaged.
    """
    sha256, _ = fingerprint(path)
    parts: list[pl.DataFrame] = []
    rows = 0
    for frame in _frames(path, columns):
        parts.append(_numbers(frame, columns, offset))
        rows += len(frame)
        if rows > MOST_ROWS:
            raise InputError(
                f"{path.name} has more than {MOST_ROWS:,} counts.",
                "Give a part of its time, a week for instance.",
            )
    if not rows:
        raise InputError(f"{path.name} has no count.", "Give the release with its rows.")
    frame = pl.concat(parts)
    if frame["start"].null_count() * 10 > rows:
        raise WrongSchema(
            f"{path.name}: many times cannot be read.",
            "Write all of them in one form, ISO 8601 or epoch seconds.",
        )
    cells, names = frame["cell"], frame["name"]
    is_cell = _is_cell(cells)
    fitting = int((is_cell | (names == TOTAL)).sum())
    h3 = fitting > _WHOLE * rows and bool(is_cell.any())
    frame = frame.select(
        place=pl.when(pl.col("name") == TOTAL).then(TOTAL).otherwise("cell" if h3 else "name"),
        start="start",
        value="value",
        half="half",
    )
    frame = frame.filter(pl.col("start").is_not_null() & pl.col("place").is_not_null()).sort("place", "start")
    if frame.select(pl.struct("place", "start").n_unique()).item() < len(frame):
        others = ", ".join(columns.others)
        raise WrongSchema(
            f"{path.name} has several counts for the same place and time.",
            f"Give one file for each value of its other columns ({others})."
            if others
            else "Leave the doubles out.",
        )
    value = frame["value"].to_numpy()
    told = value[~np.isnan(value)]
    half = frame["half"].to_numpy()
    known = half[~np.isnan(half)]
    width = float(np.median(known)) if len(known) else float("nan")
    whole = bool(len(told)) and float(np.mean(told == np.round(told))) >= _WHOLE
    noisy = bool(len(told)) and (bool((told < 0).any()) or not whole or width > 0)
    start = frame["start"].to_numpy()
    step = _step(start, columns.unit)
    return Release(path.name, sha256, frame["place"].to_numpy(), start, value, h3, step, noisy, width)


def _frames(path: Path, columns: Columns) -> Iterator[pl.DataFrame]:
    """Give the columns that are used, in pieces that fit in memory."""
    source = opened(path)
    if source.container == "parquet":
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(_BATCH_ROWS, columns=list(columns.used)):
                    yield pl.DataFrame(pl.from_arrow(batch))
        except (pa.ArrowException, OSError):
            raise _damaged(path) from None
        return
    first = True
    for block in blocks(source):
        if first and block.lines == 1:  # a header and no row
            return
        try:
            yield pl.read_csv(
                io.BytesIO(block.data),
                separator=columns.delimiter,
                has_header=False,
                skip_rows=int(first),
                new_columns=list(columns.names),
                infer_schema=False,
                raise_if_empty=False,
            ).select(columns.used)
        except pl.exceptions.PolarsError:
            raise _damaged(path) from None
        first = False


def _damaged(path: Path) -> UnreadableFile:
    return UnreadableFile(
        f"{path.name} is damaged, or its rows have not all the same columns.", "Export the release again."
    )


def _numbers(frame: pl.DataFrame, columns: Columns, offset: int) -> pl.DataFrame:
    """Return cell (null where it is none), number of the name, start (epoch minutes), value, half width."""
    names = frame.select(pl.concat_str([pl.col(c).cast(pl.String) for c in columns.place], separator="\n"))
    name = names.to_series().str.strip_chars()
    total = name.str.to_lowercase().is_in(_TOTALS)
    value = _floats(frame[columns.count])
    if columns.low:
        half = (_floats(frame[columns.high]) - _floats(frame[columns.low])) / 2
    else:
        half = pl.repeat(float("nan"), len(frame), dtype=pl.Float64, eager=True)
    hashed = pl.Series(name.hash(0).to_numpy() >> np.uint64(2)).cast(pl.Int64)
    return pl.DataFrame(
        {
            "cell": _cells(name),
            "name": hashed.zip_with(~total, pl.repeat(TOTAL, len(name), dtype=pl.Int64, eager=True)),
            "start": _starts(frame, columns, offset),
            "value": value.fill_null(float("nan")),
            "half": half.fill_null(float("nan")),
        }
    )


def _floats(values: pl.Series) -> pl.Series:
    if values.dtype == pl.String:
        values = values.str.strip_chars()
    return values.cast(pl.Float64, strict=False)


def _cells(name: pl.Series) -> pl.Series:
    """Return H3 cells from hexadecimal or decimal digits, null where it is neither."""
    by_hex = name.str.to_integer(base=16, strict=False, dtype=pl.Int64)
    decimal = name.str.to_integer(base=10, strict=False, dtype=pl.Int64)
    return by_hex.zip_with(_is_cell(by_hex), decimal).zip_with(
        _is_cell(by_hex) | _is_cell(decimal), pl.repeat(None, len(name), dtype=pl.Int64, eager=True)
    )


def _is_cell(numbers: pl.Series) -> pl.Series:
    """Tell which numbers have the form of an H3 cell: mode 1 in the bits from 59, no reserved bit."""
    cells = numbers.fill_null(0).to_numpy()
    return pl.Series((cells >> 59) == 1) & pl.Series(((cells >> 56) & 7) == 0)


def _starts(frame: pl.DataFrame, columns: Columns, offset: int) -> pl.Series:
    if not columns.time:
        return pl.repeat(0, len(frame), dtype=pl.Int64, eager=True)
    times = frame[columns.time]
    if columns.unit == "date" or times.dtype == pl.Date:
        times = times.cast(pl.String).str.strip_chars() + "T00:00:00"
    return epoch(times, Clock("iso" if columns.unit == "date" else columns.unit, offset)) // 60


def _step(start: Ints, unit: str) -> int:
    """Return the smallest time between two starts; of a single one a day if it is a date, else an hour."""
    starts = np.unique(start)
    if len(starts) > 1:
        return int(np.diff(starts).min())
    return UNTIMED if not unit else _DAY if unit == "date" else _HOUR
