"""The privacy claim, exactly: leave out any phone, or any phone's period, of random worlds of pings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h3.api.numpy_int as h3i
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from passersby.engines.base import Engine
from passersby.engines.duckdb import DuckDB
from passersby.engines.spark import Spark
from passersby.errors import Refusal
from passersby.gate import running
from passersby.measures.catalogue import CATALOGUE
from passersby.model.question import FILTERS
from proof import checker, real
from proof.small import BUCKETS, PERIODS, Ask, Run, SmallLake, around, hull, planned, reference, vectors

PENTAGON = int(sorted(h3i.get_pentagons(4))[3])
PLACES = {
    "city": around(int(h3i.latlng_to_cell(51.5, -0.1, 10))),
    "pentagon": around(PENTAGON),
    "antimeridian": around(int(h3i.latlng_to_cell(-17.0, 179.9999, 10))),
}
EVERYDAY = ("presence", "visitors", "stay-presence", "residents", "flows", "dwell")
"""One measure of each kind, for the everyday part; the slow part has all of them."""

OFFSETS = (0, 20_700, -16_200)
SPANS = (PERIODS[0], f"{PERIODS[0]}..{PERIODS[1]}", "2026-05-16..2026-05-18")


def _filter(name: str) -> st.SearchStrategy[tuple[str, ...]]:
    chosen = st.sets(st.sampled_from(FILTERS[name]), min_size=1)
    return chosen.map(lambda values: (f"{name}={','.join(sorted(values))}",))


FILTER = st.one_of(st.just(()), *map(_filter, FILTERS))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Run], tuple[int, ...]]:
    """Draw runs of one to three phones in one neighbourhood, from up to three deliveries, over two weeks."""
    cells = PLACES[draw(st.sampled_from(sorted(PLACES)))]
    run = st.builds(
        Run,
        phone=st.integers(0, 2),
        start=st.sampled_from([0, 5, 23, 120, 143, 166, 167, 168, 169, 200]),
        hours=st.sampled_from([1, 2, 3, 24, 48, 168]),
        second=st.sampled_from([0, 1, 1800, 3599]),
        cells=st.lists(st.sampled_from(cells), min_size=1, max_size=4).map(tuple),
        delivery=st.integers(1, 3),
        each=st.sampled_from([1, 2, 5]),
    )
    return draw(st.lists(run, min_size=1, max_size=6)), cells


@st.composite
def asks(draw: st.DrawFn, cells: tuple[int, ...], measure: str) -> Ask:
    """Draw a question about a neighbourhood, a part of which may lie outside its area."""
    about = CATALOGUE[measure]
    resolution = draw(st.sampled_from([r for r in (4, 5, 6, 7) if r <= about.finest]))
    return Ask(
        measure=measure,
        every=draw(st.sampled_from(about.grains)),
        resolution=resolution,
        area=hull(cells[: draw(st.integers(1, len(cells)))], draw(st.integers(4, resolution))),
        period=draw(st.sampled_from(SPANS if about.least_weeks == 1 else SPANS[1:2])),
        filters=draw(FILTER) if about.filtered else (),
        offset=draw(st.sampled_from(OFFSETS)),
    )


def _check(data: st.DataObject, engine: DuckDB, folder: Path, measure: str, **changed: Any) -> None:
    lake = changed.pop("lake", SmallLake)
    runs, cells = data.draw(worlds())
    holds(engine, folder, runs, replace(data.draw(asks(cells, measure)), **changed), lake)


def holds(
    engine: Engine, folder: Path, runs: Sequence[Run], ask: Ask, lake: Callable[..., Any] = SmallLake
) -> None:
    """Check everything that is claimed of a drawn question over a drawn world."""
    try:
        planned(ask)
    except Refusal as refused:
        assume(refused.code != "bad-filter")  # no hour of the span passes the filters
        raise
    fixes = [fix for run in runs for fix in run.fixes(ask.offset)]
    assert checker.broken(engine, folder, fixes, ask, lake) == set()


@pytest.mark.slow
@pytest.mark.parametrize("measure", EVERYDAY)
@settings(max_examples=2)
@given(data=st.data())
def test_no_phone_or_period_moves_a_level_by_more_than_the_bound(
    engine: DuckDB, fresh: Callable[[], Path], measure: str, data: st.DataObject
) -> None:
    _check(data, engine, fresh(), measure)


@pytest.mark.slow
@pytest.mark.parametrize("measure", sorted(CATALOGUE))
@settings(max_examples=2)
@given(data=st.data(), squared_bound=st.sampled_from([1, 2, 4, 7, 40]))
def test_a_bound_that_clips_holds_as_well(
    engine: DuckDB, fresh: Callable[[], Path], measure: str, squared_bound: int, data: st.DataObject
) -> None:
    _check(data, engine, fresh(), measure, squared_bound=squared_bound)


@pytest.mark.slow
@pytest.mark.parametrize("measure", sorted(name for name, each in CATALOGUE.items() if not each.additive))
@settings(max_examples=5)
@given(data=st.data())
def test_what_does_not_add_up_lies_between_the_largest_child_and_all_of_them(
    engine: DuckDB, fresh: Callable[[], Path], measure: str, data: st.DataObject
) -> None:
    # the splitting from the top and the consistent counts rest on it; nothing is clipped here
    runs, cells = data.draw(worlds())
    ask = replace(data.draw(asks(cells, measure)), squared_bound=10**10, filters=())
    fixes = [fix for run in runs for fix in run.fixes(ask.offset)]
    found, tree = vectors(engine, SmallLake(fresh() / "lake", fixes, ask.offset), planned(ask))
    for level, resolution in enumerate(tree.resolutions[:-1]):
        above, nodes = found[resolution], found[resolution + 1]
        children, place = tree.children(level, np.arange(tree.sizes[level]))
        largest, total = np.zeros_like(above), np.zeros_like(above)
        np.maximum.at(largest, place, nodes[children])
        np.add.at(total, place, nodes[children])
        assert (largest <= above).all()
        assert (above <= total).all()


@pytest.mark.slow
@pytest.mark.parametrize("measure", sorted(CATALOGUE))
@settings(max_examples=6)
@given(data=st.data(), squared_bound=st.sampled_from([0, 0, 1, 2, 4, 7, 40]))
def test_the_bound_holds_in_many_worlds(
    engine: DuckDB, fresh: Callable[[], Path], measure: str, squared_bound: int, data: st.DataObject
) -> None:
    _check(data, engine, fresh(), measure, squared_bound=squared_bound)


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["presence", "stay-presence", "visitors"])
@settings(max_examples=8)
@given(data=st.data())
def test_the_bound_holds_in_a_real_lake(
    engine: DuckDB, fresh: Callable[[], Path], sqlite_template: Path, measure: str, data: st.DataObject
) -> None:
    _check(data, engine, fresh(), measure, lake=real.maker(sqlite_template))


@pytest.mark.parametrize("squared_bound", [0, 4])
def test_groups_of_buckets_are_bounded_as_one(
    engine: DuckDB, fresh: Callable[[], Path], monkeypatch: pytest.MonkeyPatch, squared_bound: int
) -> None:
    monkeypatch.setattr(running, "ROWS_AT_ONCE", 1)
    cells = PLACES["city"]
    fixes = [f for phone in range(4) for f in Run(phone, 0, 30, 0, cells[phone : phone + 2], 1).fixes(0)]
    ask = Ask("presence", "day", 6, hull(cells, 4), squared_bound=squared_bound)
    lake: Any = SmallLake(fresh() / "lake", fixes, 0)
    seen: set[int] = set()
    assert len(running._groups(lake, planned(ask), BUCKETS, seen.update)) == BUCKETS
    assert seen == {
        file.day for bucket in range(BUCKETS) for file in lake.files("presence", range(10**6), bucket)
    }
    assert checker.broken(engine, fresh(), fixes, ask) == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("measure", "every", "squared_bound"),
    [("presence", "daypart", 4), ("stay-presence", "day", 0), ("visitors", "day", 0)],
)
def test_the_bound_holds_on_spark(
    spark: Spark, fresh: Callable[[], Path], measure: str, every: str, squared_bound: int
) -> None:
    """Two phones of several deliveries around the boundary of two periods, at an odd offset."""
    cells, offset = PLACES["pentagon"], OFFSETS[1]
    runs = [
        Run(0, 150, 30, 0, cells[:3], 1),
        Run(0, 160, 4, 1800, cells[2:4], 2),
        Run(1, 166, 3, 1, cells, 3),
    ]
    fixes = [fix for run in runs for fix in run.fixes(offset)]
    ask = Ask(
        measure,
        every,
        5,
        hull(cells[:6], 5),
        f"{PERIODS[0]}..{PERIODS[1]}",
        ("daypart=night,evening",),
        offset,
        squared_bound,
    )
    assert checker.broken(spark, fresh(), fixes, ask) == set()


def test_a_phone_reaches_the_bound_exactly(engine: DuckDB, fresh: Callable[[], Path]) -> None:
    # A phone that never leaves one cell: the claim cannot be made smaller.
    cells = PLACES["city"]
    fixes = [*Run(0, 0, 168, 0, cells[:1], 1).fixes(0)]
    for every, hours in (("hour", 1), ("day", 24), ("week", 168)):
        asked = planned(Ask("presence", every, 5, hull(cells, 5)))
        found, _ = vectors(engine, SmallLake(fresh() / "lake", fixes, 0), asked)
        assert {level.squared_bound for level in asked.plan.levels} == {168 * hours}
        for vector in found.values():
            assert checker.squared_norm(vector) == 168 * hours * 10**6


@pytest.mark.parametrize(
    ("measure", "weeks", "squared_bound", "together"),
    [
        ("day-night-ratio", 2, 2 * 84**2, 2),
        ("change", 2, 168**2, 1),  # a week is in one half, and the halves are two numbers
        ("change", 4, 168**2, 2),
    ],
)
def test_costs_of_weeks_that_share_a_number_add_up(
    engine: DuckDB,
    fresh: Callable[[], Path],
    measure: str,
    weeks: int,
    squared_bound: int,
    together: int,
) -> None:
    # A phone that never leaves one cell: its loss is that of its periods, exactly.
    cells = PLACES["city"]
    fixes = [*Run(0, 0, weeks * 168, 0, cells[:1], 1).fixes(0)]
    ask = Ask(measure, "whole", 5, hull(cells, 5), f"{PERIODS[0]}..2026-W{19 + weeks}")
    asked = planned(ask)
    found, _ = vectors(engine, SmallLake(fresh() / "lake", fixes, 0), asked)
    assert asked.measure.bound(asked.scope) == squared_bound
    assert {level.squared_bound for level in asked.plan.levels} == {together * squared_bound}
    for vector in found.values():
        assert checker.squared_norm(vector) == weeks * together * squared_bound * 10**6
    assert checker.broken(engine, fresh(), fixes, ask) == set()


@pytest.mark.parametrize("measure", ["flows", "outflows"])
def test_a_phone_beyond_a_measure_s_own_bound_weighs_less(
    engine: DuckDB, fresh: Callable[[], Path], measure: str
) -> None:
    # A trip every other hour is twelve a day: the reference has the same weights, and no unit exceeds them.
    cells = PLACES["city"]
    fixes = [*Run(0, 0, 168, 0, (cells[0], cells[-1]), 1, each=2).fixes(0)]
    ask = Ask(measure, "day", 4, hull(cells, 4))
    found, _ = vectors(engine, SmallLake(fresh() / "lake", fixes, 0), planned(ask))
    assert found[4].max() < 12_000
    assert checker.broken(engine, fresh(), fixes, ask) == set()


def test_the_same_world_is_the_same_in_a_real_lake(
    engine: DuckDB, fresh: Callable[[], Path], sqlite_template: Path
) -> None:
    cells = PLACES["pentagon"]
    fixes = [
        f for i in range(3) for f in Run(i % 2, 160 + i, 12, 1800 * i, cells[i:], 1 + i).fixes(OFFSETS[1])
    ]
    ask = Ask("presence", "hour", 7, hull(cells, 4), f"{PERIODS[0]}..{PERIODS[1]}", offset=OFFSETS[1])
    asked = planned(ask)
    small, tree = vectors(engine, SmallLake(fresh() / "lake", fixes, ask.offset), asked)
    whole, _ = vectors(engine, real.maker(sqlite_template)(fresh() / "real", fixes, ask.offset), asked)
    expected = reference(fixes, asked, tree)
    for resolution, counts in expected.items():
        assert counts.any()
        np.testing.assert_array_equal(small[resolution], counts)
        np.testing.assert_array_equal(whole[resolution], counts)
