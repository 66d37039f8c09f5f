"""The privacy claim for zones, exactly, for every measure: random worlds of pings in a few small zones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h3.api.numpy_int as h3i
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passersby.engines.duckdb import DuckDB
from passersby.engines.spark import Spark
from passersby.measures.catalogue import CATALOGUE
from passersby.model.zones import Zones
from proof.small import PERIODS, Ask, Run, SmallLake, planned, vectors
from proof.test_sensitivity import PLACES, asks, holds, worlds

EVERYDAY = ("visitors", "residents", "unmoving", "flows")
"""Measures of each kind, for the everyday part; the slow part has all of them."""


def zones_of(parts: list[list[int]], resolution: int) -> Zones:
    """Return zones of cells of any finer resolution; borders do not matter here."""
    cells = [tuple(sorted({int(h3i.cell_to_parent(cell, resolution)) for cell in part})) for part in parts]
    names = tuple(f"zone {i}" for i in range(len(parts)))
    return Zones(names, tuple(cells), resolution, (0.0,) * len(parts))


@st.composite
def zones_in(draw: st.DrawFn, cells: tuple[int, ...]) -> Zones:
    """Draw one to four zones in a neighbourhood, a part of which may lie in none."""
    resolution = draw(st.sampled_from([7, 9, 10]))
    held = sorted({int(h3i.cell_to_parent(cell, resolution)) for cell in cells})
    number = draw(st.integers(1, min(4, len(held))))
    owner = draw(st.lists(st.integers(-1, number - 1), min_size=len(held), max_size=len(held)))
    owner[:number] = draw(st.permutations(range(number)))
    return zones_of(
        [[c for c, o in zip(held, owner, strict=True) if o == i] for i in range(number)], resolution
    )


def _check(data: st.DataObject, engine: DuckDB, folder: Path, measure: str, squared_bound: int = 0) -> None:
    runs, cells = data.draw(worlds())
    zones = data.draw(zones_in(cells))
    ask = replace(data.draw(asks(cells, measure)), zones=zones, area=zones.area, squared_bound=squared_bound)
    holds(engine, folder, runs, ask)


@pytest.mark.parametrize("measure", EVERYDAY)
@settings(max_examples=2)
@given(data=st.data())
def test_no_phone_or_period_moves_zones_by_more_than_the_bound(
    engine: DuckDB, fresh: Callable[[], Path], measure: str, data: st.DataObject
) -> None:
    _check(data, engine, fresh(), measure)


@pytest.mark.slow
@pytest.mark.parametrize("measure", sorted(CATALOGUE))
@settings(max_examples=8)
@given(data=st.data(), squared_bound=st.sampled_from([0, 0, 0, 1, 4, 40]))
def test_the_bound_holds_for_zones_in_many_worlds(
    engine: DuckDB, fresh: Callable[[], Path], measure: str, squared_bound: int, data: st.DataObject
) -> None:
    _check(data, engine, fresh(), measure, squared_bound)


@pytest.mark.slow
@pytest.mark.parametrize("measure", sorted(CATALOGUE))
def test_zones_are_the_same_on_spark(
    spark: Spark, engine: DuckDB, fresh: Callable[[], Path], measure: str
) -> None:
    cells, about = PLACES["city"], CATALOGUE[measure]
    half = len(cells) // 2
    zones = zones_of([list(cells[:half:2]), list(cells[1:half:2])], 10)
    home, away = cells[:1], cells[1:2]
    runs = [
        Run(0, 0, 300, 0, (*cells[:3], cells[-1]), 1, each=2),
        Run(1, 20, 200, 1800, cells[: half + 2], 2, each=5),
        Run(2, 100, 90, 1, away, 3),
        # at home, but for a night and, three days later, a day
        Run(3, 0, 91, 0, home, 1),
        Run(3, 91, 12, 0, away, 1),
        Run(3, 103, 50, 0, home, 1),
        Run(3, 153, 4, 0, away, 1),
        Run(3, 157, 179, 0, home, 1),
    ]
    fixes = [fix for run in runs for fix in run.fixes(0)]
    span = f"{PERIODS[0]}..{PERIODS[1]}"
    ask = Ask(measure, about.grains[-1], 5, zones.area, span, zones=zones)
    both = [vectors(each, SmallLake(fresh() / "lake", fixes, 0), planned(ask))[0] for each in (engine, spark)]
    assert both[0].keys() == both[1].keys()
    assert any(counts.any() for counts in both[0].values())
    for level, counts in both[0].items():
        np.testing.assert_array_equal(counts, both[1][level])


class TestByHand:
    """Numbers written out."""

    CELLS = PLACES["city"]

    def _counts(self, engine: DuckDB, folder: Path, runs: list[Run], zones: Zones, **asked: Any) -> list[Any]:
        """Return the finest level in units of the measure, without zeros behind the comma."""
        fixes = [fix for run in runs for fix in run.fixes(0)]
        ask = Ask(resolution=5, area=zones.area, zones=zones, **asked)
        found, _ = vectors(engine, SmallLake(folder / "lake", fixes, 0), planned(ask))
        units: list[Any] = (found[-1] / 1000).tolist()
        return units

    def test_a_device_in_five_cells_of_a_zone_is_one_visitor(
        self, engine: DuckDB, fresh: Callable[[], Path]
    ) -> None:
        zones = zones_of([list(self.CELLS[:5]), [self.CELLS[6]]], 10)
        runs = [Run(0, 0, 24, 0, self.CELLS[:5], 1), Run(1, 0, 24, 0, self.CELLS[4:7], 1)]
        week = [[2.0], [1.0]]
        assert self._counts(engine, fresh(), runs, zones, measure="visitors", every="week") == week
        hours = [[24.0 + 8.0], [8.0]]
        assert self._counts(engine, fresh(), runs, zones, measure="presence", every="week") == hours

    def test_a_home_is_the_zone_of_most_nights(self, engine: DuckDB, fresh: Callable[[], Path]) -> None:
        # nights in two cells of a zone are two of the zone: more than one long night elsewhere, though
        # no cell of resolution 6 has as many hours
        *inside, outside = {int(h3i.cell_to_parent(cell, 6)): cell for cell in self.CELLS}.values()
        zones = zones_of([inside], 10)
        runs = [
            Run(0, 20, 3, 0, (inside[0],), 1),
            Run(0, 44, 3, 0, (inside[1],), 1),
            Run(0, 68, 5, 0, (outside,), 1),
        ]
        assert self._counts(engine, fresh(), runs, zones, measure="residents", every="whole") == [[1.0]]
        away = [*runs, Run(0, 92, 3, 0, (outside,), 1), Run(0, 116, 3, 0, (outside,), 1)]
        assert self._counts(engine, fresh(), away, zones, measure="residents", every="whole") == [[0.0]]

    def test_moves_lie_between_zones(self, engine: DuckDB, fresh: Callable[[], Path]) -> None:
        zones = zones_of([list(self.CELLS[:2]), [self.CELLS[2]]], 10)
        # 0 -> 1 within the first zone, 1 -> 2 from the first to the second, twice; to and from none of them
        runs = [Run(0, 0, 6, 0, self.CELLS[:3], 1), Run(1, 0, 3, 0, (self.CELLS[0], self.CELLS[-1]), 1)]
        found = self._counts(engine, fresh(), runs, zones, measure="consecutive-flows", every="week")
        assert found == [[0.0], [2.0], [1.0], [0.0]]

    def test_places_within_a_zone_are_places(self, engine: DuckDB, fresh: Callable[[], Path]) -> None:
        far = next(c for c in self.CELLS if h3i.cell_to_parent(c, 8) != h3i.cell_to_parent(self.CELLS[0], 8))
        zones = zones_of([[self.CELLS[0], far]], 10)
        runs = [Run(0, 0, 4, 0, (self.CELLS[0], far), 1), Run(1, 0, 4, 0, self.CELLS[:1], 1)]
        still, moving = self._counts(engine, fresh(), runs, zones, measure="unmoving", every="week")[0]
        assert (still, moving) == (1.0, 1.0)
