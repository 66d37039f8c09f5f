"""The query by named devices, against a plain loop over every row."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from disclosure.scene import MONDAY
from passersby.disclosure import lookup
from passersby.disclosure.lookup import Epoch
from passersby.disclosure.order import Order
from passersby.keys.pseudonym import pseudonyms
from passersby.model.period import DAY, Span
from passersby.model.schema import PINGS


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], pa.Table]:
    """Pings of 40 devices over two weeks, at random, in three files."""
    dice = np.random.default_rng(5)
    names = [f"{n:08x}-5b8e-4a06-9d13-7e21c04ab95f" for n in range(40)]
    device = pseudonyms(names, b"k" * 32)
    folder, tables = tmp_path_factory.mktemp("lake"), []
    for number in range(3):
        rows = 4000
        columns = [
            dice.choice(device, rows),
            dice.integers(MONDAY, MONDAY + 14 * DAY, rows).astype(np.int32),
            dice.integers(4_600_000, 4_700_000, rows).astype(np.int32),
            dice.integers(700_000, 800_000, rows).astype(np.int32),
            np.zeros(rows, np.int64),
            np.zeros(rows, np.int32),
            np.ones(rows, np.int32),
            np.full(rows, number, np.int32),
        ]
        tables.append(pa.table(columns, schema=PINGS))
        pq.write_table(tables[-1], folder / f"{number}.parquet")
    return sorted(folder.iterdir()), pa.concat_tables(tables)


@pytest.mark.slow
@settings(max_examples=60)
@given(
    chosen=st.lists(st.integers(0, 45), min_size=1, max_size=5, unique=True),
    start=st.integers(MONDAY - DAY, MONDAY + 14 * DAY),
    length=st.integers(1, 10 * DAY),
    box=st.none() | st.tuples(*[st.floats(0.01, 0.98)] * 4),
    cut=st.integers(0, 14),
)
def test_output_is_the_scope_and_nothing_else(
    lake: tuple[list[Path], pa.Table],
    chosen: list[int],
    start: int,
    length: int,
    box: tuple[float, ...] | None,
    cut: int,
) -> None:
    """Against a plain loop over every row, for any devices, window, area and change of keys in between."""
    paths, table = lake
    names = tuple(f"{n:08x}-5b8e-4a06-9d13-7e21c04ab95f" for n in chosen)
    keys, window = pseudonyms(names, b"k" * 32), Span(start, start + length)
    middle = MONDAY + cut * DAY
    spans = [Span(start, min(middle, window.end)), Span(max(middle, start), window.end)]
    stretches = [Epoch(s, keys if i else keys + 1, None) for i, s in enumerate(spans) if s.end > s.start]
    asked = scene_order(names, window, box)
    found = lookup.in_files(paths, asked, stretches)
    wanted: Counter[tuple[int, ...]] = Counter()
    area = asked.area["coordinates"][0] if asked.area else None
    for row in table.to_pylist():
        for number, (first, second) in enumerate(zip(keys + 1, keys, strict=True)):
            mine = row["device"] == (first if row["t"] < middle else second)
            if mine and window.start <= row["t"] < window.end and (area is None or within(row, area)):
                wanted[number, row["t"], row["lat_e5"], row["lon_e5"], row["delivery"]] += 1
    columns = ("number", "t", "lat_e5", "lon_e5", "delivery")
    assert Counter(tuple(row[c] for c in columns) for row in found.to_pylist()) == wanted


def scene_order(names: tuple[str, ...], window: Span, box: tuple[float, ...] | None) -> Order:
    area = None
    if box is not None:
        west, east = sorted((7 + box[0], 7 + box[1] + 1e-3))
        south, north = sorted((46 + box[2], 46 + box[3] + 1e-3))
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        area = {"type": "Polygon", "coordinates": [ring]}
    blank = ("", "", "", ("", ""), "", 0, Span(0, 1), "")
    return Order(*blank, names, window, area, "", None)


def within(row: dict[str, int], ring: list[list[float]]) -> bool:
    (west, south), (east, north) = ring[0], ring[2]
    return west <= row["lon_e5"] / 1e5 <= east and south <= row["lat_e5"] / 1e5 <= north
