"""Pairs of cells: their public tree, their release from the top, and that flows fit their own margins."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import duckdb
import h3.api.numpy_int as h3i
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from passersby.gate.running import Counts
from passersby.measures.base import Scope
from passersby.measures.catalogue import get
from passersby.model.cells import children, parent, resolution_of
from passersby.model.period import DAY, parse_span
from passersby.model.place import Area
from passersby.model.release import COARSE, LOW_PRECISION, SUPPRESSED
from passersby.model.schema import PAIR, TRIPS, rows_of
from passersby.privacy import bound
from passersby.privacy.accounting import micro_rho_for
from passersby.privacy.hierarchy import tree
from passersby.privacy.hierarchy.columns import Columns
from passersby.privacy.hierarchy.pairs import PairTree
from passersby.privacy.hierarchy.plan import KEY_CAP, Plan, make_plan
from passersby.privacy.hierarchy.release import Measured, release_additive, release_levels
from passersby.privacy.noise import Sampler

Integers = npt.NDArray[np.int64]
Make = Callable[[int], Sampler]
ONE = micro_rho_for(1.0, 1e-7)
DAYS = np.arange(7, dtype=np.int64) * DAY
FINEST = 7


def _pair_tree(root: int, kind: str) -> PairTree:
    if kind == "pentagon":
        return PairTree(tree.build(Area.from_cells(np.array(h3i.get_pentagons(4)[:1])), 5, most_roots=9))
    ring = np.asarray(h3i.grid_ring(root, 1)[:1], dtype=np.int64)
    cells = np.concatenate([children(np.array([root]), 6)[:20], children(ring, 5)[1:4]])
    return PairTree(tree.build(Area.from_cells(cells), 6, most_roots=9))


@pytest.mark.parametrize("kind", ["in part", "pentagon"])
def test_the_tree_is_that_of_all_pairs(root: int, kind: str) -> None:
    """Against lists of all pairs and h3's own parents."""
    pairs = _pair_tree(root, kind)
    cells = [level.tolist() for level in pairs.cells.cells]
    every = [list(itertools.product(level, level)) for level in cells]
    assert pairs.sizes == tuple(map(len, every))
    dice = np.random.default_rng(3)
    for level, resolution in enumerate(pairs.resolutions[:-1]):
        nodes = np.sort(dice.permutation(pairs.sizes[level])[:60])
        above = [every[level][node] for node in nodes]
        found, place = pairs.children(level, nodes)
        expected: dict[tuple[int, int], list[tuple[int, int]]] = {pair: [] for pair in above}
        for pair in every[level + 1]:
            own = tuple(int(h3i.cell_to_parent(cell, resolution)) for cell in pair)
            if own in expected:
                expected[own].append(pair)
        assert [every[level + 1][node] for node in found] == [p for pair in above for p in expected[pair]]
        assert place.tolist() == [i for i, pair in enumerate(above) for _ in expected[pair]]
        assert pairs.family_sizes(level, nodes).tolist() == [len(expected[pair]) for pair in above]


def test_rows_are_found_where_they_lie(root: int) -> None:
    pairs = _pair_tree(root, "in part")
    for level, resolution in enumerate(pairs.resolutions):
        nodes = np.arange(pairs.sizes[level])
        where = pairs.place(level, nodes)
        found, public = pairs.find(level, pa.table(where))
        assert public.all()
        assert np.array_equal(found, nodes)
        known = int(where["origin"][0])
        outside = int(h3i.latlng_to_cell(-40.0, 10.0, resolution))
        rows = pa.table({"origin": [known, outside, outside], "destination": [outside, known, outside]})
        assert not pairs.find(level, rows)[1].any()


@pytest.fixture(scope="module")
def flows(root: int) -> Callable[[float], dict[int, pa.Table]]:
    """Return a maker of a week's flows by day and level (thousandths): dense places near one another, most
    of the 117,649 pairs empty.
    """
    cells = children(np.array([root], dtype=np.int64), FINEST)
    place = np.array([h3i.cell_to_latlng(int(cell)) for cell in cells]) * (111, 69)
    apart = np.linalg.norm(place[:, None] - place[None], axis=2)
    size = np.random.default_rng(11).pareto(1.2, len(cells))
    share = size[:, None] * size[None] * np.exp(-apart / 4)
    share /= share.sum()

    def make(trips_a_day: float) -> dict[int, pa.Table]:
        counts = np.random.default_rng(12).poisson(trips_a_day * share[:, :, None], (*share.shape, len(DAYS)))
        ends = np.nonzero(counts)
        value = counts[ends] * 1000
        return {
            resolution: pa.table(
                {
                    "origin": parent(cells[ends[0]], resolution, of=FINEST),
                    "destination": parent(cells[ends[1]], resolution, of=FINEST),
                    "start": DAYS[ends[2]],
                    "count": value,
                }
            )
            .group_by([*PAIR, "start"])
            .aggregate([("count", "sum")])
            .rename_columns([*PAIR, "start", "count"])
            for resolution in range(4, FINEST + 1)
        }

    return make


def _plan(area: Area, *, cap: int = KEY_CAP) -> Plan:
    return make_plan(
        area,
        measure="flows",
        resolution=FINEST,
        buckets=len(DAYS),
        squared_bound=336,
        cost=ONE,
        kind="pairs",
        key_cap=cap,
    )


def _release(counts: Counts, area: Area, sampler: Sampler, *, cap: int = KEY_CAP) -> Measured:
    plan = _plan(area, cap=cap)
    own = {level.resolution: counts[level.resolution] for level in plan.levels}
    return release_levels(own, area=area, columns=Columns(DAYS), plan=plan, sampler=sampler, minimum=20)


def test_pairs_begin_one_level_above_the_asked_one_where_keys_allow(area: Area) -> None:
    for cap, root in ((KEY_CAP, 6), (7 * 49**2, 5), (7 * 49, 4)):
        plan = _plan(area, cap=cap)
        assert [level.resolution for level in plan.levels] == [*range(root, FINEST + 1)]
        assert plan.levels[-1].cost.value >= 0.8 * ONE.value - 1


def _truth(counts: Counts, rows: pa.Table) -> npt.NDArray[np.float64]:
    known = {
        key: count / 1000
        for table in counts.values()
        for *key_, count in zip(*(table.column(i).to_pylist() for i in range(4)), strict=True)
        for key in [tuple(key_)]
    }
    keys = zip(*(rows.column(name).to_pylist() for name in (*PAIR, "start")), strict=True)
    return np.array([known.get(key, 0.0) for key in keys])


def test_rows_partition_all_pairs_of_the_area(
    area: Area, root: int, flows: Callable[[float], dict[int, pa.Table]], seeded: Make
) -> None:
    found = _release(flows(200_000), area, seeded(1))
    rows = found.rows
    assert rows.schema.equals(rows_of(PAIR, binned=False))
    assert rows == rows.sort_by([(name, "ascending") for name in (*PAIR, "start")])
    ends = [rows.column(name).to_numpy()[:: len(DAYS)] for name in PAIR]
    assert np.array_equal(rows.column("start").to_numpy(), np.tile(DAYS, len(ends[0])))
    level = resolution_of(ends[0])
    assert np.array_equal(level, resolution_of(ends[1]))
    leaves = children(np.array([root], dtype=np.int64), FINEST)
    covered = np.zeros((len(leaves), len(leaves)), np.int64)
    for resolution in range(4, FINEST + 1):
        above = parent(leaves, resolution, of=FINEST)
        for origin, destination in zip(*(end[level == resolution] for end in ends), strict=True):
            covered[np.ix_(above == origin, above == destination)] += 1
    assert (covered == 1).all()


def test_pairs_are_coarse_where_they_are_not_split_and_suppressed_where_they_are_few(
    area: Area, flows: Callable[[float], dict[int, pa.Table]], seeded: Make
) -> None:
    found = _release(flows(200_000), area, seeded(1))
    level = resolution_of(found.rows.column("origin").to_numpy())
    flag = np.array(found.rows.column("flag").to_pylist())
    assert set(flag[level < FINEST]) <= {COARSE, SUPPRESSED}
    assert set(flag[level == FINEST]) == {"", LOW_PRECISION, SUPPRESSED}
    assert (flag[level == 6] == SUPPRESSED).any()
    assert (flag[level == 6] == COARSE).any()
    hidden = flag.reshape(-1, len(DAYS)) == SUPPRESSED
    assert np.array_equal(hidden.all(axis=1), hidden.any(axis=1))
    for name in ("estimate", "low", "high", "count"):
        assert np.array_equal(np.array(found.rows.column(name).is_null()), hidden.ravel())
    assert found.coverage_of_keys[6] == 1
    assert found.coverage_of_keys[7] < 0.5
    assert 0 < found.shown < 0.5
    assert found.shown_mass > 0.4


@pytest.mark.slow
@pytest.mark.parametrize("trips_a_day", [200_000, 20_000_000])
def test_intervals_of_shown_pairs_cover(
    area: Area, flows: Callable[[float], dict[int, pa.Table]], seeded: Make, trips_a_day: float
) -> None:
    counts = flows(trips_a_day)
    covered = []
    for seed in range(3):
        rows = _release(counts, area, seeded(seed)).rows
        shown = rows.filter(rows.column("estimate").is_valid())
        low, high = (shown.column(name).to_numpy() for name in ("low", "high"))
        truth = _truth(counts, shown)
        covered.append((low <= truth) & (truth <= high))
    found = np.concatenate(covered)
    assert len(found) > 1000  # the check is about something
    assert 0.93 <= found.mean() <= 0.97


@pytest.mark.parametrize("cap", [1000, 20_000, KEY_CAP])
def test_no_more_keys_are_measured_than_the_cap(
    area: Area, flows: Callable[[float], dict[int, pa.Table]], seeded: Make, cap: int
) -> None:
    sampler = seeded(2)
    found = _release(flows(20_000_000), area, sampler, cap=cap)
    measured = [values.size for values in sampler.seen]  # type: ignore[attr-defined]  # a test's sampler
    sizes = {level.resolution: level.cells for level in _plan(area, cap=cap).levels}
    told = sum(round(share * sizes[r]) for r, share in found.coverage_of_keys.items()) * len(DAYS)
    assert sum(measured) == told <= cap
    assert sum(measured) > cap / 20


def test_without_noise_pairs_are_the_exact_counts(
    area: Area, flows: Callable[[float], dict[int, pa.Table]], silent: Sampler
) -> None:
    counts = flows(200_000)
    rows = _release(counts, area, silent).rows
    shown = rows.filter(rows.column("estimate").is_valid())
    np.testing.assert_array_equal(shown.column("estimate").to_numpy(), _truth(counts, shown))


SPAN = parse_span("2026-W20", 0)


@pytest.fixture(scope="module")
def trips(root: int) -> pa.Table:
    """A week of 12,000 devices that go about among seven cells, twenty trips each."""
    dice = np.random.default_rng(4)
    fine = [int(h3i.cell_to_center_child(int(cell), 10)) for cell in children(np.array([root]), 5)]
    device = np.repeat(np.arange(12_000), 20)
    ends = np.array(fine)[dice.choice(7, (2, len(device)), p=np.array([4, 3, 3, 3, 3, 2, 2]) / 20)]
    departure = SPAN.start + dice.integers(0, 7 * DAY, len(device))
    columns = (device, *ends, departure, departure + 600, np.full(len(device), 1000))
    arrays = [pa.array(column, field.type) for column, field in zip(columns, TRIPS, strict=True)]
    return pa.table(arrays, schema=TRIPS)


def _asked(name: str, trips: pa.Table, area: Area, sampler: Sampler) -> Measured:
    """Release a measure of trips at resolution 5, every day, as the gate does."""
    measure, scope = get(name), Scope(SPAN, 5, "day", (), 0)
    plan = make_plan(
        area,
        measure=name,
        resolution=5,
        buckets=7,
        squared_bound=partial(measure.squared_sensitivity, scope),
        cost=ONE,
        kind=measure.kind,
        lost=measure.lost,
    )
    form = bound.additive_sql if measure.additive else bound.level_sql
    connection = duckdb.connect()
    connection.register("trips", trips)
    connection.register("area", pa.table({"cell": area.at(5)}))
    counts = {
        level.resolution: connection.sql(
            form(
                measure.rows(scope, level.resolution),
                squared_bound=measure.squared_bound(scope, level.resolution),
                keys=measure.keys,
            )
        ).to_arrow_table()
        for level in plan.levels
        if not measure.additive or level.resolution == 5
    }
    connection.close()
    columns = Columns(np.array(scope.starts))
    if measure.additive:
        return release_additive(counts[5], area=area, columns=columns, plan=plan, sampler=sampler, minimum=20)
    return release_levels(counts, area=area, columns=columns, plan=plan, sampler=sampler, minimum=20)


@pytest.mark.parametrize(("name", "end"), [("outflows", "origin"), ("inflows", "destination")])
def test_flows_add_up_to_outflows_and_inflows_within_their_intervals(
    area: Area, trips: pa.Table, silent: Sampler, seeded: Make, name: str, end: str
) -> None:
    for make in (lambda _: silent, seeded):
        pairs = _asked("flows", trips, area, make(1)).rows
        cells = _asked(name, trips, area, make(2)).rows
        assert pairs.column("estimate").null_count == cells.column("estimate").null_count == 0
        high = pairs.column("high").to_numpy() * (1 - get("flows").lost)
        variance = ((high - pairs.column("estimate").to_numpy()) / 1.96) ** 2
        pairs = pairs.append_column("variance", pa.array(variance))
        sums = pairs.group_by([end, "start"]).aggregate([("estimate", "sum"), ("variance", "sum")])
        sums = sums.sort_by([(end, "ascending"), ("start", "ascending")])
        apart = cells.column("estimate").to_numpy() - sums.column("estimate_sum").to_numpy()
        own = (cells.column("high").to_numpy() - cells.column("estimate").to_numpy()) / 1.96
        if make is seeded:
            score = apart / np.sqrt(own**2 + sums.column("variance_sum").to_numpy())
            assert 0.85 <= (np.abs(score) < 1.96).mean() <= 1
            assert abs(score.mean()) < 4 / np.sqrt(len(score))
        else:
            np.testing.assert_allclose(apart, 0, atol=1e-6)
            assert cells.column("estimate").to_numpy().sum() == pytest.approx(trips.num_rows)
