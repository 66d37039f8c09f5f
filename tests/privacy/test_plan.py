"""Tree and plan: public facts only, exact splits, costs that add up."""

from __future__ import annotations

from fractions import Fraction

import h3.api.numpy_int as h3i
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passersby.errors import UsageError
from passersby.model.cost import MICRO, MicroRho
from passersby.model.place import Area
from passersby.privacy import noise
from passersby.privacy.accounting import micro_rho_for
from passersby.privacy.hierarchy import tree
from passersby.privacy.hierarchy.plan import KEY_CAP, Kind, Plan, expected_error, make_plan, shares

ONE = micro_rho_for(1.0, 1e-7)


def _plan(
    area: Area, cost: MicroRho = ONE, *, resolution: int = 7, buckets: int = 168, key_cap: int = KEY_CAP
) -> Plan:
    return make_plan(
        area,
        measure="presence",
        resolution=resolution,
        buckets=buckets,
        squared_bound=168,
        cost=cost,
        kind="additive",
        key_cap=key_cap,
    )


@given(st.integers(1, 12), st.sampled_from(["additive", "levels", "pairs"]))
def test_shares_add_up_to_one_and_the_asked_resolution_has_most(levels: int, kind: Kind) -> None:
    found = shares(levels, kind)
    assert len(found) == levels
    assert sum(found) == 1
    assert all(part > 0 for part in found)
    assert levels == 1 or found[-1] >= 2 * max(found[:-1])


@pytest.mark.parametrize(
    ("levels", "expected"),
    [(1, ["1"]), (2, ["1/3", "2/3"]), (3, ["1/4", "1/4", "1/2"]), (4, ["1/6", "1/6", "1/6", "1/2"])],
)
def test_shares_are_as_documented(levels: int, expected: list[str]) -> None:
    assert list(shares(levels, "additive")) == [Fraction(text) for text in expected]


@pytest.mark.parametrize(
    ("levels", "expected"), [(1, ["1"]), (2, ["1/5", "4/5"]), (3, ["1/10", "1/10", "4/5"])]
)
@pytest.mark.parametrize("kind", ["levels", "pairs"])
def test_the_asked_level_gets_four_fifths_where_each_stands_alone(
    kind: Kind, levels: int, expected: list[str]
) -> None:
    assert list(shares(levels, kind)) == [Fraction(text) for text in expected]


def test_each_level_has_the_noise_of_its_own_bound(area: Area) -> None:
    bounds = {4: 672, 5: 671, 6: 336, 7: 168}
    plan = make_plan(
        area, measure="x", resolution=7, buckets=1, squared_bound=bounds.__getitem__, cost=ONE, kind="levels"
    )
    assert {level.resolution: level.squared_bound for level in plan.levels} == bounds
    for level, event in zip(plan.levels, plan.events(), strict=True):
        assert event.sensitivity == noise.sensitivity(level.squared_bound)
        rho = Fraction(level.squared_bound * MICRO) / (2 * Fraction(level.scale) ** 2)
        assert rho * MICRO <= level.cost.value == event.micro_rho
        # and no more noise than that, but for the rounding of the scale and of the charge
        assert rho * MICRO > 0.999 * level.cost.value - 1


@settings(max_examples=25)
@given(st.integers(100, 10**6), st.integers(4, 7))
def test_costs_of_the_levels_add_up_exactly(area: Area, micro: int, resolution: int) -> None:
    plan = _plan(area, MicroRho(micro), resolution=resolution)
    assert plan.cost == MicroRho(micro)
    assert sum(event.micro_rho for event in plan.events()) == micro


def test_events_name_each_level_and_cost_no_more_than_their_share(area: Area) -> None:
    events = _plan(area).events()
    assert [event.what for event in events] == [f"presence H3 resolution {r}" for r in (4, 5, 6, 7)]
    for event in events:
        cost = Fraction(event.sensitivity) ** 2 / (2 * Fraction(event.scale) ** 2)
        assert cost * MICRO <= event.micro_rho
        assert Fraction(event.sensitivity) ** 2 >= 168 * MICRO


def test_tree_has_every_cell_of_the_area_and_its_ancestors(area: Area, root: int) -> None:
    built = tree.build(area, 7, most_roots=10)
    assert built.resolutions == (4, 5, 6, 7)
    assert [len(cells) for cells in built.cells] == [1, 7, 49, 343]
    for level in (1, 2, 3):
        for cell, lineage in zip(built.cells[level], built.parents[level], strict=True):
            above = int(h3i.cell_to_parent(int(cell), built.resolutions[level] - 1))
            assert above == built.cells[level - 1][lineage]
    assert built.cells[0].tolist() == [root]


def test_tree_under_a_pentagon_has_six_children() -> None:
    pentagon = int(next(c for c in h3i.get_pentagons(4)))
    built = tree.build(Area.from_cells(np.array([pentagon])), 5, most_roots=10)
    assert len(built.cells[1]) == 6


def test_children_are_those_of_the_tree(area: Area) -> None:
    built = tree.build(area, 6, most_roots=10)
    nodes = np.array([1, 4, 5])
    found, place = built.children(1, nodes)
    assert found.tolist() == [i for i, p in enumerate(built.parents[2]) if p in nodes]
    assert nodes[place].tolist() == built.parents[2][found].tolist()
    assert built.family_sizes(1, nodes).tolist() == [7, 7, 7]


def test_part_of_a_root_stands_for_that_part(root: int) -> None:
    some = np.array(sorted(h3i.cell_to_children(root, 6))[:10], dtype=np.int64)
    built = tree.build(Area.from_cells(some), 7, most_roots=10)
    assert [len(cells) for cells in built.cells] == [1, 2, 10, 70]
    assert built.cells[0].tolist() == [root]


def test_roots_become_coarser_where_there_would_be_too_many(area: Area, root: int) -> None:
    ring = Area.from_cells(np.array(h3i.grid_disk(root, 1), dtype=np.int64))
    assert tree.build(ring, 4, most_roots=7).resolutions == (4,)
    coarser = tree.build(ring, 4, most_roots=6).resolutions
    assert coarser[0] < 4
    assert coarser[-1] == 4
    assert tree.build(area, 4, most_roots=1).resolutions == (4,)


def test_too_many_buckets_are_refused(area: Area) -> None:
    with pytest.raises(UsageError, match="at once"):
        _plan(area, buckets=KEY_CAP)


def test_area_finer_than_the_resolution_is_refused(root: int) -> None:
    fine = Area.from_cells(np.array([h3i.cell_to_center_child(root, 8)], dtype=np.int64))
    with pytest.raises(UsageError, match="finer"):
        _plan(fine)


def test_cost_too_small_to_split_is_refused(area: Area) -> None:
    with pytest.raises(UsageError, match="no budget"):
        _plan(area, MicroRho(3))


def test_plan_refuses_another_area(area: Area, root: int) -> None:
    other = Area.from_cells(np.array(h3i.grid_disk(root, 1), dtype=np.int64))
    with pytest.raises(UsageError, match="another area"):
        _plan(area).tree(other)


def test_expected_error_is_below_the_noise_and_above_zero(area: Area) -> None:
    plan = _plan(area)
    errors = expected_error(plan)
    assert list(errors) == [4, 5, 6, 7]
    for level in plan.levels:
        assert 0 < errors[level.resolution] < level.scale / 1000


def test_expected_error_of_single_levels_is_their_noise(area: Area) -> None:
    plan = make_plan(
        area, measure="visitors", resolution=6, buckets=7, squared_bound=168, cost=ONE, kind="levels"
    )
    assert expected_error(plan) == {level.resolution: level.scale / 1000 for level in plan.levels}


def test_same_public_facts_give_the_same_plan(area: Area) -> None:
    assert _plan(area) == _plan(area)
    assert (_plan(area).finest, _plan(area).key_cap) == (7, KEY_CAP)
