"""Least squares on the tree against dense weighted least squares."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passersby.privacy.hierarchy import gls

Floats = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]


@st.composite
def trees(draw: st.DrawFn) -> list[Index]:
    """Parents by level: each node has no children, or one to seven."""
    parents: list[Index] = [np.empty(0, dtype=np.intp)]
    size = draw(st.integers(1, 3))
    for _ in range(draw(st.integers(0, 3))):
        sizes = [draw(st.sampled_from([0, 0, 1, 2, 3, 7])) for _ in range(min(size, 6))]
        lineage = np.repeat(np.arange(len(sizes)), sizes)
        if len(lineage) == 0:
            break
        parents.append(lineage)
        size = len(lineage)
    return parents


def _sizes(parents: list[Index], roots: int) -> list[int]:
    return [roots, *(len(lineage) for lineage in parents[1:])]


def _dense(measured: list[Floats], variances: list[float], parents: list[Index]) -> tuple[Floats, Floats]:
    """Return estimates and variances of all nodes from the design matrix on the tree's leaves."""
    sizes = [len(y) for y in measured]
    start = np.cumsum([0, *sizes])
    with_children = {(level - 1, int(p)) for level, lineage in enumerate(parents) if level for p in lineage}
    leaves = [(i, j) for i, n in enumerate(sizes) for j in range(n) if (i, j) not in with_children]
    design = np.zeros((start[-1], len(leaves)))
    for column, (level, node) in enumerate(leaves):
        at, up = level, node
        while True:
            design[start[at] + up, column] = 1
            if at == 0:
                break
            at, up = at - 1, int(parents[at][up])
    weight = np.concatenate([np.full(n, 1 / s2) for n, s2 in zip(sizes, variances, strict=True)])
    covariance = np.linalg.inv(design.T @ (weight[:, None] * design))
    solved = covariance @ (design.T @ (weight[:, None] * np.concatenate(measured)))
    return design @ solved, np.diag(design @ covariance @ design.T)


@given(trees(), st.integers(0, 2**32 - 1))
def test_estimates_and_variances_are_those_of_dense_least_squares(parents: list[Index], seed: int) -> None:
    rng = np.random.default_rng(seed)
    roots = 1 + (int(parents[1].max()) if len(parents) > 1 else 0)
    measured = [rng.normal(100, 50, (n, 4)) for n in _sizes(parents, roots)]
    variances = [float(v) for v in rng.uniform(0.1, 900, len(measured))]
    estimates, errors = gls.estimate(measured, variances, parents)
    dense, dense_errors = _dense(measured, variances, parents)
    np.testing.assert_allclose(np.concatenate(estimates), dense, rtol=1e-8, atol=1e-7)
    np.testing.assert_allclose(np.concatenate(errors), dense_errors, rtol=1e-8)


@given(trees(), st.integers(0, 2**32 - 1))
def test_children_add_up_to_their_parent(parents: list[Index], seed: int) -> None:
    rng = np.random.default_rng(seed)
    roots = 1 + (int(parents[1].max()) if len(parents) > 1 else 0)
    measured = [rng.normal(0, 50, (n, 3)) for n in _sizes(parents, roots)]
    estimates, _ = gls.estimate(measured, [1.0, 2.0, 3.0, 4.0][: len(measured)], parents)
    for above, below, lineage in zip(estimates, estimates[1:], parents[1:], strict=False):
        total = np.zeros_like(above)
        np.add.at(total, lineage, below)
        families = np.unique(lineage)
        np.testing.assert_allclose(total[families], above[families], atol=1e-8)


def test_what_was_measured_is_left_as_it_was() -> None:
    measured = [np.array([[10.0]]), np.array([[3.0], [4.0]])]
    gls.estimate(measured, [1.0, 1.0], [np.empty(0, dtype=np.intp), np.array([0, 0])])
    assert measured[0].tolist() == [[10.0]]
    assert measured[1].tolist() == [[3.0], [4.0]]


def test_errors_of_a_full_tree() -> None:
    parents = [np.empty(0, dtype=np.intp), np.zeros(7, dtype=np.intp)]
    joint = gls.mean_errors([4.0, 9.0], parents)
    root = 1 / (1 / 4 + 1 / 63)
    assert joint == pytest.approx([np.sqrt(root), np.sqrt(9 - 9 / 7 + root / 49)])
    assert gls.mean_errors([4.0], parents[:1]) == [2.0]
