"""What an engine is: it runs one statement of the portable subset over given files and small tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from passersby.errors import EngineFailed
from passersby.model.schema import TABLES

NOBODY = np.empty(0, np.int64)
"""No device: nothing is left out of a view."""

WITHOUT = "without_devices"
"""Name of the table of devices that views leave out."""

_HUGE = pa.decimal128(38, 0)


class Engine(Protocol):
    """Runs SQL of the portable subset (`engines.dialect`); the same statement gives the same rows."""

    name: str

    def query(
        self,
        sql: str,
        tables: Mapping[str, Sequence[Path]],
        values: Mapping[str, pa.Table] | None = None,
        *,
        without: npt.NDArray[np.int64] = NOBODY,
    ) -> pa.Table:
        """Run one SELECT and return its rows; whole numbers are int64 or int32, never wider.

        Args:
            sql: one statement of the portable subset.
            tables: views over Parquet files by name; no files: an empty table of `model.schema.TABLES`.
            values: small tables by name.
            without: devices whose rows the views over files leave out.

        Raises:
            UsageError: the statement is not in the portable subset.
            EngineFailed: the engine could not run it; its own words are left out, they can carry data.
            DiskFull: there is no room for what does not fit in memory.
        """
        ...

    def close(self) -> None:
        """Stop what runs and give back memory and disk."""
        ...


def schema_of(name: str) -> pa.Schema:
    """Return the schema of a lake table.

    Raises:
        ValueError: there is no such table.
    """
    if name not in TABLES:
        msg = f"`{name}` is no table of the lake, so that an empty one has no columns"
        raise ValueError(msg)
    return TABLES[name]


def devices_table(devices: npt.NDArray[np.int64]) -> pa.Table:
    """Return devices as a table of one column."""
    return pa.table({"device": pa.array(devices, pa.int64())})


def normalised(table: pa.Table) -> pa.Table:
    """Return the rows in types that all engines share: sums as int64, every column nullable.

    DuckDB sums BIGINT into 128 bits, Spark into 64.

    Raises:
        EngineFailed: a sum does not fit 64 bits, as it would fail on Spark.
    """
    columns = []
    for column in table.columns:
        if column.type != _HUGE:
            columns.append(column)
            continue
        try:
            columns.append(pc.cast(column, pa.int64()))
        except pa.ArrowInvalid:
            raise EngineFailed(
                "A sum in the statement does not fit 64 bits.", "Ask for a smaller area or a shorter time."
            ) from None
    fields = [pa.field(n, c.type) for n, c in zip(table.column_names, columns, strict=True)]
    return pa.table(columns, schema=pa.schema(fields))


def failed(what: str) -> EngineFailed:
    """Return the error for a statement that an engine could not run."""
    return EngineFailed(
        f"The query engine {what}.",
        "Run the command again; if it repeats, report the question that was asked.",
    )
