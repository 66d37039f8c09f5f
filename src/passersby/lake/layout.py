"""Where a row of the lake belongs and how its file is encoded: buckets, days, order, Parquet options.

The encodings were chosen by measurement on pings of one day and bucket (docs/explanation/lake.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from passersby.errors import IntegrityError
from passersby.model.period import DAY, day_start
from passersby.model.schema import TABLES

Ints = npt.NDArray[np.int64]

ROW_GROUP = 500_000
"""Rows of a row group: what a reader must hold of one file at a time."""

_ZSTD_LEVEL = 1
_DELTA = "DELTA_BINARY_PACKED"


@dataclass(frozen=True)
class Layout:
    """What of a deployment's settings is part of the layout.

    Args:
        root: folder of the lake.
        buckets: number of device buckets.
        offset: seconds east of UTC.
    """

    root: Path
    buckets: int
    offset: int


@dataclass(frozen=True)
class Encoding:
    """How the files of one table are laid out.

    Args:
        time: name of the column that orders the rows of a device, epoch s.
        strict: no two rows of a file may have the same device and time.
        single: a (day, bucket) has at most one visible file.
        dictionary: dictionary-encoded columns.
        delta: delta-encoded columns.
        dense: columns that are not compressed: their deltas are as small as they get, and packing them again
            costs a tenth of the time for nothing (docs/explanation/lake.md).
    """

    time: str
    strict: bool
    single: bool
    dictionary: tuple[str, ...]
    delta: tuple[str, ...]
    dense: tuple[str, ...] = ()

    def options(self, columns: Sequence[str]) -> dict[str, Any]:
        """Return the arguments of a Parquet writer for a table of some columns.

        Statistics stand on the time column only: those of `device` would put pseudonyms into the
        footer, where an erasure that looks at rows does not find them.
        """
        return {
            "compression": {name: "none" if name in self.dense else "zstd" for name in columns},
            "compression_level": {name: _ZSTD_LEVEL for name in columns if name not in self.dense},
            "use_dictionary": list(self.dictionary),
            "column_encoding": dict.fromkeys(self.delta, _DELTA),
            "write_statistics": [self.time],
            "store_schema": False,
        }


ENCODINGS = {
    "pings": Encoding(
        time="t",
        strict=False,
        single=False,
        dictionary=("device", "accuracy_m", "supplier", "delivery"),
        delta=("t", "lat_e5", "lon_e5"),
        dense=("t", "lat_e5", "lon_e5"),
    ),
    "presence": Encoding(
        time="hour", strict=True, single=True, dictionary=("device", "pings"), delta=("hour",)
    ),
    "stays": Encoding(
        time="arrival",
        strict=True,
        single=True,
        dictionary=("device", "cell", "pings"),
        delta=("arrival", "departure"),
        dense=("arrival", "departure"),
    ),
    "trips": Encoding(
        time="departure",
        strict=True,
        single=True,
        dictionary=("device", "origin", "destination"),
        delta=("departure", "arrival", "distance_m"),
        dense=("departure", "arrival", "distance_m"),
    ),
}
"""Encoding of each table of `model.schema.TABLES`."""


def bucket_of(devices: Ints, buckets: int) -> Ints:
    """Return the bucket of each device: `((device % n) + n) % n` in BIGINT arithmetic.

    NumPy's remainder takes the divisor's sign, so that it is never negative; SQL's takes the
    dividend's, which is why SQL needs the longer form (`bucket_sql`).
    """
    if buckets & (buckets - 1) == 0:
        return np.bitwise_and(devices, np.int64(buckets - 1))  # the same, seven times as fast
    return np.mod(devices, np.int64(buckets))


def bucket_sql(column: str, buckets: int) -> str:
    """Return SQL for the bucket of a BIGINT `column`."""
    return f"((({column} % {buckets}) + {buckets}) % {buckets})"


@dataclass(frozen=True)
class Part:
    """One (table, day, bucket): what a file of the lake holds rows of."""

    table: str
    day: int
    bucket: int


class Checker:
    """Checks that tables appended one after another make up one sorted file of a part.

    Args:
        part: where the rows must belong.
        buckets: number of buckets of the deployment.
        offset: seconds east of UTC of the deployment.
    """

    def __init__(self, part: Part, *, buckets: int, offset: int) -> None:
        self._part = part
        self._encoding = ENCODINGS[part.table]
        self._buckets = buckets
        start = day_start(part.day, offset)
        self._span = (start, start + DAY)
        self._last: tuple[int, int] | None = None

    def check(self, table: pa.Table) -> None:
        """Check the next rows.

        Raises:
            ValueError: the columns are not those of the table.
            IntegrityError: rows are unsorted, repeated, or of another day or bucket.
        """
        if not table.schema.equals(TABLES[self._part.table]):
            msg = f"columns are not those of `{self._part.table}`"
            raise ValueError(msg)
        if table.num_rows == 0:
            return
        device = table["device"].to_numpy()
        time = table[self._encoding.time].to_numpy()
        if not self._placed(device, time):
            _refuse("belong to another day or bucket")
        if not self._sorted(device, time):
            _refuse("are not sorted by device and time")
        self._last = (int(device[-1]), int(time[-1]))

    def _placed(self, device: Ints, time: Ints) -> bool:
        low, high = self._span
        in_day = low <= int(time.min()) and int(time.max()) < high
        return in_day and bool((bucket_of(device, self._buckets) == self._part.bucket).all())

    def _sorted(self, device: Ints, time: Ints) -> bool:
        first = (int(device[0]), int(time[0]))
        if self._last is not None and not (
            self._last < first if self._encoding.strict else self._last <= first
        ):
            return False
        later = time[1:] > time[:-1] if self._encoding.strict else time[1:] >= time[:-1]
        before, after = device[:-1], device[1:]
        return bool(((after > before) | ((after == before) & later)).all())


def _refuse(what: str) -> None:
    msg = f"Rows that were to be written to the lake {what}."
    raise IntegrityError(msg, "Nothing was stored; please report this with the command that was run.")
