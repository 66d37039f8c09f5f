"""Rows of a release with bins: their order, units, counts, suppression, and what is derived from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from passersby.model.bins import Bin, Derived, Quantile, Ratio, histogram
from passersby.model.cells import children
from passersby.model.cost import MicroRho
from passersby.model.period import HOUR
from passersby.model.place import Area
from passersby.model.release import LOW_PRECISION, SUPPRESSED
from passersby.model.schema import PLACE, rows_of
from passersby.privacy.hierarchy.columns import Columns
from passersby.privacy.hierarchy.plan import make_plan
from passersby.privacy.hierarchy.release import Measured, release_additive, release_levels
from passersby.privacy.noise import Sampler

KM = histogram(0, 1, 2, unit="km")
MEAN = (Bin("metres", factor=0.5, counted=False), Bin("trips", factor=0.1))
MEDIAN = Quantile("median", 0.5)
STARTS = np.array([0, HOUR], dtype=np.int64)
LARGE = MicroRho(50_000_000_000)
"""A cost at which standard errors are far below 1."""

Counts = dict[tuple[int, int, int], int]
"""By (cell, bucket, bin), in units before the factor."""


def _release(
    area: Area,
    counts: Counts,
    sampler: Sampler,
    *,
    bins: tuple[Bin, ...] = KM,
    derived: tuple[Derived, ...] = (MEDIAN,),
    minimum: float = 1,
    additive: bool = True,
    resolution: int = 4,
    cost: MicroRho = LARGE,
) -> Measured:
    columns = Columns(STARTS, bins, derived)
    plan = make_plan(
        area,
        measure="trips",
        resolution=resolution,
        buckets=len(columns),
        squared_bound=1,
        cost=cost,
        kind="additive" if additive else "levels",
    )
    keys = list(counts)
    table = pa.table(
        {
            "cell": pa.array([key[0] for key in keys], pa.int64()),
            "start": pa.array([int(STARTS[key[1]]) for key in keys], pa.int64()),
            "bin": pa.array([key[2] for key in keys], pa.int64()),
            "count": pa.array([1000 * n for n in counts.values()], pa.int64()),
        }
    )
    common: dict[str, Any] = {"area": area, "columns": columns, "plan": plan}
    common |= {"sampler": sampler, "minimum": minimum}
    if additive:
        return release_additive(table, **common)
    return release_levels({level.resolution: table for level in plan.levels}, **common)


def _column(measured: Measured, name: str) -> npt.NDArray[np.float64]:
    return np.array([np.nan if v is None else v for v in measured.rows.column(name).to_pylist()], dtype=float)


@pytest.mark.parametrize("additive", [True, False])
def test_bins_stand_in_their_order_and_derived_rows_after_them(
    area: Area, root: int, silent: Sampler, additive: bool
) -> None:
    counts = {(root, 0, 0): 30, (root, 0, 1): 10, (root, 1, 2): 7, (root, 1, 0): 1}
    found = _release(area, counts, silent, additive=additive)
    assert found.rows.schema.equals(rows_of(PLACE, binned=True))
    assert found.rows.column("bin").to_pylist() == ["0-1 km", "1-2 km", "2+ km", "median"] * 2
    assert found.rows.column("start").to_pylist() == [0] * 4 + [HOUR] * 4
    expected = [30, 10, 0, 2 / 3, 1, 0, 7, 2]
    np.testing.assert_allclose(_column(found, "estimate"), expected, atol=0.01)
    np.testing.assert_allclose(_column(found, "count"), [30, 10, 0, np.nan, 1, 0, 7, np.nan])
    low, high = _column(found, "low"), _column(found, "high")
    assert (low <= np.array(expected) + 0.01).all()
    assert (high >= np.array(expected) - 0.01).all()


def test_cells_stand_in_order_before_bins(area: Area, root: int, silent: Sampler) -> None:
    leaves = children(np.array([root]), 5)
    counts = {(int(leaf), 0, i % 3): 100 + i for i, leaf in enumerate(leaves)}
    found = _release(area, counts, silent, resolution=5)
    assert found.rows.column("cell").to_pylist() == np.repeat(leaves, 8).tolist()
    estimate = _column(found, "estimate").reshape(len(leaves), 2, 4)
    for i in range(len(leaves)):
        assert estimate[i, 0, i % 3] == pytest.approx(100 + i, abs=0.1)


def test_sums_are_given_in_units_and_have_no_count(area: Area, root: int, silent: Sampler) -> None:
    counts = {(root, 0, 0): 3000, (root, 0, 1): 400}
    found = _release(area, counts, silent, bins=MEAN, derived=(Ratio("mean", ("metres",), ("trips",)),))
    assert found.rows.column("bin").to_pylist() == ["metres", "trips", "mean"] * 2
    np.testing.assert_allclose(_column(found, "estimate")[:3], [1500, 40, 37.5], rtol=1e-3)
    assert np.isnan(_column(found, "count")).all()
    # one noise for both parts, each in its own unit
    width = (_column(found, "high") - _column(found, "low"))[:2]
    assert width[0] / width[1] == pytest.approx(5)
    # in the second bucket nothing is known of the mean, and its parts are shown all the same
    flags = found.rows.column("flag").to_pylist()
    assert flags == ["", "", "", LOW_PRECISION, LOW_PRECISION, SUPPRESSED]
    assert np.isnan(_column(found, "estimate")[5])


@pytest.mark.parametrize("minimum", [39.0, 41.0])
def test_only_what_counts_events_decides_what_is_shown(
    area: Area, root: int, silent: Sampler, minimum: float
) -> None:
    """Forty trips of a sum of millions: the sum shows nothing."""
    counts = {(root, 0, 0): 9_000_000, (root, 0, 1): 40}
    bins = (MEAN[0], Bin("trips"))
    found = _release(area, counts, silent, bins=bins, derived=(), minimum=minimum)
    shown = minimum < 40
    assert found.shown == float(shown)
    assert found.shown_mass == pytest.approx(float(shown), abs=1e-3)
    assert set(found.rows.column("flag").to_pylist()) == ({"", LOW_PRECISION} if shown else {SUPPRESSED})
    assert found.rows.column("estimate").null_count == (0 if shown else 4)


@pytest.mark.parametrize(("minimum", "shown"), [(39.0, 1), (41.0, 0)])
@pytest.mark.parametrize("additive", [True, False])
def test_bins_in_parts_count_for_the_floor_and_the_mass_as_what_they_stand_for(
    area: Area, root: int, silent: Sampler, additive: bool, minimum: float, shown: int
) -> None:
    """Forty trips, each counted as ten parts: 400 parts are not 400 trips."""
    counts = {(root, 0, 0): 3000, (root, 0, 1): 400}
    found = _release(area, counts, silent, bins=MEAN, derived=(), minimum=minimum, additive=additive)
    assert found.shown == shown
    assert found.shown_mass == pytest.approx(shown, abs=0.01)


def test_bins_of_a_cell_are_pooled_for_the_floor(area: Area, root: int, silent: Sampler) -> None:
    """Three bins of 5 in each of two buckets are thirty."""
    counts = {(root, bucket, i): 5 for bucket in (0, 1) for i in range(3)}
    assert _release(area, counts, silent, minimum=29).shown == 1
    assert _release(area, counts, silent, minimum=31).shown == 0


def test_a_suppressed_cell_has_no_derived_rows(area: Area, root: int, silent: Sampler) -> None:
    counts = {(root, 0, 0): 30, (root, 0, 1): 10}
    rows = _release(area, counts, silent, minimum=100).rows
    for name in ("estimate", "low", "high", "count"):
        assert rows.column(name).null_count == rows.num_rows


def test_a_bin_that_is_not_public_changes_nothing(area: Area, root: int, silent: Sampler) -> None:
    counts = {(root, 0, 0): 30, (root, 0, 1): 10}
    more = {**counts, (root, 0, 3): 99, (root, 0, -1): 99}
    assert _release(area, counts, silent).rows == _release(area, more, silent).rows
