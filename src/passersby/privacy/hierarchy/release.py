"""From bounded counts to the rows of a release: noise, least squares, views; `rows` makes the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from passersby.errors import UsageError
from passersby.model.cost import MechanismEvent
from passersby.privacy.hierarchy import gls, rows, topdown, views
from passersby.privacy.hierarchy.columns import Columns
from passersby.privacy.hierarchy.counts import AdditiveCounts, Counts, LevelCounts
from passersby.privacy.hierarchy.plan import Ground, Plan
from passersby.privacy.hierarchy.tree import Nodes, Tree
from passersby.privacy.noise import UNIT, Sampler


@dataclass(frozen=True)
class Measured:
    """What came out of the mechanism: all of it may leave the gate.

    Args:
        rows: one of `model.schema.ROW_SCHEMAS`, sorted by place and start, with the column `rows.SMOOTH` if
            it was asked for.
        events: mechanism events that this spent, one for each level of the plan.
        sampler: name of what drew the noise.
        coverage_of_keys: by resolution, the share of the public cells or pairs that were measured.
        shown: share of the rows that are not suppressed.
        shown_mass: share of the estimated total that lies in shown rows, from noisy estimates, 0 to 1.
    """

    rows: pa.Table
    events: list[MechanismEvent]
    sampler: str
    coverage_of_keys: dict[int, float]
    shown: float
    shown_mass: float


def release_additive(
    leaf: pa.Table,
    *,
    area: Ground,
    columns: Columns,
    plan: Plan,
    sampler: Sampler,
    minimum: float,
    smooth: bool = False,
    offset: int = 0,
) -> Measured:
    """Return the release of an additive measure.

    Args:
        leaf: (cell at the plan's finest resolution, start, perhaps bin, count in thousandths), from
            `bound.additive_sql`.
        area: the question's area or zones, that the plan was made for.
        columns: buckets of time and bins of each node.
        plan: what to spend on each level.
        sampler: adds the noise.
        minimum: floor of a cell's estimate, pooled over the question's buckets and counted bins, in
            their unit.
        smooth: add the smooth view; for measures without bins.
        offset: the deployment's offset (s east of UTC), for the smooth view's hours and weekdays.

    Raises:
        UsageError: the plan was made for another area, other buckets or a measure that is not additive.
        IntegrityError: a level's noise would cost more than its share; nothing was drawn.
    """
    tree = _tree(plan, area, columns)
    if plan.kind != "additive" or not isinstance(tree, Tree):
        raise _other_kind()
    events = plan.events()
    levels = topdown.measure(AdditiveCounts(leaf, tree, columns), tree, plan, sampler, columns)
    parents = [level.parents for level in levels]
    noise = [(level.scale / UNIT) ** 2 for level in plan.levels][: len(levels)]
    estimates, variances = gls.estimate([level.values for level in levels], noise, parents)
    counts = views.consistent(estimates, parents)
    usual = views.smooth(estimates, variances, parents, columns.starts + offset) if smooth else None
    found = rows.table(
        rows.Views(estimates, variances, counts, usual, plan.lost), levels, tree, columns, minimum
    )
    return _measured(
        found, _whole_total(estimates, levels, columns), levels, (tree, columns), events, sampler
    )


def release_levels(
    per_level: Mapping[int, pa.Table],
    *,
    area: Ground,
    columns: Columns,
    plan: Plan,
    sampler: Sampler,
    minimum: float,
) -> Measured:
    """Return the release of a measure whose children do not add up to their parent, or of pairs.

    Each level is bounded and measured by itself; a row's estimate is its own noisy value, without least
    squares. A family of which nothing would be shown is given as its parent. The consistent view obeys
    max(children) <= parent <= sum(children).

    Args:
        per_level: for each resolution of the plan, (place, start, perhaps bin, count in thousandths), from
            `bound.level_sql`.
        area: the question's area, that the plan was made for.
        columns: buckets of time and bins of each node.
        plan: what to spend on each level.
        sampler: adds the noise.
        minimum: floor of a node's estimate, pooled over the question's buckets and counted bins, in
            their unit.

    Raises:
        UsageError: the plan was made for another area, other buckets or an additive measure, or a level
            has no table.
        IntegrityError: a level's noise would cost more than its share; nothing was drawn.
    """
    tree = _tree(plan, area, columns)
    if plan.kind == "additive":
        raise _other_kind()
    if set(per_level) != set(tree.resolutions):
        raise UsageError("The counts are not those of the plan's levels.", "Count once for each level.")
    events = plan.events()
    measured = topdown.measure(LevelCounts(per_level, tree, columns), tree, plan, sampler, columns)
    errors = [planned.scale / UNIT for planned in plan.levels]
    unseen = [
        rows.hidden(level.values, np.full(len(level.nodes), error), columns, minimum)
        for level, error in zip(measured, errors, strict=False)
    ]
    levels = topdown.folded(measured, unseen)
    estimates = [level.values for level in levels]
    variances = [np.full(len(level.nodes), error**2) for level, error in zip(levels, errors, strict=False)]
    counts = views.nested(estimates, [level.parents for level in levels])
    found = rows.table(
        rows.Views(estimates, variances, counts, lost=plan.lost), levels, tree, columns, minimum
    )
    return _measured(
        found, _whole_total(estimates, levels, columns), measured, (tree, columns), events, sampler
    )


def counts_for(
    given: pa.Table | Mapping[int, pa.Table],
    *,
    area: Ground,
    columns: Columns,
    plan: Plan,
) -> tuple[Counts, Nodes]:
    """Return the exact counts and the tree that a release would use: for `counts.prenoise` in tests."""
    tree = _tree(plan, area, columns)
    if isinstance(given, Mapping):
        return LevelCounts(given, tree, columns), tree
    if not isinstance(tree, Tree):
        raise _other_kind()
    return AdditiveCounts(given, tree, columns), tree


def _tree(plan: Plan, area: Ground, columns: Columns) -> Nodes:
    if len(columns) != plan.buckets or np.any(np.diff(columns.starts) <= 0):
        raise UsageError("The plan was made for other buckets of time.", "Plan the question again.")
    return plan.tree(area)


def _other_kind() -> UsageError:
    return UsageError("The plan was made for another kind of measure.", "Plan the question again.")


def _whole_total(
    estimates: Sequence[npt.NDArray[np.float64]], levels: Sequence[topdown.Noisy], columns: Columns
) -> float:
    """Return the sum of the estimates over all rows of counted bins, in their unit, suppressed ones too.

    Estimates and not counts: those are biased upwards in empty cells, so that shares of them are too small.
    """
    return sum(
        float((values[~level.split] @ (columns.factors * columns.counted)).sum())
        for values, level in zip(estimates, levels, strict=True)
    )


def _measured(
    found: pa.Table,
    total: float,
    levels: Sequence[topdown.Noisy],
    public: tuple[Nodes, Columns],
    events: list[MechanismEvent],
    sampler: Sampler,
) -> Measured:
    tree, columns = public
    measured = [len(level.nodes) for level in levels] + [0] * (len(tree.sizes) - len(levels))
    coverage = {r: n / size for r, n, size in zip(tree.resolutions, measured, tree.sizes, strict=True)}
    shown = 1 - found.column("estimate").null_count / found.num_rows
    counted = found
    if columns.binned:
        labels = pa.array([each.label for each in columns.bins if each.counted])
        counted = found.filter(pc.is_in(found.column("bin"), labels))
    mass = min(1.0, max(0.0, (pc.sum(counted.column("estimate")).as_py() or 0.0) / max(total, 1.0)))
    return Measured(found, events, sampler.name, coverage, shown, mass)
