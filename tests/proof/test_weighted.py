"""The privacy claim of weighted measures: leave out any phone, or any week, also one that makes its home."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h3.api.numpy_int as h3i
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passersby.engines.duckdb import DuckDB
from passersby.engines.spark import Spark
from passersby.measures.catalogue import CATALOGUE
from passersby.measures.weighted import can_be_weighted, weighted
from passersby.model.census import Census
from passersby.model.period import Span, parse_span
from passersby.model.weights import Weights
from proof import checker
from proof.small import PERIODS, Ask, Run, SmallLake, hull, planned, reference, vectors
from proof.test_sensitivity import OFFSETS, PLACES, SPANS, asks, holds, worlds
from proof.test_zones import zones_in

BOTH = f"{PERIODS[0]}..{PERIODS[1]}"
MEASURES = sorted(name for name, each in CATALOGUE.items() if can_be_weighted(each))
EVERYDAY = ("presence", "visitors", "outflows")
"""One of each kind: additive, by levels, and one whose own bound clips."""


def given_weights(window: Span, parts: dict[int, int], resolution: int, largest: int = 300) -> Weights:
    """Return weights of so many parts for homes in cells at `resolution`."""
    cells = np.array(sorted(parts), dtype=np.int64)
    used = np.array([parts[int(cell)] for cell in cells], dtype=np.int64)
    full = np.where(used > 0, used * largest / 1000, np.nan)
    return Weights(
        census=Census((("a", 1),), None),
        residents="0" * 12,
        residents_sha256="0" * 64,
        window=window,
        cap=largest,
        resolution=resolution,
        cells=cells,
        population=np.full(len(cells), 100.0),
        full=full,
        used=used,
        largest=largest,
        error=0.05,
        strata=len(cells),
    )


@st.composite
def weights(draw: st.DrawFn, cells: tuple[int, ...], period: str, offset: int) -> Weights:
    """Draw weights of homes, in a window that holds the period; some homes have none."""
    resolution = draw(st.sampled_from([4, 5, 6]))
    homes = sorted({int(h3i.cell_to_parent(cell, resolution)) for cell in cells})
    parts = draw(
        st.lists(st.sampled_from([0, 1, 37, 500, 999, 1000]), min_size=len(homes), max_size=len(homes))
    )
    parts[draw(st.integers(0, len(homes) - 1))] = 1000
    window = draw(st.sampled_from([period, BOTH]))
    return given_weights(parse_span(window, offset), dict(zip(homes, parts, strict=True)), resolution)


def _check(data: st.DataObject, engine: DuckDB, folder: Path, measure: str, *, zoned: bool = False) -> None:
    runs, cells = data.draw(worlds())
    ask = data.draw(asks(cells, measure))
    if zoned:
        zones = data.draw(zones_in(cells))
        ask = replace(ask, zones=zones, area=zones.area)
    ask = replace(ask, weights=data.draw(weights(cells, ask.period, ask.offset)))
    holds(engine, folder, runs, ask)


@pytest.mark.slow
@pytest.mark.parametrize("measure", EVERYDAY)
@settings(max_examples=3)
@given(data=st.data())
def test_no_phone_or_week_moves_a_level_by_more_than_the_bound(
    engine: DuckDB, fresh: Callable[[], Path], measure: str, data: st.DataObject
) -> None:
    _check(data, engine, fresh(), measure)


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["presence", "visitors"])
@settings(max_examples=3)
@given(data=st.data())
def test_zones_are_counted_and_homes_are_cells(
    engine: DuckDB, fresh: Callable[[], Path], measure: str, data: st.DataObject
) -> None:
    _check(data, engine, fresh(), measure, zoned=True)


@pytest.mark.slow
@pytest.mark.parametrize("measure", MEASURES)
@settings(max_examples=12)
@given(data=st.data())
def test_the_bound_holds_in_many_worlds(
    engine: DuckDB, fresh: Callable[[], Path], measure: str, data: st.DataObject
) -> None:
    _check(data, engine, fresh(), measure)


def _two_homes(offset: int = 0) -> tuple[list[Run], tuple[int, int]]:
    """Return a phone that lives in one place for a week and in another for six days, and the homes' cells."""
    cells = PLACES["city"]
    return [Run(0, 0, 168, offset, cells[:1], 1), Run(0, 168, 144, offset, cells[-1:], 1)], (
        int(h3i.cell_to_parent(cells[0], 6)),
        int(h3i.cell_to_parent(cells[-1], 6)),
    )


@pytest.mark.parametrize("period", [BOTH, PERIODS[1]])
def test_a_week_outside_the_question_changes_all_of_it(
    engine: DuckDB, fresh: Callable[[], Path], period: str
) -> None:
    # Without its first week the phone lives elsewhere, where it weighs the most, also in the second week.
    runs, (first, second) = _two_homes()
    assert first != second
    fixes = [fix for run in runs for fix in run.fixes(0)]
    own = given_weights(parse_span(BOTH, 0), {first: 10, second: 1000}, 6)
    ask = Ask("presence", "day", 4, hull(PLACES["city"], 4), period, weights=own)
    asked = planned(ask)
    assert [each.name for each in asked.question.periods] == list(PERIODS)
    bound = (2 if period == BOTH else 1) * 168 * 24 * 10**6
    assert asked.measure.bound(asked.scope) == bound
    assert {level.squared_bound for level in asked.plan.levels} == {bound}
    whole, _ = vectors(engine, SmallLake(fresh() / "lake", fixes, 0), asked)
    later = [fix for fix in fixes if fix.t >= parse_span(PERIODS[1], 0).start]
    less, _ = vectors(engine, SmallLake(fresh() / "lake", later, 0), asked)
    assert whole[4].sum() == (312 if period == BOTH else 144) * 10 * 1000
    assert less[4].sum() == 144 * 1000 * 1000
    assert checker.broken(engine, fresh(), fixes, ask) == set()


def test_a_phone_reaches_the_bound_exactly(engine: DuckDB, fresh: Callable[[], Path]) -> None:
    cells = PLACES["city"]
    fixes = [*Run(0, 0, 336, 0, cells[:1], 1).fixes(0)]
    own = given_weights(parse_span(BOTH, 0), {int(h3i.cell_to_parent(cells[0], 6)): 1000}, 6)
    asked = planned(Ask("presence", "day", 5, hull(cells, 5), BOTH, weights=own))
    found, _ = vectors(engine, SmallLake(fresh() / "lake", fixes, 0), asked)
    (bound,) = {level.squared_bound for level in asked.plan.levels}
    for vector in found.values():
        assert checker.squared_norm(vector) == bound * 10**6


def test_a_bound_that_clips_has_noise_for_twice_of_it() -> None:
    own = given_weights(parse_span(BOTH, 0), {int(h3i.cell_to_parent(PLACES["city"][0], 6)): 1000}, 6)
    scope = planned(Ask("outflows", "day", 5, hull(PLACES["city"], 5), BOTH, weights=own)).scope
    for name in ("outflows", "presence"):
        measure = weighted(CATALOGUE[name], own)
        times = 2 if name == "outflows" else 1
        assert measure.squared_sensitivity(scope, 5) == measure.bound(scope) * times


def test_weeks_are_clipped_together(engine: DuckDB, fresh: Callable[[], Path]) -> None:
    # A trip every other hour for two weeks is far beyond the bound of trips: one n for both weeks.
    cells = PLACES["city"]
    fixes = [*Run(0, 0, 336, 0, (cells[0], cells[-1]), 1, each=2).fixes(0)]
    homes = {int(h3i.cell_to_parent(cell, 6)) for cell in (cells[0], cells[-1])}
    own = given_weights(parse_span(BOTH, 0), dict.fromkeys(homes, 1000), 6)
    ask = Ask("outflows", "day", 4, hull(cells, 4), BOTH, weights=own)
    asked = planned(ask)
    found, _ = vectors(engine, SmallLake(fresh() / "lake", fixes, 0), asked)
    assert 0 < found[4].max() < 12_000 * 1000
    assert checker.squared_norm(found[4]) <= asked.measure.bound(asked.scope) * 10**6
    assert checker.broken(engine, fresh(), fixes, ask) == set()


def test_the_vector_is_that_of_the_words(engine: DuckDB, fresh: Callable[[], Path]) -> None:
    # Three phones: one at home for a day, one that visits it and lives in a cell without a weight, one that
    # is never seen at night.
    cells = PLACES["city"]
    fixes = [
        *Run(0, 0, 24, 0, cells[:1], 1).fixes(0),
        *Run(1, 8, 4, 0, cells[:1], 1).fixes(0),
        *Run(1, 20, 10, 0, cells[-1:], 1).fixes(0),
        *Run(2, 9, 3, 0, cells[:1], 1).fixes(0),
    ]
    home = int(h3i.cell_to_parent(cells[0], 6))
    own = given_weights(parse_span(PERIODS[0], 0), {home: 250}, 6)
    asked = planned(Ask("presence", "week", 6, hull(cells, 4), weights=own))
    found, tree = vectors(engine, SmallLake(fresh() / "lake", fixes, 0), asked)
    level = tree.resolutions.index(6)
    assert found[6][tree.place(level, np.arange(tree.sizes[level]))["cell"] == home].tolist() == [
        [24 * 250_000]
    ]
    assert found[6].sum() == 24 * 250_000
    np.testing.assert_array_equal(found[6], reference(fixes, asked, tree)[6])


@pytest.mark.slow
@pytest.mark.parametrize("measure", MEASURES)
def test_the_bound_holds_on_spark(spark: Spark, fresh: Callable[[], Path], measure: str) -> None:
    cells, offset = PLACES["pentagon"], OFFSETS[1]
    runs = [
        Run(0, 150, 60, 0, cells[:3], 1),
        Run(0, 160, 4, 1800, cells[2:4], 2),
        Run(1, 166, 9, 1, cells, 3, 2),
    ]
    fixes = [fix for run in runs for fix in run.fixes(offset)]
    homes = sorted({int(h3i.cell_to_parent(cell, 5)) for cell in cells})
    own = given_weights(parse_span(BOTH, offset), dict(zip(homes, (1000, 7, *[400] * 9), strict=False)), 5)
    ask = Ask(measure, "day", 5, hull(cells[:6], 5), SPANS[1], offset=offset, weights=own)
    assert checker.broken(spark, fresh(), fixes, ask) == set()
