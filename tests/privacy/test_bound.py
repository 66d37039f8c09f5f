"""The bound in DuckDB's own arithmetic: exact integers, whatever the rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import duckdb
import h3.api.numpy_int as h3i
import numpy as np
import pyarrow as pa
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from passersby.errors import UsageError
from passersby.measures.base import Scope
from passersby.measures.presence import PRESENCE
from passersby.measures.visitors import VISITORS
from passersby.model.cells import parent
from passersby.model.period import DAY, HOUR, WEEK, Period
from passersby.privacy import bound

SQUARED_BOUNDS = (1, 2, 4, 7, 9, 16, 20, 24, 25, 36, 40, 49, 50, 64, 80, 100, 168, 400, 744, 4032, 28224)
RESOLUTION = 7
CELLS = [int(h3i.latlng_to_cell(51.5 + 0.02 * i, 0.4 * (i % 2), RESOLUTION)) for i in range(6)]

Row = tuple[int, int, int, int, int]


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        yield connection


@pytest.mark.parametrize("squared", SQUARED_BOUNDS)
def test_no_weight_exceeds_the_bound_up_to_five_million(con: duckdb.DuckDBPyConnection, squared: int) -> None:
    sql = f"""SELECT COUNT(*) FROM (
      SELECT n, {bound.weight_sql("n", squared)} AS w
      FROM (SELECT CAST(range AS BIGINT) AS n FROM range(1, 5000001)))
      WHERE w * w * n > {squared * 10**6} OR w < 0 OR w > 1000
        OR (w < 1000 AND (w + 2) * (w + 2) * n <= {squared * 10**6}) OR (n <= {squared} AND w <> 1000)"""
    assert con.sql(sql).fetchall() == [(0,)]


@settings(max_examples=60)
@given(st.integers(1, 10**18), st.integers(1, bound.MAX_SQUARED_BOUND))
def test_no_weight_exceeds_the_bound_at_any_size(
    con: duckdb.DuckDBPyConnection, n: int, squared: int
) -> None:
    sql = f"SELECT {bound.weight_sql('n', squared)} FROM (SELECT CAST({n} AS BIGINT) AS n)"
    ((w,),) = con.sql(sql).fetchall()
    assert 0 <= w <= 1000
    assert w * w * n <= squared * 10**6
    assert w == 1000 or (w + 2) ** 2 * n > squared * 10**6


@pytest.mark.parametrize(
    ("n", "squared", "rounded"),
    [(25_050_002_001, 24_999_927_047, 999), (66_666_666_648_888_889, 599_999_999_840, 3)],
)
def test_a_square_root_that_was_rounded_up_is_corrected(
    con: duckdb.DuckDBPyConnection, n: int, squared: int, rounded: int
) -> None:
    # n * rounded^2 is C2 * 1000000 + 1: too large by one part in 10^16, which a double does not see.
    assert n * rounded**2 == squared * 10**6 + 1
    sql = f"SELECT {bound.weight_sql('n', squared)} FROM (SELECT CAST({n} AS BIGINT) AS n)"
    assert con.sql(sql).fetchall() == [(rounded - 1,)]


@pytest.mark.parametrize("squared", [0, -1, bound.MAX_SQUARED_BOUND + 1])
def test_squared_bound_out_of_range_is_refused(squared: int) -> None:
    with pytest.raises(UsageError, match="out of range"):
        bound.level_sql("SELECT 1", squared_bound=squared)


MONDAY = Period.parse("2026-W20").span(0).start
rows = st.lists(
    st.builds(
        lambda device, hour, cell, value: (
            device,
            MONDAY + hour * HOUR - hour * HOUR % WEEK,
            cell,
            MONDAY + hour * HOUR,
            value,
        ),
        st.integers(1, 3),
        st.sampled_from([0, 1, 5, 24, 25, 167, 168, 169, 200]),
        st.sampled_from(CELLS),
        st.integers(0, 5),
    ),
    max_size=30,
)


def _table(given_rows: list[Row]) -> pa.Table:
    columns = list(zip(*given_rows, strict=True)) or [()] * 5
    names = ("device", "period", "cell", "start", "value")
    return pa.table({name: pa.array(column, pa.int64()) for name, column in zip(names, columns, strict=True)})


def _run(con: duckdb.DuckDBPyConnection, sql: str, given_rows: list[Row]) -> dict[tuple[int, int], int]:
    con.register("given_rows", _table(given_rows))
    return {(cell, start): count for cell, start, count in con.sql(sql).fetchall()}


def _vector(counts: dict[tuple[int, int], int], resolution: int) -> dict[tuple[int, int], int]:
    """Return counts merged to a coarser resolution."""
    out: dict[tuple[int, int], int] = defaultdict(int)
    for (cell, start), count in counts.items():
        out[int(parent(np.array([cell]), resolution, of=RESOLUTION)[0]), start] += count
    return out


def _squared_distance(a: dict[tuple[int, int], int], b: dict[tuple[int, int], int]) -> int:
    return sum((a.get(key, 0) - b.get(key, 0)) ** 2 for key in a.keys() | b.keys())


@settings(max_examples=15)
@given(rows, st.sampled_from([1, 4, 7, 40]))
def test_dropping_any_device_period_moves_every_level_by_at_most_the_bound(
    con: duckdb.DuckDBPyConnection, given_rows: list[Row], squared: int
) -> None:
    sql = bound.additive_sql("SELECT * FROM given_rows", squared_bound=squared)
    whole = _run(con, sql, given_rows)
    for unit in {row[:2] for row in given_rows}:
        without = _run(con, sql, [row for row in given_rows if row[:2] != unit])
        for resolution in range(RESOLUTION + 1):
            distance = _squared_distance(_vector(whole, resolution), _vector(without, resolution))
            assert distance <= squared * 10**6


@settings(max_examples=15)
@given(rows, st.sampled_from([1, 4, 7, 40]))
def test_dropping_any_device_period_moves_a_level_by_at_most_the_bound(
    con: duckdb.DuckDBPyConnection, given_rows: list[Row], squared: int
) -> None:
    sql = bound.level_sql("SELECT * FROM given_rows", squared_bound=squared)
    whole = _run(con, sql, given_rows)
    for unit in {row[:2] for row in given_rows}:
        without = _run(con, sql, [row for row in given_rows if row[:2] != unit])
        assert _squared_distance(whole, without) <= squared * 10**6


@settings(max_examples=15)
@given(rows)
def test_nothing_is_lost_where_the_bound_is_large(
    con: duckdb.DuckDBPyConnection, given_rows: list[Row]
) -> None:
    expected: dict[tuple[int, int], int] = defaultdict(int)
    for _, _, cell, start, value in given_rows:
        expected[cell, start] += 1000 * value
    totals = {key: count for key, count in expected.items() if count}
    source = "SELECT * FROM given_rows"
    for sql in (
        bound.additive_sql(source, squared_bound=10**9),
        bound.level_sql(source, squared_bound=10**9),
    ):
        assert {key: n for key, n in _run(con, sql, given_rows).items() if n} == totals


def test_weight_is_taken_over_the_whole_area(con: duckdb.DuckDBPyConnection) -> None:
    # Two cells in the same hour, in one root or far apart: n is 1 + 1 by cell, (1 + 1)^2 together.
    siblings = [int(c) for c in h3i.cell_to_children(h3i.cell_to_parent(CELLS[0], 6), RESOLUTION)[:2]]
    far = int(h3i.latlng_to_cell(-33.9, 151.2, RESOLUTION))
    source = "SELECT * FROM given_rows"
    for cells in (siblings, [CELLS[0], far]):
        given_rows = [(1, MONDAY, cell, MONDAY, 1) for cell in cells]
        by_cell = bound.level_sql(source, squared_bound=1)
        together = bound.additive_sql(source, squared_bound=1)
        assert set(_run(con, by_cell, given_rows).values()) == {707}
        assert set(_run(con, together, given_rows).values()) == {500}


def test_hours_of_different_days_are_different_keys(con: duckdb.DuckDBPyConnection) -> None:
    given_rows = [(1, MONDAY, CELLS[0], MONDAY + day * DAY, 1) for day in range(4)]
    sql = bound.additive_sql("SELECT * FROM given_rows", squared_bound=1)
    assert list(_run(con, sql, given_rows).values()) == [500] * 4


def test_periods_are_bounded_separately(con: duckdb.DuckDBPyConnection) -> None:
    given_rows = [(1, MONDAY + w * WEEK, CELLS[0], MONDAY + w * WEEK, 1) for w in range(3)]
    sql = bound.level_sql("SELECT * FROM given_rows", squared_bound=1)
    assert list(_run(con, sql, given_rows).values()) == [1000] * 3


def test_repeated_rows_of_a_device_are_bounded_too(con: duckdb.DuckDBPyConnection) -> None:
    # As a missing dedupe would give them: the device still moves one key by one unit.
    given_rows = [(1, MONDAY, CELLS[0], MONDAY, 1)] * 7
    for sql in (
        bound.level_sql("SELECT * FROM given_rows", squared_bound=1),
        bound.additive_sql("SELECT * FROM given_rows", squared_bound=1),
    ):
        (count,) = _run(con, sql, given_rows).values()
        assert 990 <= count <= 1000


@pytest.mark.parametrize(("value", "count"), [(-5, 0), (10**15, 1000), (0, 0)])
def test_values_out_of_range_stay_within_the_bound(
    con: duckdb.DuckDBPyConnection, value: int, count: int
) -> None:
    given_rows = [(1, MONDAY, CELLS[0], MONDAY, value), (2, MONDAY, CELLS[0], MONDAY, 1)]
    sql = bound.level_sql("SELECT * FROM given_rows", squared_bound=10**12)
    exact = bound.level_sql("SELECT * FROM given_rows", squared_bound=1)
    (released,) = _run(con, exact, given_rows).values()
    (wide,) = _run(con, sql, given_rows).values()
    assert released - 1000 <= count
    assert wide == 1000 + min(max(value, 0), bound.MAX_VALUE) * 1000


def test_rows_are_sorted_bigints(con: duckdb.DuckDBPyConnection) -> None:
    con.register("given_rows", _table([(1, MONDAY, cell, MONDAY, 1) for cell in reversed(CELLS)]))
    sql = bound.additive_sql("SELECT * FROM given_rows", squared_bound=168)
    found = con.sql(sql).to_arrow_table()
    assert found.schema.names == ["cell", "start", "count"]
    assert set(found.schema.types) == {pa.int64()}
    assert found.column("cell").to_pylist() == sorted(CELLS)


@pytest.mark.parametrize("every", ["hour", "daypart", "day", "week"])
def test_measures_claim_the_bounds_at_which_nothing_is_clipped(every: str) -> None:
    scope = Scope(Period.parse("2026-W20").span(0), RESOLUTION, every, (), 0)
    assert PRESENCE.bound(scope) == 168 * scope.bucket_hours
    assert VISITORS.bound(scope) == 168


@pytest.mark.parametrize(("every", "hours"), [("hour", 1), ("daypart", 6), ("day", 24), ("week", 168)])
def test_a_device_that_never_moves_is_not_clipped(
    con: duckdb.DuckDBPyConnection, every: str, hours: int
) -> None:
    scope = Scope(Period.parse("2026-W20").span(0), RESOLUTION, every, (), 0)
    given_rows = [(1, MONDAY, CELLS[0], scope.bucket_of(MONDAY + h * HOUR), 1) for h in range(168)]
    sql = bound.additive_sql(
        "SELECT * FROM given_rows",
        squared_bound=168 * hours,
    )
    assert set(_run(con, sql, given_rows).values()) == {1000 * hours}


def test_sql_is_portable() -> None:
    for sql in (
        bound.additive_sql("SELECT * FROM given_rows", squared_bound=168),
        bound.level_sql("SELECT * FROM given_rows", squared_bound=168),
    ):
        assert "//" not in sql
        assert "HUGEINT" not in sql
        (spark,) = sqlglot.transpile(sql, read="duckdb", write="spark")
        assert "CAST" in spark
