"""Measuring from the top: exact vectors, and expansion that sees nothing but noisy values."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import h3.api.numpy_int as h3i
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passersby.model.cells import children, parent
from passersby.model.cost import MicroRho
from passersby.model.place import Area
from passersby.privacy.accounting import micro_rho_for
from passersby.privacy.hierarchy import topdown
from passersby.privacy.hierarchy.columns import Columns
from passersby.privacy.hierarchy.counts import prenoise
from passersby.privacy.hierarchy.plan import KEY_CAP, Plan, make_plan
from passersby.privacy.hierarchy.release import counts_for, release_additive
from passersby.privacy.noise import Sampler

Integers = npt.NDArray[np.int64]
ONE = micro_rho_for(1.0, 1e-7)


def _plan(
    area: Area, starts: Integers, *, cost: MicroRho = ONE, cap: int = KEY_CAP, additive: bool = True
) -> Plan:
    return make_plan(
        area,
        measure="presence",
        resolution=7,
        buckets=len(starts),
        squared_bound=168,
        cost=cost,
        kind="additive" if additive else "levels",
        key_cap=cap,
    )


@settings(max_examples=60)
@given(st.data())
def test_a_family_of_which_nothing_is_shown_is_folded_into_its_parent(data: st.DataObject) -> None:
    """Against walks from each node: what is kept, what stands for what, and that nothing is lost."""
    levels, hidden = _drawn_tree(data)
    found = topdown.folded(levels, hidden)

    def below(depth: int, node: int) -> list[int]:
        return np.flatnonzero(levels[depth + 1].parents == node).tolist() if levels[depth].split[node] else []

    def shown(depth: int, node: int) -> bool:
        own = below(depth, node)
        return any(shown(depth + 1, child) for child in own) if own else not hidden[depth][node]

    expected: list[list[tuple[int, int, bool]]] = [[] for _ in levels]

    def walk(depth: int, node: int, above: int) -> None:
        split = any(shown(depth + 1, child) for child in below(depth, node))
        expected[depth].append((int(levels[depth].nodes[node]), above, split))
        place = len(expected[depth]) - 1
        for child in below(depth, node) if split else ():
            walk(depth + 1, child, place)

    for root in range(len(levels[0].nodes)):
        walk(0, root, -1)
    expected = [own for own in expected if own]
    assert len(found) == len(expected)
    for depth, (level, own) in enumerate(zip(found, expected, strict=True)):
        parents = level.parents.tolist() if depth else [-1] * len(own)
        assert list(zip(level.nodes.tolist(), parents, level.split.tolist(), strict=True)) == own
        assert level.values[:, 0].tolist() == level.nodes.tolist()


def _drawn_tree(data: st.DataObject) -> tuple[list[topdown.Noisy], list[npt.NDArray[np.bool_]]]:
    """Return measured levels of up to four, their values the numbers of their nodes, and what is hidden."""
    levels, hidden, size = [], [], data.draw(st.integers(1, 3))
    parents = np.empty(0, dtype=np.intp)
    for depth in range(data.draw(st.integers(1, 4))):
        nodes = np.arange(size) + 100 * depth
        last = st.lists(st.booleans(), min_size=size, max_size=size)
        split, gone = (np.array(data.draw(last), dtype=np.bool_) for _ in range(2))
        levels.append(topdown.Noisy(nodes, parents, nodes[:, None].astype(np.float64), split))
        hidden.append(gone)
        parents = np.repeat(np.flatnonzero(split), 2)
        size = len(parents)
        if not size:
            break
    levels[-1].split[:] = False
    return levels, hidden


def _sizes(levels: list[topdown.Noisy]) -> list[int]:
    return [len(level.nodes) for level in levels]


def _measure(
    table: pa.Table, area: Area, starts: Integers, plan: Plan, sampler: Sampler
) -> list[topdown.Noisy]:
    counts, tree = counts_for(table, area=area, columns=Columns(starts), plan=plan)
    return topdown.measure(counts, tree, plan, sampler, Columns(starts))


def test_prenoise_vectors_are_golden(area: Area, root: int) -> None:
    cells = children(np.array([root]), 7)
    starts = np.array([0, 3600, 7200], dtype=np.int64)
    table = pa.table(
        {
            "cell": [int(cells[0]), int(cells[1]), int(cells[7]), int(cells[342]), int(cells[342])],
            "start": [0, 0, 3600, 7200, 0],
            "count": [1000, 2500, 300, 7, 1],
        }
    )
    plan = _plan(area, starts)
    vectors = prenoise(*counts_for(table, area=area, columns=Columns(starts), plan=plan), plan)
    assert vectors[4].tolist() == [[3501, 300, 7]]
    assert vectors[5].tolist() == [[3500, 300, 0], *[[0, 0, 0]] * 5, [1, 0, 7]]
    assert vectors[6][:2].tolist() == [[3500, 0, 0], [0, 300, 0]]
    assert vectors[7][[0, 1, 7, 342]].tolist() == [[1000, 0, 0], [2500, 0, 0], [0, 300, 0], [1, 0, 7]]
    assert [int(vectors[r].sum()) for r in (4, 5, 6, 7)] == [3808] * 4
    assert all(vector.dtype == np.int64 for vector in vectors.values())


def test_sums_stay_exact_beyond_the_53_bits_of_a_float(area: Area, root: int) -> None:
    cells = children(np.array([root]), 7)[:2]
    starts = np.array([0], dtype=np.int64)
    table = pa.table({"cell": cells, "start": [0, 0], "count": [2**60, 1]})
    plan = _plan(area, starts)
    vectors = prenoise(*counts_for(table, area=area, columns=Columns(starts), plan=plan), plan)
    assert vectors[4].tolist() == [[2**60 + 1]]


def test_int32_counts_are_taken(area: Area, root: int) -> None:
    cells = children(np.array([root]), 7)[:2]
    starts = np.array([0], dtype=np.int64)
    table = pa.table(
        {"cell": cells, "start": pa.array([0, 0], pa.int32()), "count": pa.array([5, 6], pa.int32())}
    )
    plan = _plan(area, starts)
    vectors = prenoise(*counts_for(table, area=area, columns=Columns(starts), plan=plan), plan)
    assert vectors[4].tolist() == [[11]]
    assert vectors[4].dtype == np.int64


def test_rows_outside_the_public_keys_are_not_looked_at(area: Area, root: int) -> None:
    away = int(h3i.cell_to_center_child(int(h3i.grid_ring(root, 1)[0]), 7))
    inside = int(h3i.cell_to_center_child(root, 7))
    starts = np.array([0, 3600], dtype=np.int64)
    table = pa.table({"cell": [away, inside, inside], "start": [0, 7200, 3600], "count": [5, 6, 7]})
    plan = _plan(area, starts)
    vectors = prenoise(*counts_for(table, area=area, columns=Columns(starts), plan=plan), plan)
    assert vectors[4].tolist() == [[0, 7]]


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_levels_are_sums_of_the_finest(area: Area, root: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells = children(np.array([root]), 7)
    starts = np.arange(0, 5 * 3600, 3600, dtype=np.int64)
    counts = rng.integers(0, 3, (len(cells), 5)) * rng.integers(0, 2000)
    at, bucket = np.nonzero(counts)
    table = pa.table({"cell": cells[at], "start": starts[bucket], "count": counts[at, bucket]})
    plan = _plan(area, starts)
    vectors = prenoise(*counts_for(table, area=area, columns=Columns(starts), plan=plan), plan)
    for resolution, vector in vectors.items():
        lineage = parent(cells, resolution, of=7)
        for row, node in enumerate(np.unique(lineage)):
            assert vector[row].tolist() == counts[lineage == node].sum(axis=0).tolist()


@pytest.mark.parametrize("answer", [-(10**9), 0, 10**9])
def test_expansion_depends_on_noisy_values_only(
    area: Area,
    week: Integers,
    city: Callable[[float], pa.Table],
    constant: Callable[[int], Sampler],
    answer: int,
) -> None:
    plan = _plan(area, week, cap=60 * len(week))
    empty = city(1.0).slice(0, 0)
    trees = [
        [
            (level.nodes.tolist(), level.split.tolist())
            for level in _measure(t, area, week, plan, constant(answer))
        ]
        for t in (empty, city(1.0), city(500.0))
    ]
    assert trees[0] == trees[1] == trees[2]
    assert len(trees[0]) == (4 if answer > 0 else 1)


def test_rows_depend_on_noisy_values_only(
    area: Area, week: Integers, city: Callable[[float], pa.Table], constant: Callable[[int], Sampler]
) -> None:
    plan = _plan(area, week)
    found = [
        release_additive(
            table, area=area, columns=Columns(week), plan=plan, sampler=constant(10**8), minimum=20
        )
        for table in (city(1.0).slice(0, 0), city(30.0))
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize(("above", "sizes"), [(True, [1, 7]), (False, [1])])
def test_a_node_is_split_above_three_sigma_of_pooled_noise(area: Area, above: bool, sizes: list[int]) -> None:
    starts = np.arange(0, 4 * 3600, 3600, dtype=np.int64)
    plan = _plan(area, starts)
    edge = int(np.floor(3 * plan.levels[0].scale * 2))

    class Once:
        name = "once"
        calls = 0

        def gaussian(self, values: Integers, scale: float) -> Integers:
            assert scale == plan.levels[self.calls].scale
            self.calls += 1
            out = np.zeros_like(values)
            if self.calls == 1:
                out[0, 0] = edge + above
            return out

    empty = pa.table({name: pa.array([], pa.int64()) for name in ("cell", "start", "count")})
    assert _sizes(_measure(empty, area, starts, plan, Once())) == sizes


def test_every_key_of_a_measured_family_gets_noise(
    area: Area, week: Integers, city: Callable[[float], pa.Table], seeded: Callable[[int], Sampler]
) -> None:
    plan = _plan(area, week)
    levels = _measure(city(10.0), area, week, plan, seeded(1))
    for above, below in itertools.pairwise(levels):
        assert len(below.nodes) == 7 * above.split.sum()
        assert np.array_equal(np.unique(below.parents), np.flatnonzero(above.split))
        assert (below.values != np.rint(below.values)).mean() > 0.9


@settings(max_examples=20)
@given(st.integers(2, 420))
def test_measured_keys_never_exceed_the_cap(area: Area, nodes: int) -> None:
    starts = np.arange(0, 3 * 3600, 3600, dtype=np.int64)
    plan = _plan(area, starts, cap=3 * nodes + 2)

    class High:
        name = "high"

        def gaussian(self, values: Integers, scale: float) -> Integers:
            assert scale > 0
            return values + 10**12

    empty = pa.table({name: pa.array([], pa.int64()) for name in ("cell", "start", "count")})
    sizes = _sizes(_measure(empty, area, starts, plan, High()))
    assert sum(sizes) <= nodes
    assert nodes < 400 or sizes == [1, 7, 49, 343]
    assert nodes < 30 or len(sizes) == 4


def test_highest_noisy_values_are_split_first_at_the_cap(area: Area) -> None:
    starts = np.array([0], dtype=np.int64)
    plan = _plan(area, starts, cap=1 + 7 + 14 + 14)

    class Ranked:
        name = "ranked"

        def gaussian(self, values: Integers, scale: float) -> Integers:
            rank = np.arange(len(values), dtype=np.int64)[:, None] * 3 % 7
            return np.int64(scale) * 1000 + rank * 10**9

    empty = pa.table({name: pa.array([], pa.int64()) for name in ("cell", "start", "count")})
    levels = _measure(empty, area, starts, plan, Ranked())
    assert _sizes(levels) == [1, 7, 14, 14]
    assert np.flatnonzero(levels[1].split).tolist() == sorted(
        np.argsort(-(np.arange(7) * 3 % 7))[:2].tolist()
    )
