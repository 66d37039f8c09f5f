"""Spark gives the same rows as DuckDB; and what is said where it is not installed."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from passersby.engines.base import Engine
from passersby.engines.duckdb import DuckDB
from passersby.engines.spark import Spark, _translated
from passersby.errors import DiskFull, EngineFailed, NotReady, UsageError
from passersby.measures.base import Scope
from passersby.measures.catalogue import CATALOGUE
from passersby.model.cells import parent
from passersby.model.period import HOUR, WEEK, Span, parse_span
from passersby.model.schema import PINGS, PRESENCE, STAYS, TRIPS

SPAN = parse_span("2026-W20..2026-W21", 7200)
needs_spark = pytest.mark.skipif(
    importlib.util.find_spec("pyspark") is None or shutil.which("java") is None,
    reason="pyspark or Java is not installed: `pip install 'passersby[spark]'` and Java 17",
)


def test_a_missing_pyspark_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(NotReady, match="not installed") as caught:
        Spark("local[1]", spill=tmp_path)
    assert "passersby[spark]" in caught.value.next_step


def test_a_missing_java_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: sys)
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(NotReady, match="Java"):
        Spark("local[1]", spill=tmp_path)


def test_spark_s_errors_are_told_apart() -> None:
    assert isinstance(_translated("java.io.IOException: No space left on device secret"), DiskFull)
    assert "secret" not in str(_translated("secret"))


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Engine]]:
    """DuckDB and Spark on this machine."""
    spill = tmp_path_factory.mktemp("spill")
    small = {"spark.sql.shuffle.partitions": "2", "spark.driver.bindAddress": "127.0.0.1"}
    spark = Spark("local[2]", spill=spill, settings={**small, "spark.driver.host": "127.0.0.1"})
    duckdb = DuckDB(spill, threads=2, memory_mb=256)
    yield duckdb, spark
    spark.close()
    duckdb.close()


def _world(seed: int, folder: Path) -> dict[str, list[Path]]:
    """Write random pings, presence and stays: few devices and places, so that keys meet."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 400))
    roots = 0x8A1F8D5A0007FFF - rng.integers(0, 40, size) * 2**15 * rng.choice([1, 343, 16807], size)
    hour = SPAN.start + rng.integers(0, SPAN.hours, size) * HOUR
    device = rng.choice(np.array([-(2**63), -9, *range(20), 2**63 - 1]), size)
    columns = {
        "device": device,
        "hour": hour,
        "t": hour + rng.integers(0, HOUR, size),
        "cell": roots,
        "pings": rng.integers(1, 9, size),
    }
    columns["origin"], columns["destination"] = roots, rng.permutation(roots)
    columns |= {axis: rng.integers(-20_000, 20_000, size) for axis in ("x_m", "y_m", "z_m")}
    tables: dict[str, list[Path]] = {}
    for name, schema in (("pings", PINGS), ("presence", PRESENCE), ("stays", STAYS), ("trips", TRIPS)):
        ends = ("arrival", "departure") if name == "stays" else ("departure", "arrival")
        columns[ends[0]] = columns["t"]
        columns[ends[1]] = columns["t"] + rng.integers(600, 4 * HOUR, size)
        fill = rng.integers(0, 100, size)
        table = pa.table([pa.array(columns.get(f.name, fill), f.type) for f in schema], schema=schema)
        if name == "pings":
            unknown = pa.array(fill, pa.int32(), mask=fill > 50)
            table = table.set_column(5, schema.field("accuracy_m"), unknown)
        half = size // 2
        tables[name] = [folder / f"{name}-{part}.parquet" for part in (0, 1)]
        pq.write_table(table.slice(0, half), tables[name][0])
        pq.write_table(table.slice(half), tables[name][1])
    return tables


STATEMENTS = {
    "negative remainders": """
        SELECT device % 7 AS m, (device % 7 + 7) % 7 AS b, count(*) AS n FROM pings GROUP BY m, b""",
    "sums": """
        SELECT cell, sum(pings) AS s, count(DISTINCT device) AS d, min(hour) AS f
        FROM presence GROUP BY cell""",
    "nulls in order": """
        SELECT accuracy_m, t, row_number() OVER (ORDER BY accuracy_m, t, device, cell) AS r FROM pings""",
    "nulls in sums": """
        SELECT device, sum(accuracy_m) AS s, count(accuracy_m) AS n, count(*) AS a
        FROM pings GROUP BY device""",
    "weights": """
        SELECT device, w - CASE WHEN w * w * n > 40000000 THEN 1 ELSE 0 END AS w FROM (
          SELECT device, n,
            CAST(floor(1000 * least(CAST(1 AS DOUBLE), sqrt(CAST(40 AS DOUBLE) / n))) AS BIGINT) AS w
          FROM (SELECT device, CAST(sum(pings * pings) AS BIGINT) AS n FROM presence GROUP BY device) AS q
        ) AS p""",
    "steps": """
        SELECT o, d, count(DISTINCT device) AS n FROM (
          SELECT device, cell AS d, lag(cell) OVER (PARTITION BY device ORDER BY t, cell, lat_e5) AS o
          FROM pings) AS s
        WHERE o IS NOT NULL AND o <> d GROUP BY o, d""",
    "anti join": "SELECT device, t, cell FROM pings ANTI JOIN area ON pings.cell = area.cell",
    "outer join": "SELECT p.t, a.cell FROM pings AS p LEFT JOIN area AS a ON p.cell = a.cell WHERE t % 3 = 0",
    "division": """
        SELECT hour, CAST(pings AS DOUBLE) / 7 AS x, CAST(floor(pings / 2) AS BIGINT) AS f FROM presence""",
    "union": "SELECT cell FROM pings UNION SELECT cell FROM presence EXCEPT SELECT cell FROM area",
}


def _rows(
    engine: Engine, sql: str, tables: dict[str, list[Path]], area: pa.Table
) -> list[tuple[object, ...]]:
    hours = pa.table({"hour": pa.array(range(SPAN.start, SPAN.end, HOUR), pa.int64())})
    found = engine.query(sql, tables, {"area": area, "hours": hours})
    assert all(f.type in {pa.int32(), pa.int64(), pa.float64()} for f in found.schema)
    return sorted((tuple(row.values()) for row in found.to_pylist()), key=repr)


@pytest.mark.slow
@needs_spark
@pytest.mark.parametrize("seed", range(3))
def test_engines_agree_on_statements(engines: tuple[Engine, Engine], tmp_path: Path, seed: int) -> None:
    tables = _world(seed, tmp_path)
    area = pa.table({"cell": pq.read_table(tables["pings"][1])["cell"].slice(0, 9).combine_chunks().unique()})
    for name, sql in STATEMENTS.items():
        duckdb, spark = (_rows(engine, sql, tables, area) for engine in engines)
        assert duckdb == spark, name


@pytest.mark.slow
@needs_spark
@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_engines_agree_on_measures(engines: tuple[Engine, Engine], tmp_path: Path, name: str) -> None:
    world = _world(7, tmp_path)
    measure = CATALOGUE[name]
    tables = {table: world[table] for table in measure.tables}
    filters = (("daypart", ("morning", "night")), ("weekday", ("fri", "mon", "sun")))
    asked = min(7, measure.finest)
    every = "day" if "day" in measure.grains else measure.grains[0]
    span = Span(SPAN.start, SPAN.start + measure.least_weeks * WEEK)
    scope = Scope(span, asked, every, filters if measure.filtered else (), 7200)
    for resolution in (4, asked, min(8, measure.finest)):
        sql = measure.rows(scope, resolution)
        cells = engines[0].query("SELECT DISTINCT cell FROM presence", world)["cell"].to_numpy()
        from_scope = resolution if measure.additive else scope.resolution
        known = np.unique(parent(cells, from_scope, of=10))
        area = pa.table({"cell": known[np.arange(len(known)) != 1]})
        duckdb, spark = (_rows(engine, sql, tables, area) for engine in engines)
        assert duckdb == spark
        assert duckdb


@pytest.mark.slow
@needs_spark
def test_engines_agree_on_what_is_empty_wrong_or_too_large(engines: tuple[Engine, Engine]) -> None:
    big = {"v": pa.table({"x": pa.array([2**62, 2**62], pa.int64())})}
    for engine in engines:
        empty = engine.query("SELECT * FROM pings", {"pings": []})
        assert (empty.num_rows, empty.schema.names) == (0, PINGS.names)
        assert engine.query("SELECT count(*) AS n FROM pings", {"pings": []}).to_pydict() == {"n": [0]}
        with pytest.raises(EngineFailed):
            engine.query("SELECT sum(x) AS s FROM v", {}, big)
        with pytest.raises(EngineFailed):
            engine.query("SELECT x * 4 AS s FROM v", {}, big)
        with pytest.raises(EngineFailed):
            engine.query("SELECT nothing FROM v", {}, big)
        with pytest.raises(UsageError):
            engine.query("SELECT hash(x) FROM v", {}, big)
        with pytest.raises(EngineFailed):
            engine.query("SELECT * FROM other", {}, big)


@pytest.mark.slow
@needs_spark
def test_engines_agree_on_devices_that_are_left_out(engines: tuple[Engine, Engine], tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    device = pa.array([-(2**63), -1, 0, 1, 1, 2**63 - 1], pa.int64())
    pq.write_table(pa.table({"device": device}), path)
    sql, gone = "SELECT device FROM pings ORDER BY device", np.array([-(2**63), 1, 7])
    for engine in engines:
        assert engine.query(sql, {"pings": [path]}, without=gone)["device"].to_pylist() == [-1, 0, 2**63 - 1]


@pytest.mark.slow
@needs_spark
def test_views_of_one_statement_are_gone_in_the_next(engines: tuple[Engine, Engine]) -> None:
    for engine in engines:
        engine.query("SELECT x FROM v", {}, {"v": pa.table({"x": [1]})})
        with pytest.raises(EngineFailed):
            engine.query("SELECT x FROM v", {})
