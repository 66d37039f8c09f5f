"""Uniqueness against its definition in plain Python, on small worlds and planted ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passersby.errors import IntegrityError
from passersby.risk import uniqueness
from passersby.risk.grid import GRID, Step, coarse, local
from passersby.risk.traces import Trace
from risk.given import CELLS, Row, trace, traces

OFFSET = 7200
MINUTE = 29_640_960  # 2026-05-11T00:00:00Z

Point = tuple[int, int]
ROWS = st.lists(
    st.tuples(st.integers(1, 9), st.integers(MINUTE, MINUTE + 40), st.integers(0, 6)), min_size=1, max_size=80
)


def plain_points(found: Trace, step: Step) -> dict[int, set[Point]]:
    """Return the distinct points of each device."""
    minutes = {"minute": 1, "15 minutes": 15, "hour": 60, "6 hours": 360, "day": 1440, "week": 10_080}
    points: dict[int, set[Point]] = {}
    cells = coarse(found.cell, step.resolution)
    for device, minute, cell in zip(found.device, found.minute, cells, strict=True):
        since_monday = int(minute) + OFFSET // 60 - 4 * 1440
        points.setdefault(int(device), set()).add((since_monday // minutes[step.time], int(cell)))
    return points


def drawn_points(found: Trace, step: Step, seed: int) -> list[list[Point]]:
    draws = uniqueness.draw(found, step, offset=OFFSET, seed=seed)
    return [[(int(draws.bin[n]), int(draws.cell[n])) for n in row if n >= 0] for row in draws.points]


@given(rows=ROWS, steps=st.permutations(GRID), some=st.integers(1, 9), seed=st.integers(0, 1000))
@settings(max_examples=150)
def test_sets_are_those_of_the_definition(rows: list[Row], steps: list[Step], some: int, seed: int) -> None:
    """Steps are counted in a row, each on what the finer ones left: any choice of them gives the same."""
    found = trace(rows)
    step = steps[0]
    points = plain_points(found, step)
    drawn = drawn_points(found, step, seed)
    with traces(rows) as given_:
        sizes, known = uniqueness.sizes(given_, tuple(steps[:some]), offset=OFFSET, seed=seed)[step]
    for device, mine, row, n in zip(sorted(points), drawn, sizes, known, strict=True):
        assert len(set(mine)) == len(mine) == n == min(10, len(points[device]))
        assert set(mine) <= points[device]
        for p in range(1, 11):
            assert row[p - 1] == sum(set(mine[:p]) <= every for every in points.values())


def test_every_point_is_drawn_as_often_as_another() -> None:
    rows = [(1, MINUTE + i, i % 7) for i in range(30)]
    rows += [(1, MINUTE + i, i % 7) for i in range(30)] * 3  # a point that is seen often is one point
    found = trace(rows)
    first = [drawn_points(found, GRID[0], seed)[0][0] for seed in range(3000)]
    counts = np.unique(np.array(first)[:, 0], return_counts=True)[1]
    assert len(counts) == 30
    assert np.sum((counts - 100) ** 2 / 100) < 80  # chi-squared, 29 degrees: p < 1e-6


def test_weeks_begin_on_monday_and_days_at_midnight_of_the_offset() -> None:
    minutes = np.array([MINUTE - OFFSET // 60 - 1, MINUTE - OFFSET // 60], dtype=np.int32)
    since = local(minutes, OFFSET)
    for step in (1440, 10_080):
        assert np.diff(since // step) == 1


@pytest.mark.parametrize("points", [1, 4, 10])
def test_a_world_of_twins_has_nobody_alone(points: int) -> None:
    rows = [(device, MINUTE + 61 * i, (device // 2) % 300) for device in range(100) for i in range(20)]
    with traces(rows) as given_:
        step = Step("hour", 11)
        sizes, _ = uniqueness.sizes(given_, (step,), offset=0, seed=1)[step]
    assert (sizes[:, points - 1] == 2).all()


def test_the_draws_must_be_in_the_file() -> None:
    rows = [(1, MINUTE, 0), (2, MINUTE, 1)]
    with traces(rows) as given_:
        given_.sample = trace([(3, MINUTE + 5, 4)])
        with pytest.raises(IntegrityError):
            uniqueness.sizes(given_, (Step("minute", 11),), offset=0, seed=1)


def test_coarser_cells_are_unions_of_finer_ones() -> None:
    assert len(np.unique(coarse(CELLS, 9))) == 7
    assert len(np.unique(coarse(CELLS, 10))) == 49


def test_the_curve_is_that_of_a_world_whose_curve_is_known() -> None:
    """People who are anywhere at random, each hour anew: another one has p points with chance 1 / cells^p.

    So the curve rises with p as in de Montjoye et al. (2013), and a cell that is coarser by one resolution
    (seven times as large) takes as many more points as make up for it.
    """
    number, hours = 1500, 12
    places = np.random.default_rng(5).integers(0, len(CELLS), (number, hours))
    rows = [
        (who, MINUTE // 60 * 60 + 60 * hour, int(places[who, hour]))
        for who in range(number)
        for hour in range(hours)
    ]
    steps = {Step("hour", 11): 343, Step("hour", 10): 49, Step("hour", 9): 7}
    with traces(rows) as given_:
        found = uniqueness.sizes(given_, tuple(steps), offset=0, seed=1)
    for step, cells in steps.items():
        alone = (found[step][0] == 1).mean(axis=0)
        for p in range(1, 8):
            assert alone[p - 1] == pytest.approx((1 - cells**-p) ** (number - 1), abs=0.07), (step, p)
