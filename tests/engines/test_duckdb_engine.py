"""The embedded engine: views, confinement, errors without data, interruption, spilled data."""

from __future__ import annotations

import contextlib
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb as driver
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from passersby.engines import dialect
from passersby.engines import duckdb as module
from passersby.engines.base import Engine
from passersby.engines.duckdb import DuckDB
from passersby.errors import DiskFull, EngineFailed, UsageError
from passersby.model.schema import TABLES

ENDLESS = (
    "SELECT count(*) AS n FROM b AS a, b AS c, b AS d, b AS e, b AS f WHERE (a.x * c.x + d.x * e.x) % 7 = f.x"
)
BIG = pa.table({"x": pa.array(range(50_000), pa.int64())})
SPILLING = """
    SELECT max(r) AS n FROM (
      SELECT row_number() OVER (ORDER BY a.x * 7919 % 10007, c.x, a.x) AS r
      FROM b AS a, b AS c WHERE c.x < 40) AS q"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckDB]:
    engine = DuckDB(tmp_path / "spill", threads=2, memory_mb=256)
    yield engine
    engine.close()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two files; the folder's name would be SQL if it were not quoted."""
    folder = tmp_path / "it's [a] lake"
    folder.mkdir()
    paths = [folder / f"{name}.parquet" for name in "ab"]
    for first, path in enumerate(paths):
        pq.write_table(pa.table({"x": pa.array([first, first + 10], pa.int64())}), path)
    return paths


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let statements through that the dialect refuses: the engine must hold by itself."""
    monkeypatch.setattr(dialect, "check", lambda sql: sql)


def test_it_is_an_engine(engine: DuckDB) -> None:
    checked: Engine = engine
    assert checked.name == "duckdb"


def test_files_and_values_are_tables(engine: DuckDB, files: list[Path]) -> None:
    values = {"v": pa.table({"x": pa.array([1, 10], pa.int64())})}
    rows = engine.query("SELECT x FROM t SEMI JOIN v USING (x) ORDER BY x", {"t": files}, values)
    assert rows.to_pydict() == {"x": [1, 10]}
    assert engine.query("SELECT count(*) AS n FROM t", {"t": files[:1]}).to_pydict() == {"n": [2]}


def test_views_leave_devices_out(engine: DuckDB, tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    device = pa.array([-(2**63), -1, 0, 1, 1, 2**63 - 1], pa.int64())
    pq.write_table(pa.table({"device": device, "x": device}), path)
    tables = {"a": [path], "b": [path]}
    sql = "SELECT a.device AS d FROM a JOIN b USING (device) GROUP BY a.device ORDER BY d"
    gone = np.array([-(2**63), 1, 7])
    assert engine.query(sql, tables, without=gone)["d"].to_pylist() == [-1, 0, 2**63 - 1]
    assert engine.query(sql, tables)["d"].to_pylist() == [-(2**63), -1, 0, 1, 2**63 - 1]


@pytest.mark.parametrize("name", sorted(TABLES))
def test_no_files_are_an_empty_table(engine: DuckDB, name: str) -> None:
    rows = engine.query(f"SELECT * FROM {name}", {name: []})
    assert rows.num_rows == 0
    assert [(f.name, f.type) for f in rows.schema] == [(f.name, f.type) for f in TABLES[name]]


def test_an_unknown_empty_table_is_a_programming_error(engine: DuckDB) -> None:
    with pytest.raises(ValueError, match="no table of the lake"):
        engine.query("SELECT 1", {"other": []})


def test_sums_are_int64(engine: DuckDB) -> None:
    big = pa.table({"x": pa.array([2**62, 2**62 - 1], pa.int64())})
    rows = engine.query("SELECT sum(x) AS s, count(*) AS n FROM v", {}, {"v": big})
    assert [f.type for f in rows.schema] == [pa.int64(), pa.int64()]
    assert rows.to_pydict() == {"s": [2**63 - 1], "n": [2]}


def test_a_sum_beyond_64_bits_fails_as_on_spark(engine: DuckDB) -> None:
    big = pa.table({"x": pa.array([2**62, 2**62], pa.int64())})
    with pytest.raises(EngineFailed, match="64 bits"):
        engine.query("SELECT sum(x) AS s FROM v", {}, {"v": big})


def test_the_portable_subset_is_enforced(engine: DuckDB) -> None:
    with pytest.raises(UsageError):
        engine.query("SELECT hash(1)", {})


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_parquet('{other}')",
        "SELECT * FROM '{other}'",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY (SELECT 1) TO '{folder}/out.parquet'",
        "ATTACH '{folder}/out.db'",
        "SET enable_external_access = true",
        "SET allowed_paths = ['{other}']",
        "SET memory_limit = '100GB'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM 'https://example.org/x.parquet'",
        "SELECT * FROM files",
    ],
)
def test_nothing_but_the_given_files_can_be_reached(engine: DuckDB, files: list[Path], sql: str) -> None:
    before = sorted(files[0].parent.iterdir())
    text = sql.format(other=str(files[1]).replace("'", "''"), folder=str(files[0].parent).replace("'", "''"))
    with pytest.raises(EngineFailed):
        engine.query(text, {"t": files[:1]})
    assert sorted(files[0].parent.iterdir()) == before


def test_failures_quote_nothing(engine: DuckDB) -> None:
    values = {"v": pa.table({"x": ["4711-secret"]})}
    with pytest.raises(EngineFailed) as caught:
        engine.query("SELECT CAST(x AS BIGINT) AS y FROM v", {}, values)
    assert "4711" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_missing_or_damaged_file_fails(engine: DuckDB, files: list[Path]) -> None:
    files[1].write_bytes(b"PAR1")
    for path in (files[1], files[1].with_name("gone.parquet")):
        with pytest.raises(EngineFailed):
            engine.query("SELECT * FROM t", {"t": [files[0], path]})


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (driver.IOException("could not write: No space left on device /secret"), DiskFull),
        (driver.OutOfMemoryException("max_temp_directory_size exceeded, secret"), DiskFull),
        (driver.OutOfMemoryException("failed to allocate, secret"), EngineFailed),
        (driver.InterruptException("secret"), EngineFailed),
    ],
)
def test_errors_are_told_apart(error: driver.Error, expected: type[Exception]) -> None:
    found = module._translated(error)
    assert type(found) is expected
    assert "secret" not in str(found)
    assert found.next_step


@pytest.fixture
def little_memory(engine: DuckDB, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {**engine._settings(), "memory_limit": "40MB"}
    monkeypatch.setattr(engine, "_settings", lambda: settings)


@pytest.mark.usefixtures("little_memory")
def test_a_full_disk_is_told(engine: DuckDB, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB takes 90% of the disk's free space as its limit; here it is a megabyte."""
    confine = module._confine

    def with_limit(connection: driver.DuckDBPyConnection, paths: Sequence[Path]) -> None:
        connection.execute("SET max_temp_directory_size = '1MB'")
        confine(connection, paths)

    monkeypatch.setattr(module, "_confine", with_limit)
    with pytest.raises(DiskFull):
        engine.query(SPILLING, {}, {"b": BIG})


@pytest.mark.usefixtures("little_memory")
def test_what_does_not_fit_in_memory_is_spilled(engine: DuckDB) -> None:
    assert engine.query(SPILLING, {}, {"b": BIG})["n"].to_pylist() == [40 * len(BIG)]


def test_closing_interrupts_what_runs(tmp_path: Path) -> None:
    engine = DuckDB(tmp_path, threads=1, memory_mb=256)
    ended = threading.Event()

    def close() -> None:
        # again and again: on a busy machine the statement may not have begun at the first time
        while not ended.wait(0.3):
            with contextlib.suppress(driver.Error):
                engine.close()

    closing = threading.Thread(target=close)
    closing.start()
    begun = time.monotonic()
    try:
        with pytest.raises(EngineFailed, match="interrupted"):
            engine.query(ENDLESS, {}, {"b": BIG})
    finally:
        ended.set()
        closing.join()
    assert time.monotonic() - begun < 30


@pytest.mark.slow
def test_ctrl_c_ends_a_statement(tmp_path: Path) -> None:
    """In a process of its own: only a main thread gets signals, and a test runner may hold it."""
    script = f"""
import sys
from pathlib import Path
import pyarrow as pa
from passersby.engines.duckdb import DuckDB
engine = DuckDB(Path(sys.argv[1]))
big = pa.table({{"x": pa.array(range(50_000), pa.int64())}})
try:
    print("asking", flush=True)
    engine.query({ENDLESS!r}, {{}}, {{"b": big}})
except KeyboardInterrupt:
    assert engine.query("SELECT 1 AS one", {{}}).to_pydict() == {{"one": [1]}}
    assert engine._running == set()
    print("interrupted", flush=True)
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "asking\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        try:
            assert process.communicate(timeout=60)[0] == "interrupted\n"
        finally:
            process.kill()


def test_statements_run_at_the_same_time(engine: DuckDB, files: list[Path]) -> None:
    """Each sees its own tables of the same name."""
    found: list[int] = []

    def ask(path: Path) -> None:
        found.append(engine.query("SELECT max(x) AS m FROM t", {"t": [path]})["m"][0].as_py())

    threads = [threading.Thread(target=ask, args=(path,)) for path in files * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [10] * 4 + [11] * 4


def test_spilled_data_is_private_and_goes(tmp_path: Path) -> None:
    engine = DuckDB(tmp_path / "spill", threads=1, memory_mb=256)
    (own,) = (tmp_path / "spill").iterdir()
    assert stat.S_IMODE(own.stat().st_mode) == stat.S_IMODE(own.parent.stat().st_mode) == 0o700
    assert Path(str(engine._settings()["temp_directory"])).parent == own
    engine.close()
    assert list((tmp_path / "spill").iterdir()) == []


def test_what_a_dead_process_spilled_is_swept_and_a_live_one_s_is_kept(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from passersby.engines.duckdb import DuckDB;"
        "e = DuckDB(Path(sys.argv[1])); Path(e._spill.next()).write_text('rows'); print('x', flush=True);"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (other,) = tmp_path.iterdir()
        engine = DuckDB(tmp_path)
        assert (other / "0").read_text() == "rows"
        engine.close()
        process.kill()
    DuckDB(tmp_path).close()
    assert list(tmp_path.iterdir()) == []
