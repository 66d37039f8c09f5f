"""Planted dirt: each dirty row has one flaw, and what ingest must say about it is counted.

Flaws fall only on rows that would be stored otherwise, so that the expected counts do not depend on the
order in which ingest checks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from passersby.synth.formats import Batch, Format

Rng = np.random.Generator
Flaw = Callable[[pl.DataFrame, Format, Rng], pl.DataFrame]

SHARES: Mapping[str, float] = {
    "latitude-range": 3e-4,
    "longitude-range": 3e-4,
    "bad-coordinates": 6e-4,
    "null-island": 3e-4,
    "bad-time": 4e-4,
    "time-range": 6e-4,
    "missing-id": 6e-4,
    "bad-id": 3e-4,
}
"""Rows with each flaw, by the reason that ingest counts them under, as a share of all rows."""

BAD_LINES, DUPLICATES, TELEPORTS = 4e-4, 5e-3, 3e-4
"""Lines added that are no row (text only), rows written twice, and rows far off (which are stored)."""

_PER_SECOND = {"s": 1, "ms": 1000}
_DAY = 86_400
_YEAR_2099 = 4_070_908_800


@dataclass
class Tally:
    """What one file, or a part of it, holds: the ground truth."""

    rows: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    teleports: int = 0

    def add(self, other: Tally) -> None:
        """Take in the counts of another part."""
        self.rows += other.rows
        self.rejected.update(other.rejected)
        self.duplicates += other.duplicates
        self.teleports += other.teleports

    @property
    def stored(self) -> int:
        """Rows that pass every check and are no duplicate of an earlier row."""
        return self.rows - self.rejected.total() - self.duplicates


@dataclass(frozen=True)
class Soiled:
    """A batch as it is written: `rows`, between them the frames of `odd`, and lines made from `broken`.

    A frame in `odd` may hold texts where `rows` holds numbers; a line made from `broken` is no row.
    """

    rows: pl.DataFrame
    odd: tuple[pl.DataFrame, ...]
    broken: pl.DataFrame
    tally: Tally


def clean(batch: Batch, form: Format, refused: Mapping[str, int]) -> Soiled:
    """Return a batch without dirt; `refused` counts rows by the reason why ingest refuses them."""
    frame = form.frame(batch)
    return Soiled(frame, (), frame.clear(), Tally(len(frame), Counter(refused)))


def soiled(
    batch: Batch, form: Format, eligible: npt.NDArray[np.bool_], refused: Mapping[str, int], rng: Rng
) -> Soiled:
    """Return a batch with dirt in it.

    Args:
        batch: its rows.
        form: its format.
        eligible: rows that would be stored; only these are touched or copied.
        refused: rows of the others, by reason.
        rng: decides which rows.
    """
    n = len(eligible)
    names = [*SHARES, "teleport", "duplicate", "broken"]
    shares = np.array([*SHARES.values(), TELEPORTS, DUPLICATES, BAD_LINES * (form.container != "parquet")])
    sizes = np.floor(shares * n + rng.random(len(shares))).astype(int)
    candidates = np.flatnonzero(eligible)
    if sizes.sum() > len(candidates):
        return clean(batch, form, refused)
    chosen = rng.choice(candidates, sizes.sum(), replace=False)
    rows = dict(zip(names, np.split(chosen, np.cumsum(sizes)[:-1]), strict=True))
    flawed = {name: form.frame(batch.at(rows[name])) for name in names if name != "duplicate"}
    kept = np.delete(np.arange(n), np.concatenate([rows[name] for name in (*SHARES, "teleport")]))
    odd = [_FLAWS[name](flawed[name], form, rng) for name in SHARES if len(rows[name])]
    odd.append(flawed["teleport"].with_columns(pl.col(form.lat) - 3 * pl.col(form.lat).sign()))
    rejected = Counter(refused) + Counter({name: len(rows[name]) for name in SHARES})
    rejected["bad-line"] += len(rows["broken"])
    added = len(rows["duplicate"]) + len(rows["broken"])
    return Soiled(
        form.frame(batch.at(np.concatenate([kept, rows["duplicate"]]))),
        tuple(odd),
        flawed["broken"],
        Tally(n + added, +rejected, len(rows["duplicate"]), len(rows["teleport"])),
    )


def _spread(frame: pl.DataFrame, column: str, values: list[object]) -> pl.DataFrame:
    """Set `column` to each of `values` in turn."""
    pool = pl.Series(values, dtype=frame[column].dtype)
    return frame.with_columns(pool.gather(np.arange(len(frame)) % len(values)).alias(column))


def _latitude(frame: pl.DataFrame, form: Format, _rng: Rng) -> pl.DataFrame:
    return _spread(frame, form.lat, [400.0, -91.5, 90.000001])


def _longitude(frame: pl.DataFrame, form: Format, _rng: Rng) -> pl.DataFrame:
    return _spread(frame, form.lon, [400.0, -180.5, 181.0])


def _null_island(frame: pl.DataFrame, form: Format, _rng: Rng) -> pl.DataFrame:
    return frame.with_columns(pl.lit(0.0).alias(form.lat), pl.lit(0.0).alias(form.lon))


def _coordinates(frame: pl.DataFrame, form: Format, rng: Rng) -> pl.DataFrame:
    column = form.lat if rng.random() < 0.5 else form.lon
    if form.container == "csv":
        return _spread(frame.cast(pl.String), column, [None, "NaN", "n/a"])
    return _spread(frame, column, [None, float("nan")] if form.container == "parquet" else [None])


def _time(frame: pl.DataFrame, form: Format, _rng: Rng) -> pl.DataFrame:
    if form.container == "csv":
        return _spread(frame.cast(pl.String), form.time, [None, "n/a"])
    return _spread(frame, form.time, [None])


def _epoch(frame: pl.DataFrame, form: Format, rng: Rng) -> pl.DataFrame:
    """Put times into 1970 and 2099, and where they are numbers, into the wrong unit."""
    if form.unit == "iso":
        clock = pl.col(form.time).str.slice(10)
        date = pl.Series(["1970-01-02", "2099-12-30"]).gather(np.arange(len(frame)) % 2)
        return (
            frame.with_columns(date.alias("_date"))
            .with_columns(pl.col("_date") + clock)
            .select(pl.col("_date").alias(name) if name == form.time else name for name in frame.columns)
        )
    per, time = _PER_SECOND[form.unit], frame[form.time].to_numpy()
    wrong = time // 1000 if form.unit == "ms" else time * 1000
    odd = (rng.integers(0, _DAY, len(time)) + _DAY) * per
    options = np.stack([odd, odd + _YEAR_2099 * per, wrong])
    return frame.with_columns(pl.Series(form.time, options[np.arange(len(time)) % 3, np.arange(len(time))]))


def _no_id(frame: pl.DataFrame, form: Format, _rng: Rng) -> pl.DataFrame:
    return _spread(frame, form.id, [None, "null"])


def _long_id(frame: pl.DataFrame, form: Format, _rng: Rng) -> pl.DataFrame:
    """Write the id four times over: longer than any advertising id."""
    return frame.with_columns(pl.concat_str([pl.col(form.id)] * 4).alias(form.id))


_FLAWS: Mapping[str, Flaw] = {
    "latitude-range": _latitude,
    "longitude-range": _longitude,
    "bad-coordinates": _coordinates,
    "null-island": _null_island,
    "bad-time": _time,
    "time-range": _epoch,
    "missing-id": _no_id,
    "bad-id": _long_id,
}
