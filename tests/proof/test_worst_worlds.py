"""Worlds that random drawing does not reach: phones that do as much as a definition lets them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import h3.api.numpy_int as h3i
import pytest

from passersby.engines.duckdb import DuckDB
from passersby.measures.catalogue import CATALOGUE
from passersby.model.period import DAY, HOUR, WEEK, Period
from passersby.privacy.hierarchy import tree
from proof import checker
from proof.small import PERIODS, Ask, Fix, Run, SmallLake, around, hull, planned, vectors

CELLS = around(int(h3i.latlng_to_cell(51.5, -0.1, 10)))
NEAR, FAR = CELLS[0], CELLS[-1]
OFFSET = 20_700
MONDAY = Period.parse(PERIODS[0]).span(OFFSET).start
BOTH = f"{PERIODS[0]}..{PERIODS[1]}"
CUT = "2026-05-14..2026-05-20"
"""The end of one week and the beginning of the next."""


def stays(parts: Iterator[tuple[int, int, int]], phone: int = 0) -> list[Fix]:
    """Return the fixes of stays (cell, arrival, departure), at least one in each half an hour."""
    return [
        Fix(phone, t, cell, 1)
        for cell, arrival, departure in parts
        for t in (*range(arrival, departure, HOUR // 2), departure)
    ]


def restless() -> list[Fix]:
    """A stay of ten minutes, one minute on the way to the other place, and so on for a week."""
    step = 11 * 60
    begins = range(MONDAY, MONDAY + WEEK - step, step)
    return stays((cell, t, t + 600) for cell, t in zip(itertools.cycle((NEAR, FAR)), begins, strict=False))


def to_and_fro() -> list[Fix]:
    """A week in which each hour is spent in the other one of two places."""
    return [*Run(0, 0, 168, 0, (NEAR, FAR), 1).fixes(OFFSET)]


def on_the_hour() -> list[Fix]:
    """A stay of exactly each hour of two weeks: it ends as the hour, the day and the week do."""
    begins = range(MONDAY, MONDAY + 2 * WEEK, HOUR)
    return stays(
        (cell, t + 1, t + HOUR) for cell, t in zip(itertools.cycle((NEAR, FAR)), begins, strict=False)
    )


def steady() -> list[Fix]:
    """Two weeks in one cell, every hour."""
    return stays(iter([(NEAR, MONDAY, MONDAY + 2 * WEEK - 1)]))


def wandering() -> list[Fix]:
    """Another cell of resolution 6 in each hour of two weeks."""
    ring = [int(h3i.cell_to_center_child(c, 10)) for c in h3i.grid_disk(h3i.cell_to_parent(NEAR, 6), 10)]
    return [*Run(0, 0, 336, 0, tuple(sorted(ring)), 1).fixes(OFFSET)]


def two_homes() -> list[Fix]:
    """One week in one place, the next one in another, and a second phone the other way round."""
    weeks = (MONDAY, MONDAY + WEEK)
    return [
        fix
        for phone, homes in enumerate(((NEAR, FAR), (FAR, NEAR)))
        for fix in stays(((c, t, t + WEEK - 1) for c, t in zip(homes, weeks, strict=True)), phone)
    ]


def ties() -> list[Fix]:
    """As many nights, days, hours, stays and seconds in one cell as in another one."""
    begins = range(MONDAY, MONDAY + 2 * WEEK, 12 * HOUR)
    cells = itertools.cycle((NEAR, FAR, FAR, NEAR))
    return stays((cell, t, t + 11 * HOUR) for cell, t in zip(cells, begins, strict=False))


def over_midnight() -> list[Fix]:
    """Stays from each noon to the next, also over the end of the week."""
    noon = MONDAY + DAY // 2
    return stays((CELLS[i % 3], noon + i * DAY, noon + (i + 1) * DAY - HOUR // 2) for i in range(13))


WORLDS = {
    world.__name__: world
    for world in (restless, on_the_hour, steady, wandering, two_homes, ties, over_midnight)
}


def _asks(measure: str, fixes: list[Fix]) -> Iterator[Ask]:
    about = CATALOGUE[measure]
    resolution = min(7 if not about.pairs else 6, about.finest)
    area = hull({fix.cell for fix in fixes}, 5)
    for every, period in ((about.grains[0], CUT), (about.grains[-1], BOTH)):
        if about.least_weeks == 1 or period == BOTH:
            yield Ask(measure, every, resolution, area, period, offset=OFFSET)


def _worlds(measure: str) -> tuple[str, ...]:
    """Return the worlds that do the most of what a measure counts."""
    about = CATALOGUE[measure]
    if about.joint:
        return ("two_homes", "ties")
    if {"stays", "trips"} & set(about.tables):
        return ("restless", "on_the_hour", "over_midnight")
    return ("steady", "wandering")


CASES = [(measure, world) for measure in sorted(CATALOGUE) for world in _worlds(measure)]


@pytest.mark.slow
@pytest.mark.parametrize("resolution", [5, 7])
@pytest.mark.parametrize("measure", sorted(name for name, each in CATALOGUE.items() if each.coarser))
def test_each_level_is_held_to_its_own_bound_and_no_less(
    engine: DuckDB,
    fresh: Callable[[], Path],
    monkeypatch: pytest.MonkeyPatch,
    measure: str,
    resolution: int,
) -> None:
    """A device that never rests, at all levels that there are: plans for large areas begin at coarse ones."""
    build = tree.build
    monkeypatch.setattr(
        tree, "build", lambda *given, most_roots, **_: build(*given, most_roots=most_roots, roots=0)
    )
    fixes = restless() if "trips" in CATALOGUE[measure].tables else to_and_fro()
    area = hull({fix.cell for fix in fixes}, 4)
    for every in ("day", "week"):
        ask = Ask(measure, every, resolution, area, offset=OFFSET)
        asked = planned(ask)
        assert [level.resolution for level in asked.plan.levels] == [*range(resolution + 1)]
        assert checker.broken(engine, fresh(), fixes, ask) == set()
        found, _ = vectors(engine, SmallLake(fresh() / "lake", fixes, OFFSET), asked)
        for level in asked.plan.levels:
            moved = checker.squared_norm(found[level.resolution]) / (level.squared_bound * 10**6)
            # what is claimed is no more than what is needed, but for weights in whole thousandths
            assert moved > 0.9, (every, level.resolution)


@pytest.mark.slow
@pytest.mark.parametrize(("measure", "world"), CASES)
def test_the_bound_holds_in_the_worst_worlds(
    engine: DuckDB, fresh: Callable[[], Path], measure: str, world: str
) -> None:
    fixes = WORLDS[world]()
    for ask in _asks(measure, fixes):
        assert checker.broken(engine, fresh(), fixes, ask) == set(), ask
