"""Bugs that are planted on purpose: each must break a claim that the same world keeps without it.

What a check cannot find it does not prove. The exact check compares vectors before the noise; the mean
shift looks at noisy numbers alone, as an attacker would who knows all other phones.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h3.api.numpy_int as h3i
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from passersby.derive import kernel, tasks
from passersby.engines.duckdb import DuckDB
from passersby.errors import IntegrityError
from passersby.gate import running
from passersby.measures import base, catalogue
from passersby.measures.base import Measure, Scope
from passersby.model.cells import parent
from passersby.model.period import DAY, WEEK, Period
from passersby.privacy import bound, noise
from passersby.privacy.noise import Integers, OpenDPSampler
from passersby.sources import ids
from proof import checker, real, shift
from proof.checker import BOUND, COUNTS, SCALE
from proof.small import PERIODS, Ask, Fix, Run, around, hull, planned

Patch = pytest.MonkeyPatch

CELLS = around(int(h3i.latlng_to_cell(51.5, -0.1, 10)))
AREA = hull(CELLS, 4)
FAR = int(h3i.latlng_to_cell(48.9, 2.4, 10))
MONDAY = "2026-05-11"


def steady(hours: int = 168, start: int = 0, deliveries: tuple[int, ...] = (1,)) -> list[Fix]:
    """Return a phone that never leaves one cell, and another one somewhere else."""
    fixes = [fix for delivery in deliveries for fix in Run(0, start, hours, 0, CELLS[:1], delivery).fixes(0)]
    return [*fixes, *Run(1, 0, 3, 0, CELLS[1:2], 1).fixes(0)]


def wandering(hours: int = 24) -> list[Fix]:
    """Return a phone that is in another child of one cell each hour."""
    children = sorted(
        int(h3i.cell_to_center_child(c, 10)) for c in h3i.cell_to_children(AREA.compacted[0], 7)
    )
    return [*Run(0, 0, hours, 0, tuple(children[:hours]), 1).fixes(0)]


def no_clip(patch: Patch) -> None:
    patch.setattr(bound, "weight_sql", lambda _n, _bound: "CAST(1000 AS BIGINT)")


def rounded_up(patch: Patch) -> None:
    whole = bound.weight_sql

    def weight(n: str, squared_bound: int) -> str:
        return f"({whole(n, squared_bound)} + 1)"

    patch.setattr(bound, "weight_sql", weight)


def bounded_at_the_finest_level(patch: Patch) -> None:
    patch.setattr(bound, "additive_sql", bound.level_sql)


def leaf_weights_above(patch: Patch) -> None:
    """Make each coarser level of visitors a sum of the finest one's bounded rows."""
    whole = running.run

    def run(*given: Any, **named: Any) -> dict[int, pa.Table]:
        found = whole(*given, **named)
        finest = max(found)
        leaf = found[finest]
        for resolution in found:
            cells = pa.array(parent(leaf["cell"].to_numpy(), resolution, of=finest), pa.int64())
            found[resolution] = leaf.set_column(0, "cell", cells)
        return found

    patch.setattr(running, "run", run)


def split_ids(patch: Patch) -> None:
    def normalised(names: pl.Series) -> tuple[pl.Series, np.ndarray[Any, Any]]:
        return names, np.zeros(len(names), dtype=np.uint8)

    patch.setattr(ids, "normalised", normalised)


def deliveries_apart(patch: Patch) -> None:
    """Derive the presence of each delivery by itself: an hour that two saw counts twice."""
    _derive_parts(patch, lambda columns: [columns[3] == number for number in np.unique(columns[3])])


def two_dominant_cells(patch: Patch) -> None:
    """Give a device-hour a second row for the pings outside its first ancestor."""

    def masks(columns: Sequence[Integers]) -> list[np.ndarray[Any, Any]]:
        first = columns[2] == columns[2].min()
        return [first, ~first]

    _derive_parts(patch, masks)


def _derive_parts(patch: Patch, masks: Callable[[Sequence[Integers]], list[np.ndarray[Any, Any]]]) -> None:
    whole = kernel.presence

    def presence(columns: Any, excluded: Integers, offset: int, out: Any) -> int:
        filled = 0
        for mask in masks(columns):
            part = tuple(column[mask] for column in columns)
            for column in part:
                column.setflags(write=False)
            filled += whole(part, excluded, offset, tuple(column[filled:] for column in out))
        return filled

    patch.setattr(kernel, "presence", presence)


def periods_at_utc(patch: Patch) -> None:
    patch.setattr(Scope, "period_sql", lambda _self, column: base._floor_sql(column, WEEK, -4 * DAY))


def each_day_by_itself(patch: Patch) -> None:
    """Bound each day's files in a run of their own."""

    def groups(snapshot: Any, planned: Any, buckets: int, _seen: Any) -> list[dict[str, list[Path]]]:
        days = planned.question.span.days(planned.question.offset)
        files = ([f for b in range(buckets) for f in snapshot.files("presence", [day], b)] for day in days)
        return [{"presence": [file.path for file in own]} for own in files]

    patch.setattr(running, "_groups", groups)


def hours_for_a_bound(patch: Patch) -> None:
    measure = replace(catalogue.get("presence"), bound=lambda scope: scope.hours)
    patch.setitem(catalogue.CATALOGUE, "presence", measure)


def weeks_that_move_nobody(patch: Patch) -> None:
    """Take C for what a week changes where weeks are joined: a home may move, which is sqrt(2) C."""
    patch.setattr(Measure, "squared_sensitivity", Measure.squared_bound)


def square_root_of_the_scale(patch: Patch) -> None:
    whole = noise.scale_for
    patch.setattr(noise, "scale_for", lambda squared, cost: whole(squared, cost) ** 0.5)


def stays_across_the_boundary(patch: Patch) -> None:
    """Let a run of days hold two periods: a stay goes on into the next, and brings its cell along."""
    whole = tasks._period_of

    def both(day: int, offset: int) -> tuple[int, ...]:
        first, second = (Period.parse(name).span(offset).days(offset) for name in PERIODS)
        return (*first, *second) if day in {*first, *second} else whole(day, offset)

    patch.setattr(tasks, "_period_of", both)


def _over_a_border() -> list[Fix]:
    """Return a phone that stays on both sides of a border of all resolutions, changing with the period."""
    inner, outer = next(
        (int(one), int(other))
        for one in h3i.cell_to_children(AREA.compacted[0], 9)
        for other in h3i.grid_disk(one, 1)
        if h3i.cell_to_parent(other, 4) != AREA.compacted[0]
    )
    pairs = itertools.product(h3i.cell_to_children(inner, 10), h3i.cell_to_children(outer, 10))
    here, there = next((int(a), int(b)) for a, b in pairs if h3i.are_neighbor_cells(a, b))
    return [*Run(0, 158, 10, 0, (here,), 1).fixes(0), *Run(0, 168, 5, 0, (there,), 1).fixes(0)]


def test_a_stay_across_the_boundary_of_periods_is_found(
    engine: DuckDB, fresh: Callable[[], Path], monkeypatch: Patch, sqlite_template: Path
) -> None:
    fixes = _over_a_border()
    area = hull({fix.cell for fix in fixes}, 4)
    ask = Ask("stay-presence", "hour", 7, area, f"{PERIODS[0]}..{PERIODS[1]}")
    make = real.maker(sqlite_template)
    assert checker.broken(engine, fresh(), fixes, ask, make) == set()
    stays_across_the_boundary(monkeypatch)
    assert checker.ELSEWHERE in checker.broken(engine, fresh(), fixes, ask, make)


@dataclass(frozen=True)
class Canary:
    """A planted bug, a world and a question in which it shows, and the claim that it breaks."""

    plant: Callable[[Patch], None]
    fixes: list[Fix]
    ask: Ask
    breaks: str


HOURLY = Ask("presence", "hour", 5, AREA)
DAILY = replace(HOURLY, every="day")
VISITORS = Ask("visitors", "day", 7, AREA, MONDAY)
OFFSET = 20_700

CANARIES = (
    Canary(no_clip, steady(48), replace(HOURLY, squared_bound=4), BOUND),
    Canary(rounded_up, steady(48), replace(HOURLY, squared_bound=4), BOUND),
    Canary(bounded_at_the_finest_level, wandering(), replace(DAILY, resolution=7, squared_bound=4), BOUND),
    Canary(leaf_weights_above, wandering(), VISITORS, BOUND),
    Canary(split_ids, steady(deliveries=(1, 2)), HOURLY, BOUND),
    Canary(deliveries_apart, steady(24, deliveries=(1, 2)), HOURLY, COUNTS),
    Canary(two_dominant_cells, [*steady(24), *Run(0, 0, 24, 60, CELLS[2:3], 1).fixes(0)], HOURLY, COUNTS),
    Canary(
        periods_at_utc,
        [*Run(0, 0, 12, 0, CELLS[:1], 1).fixes(OFFSET)],
        replace(HOURLY, squared_bound=4, offset=OFFSET),
        BOUND,
    ),
    Canary(each_day_by_itself, steady(48), replace(HOURLY, squared_bound=4), BOUND),
    Canary(hours_for_a_bound, steady(), DAILY, COUNTS),
    Canary(
        weeks_that_move_nobody,
        [*Run(0, 0, 48, 0, CELLS[:1], 1).fixes(0), *Run(0, 168, 24, 0, (FAR,), 1).fixes(0)],
        Ask("residents", "whole", 5, hull((CELLS[0], FAR), 4), f"{PERIODS[0]}..{PERIODS[1]}"),
        BOUND,
    ),
    Canary(square_root_of_the_scale, steady(24), HOURLY, SCALE),
)


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.plant.__name__)
def test_the_exact_check_finds_what_is_planted(
    engine: DuckDB, fresh: Callable[[], Path], monkeypatch: Patch, canary: Canary
) -> None:
    assert checker.broken(engine, fresh(), canary.fixes, canary.ask) == set()
    canary.plant(monkeypatch)
    assert canary.breaks in checker.broken(engine, fresh(), canary.fixes, canary.ask)


def test_the_plan_refuses_noise_that_costs_more_than_its_charge(monkeypatch: Patch) -> None:
    square_root_of_the_scale(monkeypatch)
    with pytest.raises(IntegrityError, match="cost more"):
        planned(HOURLY).plan.events()


RUNS = 2000
MOST = 1.15
"""Largest share of its charge that a mechanism may seem to cost: five standard errors of 2,000 runs."""

ONE_DAY = Ask("presence", "hour", 5, hull(CELLS[:1], 5), MONDAY, micro_rho=4_500_000)


class WeakSampler(OpenDPSampler):
    """Draws with the square root of the scale."""

    def gaussian(self, values: Integers, scale: float) -> Integers:
        return super().gaussian(values, scale**0.5)


def nothing(_patch: Patch) -> None:
    """Plant no bug."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fixes", "ask"),
    [
        (steady(24), ONE_DAY),
        (steady(24, deliveries=(1, 2)), ONE_DAY),
        (steady(24), replace(ONE_DAY, squared_bound=4)),
    ],
    ids=["unclipped", "two deliveries", "clipped"],
)
def test_a_phone_at_the_bound_is_seen_as_much_as_it_is_charged(
    engine: DuckDB, fresh: Callable[[], Path], fixes: list[Fix], ask: Ask
) -> None:
    seen, charged = shift.rho_seen(engine, fresh(), fixes, ask, OpenDPSampler(2), RUNS)
    assert 2 - MOST < seen / charged < MOST


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plant", "fixes", "ask"),
    [
        (no_clip, steady(24), replace(ONE_DAY, squared_bound=4)),
        (split_ids, steady(24, deliveries=(1, 2)), ONE_DAY),
        (each_day_by_itself, steady(48), replace(ONE_DAY, period=PERIODS[0], squared_bound=4)),
        (leaf_weights_above, wandering(), replace(VISITORS, micro_rho=4_500_000)),
    ],
    ids=["no_clip", "split_ids", "each_day_by_itself", "leaf_weights_above"],
)
def test_the_mean_shift_finds_what_is_planted(
    engine: DuckDB,
    fresh: Callable[[], Path],
    monkeypatch: Patch,
    plant: Callable[[Patch], None],
    fixes: list[Fix],
    ask: Ask,
) -> None:
    plant(monkeypatch)
    seen, charged = shift.rho_seen(engine, fresh(), fixes, ask, OpenDPSampler(2), RUNS)
    assert seen > MOST * charged


@pytest.mark.slow
def test_the_mean_shift_finds_noise_of_too_small_a_scale(engine: DuckDB, fresh: Callable[[], Path]) -> None:
    seen, charged = shift.rho_seen(engine, fresh(), steady(24), ONE_DAY, WeakSampler(2), RUNS)
    assert seen > MOST * charged
