"""DuckDB in this process: each statement gets a database in memory that sees nothing but its own files.

Before a statement runs, its connection loses the file system apart from the given paths, the network and
extensions, and its settings are locked. What does not fit in memory goes into a folder of the deployment
that only its account can enter, in clear: DuckDB encrypts such files only with an extension, `httpfs`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from passersby.engines import dialect
from passersby.engines.base import NOBODY, WITHOUT, devices_table, failed, normalised, schema_of
from passersby.engines.spill import Spill
from passersby.errors import DiskFull, EngineFailed, PassersbyError

_TYPES = {pa.int64(): "BIGINT", pa.int32(): "INTEGER"}


class DuckDB:
    """The embedded engine.

    Args:
        spill: folder for what does not fit in memory; swept of what ended processes left.
        threads: threads of a statement; 0: all cores.
        memory_mb: memory of a statement, MB.
    """

    name = "duckdb"

    def __init__(self, spill: Path, *, threads: int = 0, memory_mb: int = 2048) -> None:
        self._spill = Spill(spill)
        self._threads = threads
        self._memory_mb = memory_mb
        self._running: set[duckdb.DuckDBPyConnection] = set()

    def query(
        self,
        sql: str,
        tables: Mapping[str, Sequence[Path]],
        values: Mapping[str, pa.Table] | None = None,
        *,
        without: npt.NDArray[np.int64] = NOBODY,
    ) -> pa.Table:
        """Run one SELECT; see `engines.base.Engine`."""
        dialect.check(sql)
        with self._connection(tables, values or {}, without) as connection, _as_engine_failed():
            return normalised(_interruptible(connection, sql))

    def close(self) -> None:
        """Interrupt what runs and remove what was spilled."""
        for connection in tuple(self._running):
            connection.interrupt()
        self._spill.close()

    @contextlib.contextmanager
    def _connection(
        self,
        tables: Mapping[str, Sequence[Path]],
        values: Mapping[str, pa.Table],
        without: npt.NDArray[np.int64],
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        with _as_engine_failed():
            connection = duckdb.connect(":memory:", config=self._settings())
        self._running.add(connection)
        try:
            with _as_engine_failed():
                _confine(connection, [path for paths in tables.values() for path in paths])
                if len(without):
                    connection.register(WITHOUT, devices_table(without))
                for name, paths in tables.items():
                    connection.execute(_view_sql(name, paths, anti=bool(len(without))))
                for name, table in values.items():
                    connection.register(name, table)
            yield connection
        finally:
            self._running.discard(connection)
            connection.close()

    def _settings(self) -> dict[str, str | bool | int | float | list[str]]:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{self._memory_mb}MB",
            "temp_directory": str(self._spill.next()),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
        }
        if self._threads:
            settings["threads"] = self._threads
        return settings


def _confine(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> None:
    """Take everything from the connection but `paths`."""
    allowed = ", ".join(_quoted(str(path)) for path in paths)
    connection.execute("SET enable_progress_bar = false")
    connection.execute(f"SET allowed_paths = [{allowed}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _view_sql(name: str, paths: Sequence[Path], *, anti: bool) -> str:
    if paths:
        files = ", ".join(_quoted(str(path)) for path in paths)
        source = f"SELECT * FROM read_parquet([{files}], hive_partitioning = false)"  # noqa: S608  (quoted)
        if anti:
            source += f" ANTI JOIN {WITHOUT} USING (device)"
    else:
        columns = (f"CAST(NULL AS {_TYPES[field.type]}) AS {field.name}" for field in schema_of(name))
        source = f"SELECT {', '.join(columns)} WHERE false"
    return f'CREATE TEMP VIEW "{name}" AS {source}'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _interruptible(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    """Run a statement so that Ctrl-C ends it: DuckDB itself lets Python see signals only afterwards."""
    with ThreadPoolExecutor(1) as pool:
        try:
            return pool.submit(lambda: connection.sql(sql).to_arrow_table()).result()
        except BaseException:
            connection.interrupt()
            raise


@contextlib.contextmanager
def _as_engine_failed() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise _translated(error) from None


def _translated(error: duckdb.Error) -> PassersbyError:
    """Return our error for DuckDB's. Its text only chooses among constants: it can quote rows."""
    text = str(error).lower()
    if "no space left" in text or "max_temp_directory_size" in text:
        return DiskFull(
            "The disk is full: the query engine could not put aside what does not fit in memory.",
            "Free some space and run the command again; nothing was changed.",
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return EngineFailed(
            "The query engine ran out of memory.", "Raise `memory_mb` in passersby.toml, or ask for less."
        )
    if isinstance(error, duckdb.InterruptException):
        return failed("was interrupted")
    return failed("could not run a statement")
