"""Rows of a release: a partition with honest intervals, whatever the size of the counts."""

from __future__ import annotations

import math
from collections.abc import Callable

import h3.api.numpy_int as h3i
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from passersby.errors import UsageError
from passersby.model.cells import children, parent, resolution_of
from passersby.model.cost import MicroRho
from passersby.model.place import Area
from passersby.model.release import COARSE, LOW_PRECISION, SUPPRESSED
from passersby.model.schema import ROWS
from passersby.privacy.hierarchy.columns import Columns
from passersby.privacy.hierarchy.plan import expected_error, make_plan
from passersby.privacy.hierarchy.release import Measured, release_additive
from passersby.privacy.hierarchy.rows import SMOOTH
from passersby.privacy.noise import OpenDPSampler, Sampler
from privacy.planned import plan_for

Integers = npt.NDArray[np.int64]
City = Callable[[float], pa.Table]
Make = Callable[[int], Sampler]


def _truth(table: pa.Table, rows: pa.Table) -> npt.NDArray[np.float64]:
    """Return the true count behind each row, summed over the finest cells below it."""
    cell, start, count = (table.column(n).to_numpy() for n in ("cell", "start", "count"))
    total: dict[tuple[int, int], int] = {}
    for resolution in range(4, 8):
        for key in zip(parent(cell, resolution, of=7).tolist(), start.tolist(), count.tolist(), strict=True):
            total[key[:2]] = total.get(key[:2], 0) + key[2]
    keys = zip(rows.column("cell").to_pylist(), rows.column("start").to_pylist(), strict=True)
    return np.array([total.get(key, 0) / 1000 for key in keys])


def _covered(table: pa.Table, rows: pa.Table) -> npt.NDArray[np.bool_]:
    shown = rows.filter(pa.compute.is_valid(rows.column("estimate")))
    truth = _truth(table, shown)
    low, high = (shown.column(name).to_numpy() for name in ("low", "high"))
    inside: npt.NDArray[np.bool_] = (low <= truth) & (truth <= high)
    return inside


def _release(
    table: pa.Table, area: Area, starts: Integers, sampler: Sampler, minimum: float = 20
) -> Measured:
    plan = plan_for(area, starts)
    return release_additive(
        table, area=area, columns=Columns(starts), plan=plan, sampler=sampler, minimum=minimum
    )


def test_rows_have_the_schema_and_partition_the_area(
    area: Area, week: Integers, city: City, seeded: Make
) -> None:
    rows = _release(city(10.0), area, week, seeded(1)).rows
    assert rows.schema.equals(ROWS)
    cells = np.unique(rows.column("cell").to_numpy())
    assert Area.from_cells(cells) == area
    leaves = sum(7 ** (7 - int(r)) for r in resolution_of(cells))
    assert leaves == 343
    assert rows.num_rows == len(cells) * len(week)
    assert rows == rows.sort_by([("cell", "ascending"), ("start", "ascending")])
    assert set(rows.column("flag").to_pylist()) <= {"", LOW_PRECISION, COARSE, SUPPRESSED}


def test_without_noise_rows_are_the_exact_counts(
    area: Area, week: Integers, city: City, silent: Sampler
) -> None:
    table = city(600.0)
    rows = _release(table, area, week, silent, minimum=0).rows
    shown = rows.filter(pa.compute.is_valid(rows.column("estimate")))
    truth = _truth(table, shown)
    np.testing.assert_allclose(shown.column("estimate").to_numpy(), truth, atol=1e-6)
    assert np.array_equal(shown.column("count").to_numpy(), truth)


@pytest.mark.slow
@pytest.mark.parametrize("factor", [1.0, 10.0, 100.0, 600.0])
def test_intervals_of_shown_rows_cover_95_percent(
    area: Area, week: Integers, city: City, seeded: Make, factor: float
) -> None:
    table = city(factor)
    covered = [_covered(table, _release(table, area, week, seeded(seed)).rows) for seed in range(4)]
    joint = np.concatenate(covered)
    assert len(joint) > 300
    assert 0.93 <= joint.mean() <= 0.97


def test_intervals_of_shown_rows_cover_with_one_draw(
    area: Area, week: Integers, city: City, seeded: Make
) -> None:
    table = city(100.0)
    assert 0.93 <= _covered(table, _release(table, area, week, seeded(3)).rows).mean() <= 0.97


def test_estimates_are_nearly_unbiased(area: Area, week: Integers, city: City, seeded: Make) -> None:
    table = city(100.0)
    rows = _release(table, area, week, seeded(7), minimum=0).rows
    fine = rows.filter(pa.compute.is_in(rows.column("flag"), pa.array(["", LOW_PRECISION])))
    error = fine.column("estimate").to_numpy() - _truth(table, fine)
    half = (fine.column("high").to_numpy() - fine.column("estimate").to_numpy()) / 1.96
    assert abs((error / half).mean()) < 4 / math.sqrt(len(error)) + 0.05


def test_measured_error_is_the_expected_error(area: Area, week: Integers, city: City, seeded: Make) -> None:
    table = city(3000.0)
    found = _release(table, area, week, seeded(2), minimum=0)
    fine = found.rows.filter(pa.compute.is_in(found.rows.column("flag"), pa.array(["", LOW_PRECISION])))
    error = fine.column("estimate").to_numpy() - _truth(table, fine)
    assert np.sqrt((error**2).mean()) == pytest.approx(expected_error(plan_for(area, week))[7], rel=0.05)


def test_opendp_gives_the_same_kind_of_answer(area: Area, city: City, week: Integers) -> None:
    day = week[:24]
    table = city(600.0)
    found = _release(table, area, day, OpenDPSampler(2))
    assert found.sampler == "opendp"
    assert found.events == plan_for(area, day).events()
    assert 0.9 < _covered(table, found.rows).mean() < 0.99


@pytest.mark.parametrize("factor", [1.0, 600.0])
def test_shown_mass_is_the_shown_part_of_the_noisy_total(
    area: Area, week: Integers, city: City, seeded: Make, factor: float
) -> None:
    table = city(factor)
    found = _release(table, area, week, seeded(4))
    everything = _release(table, area, week, seeded(4), minimum=0)
    shown = found.rows.filter(pa.compute.is_valid(found.rows.column("estimate")))
    truth = pa.compute.sum(table.column("count")).as_py() / 1000
    assert 0 < found.shown_mass <= 1
    assert 0 < everything.shown_mass <= 1
    assert found.shown_mass == pytest.approx(_truth(table, shown).sum() / truth, abs=0.06)


def test_nothing_shown_is_no_mass(area: Area, week: Integers, city: City, constant: Make) -> None:
    found = _release(city(600.0), area, week, constant(0))
    assert (found.shown, found.shown_mass) == (0, 0)


def test_suppression_takes_whole_cells(area: Area, week: Integers, city: City, seeded: Make) -> None:
    rows = _release(city(1.0), area, week, seeded(4)).rows
    flags = np.array(rows.column("flag").to_pylist()).reshape(-1, len(week)) == SUPPRESSED
    hidden = flags.all(axis=1)
    assert np.array_equal(hidden, flags.any(axis=1))
    assert 0 < hidden.sum() < len(hidden)
    for name in ("estimate", "low", "high", "count"):
        null = np.array(rows.column(name).is_null()).reshape(-1, len(week))
        assert np.array_equal(null.all(axis=1), hidden)
        assert np.array_equal(null.any(axis=1), hidden)


@pytest.mark.parametrize(("minimum", "shown"), [(7.9, True), (8.1, False)])
def test_minimum_is_compared_with_the_pooled_estimate(
    area: Area, root: int, silent: Sampler, minimum: float, shown: bool
) -> None:
    # Four buckets of 2: only together do they pass 7.9. A large budget keeps precision out of the way.
    starts = np.arange(0, 4 * 3600, 3600, dtype=np.int64)
    plan = make_plan(
        area,
        measure="presence",
        resolution=4,
        buckets=4,
        squared_bound=1,
        cost=MicroRho(50_000_000),
        kind="additive",
    )
    table = pa.table({"cell": [root] * 4, "start": starts, "count": [2000] * 4})
    found = release_additive(
        table, area=area, columns=Columns(starts), plan=plan, sampler=silent, minimum=minimum
    )
    assert found.shown == float(shown)


@pytest.mark.parametrize(("sigmas", "shown"), [(3.9, False), (3.95, True)])
def test_imprecise_cells_are_suppressed_pooled(
    area: Area, root: int, silent: Sampler, sigmas: float, shown: bool
) -> None:
    starts = np.arange(0, 9 * 3600, 3600, dtype=np.int64)
    plan = plan_for(area, starts, resolution=4)
    each = int(sigmas * plan.levels[0].scale * 3 / 9)
    table = pa.table({"cell": [root] * 9, "start": starts, "count": [each] * 9})
    rows = release_additive(
        table, area=area, columns=Columns(starts), plan=plan, sampler=silent, minimum=0
    ).rows
    expected = LOW_PRECISION if shown else SUPPRESSED
    assert set(rows.column("flag").to_pylist()) == {expected}


def test_row_wider_than_its_estimate_is_of_low_precision(area: Area, root: int, silent: Sampler) -> None:
    starts = np.arange(0, 2 * 3600, 3600, dtype=np.int64)
    plan = plan_for(area, starts, resolution=4)
    scale = plan.levels[0].scale
    table = pa.table({"cell": [root] * 2, "start": starts, "count": [int(3.9 * scale), int(3.95 * scale)]})
    rows = release_additive(
        table, area=area, columns=Columns(starts), plan=plan, sampler=silent, minimum=0
    ).rows
    assert rows.column("flag").to_pylist() == [LOW_PRECISION, ""]


def test_what_is_not_split_is_coarse(area: Area, week: Integers, city: City, seeded: Make) -> None:
    found = _release(city(10.0), area, week, seeded(1))
    rows = found.rows
    resolution = resolution_of(rows.column("cell").to_numpy())
    flags = np.array(rows.column("flag").to_pylist())
    assert set(flags[resolution < 7]) <= {COARSE, SUPPRESSED}
    assert COARSE not in flags[resolution == 7]
    assert found.coverage_of_keys[7] == pytest.approx(
        len(set(rows.column("cell").to_numpy()[resolution == 7])) / 343
    )
    assert found.coverage_of_keys[4] == 1


def test_intervals_are_cut_at_zero_and_estimates_are_not(
    area: Area, week: Integers, city: City, seeded: Make
) -> None:
    rows = _release(city(100.0), area, week, seeded(5), minimum=0).rows
    shown = rows.filter(pa.compute.is_valid(rows.column("estimate")))
    estimate, low, high, count = (shown.column(n).to_numpy() for n in ("estimate", "low", "high", "count"))
    assert estimate.min() < 0
    assert min(low.min(), high.min(), count.min()) >= 0
    assert (low <= np.maximum(estimate, 0)).all()
    assert (np.maximum(estimate, 0) <= high).all()


def test_counts_of_shown_and_hidden_cells_fit_the_root(
    area: Area, week: Integers, city: City, seeded: Make
) -> None:
    table = city(3000.0)
    rows = _release(table, area, week, seeded(6), minimum=-(10**12)).rows
    whole = rows.filter(pa.compute.is_valid(rows.column("count")))
    total = pa.TableGroupBy(whole, "start").aggregate([("count", "sum")])
    truth = _truth(table, pa.table({"cell": [area.compacted[0]] * len(week), "start": week}))
    error = total.sort_by("start").column("count_sum").to_numpy() - truth
    assert np.abs(error).max() < 0.01 * truth.mean()


def test_smooth_is_one_more_column(area: Area, week: Integers, city: City, seeded: Make) -> None:
    plan = plan_for(area, week)
    table = city(100.0)
    plain, extra = (
        release_additive(
            table, area=area, columns=Columns(week), plan=plan, sampler=seeded(8), minimum=20, smooth=smooth
        ).rows
        for smooth in (False, True)
    )
    assert extra.schema.equals(ROWS.append(SMOOTH))
    assert extra.drop_columns(["smooth"]) == plain
    assert extra.column("smooth").null_count == plain.column("count").null_count
    shown = extra.filter(pa.compute.is_valid(extra.column("count")))
    truth = _truth(table, shown)
    error = {n: np.sqrt(((shown.column(n).to_numpy() - truth) ** 2).mean()) for n in ("estimate", "smooth")}
    assert error["smooth"] < 0.7 * error["estimate"]


@pytest.mark.parametrize("change", ["fewer", "unsorted", "repeated"])
def test_other_buckets_than_planned_are_refused(
    area: Area, week: Integers, city: City, silent: Sampler, change: str
) -> None:
    starts = {"fewer": week[:-1], "unsorted": week[::-1], "repeated": np.repeat(week[:84], 2)}[change]
    with pytest.raises(UsageError, match="buckets"):
        release_additive(
            city(1.0),
            area=area,
            columns=Columns(starts),
            plan=plan_for(area, week),
            sampler=silent,
            minimum=0,
        )


def test_empty_counts_are_an_answer_too(area: Area, week: Integers, city: City, seeded: Make) -> None:
    found = _release(city(1.0).slice(0, 0), area, week, seeded(1))
    assert found.shown == 0
    assert found.rows.num_rows == len(week)
    assert found.rows.column("cell").to_pylist() == [area.compacted[0]] * len(week)


def test_area_of_several_roots_in_part(root: int, city: City, week: Integers, seeded: Make) -> None:
    ring = h3i.grid_ring(root, 1)[:2]
    cells = np.concatenate([children(np.array([root]), 6)[:20], np.asarray(ring, dtype=np.int64)])
    some = Area.from_cells(cells)
    found = _release(city(600.0), some, week[:24], seeded(9))
    assert Area.from_cells(np.unique(found.rows.column("cell").to_numpy())).size_km2() >= some.size_km2()
    inside = parent(city(600.0).column("cell").to_numpy(), 6, of=7)
    kept = city(600.0).filter(pa.array(np.isin(inside, cells)))
    assert _covered(kept, found.rows).mean() > 0.9
