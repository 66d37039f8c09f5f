"""The compiled loops against a reference in plain Python and one in SQL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import h3.api.numpy_int as h3i
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passersby.derive import batches, kernel, presence
from passersby.errors import IntegrityError
from passersby.model.cells import parent_sql
from passersby.model.period import HOUR

START = 1_780_000_200 - 1_780_000_200 % HOUR
NONE = np.empty(0, np.int64)


def _pool() -> list[int]:
    """Cells that tie at every resolution: siblings, cousins, other roots, below a pentagon."""
    here = int(h3i.latlng_to_cell(47.37, 8.54, 10))
    cells = [here]
    for resolution in (9, 8, 6, 4, 3):
        family = np.sort(np.asarray(h3i.cell_to_children(int(h3i.cell_to_parent(here, resolution)), 10)))
        cells += [int(family[0]), int(family[len(family) // 2]), int(family[-1])]
    pentagon = int(next(iter(h3i.get_pentagons(4))))
    below = np.sort(np.asarray(h3i.cell_to_children(pentagon, 10)))
    return sorted({*cells, int(below[0]), int(below[-1])})


POOL = _pool()


@st.composite
def worlds(draw: st.DrawFn) -> list[tuple[int, int, int, int]]:
    """Up to 40 pings of few devices in few hours, from up to three deliveries."""
    row = st.tuples(
        st.sampled_from([-(2**63), -3, 0, 5, 2**63 - 1]),
        st.integers(-2, 2 * HOUR + 2).map(lambda s: START + s)
        | st.sampled_from([START - 1, START, START + HOUR]),
        st.sampled_from(POOL),
        st.integers(1, 3),
    )
    rows = draw(st.lists(row, max_size=40))
    first = {(device, t, delivery): (device, t, cell, delivery) for device, t, cell, delivery in rows}
    return list(first.values())


def _presence(paths: list[Path], offset: int, excluded: Any = NONE) -> list[tuple[int, ...]]:
    rows: list[tuple[int, ...]] = []
    for columns in batches.devices(paths, presence.COLUMNS):
        kinds = (np.int64, np.int32, np.int64, np.int32)
        out = tuple(np.empty(len(columns[0]), kind) for kind in kinds)
        filled = kernel.presence(columns, excluded, offset, out)
        rows += zip(*(column[:filled].tolist() for column in out), strict=True)
    return rows


@settings(max_examples=120)
@given(
    pings=worlds(),
    offset=st.sampled_from([0, 3600, -12_600, 20_700]),
    group=st.integers(1, 9),
    excluded=st.sets(st.sampled_from([-3, 0, 1, 5, 2**63 - 1])),
)
def test_one_dominant_cell_for_each_device_hour(
    pings: list[Any],
    offset: int,
    group: int,
    excluded: set[int],
    ping: Any,
    expected: Callable[..., Any],
    as_table: Callable[..., pa.Table],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the batches, deliveries and ties: sorted, unique and equal to the reference."""
    monkeypatch.setattr(batches, "ROW_GROUP", group)
    pings = [ping(*row) for row in pings]
    paths = []
    for delivery in {p.delivery for p in pings}:
        paths.append(tmp_path / f"{delivery}.parquet")
        own = as_table(p for p in pings if p.delivery == delivery)
        pq.write_table(own, paths[-1])
    rows = _presence(paths, offset, np.array(sorted(excluded), np.int64))
    assert rows == expected(pings, offset, excluded)
    assert len({row[:2] for row in rows}) == len(rows)


def test_deliveries_that_were_compacted_into_one_file_are_deduplicated(
    ping: Any, expected: Callable[..., Any], as_table: Callable[..., pa.Table], tmp_path: Path
) -> None:
    """Rows of equal device and time stand in any order of delivery."""
    pings = [ping(1, START + s, POOL[d], d) for s in (0, 9) for d in (3, 1, 2)]
    table = as_table(pings)
    for name, order in (("up", [0, 1, 2, 3, 4, 5]), ("down", [2, 1, 0, 5, 4, 3])):
        pq.write_table(table.take(pa.array(order)), tmp_path / f"{name}.parquet")
        assert _presence([tmp_path / f"{name}.parquet"], 0) == expected(pings, 0)


def test_the_dominant_cell_is_not_the_busiest_one(
    ping: Any, as_table: Callable[..., pa.Table], tmp_path: Path
) -> None:
    """Three pings in one cell lose against four spread over the cells of another part of town."""
    here = int(h3i.latlng_to_cell(47.37, 8.54, 10))
    siblings = h3i.cell_to_children(int(h3i.cell_to_parent(here, 5)), 6)
    other = next(int(c) for c in siblings if c != h3i.cell_to_parent(here, 6))
    spread = np.sort(np.asarray(h3i.cell_to_children(other, 10)))[[0, 400, 800, 1200]]
    pings = [ping(1, START + i, here, 1) for i in range(3)]
    pings += [ping(1, START + 10 + i, int(cell), 1) for i, cell in enumerate(spread)]
    pq.write_table(as_table(pings), tmp_path / "p.parquet")
    ((_, _, cell, count),) = _presence([tmp_path / "p.parquet"], 0)
    assert (cell, count) == (int(spread[0]), 1)


def test_an_hour_of_one_ping_a_second_fits(
    ping: Any, expected: Callable[..., Any], as_table: Callable[..., pa.Table], tmp_path: Path
) -> None:
    pings = [ping(1, START + s, POOL[s % 7], 1) for s in range(HOUR)]
    pq.write_table(as_table(pings), tmp_path / "p.parquet")
    assert _presence([tmp_path / "p.parquet"], 0) == expected(pings, 0)


def test_a_file_out_of_order_does_not_overrun(
    ping: Any, as_table: Callable[..., pa.Table], tmp_path: Path
) -> None:
    """A file that was tampered with gives wrong rows, never a crash."""
    table = as_table([ping(1, START + s, POOL[0], 1) for s in range(HOUR)])
    pq.write_table(pa.concat_tables([table, table.slice(0, 500)]), tmp_path / "p.parquet")
    assert sum(row[3] for row in _presence([tmp_path / "p.parquet"], 0)) == HOUR + 500


def test_files_without_rows_are_read(as_table: Callable[..., pa.Table], ping: Any, tmp_path: Path) -> None:
    pq.write_table(as_table([]), tmp_path / "empty.parquet")
    pq.write_table(as_table([ping(1, START, POOL[0], 1)]), tmp_path / "one.parquet")
    paths = [tmp_path / f"{name}.parquet" for name in ("empty", "one", "empty")]
    assert _presence(paths, 0) == [(1, START, POOL[0], 1)]


@pytest.mark.parametrize("damage", ["missing", "truncated", "noise"])
def test_a_damaged_file_is_said_so(
    as_table: Callable[..., pa.Table], ping: Any, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "p.parquet"
    if damage != "missing":
        pq.write_table(as_table([ping(1, START, POOL[0], 1)]), path)
        data = path.read_bytes()
        path.write_bytes(data[:-5] if damage == "truncated" else data[:4] + b"\xff" * 40 + data[44:])
    with pytest.raises(IntegrityError, match="missing, damaged"):
        _presence([path], 0)


def _sql() -> str:
    """The same definition as windows over counts, one for each resolution."""
    steps = [
        "g AS (SELECT device, t - (t + 3600) % 3600 AS hour, cell, count(*) AS n FROM pings GROUP BY ALL)"
    ]
    before = "g"
    for r in range(4, 11):
        up = parent_sql("cell", r)
        steps.append(
            f"s{r} AS (SELECT *, {up} AS up, "
            f"sum(n) OVER (PARTITION BY device, hour, {up}) AS m FROM {before}), "
            f"k{r} AS (SELECT device, hour, cell, n FROM (SELECT *, dense_rank() OVER "
            f"(PARTITION BY device, hour ORDER BY m DESC, up) AS place FROM s{r}) WHERE place = 1)"
        )
        before = f"k{r}"
    return f"WITH {', '.join(steps)} SELECT * FROM {before} ORDER BY device, hour"


def test_ten_thousand_pings_agree_with_sql(
    tmp_path: Path, as_table: Callable[..., pa.Table], ping: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    size = 10_000
    device = rng.integers(-(2**62), 2**62, 60)[rng.integers(0, 60, size)]
    t = START + rng.integers(0, 30 * HOUR, size)
    _, unique = np.unique(np.stack([device, t]), axis=1, return_index=True)
    cell = np.array(POOL)[rng.integers(0, len(POOL), size)]
    pings = as_table(ping(int(device[i]), int(t[i]), int(cell[i]), 1) for i in unique)
    pq.write_table(pings, tmp_path / "p.parquet")
    monkeypatch.setattr(batches, "ROW_GROUP", 700)
    with duckdb.connect() as connection:
        connection.register("pings", pings)
        wanted = [tuple(map(int, row)) for row in connection.execute(_sql()).fetchall()]
    assert len(wanted) > 1500
    assert _presence([tmp_path / "p.parquet"], 0) == wanted
