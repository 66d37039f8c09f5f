"""Releases of what does not add up: each level keeps its own noisy values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from passersby.errors import UsageError
from passersby.model.cells import children, parent
from passersby.model.place import Area
from passersby.model.release import LOW_PRECISION
from passersby.privacy.hierarchy.columns import Columns
from passersby.privacy.hierarchy.release import release_additive, release_levels
from passersby.privacy.noise import Sampler
from privacy.planned import plan_for

Integers = npt.NDArray[np.int64]
City = Callable[[float], pa.Table]
Make = Callable[[int], Sampler]


def _visitors(root: int, starts: Integers, most: int) -> dict[int, pa.Table]:
    rng = np.random.default_rng(2)
    leaves = children(np.array([root]), 7)
    at = rng.integers(0, 40, (len(starts), most, 4))
    tables = {}
    for resolution in range(4, 8):
        keys, counts = [], []
        for bucket, start in enumerate(starts):
            cells = parent(leaves[at[bucket]], resolution, of=7)
            cell, count = np.unique(np.concatenate([np.unique(row) for row in cells]), return_counts=True)
            keys += [(int(c), int(start)) for c in cell]
            counts += (1000 * count).tolist()
        tables[resolution] = pa.table(
            {"cell": [k[0] for k in keys], "start": [k[1] for k in keys], "count": counts}
        )
    return tables


def test_visitors_keep_each_levels_own_noisy_values(area: Area, root: int, seeded: Make) -> None:
    days = np.arange(0, 3 * 86400, 86400, dtype=np.int64)
    tables = _visitors(root, days, 8000)
    plan = plan_for(area, days, additive=False)
    found = release_levels(
        tables,
        area=area,
        columns=Columns(days),
        plan=plan,
        sampler=seeded(3),
        minimum=60,
    )
    fine = found.rows.filter(pa.compute.is_in(found.rows.column("flag"), pa.array(["", LOW_PRECISION])))
    assert fine.num_rows > 90
    half = (fine.column("high").to_numpy() - fine.column("low").to_numpy()) / 2 / 1.96
    np.testing.assert_allclose(half, plan.levels[-1].scale / 1000)
    keys = zip(*(tables[7].column(n).to_pylist() for n in ("cell", "start", "count")), strict=True)
    truth = {(c, s): n / 1000 for c, s, n in keys}
    error = [
        estimate - truth[cell, start]
        for cell, start, estimate in zip(
            *(fine.column(n).to_pylist() for n in ("cell", "start", "estimate")), strict=True
        )
    ]
    assert np.std(error) == pytest.approx(half[0], rel=0.25)
    assert [event.what for event in found.events] == [f"visitors H3 resolution {r}" for r in (4, 5, 6, 7)]


def test_visitors_without_noise_fit_their_own_hierarchy(area: Area, root: int, silent: Sampler) -> None:
    days = np.arange(0, 2 * 86400, 86400, dtype=np.int64)
    tables = _visitors(root, days, 6000)
    plan = plan_for(area, days, additive=False)
    rows = release_levels(
        tables,
        area=area,
        columns=Columns(days),
        plan=plan,
        sampler=silent,
        minimum=0,
    ).rows
    shown = rows.filter(pa.compute.is_valid(rows.column("count")))
    assert shown.column("count").to_pylist() == [round(e) for e in shown.column("estimate").to_pylist()]


def test_visitors_want_a_table_for_each_level(area: Area, root: int, silent: Sampler) -> None:
    days = np.array([0], dtype=np.int64)
    plan = plan_for(area, days, additive=False)
    tables = _visitors(root, days, 10)
    del tables[5]
    with pytest.raises(UsageError, match="levels"):
        release_levels(
            tables,
            area=area,
            columns=Columns(days),
            plan=plan,
            sampler=silent,
            minimum=0,
        )


def test_plan_of_the_other_kind_is_refused(
    area: Area, root: int, week: Integers, city: City, silent: Sampler
) -> None:
    with pytest.raises(UsageError, match="kind"):
        release_additive(
            city(1.0),
            area=area,
            columns=Columns(week),
            plan=plan_for(area, week, additive=False),
            sampler=silent,
            minimum=0,
        )
    with pytest.raises(UsageError, match="kind"):
        release_levels(
            _visitors(root, week[:1], 5),
            area=area,
            columns=Columns(week),
            plan=plan_for(area, week),
            sampler=silent,
            minimum=0,
        )
