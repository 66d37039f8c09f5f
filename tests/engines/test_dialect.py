"""The portable subset: what is refused, what is translated, and the H3 arithmetic."""

from __future__ import annotations

import duckdb
import h3.api.numpy_int as h3i
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passersby.engines import dialect
from passersby.errors import UsageError
from passersby.measures.base import Scope
from passersby.measures.catalogue import CATALOGUE
from passersby.model import cells
from passersby.model.period import Period

REFUSED = {
    "SELECT hash(device) FROM pings": "hash()",
    "SELECT my_function(device) FROM pings": "my_function()",
    "SELECT t // 3600 FROM pings": "IntDiv",
    "SELECT list(cell ORDER BY t) FROM pings": "ARRAY_AGG()",
    "SELECT CAST(cell AS HUGEINT) FROM pings": "INT128",
    "SELECT CAST(cell AS UBIGINT) FROM pings": "UBIGINT",
    "SELECT cell::UINTEGER FROM pings": "UINT",
    "SELECT TRY_CAST(cell AS BIGINT) FROM pings": "TRY_CAST",
    "SELECT CAST(t AS TIMESTAMP) FROM pings": "TIMESTAMP",
    "SELECT 0.5 * t FROM pings": "fraction",
    "SELECT 1e3 * t FROM pings": "fraction",
    "SELECT CAST(t / 2 AS BIGINT) FROM pings": "FLOOR",
    "SELECT sqrt(t)::INT FROM pings": "FLOOR",
    "SELECT CAST(CASE WHEN t < 3 THEN t / 2 ELSE 1 END AS BIGINT) FROM pings": "FLOOR",
    "SELECT CAST(1000 * least(CAST(1 AS DOUBLE), t) AS BIGINT) FROM pings": "FLOOR",
    "SELECT avg(t) FROM pings": "AVG()",
    "SELECT approx_quantile(t, CAST(0.5 AS DOUBLE)) FROM pings": "APPROX_QUANTILE()",
    "SELECT quantile_cont(t, CAST(0.5 AS DOUBLE)) FROM pings": "PERCENTILE_CONT",
    "SELECT approx_count_distinct(device) FROM pings": "APPROX_DISTINCT()",
    "SELECT random() FROM pings": "RAND()",
    "SELECT now()": "()",
    "SELECT epoch_ms(t) FROM pings": "()",
    "SELECT len(device) FROM pings": "LENGTH()",
    "SELECT device ** 2 FROM pings": "POW",
    "SELECT cell & 7 FROM pings": "BitwiseAnd",
    "SELECT cell >> 3 FROM pings": "BitwiseRightShift",
    "SELECT 'a' || 'b'": "DPipe",
    "SELECT unnest([1, 2])": "()",
    "SELECT {'a': 1}": "()",
    "SELECT * REPLACE (t + 1 AS t) FROM pings": "REPLACE",
    "SELECT * EXCLUDE (t) FROM pings": "EXCLUDE",
    "SELECT device FROM pings QUALIFY row_number() OVER (ORDER BY t) = 1": "Qualify",
    "SELECT device FROM pings LIMIT 3": "LIMIT without ORDER BY",
    "SELECT row_number() OVER (PARTITION BY device) FROM pings": "without ORDER BY",
    "SELECT lag(t) OVER () FROM pings": "without ORDER BY",
    "SELECT DISTINCT ON (device) device, t FROM pings ORDER BY device, t": "DISTINCT ON",
    "SELECT device FROM pings USING SAMPLE 10%": "TableSample",
    "SELECT a.t FROM pings a ASOF JOIN pings b ON a.t >= b.t": "ASOF JOIN",
    "SELECT a.t FROM pings a NATURAL JOIN area b": "NATURAL JOIN",
    "SELECT a.t FROM pings a POSITIONAL JOIN area b": "POSITIONAL JOIN",
    "WITH RECURSIVE r AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM r) SELECT a FROM r": "RECURSIVE",
    "SELECT * FROM read_parquet('/etc/passwd')": "other than a given table",
    "SELECT * FROM '/etc/passwd'": "other than a given table",
    "SELECT * FROM main.pings": "other than a given table",
    "SELECT * FROM range(5)": "other than a given table",
    "SELECT * FROM duckdb_settings()": "other than a given table",
    "PIVOT pings ON cell USING sum(t)": "not one SELECT",
    "DROP TABLE pings": "not one SELECT",
    "COPY pings TO 'x.parquet'": "not one SELECT",
    "ATTACH 'x.db'": "not one SELECT",
    "SET threads = 1": "not one SELECT",
    "INSTALL spatial": "not one SELECT",
    "SELECT 1; SELECT 2": "not one SELECT",
    "": "not one SELECT",
    "SELECT FROM WHERE": "cannot be parsed",
}


@pytest.mark.parametrize("sql", REFUSED)
def test_what_engines_do_differently_is_refused(sql: str) -> None:
    with pytest.raises(UsageError, match="outside the portable subset") as caught:
        dialect.check(sql)
    assert REFUSED[sql] in caught.value.message


def test_a_refusal_quotes_no_value() -> None:
    with pytest.raises(UsageError) as caught:
        dialect.check("SELECT hash('secret'), 'secret' || 'secret'")
    assert "secret" not in str(caught.value)


ACCEPTED = [
    "SELECT CAST(floor(1000 * least(CAST(1 AS DOUBLE), sqrt(CAST(40 AS DOUBLE) / n))) AS BIGINT) AS w FROM t",
    "SELECT -CAST(-0.5 AS DOUBLE) AS x",
    "SELECT CAST(sum(t) AS BIGINT) AS s, count(*) FILTER (WHERE t > 3) AS n FROM pings GROUP BY device",
    "SELECT device FROM pings SEMI JOIN area ON pings.cell = area.cell",
    "SELECT device FROM pings ANTI JOIN area USING (cell)",
    "SELECT device, lag(cell, 1) OVER (PARTITION BY device ORDER BY t, cell) AS o FROM pings",
    "SELECT device, t FROM pings ORDER BY device, t LIMIT 5",
    "SELECT CAST(CASE WHEN t < CAST(0.5 AS DOUBLE) THEN 0 ELSE 1 END AS BIGINT) AS bin FROM pings",
    "SELECT t FROM pings WHERE cell IN (SELECT cell FROM area) UNION ALL SELECT 1 AS t",
    "SELECT CASE WHEN t BETWEEN 1 AND 3 THEN 1 ELSE coalesce(nullif(t, 3), 0) END AS c FROM pings",
]


@pytest.mark.parametrize("sql", ACCEPTED)
def test_what_engines_do_alike_is_accepted(sql: str) -> None:
    dialect.check(sql)


def test_translation_keeps_where_nulls_are_sorted() -> None:
    """DuckDB sorts nulls last, Spark first."""
    assert "NULLS LAST" in dialect.to_spark("SELECT t FROM pings ORDER BY t")


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_measure_is_portable(name: str) -> None:
    measure = CATALOGUE[name]
    filters = (("daypart", ("night",)), ("hour", ("1", "2")), ("weekday", ("mon", "sun")))
    for every in measure.grains:
        chosen = filters if measure.filtered else ()
        scope = Scope(Period.parse("2026-W20").span(7200), min(7, measure.finest), every, chosen, 7200)
        for resolution in range(4, min(10, measure.finest) + 1):
            dialect.check(measure.rows(scope, resolution))


@given(st.integers(0, 15), st.integers(0, 15), st.floats(-90, 90), st.floats(-180, 180))
def test_parents_by_arithmetic_are_h3_s(one: int, two: int, lat: float, lon: float) -> None:
    coarse, fine = sorted((one, two))
    cell = int(h3i.latlng_to_cell(lat, lon, fine))
    sql = cells.parent_sql("cell", coarse, of=fine)
    found = eval(sql, {"cell": cell})  # noqa: S307  (the same arithmetic in Python; cells are positive)
    assert found == int(h3i.cell_to_parent(cell, coarse))


def test_parents_of_pentagons_too_in_sql() -> None:
    pentagons = [int(c) for c in h3i.get_pentagons(10)]
    below = [int(h3i.cell_to_center_child(int(c), 10)) for r in range(10) for c in h3i.get_pentagons(r)]
    wanted = np.array(pentagons + below, np.int64)
    with duckdb.connect() as connection:
        for resolution in range(11):
            up = cells.parent_sql("cell", resolution)
            sql = f"SELECT {up} AS p FROM unnest($1::BIGINT[]) AS c(cell)"
            found = [row[0] for row in connection.execute(sql, [wanted.tolist()]).fetchall()]
            assert found == cells.parent(wanted, resolution, of=10).tolist()
            assert found == [int(h3i.cell_to_parent(int(c), resolution)) for c in wanted]


@pytest.mark.parametrize(("fine", "coarse"), [(4, 5), (16, 4), (4, -1)])
def test_no_parent_is_finer(fine: int, coarse: int) -> None:
    with pytest.raises(ValueError, match="resolution"):
        cells.parent_sql("cell", coarse, of=fine)
