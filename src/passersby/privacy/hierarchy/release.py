"""From bounded counts to the rows of a release: noise, least squares, suppression, views.

Rows partition the question's area: cells at the asked resolution, and coarser cells that were not split.
Each row has an estimate with a 95% interval, a count of the consistent view, and a flag.

Intervals are estimate +- 1.96 standard errors: a discrete Gaussian of these scales is normal to any digit
that is shown, and least squares is linear in it. `estimate` may be negative. `low` and `high` are released
as max(0, .): counts are not negative by definition, so that this lowers no interval's coverage.

Suppression is decided per cell, pooled over the question's buckets: where the pooled estimate is below the
minimum, or narrower than its own 95% interval (3.92 standard errors), all of the cell's rows lose their
values. Decided row by row it would favour rows with lucky noise, and intervals of shown rows would cover
77-90% instead of 95%. A question with one bucket has nothing to pool: there, cells near the threshold
cover less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from passersby.errors import UsageError
from passersby.model.cost import MechanismEvent
from passersby.model.place import Area
from passersby.model.release import COARSE, LOW_PRECISION, SUPPRESSED
from passersby.model.schema import ROWS
from passersby.privacy.hierarchy import gls, topdown, views
from passersby.privacy.hierarchy.counts import AdditiveCounts, Counts, LevelCounts
from passersby.privacy.hierarchy.plan import Plan
from passersby.privacy.hierarchy.tree import Tree
from passersby.privacy.noise import UNIT, Sampler

Z95 = 1.96
"""Half width of a 95% interval in standard errors."""

SMOOTH = pa.field("smooth", pa.int64())
"""The optional last column: the smooth view, null where the row is suppressed."""

Instants = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Measured:
    """What came out of the mechanism: all of it may leave the gate.

    Args:
        rows: `model.schema.ROWS`, sorted by (cell, start), with the column `SMOOTH` if it was asked for.
        events: mechanism events that this spent, one for each level of the plan.
        sampler: name of what drew the noise.
        coverage_of_keys: by resolution, the share of the public cells that were measured.
        shown: share of the rows that are not suppressed.
        shown_mass: share of the estimated total that lies in shown rows, from noisy estimates, 0 to 1.
    """

    rows: pa.Table
    events: list[MechanismEvent]
    sampler: str
    coverage_of_keys: dict[int, float]
    shown: float
    shown_mass: float


@dataclass(frozen=True, eq=False)
class _Views:
    """Estimates, variances, counts and, if asked for, smooth counts, by level."""

    estimates: Sequence[npt.NDArray[np.float64]]
    variances: Sequence[npt.NDArray[np.float64]]
    counts: Sequence[npt.NDArray[np.int64]]
    smooth: Sequence[npt.NDArray[np.int64]] | None


def release_additive(
    leaf: pa.Table,
    *,
    area: Area,
    starts: Instants,
    plan: Plan,
    sampler: Sampler,
    minimum: float,
    smooth: bool = False,
    offset: int = 0,
) -> Measured:
    """Return the release of an additive measure.

    Args:
        leaf: (cell at the plan's finest resolution, start, count in thousandths), from `bound.additive_sql`.
        area: the question's area, that the plan was made for.
        starts: sorted first instants of the question's buckets, epoch s.
        plan: what to spend on each level.
        sampler: adds the noise.
        minimum: floor of a cell's estimate, pooled over the question, in units of the measure.
        smooth: add the smooth view.
        offset: the deployment's offset (s east of UTC), for the smooth view's hours and weekdays.

    Raises:
        UsageError: the plan was made for another area, other buckets or a measure that is not additive.
        IntegrityError: a level's noise would cost more than its share; nothing was drawn.
    """
    tree = _check(plan, area, starts, additive=True)
    events = plan.events()
    levels = topdown.measure(AdditiveCounts(leaf, tree, starts), tree, plan, sampler)
    parents = [level.parents for level in levels]
    noise = [(level.scale / UNIT) ** 2 for level in plan.levels][: len(levels)]
    estimates, variances = gls.estimate([level.values for level in levels], noise, parents)
    counts = views.consistent(estimates, parents)
    usual = views.smooth(estimates, variances, parents, starts + offset) if smooth else None
    rows = _rows(_Views(estimates, variances, counts, usual), levels, tree, starts, minimum)
    return _measured(rows, _whole_total(estimates, levels), levels, tree, events, sampler)


def release_levels(
    per_level: Mapping[int, pa.Table],
    *,
    area: Area,
    starts: Instants,
    plan: Plan,
    sampler: Sampler,
    minimum: float,
) -> Measured:
    """Return the release of a measure whose children do not add up to their parent.

    Each level is bounded and measured by itself; a row's estimate is its own noisy value, without least
    squares. The consistent view obeys max(children) <= parent <= sum(children).

    Args:
        per_level: for each resolution of the plan, (cell, start, count in thousandths), from
            `bound.level_sql`.
        area: the question's area, that the plan was made for.
        starts: sorted first instants of the question's buckets, epoch s.
        plan: what to spend on each level.
        sampler: adds the noise.
        minimum: floor of a cell's estimate, pooled over the question, in units of the measure.

    Raises:
        UsageError: the plan was made for another area, other buckets or an additive measure, or a level
            has no table.
        IntegrityError: a level's noise would cost more than its share; nothing was drawn.
    """
    tree = _check(plan, area, starts, additive=False)
    if set(per_level) != set(tree.resolutions):
        raise UsageError("The counts are not those of the plan's levels.", "Count once for each level.")
    events = plan.events()
    levels = topdown.measure(LevelCounts(per_level, tree, starts), tree, plan, sampler)
    estimates = [level.values for level in levels]
    variances = [
        np.full(len(level.nodes), (planned.scale / UNIT) ** 2)
        for level, planned in zip(levels, plan.levels, strict=False)
    ]
    counts = views.nested(estimates, [level.parents for level in levels])
    rows = _rows(_Views(estimates, variances, counts, None), levels, tree, starts, minimum)
    return _measured(rows, _whole_total(estimates, levels), levels, tree, events, sampler)


def counts_for(
    given: pa.Table | Mapping[int, pa.Table], *, area: Area, starts: Instants, plan: Plan
) -> tuple[Counts, Tree]:
    """Return the exact counts and the tree that a release would use: for `counts.prenoise` in tests."""
    tree = _check(plan, area, starts, additive=plan.additive)
    if isinstance(given, Mapping):
        return LevelCounts(given, tree, starts), tree
    return AdditiveCounts(given, tree, starts), tree


def _check(plan: Plan, area: Area, starts: Instants, *, additive: bool) -> Tree:
    if plan.additive is not additive:
        raise UsageError("The plan was made for another kind of measure.", "Plan the question again.")
    if len(starts) != plan.buckets or np.any(np.diff(starts) <= 0):
        raise UsageError("The plan was made for other buckets of time.", "Plan the question again.")
    return plan.tree(area)


def _whole_total(estimates: Sequence[npt.NDArray[np.float64]], levels: Sequence[topdown.Noisy]) -> float:
    """Return the sum of the estimates over all rows, suppressed ones included.

    Estimates and not counts: those are biased upwards in empty cells, so that shares of them are too small.
    """
    return sum(float(values[~level.split].sum()) for values, level in zip(estimates, levels, strict=True))


def _measured(
    rows: pa.Table,
    total: float,
    levels: Sequence[topdown.Noisy],
    tree: Tree,
    events: list[MechanismEvent],
    sampler: Sampler,
) -> Measured:
    measured = [len(level.nodes) for level in levels] + [0] * (len(tree.cells) - len(levels))
    coverage = {r: n / len(cells) for r, n, cells in zip(tree.resolutions, measured, tree.cells, strict=True)}
    shown = 1 - rows.column("estimate").null_count / rows.num_rows
    mass = min(1.0, max(0.0, (pc.sum(rows.column("estimate")).as_py() or 0.0) / max(total, 1.0)))
    return Measured(rows, events, sampler.name, coverage, shown, mass)


def _rows(
    seen: _Views, levels: Sequence[topdown.Noisy], tree: Tree, starts: Instants, minimum: float
) -> pa.Table:
    """Return the rows of all nodes that were not split, sorted by (cell, start)."""
    parts = [
        _level_rows(seen, depth, level, tree, starts, minimum)
        for depth, level in enumerate(levels)
        if not level.split.all()
    ]
    return pa.concat_tables(parts).sort_by([("cell", "ascending"), ("start", "ascending")])


def _level_rows(
    seen: _Views, depth: int, level: topdown.Noisy, tree: Tree, starts: Instants, minimum: float
) -> pa.Table:
    whole = ~level.split
    estimate = seen.estimates[depth][whole]
    error = np.sqrt(seen.variances[depth][whole])
    hidden = _hidden(estimate, error, minimum)
    reach = Z95 * np.broadcast_to(error[:, None], estimate.shape)
    precision = np.where(2 * reach > estimate, LOW_PRECISION, "")
    flag = np.full(estimate.shape, COARSE) if depth < len(tree.cells) - 1 else precision
    flag = np.where(hidden[:, None], SUPPRESSED, flag)
    mask = np.repeat(hidden, len(starts))
    columns = {
        "cell": np.repeat(tree.cells[depth][level.nodes[whole]], len(starts)),
        "start": np.tile(starts, len(estimate)),
        "estimate": pa.array(estimate.reshape(-1), mask=mask),
        "low": pa.array(np.maximum(0, estimate - reach).reshape(-1), mask=mask),
        "high": pa.array(np.maximum(0, estimate + reach).reshape(-1), mask=mask),
        "count": pa.array(seen.counts[depth][whole].reshape(-1), mask=mask),
        "flag": pa.array(flag.reshape(-1).tolist(), pa.string()),
    }
    schema = ROWS
    if seen.smooth is not None:
        columns["smooth"] = pa.array(seen.smooth[depth][whole].reshape(-1), mask=mask)
        schema = schema.append(SMOOTH)
    return pa.table(columns, schema=schema)


def _hidden(
    estimate: npt.NDArray[np.float64], error: npt.NDArray[np.float64], minimum: float
) -> npt.NDArray[np.bool_]:
    """Tell which nodes are suppressed, from values pooled over the buckets (independent noise)."""
    pooled = estimate.sum(axis=1)
    pooled_error = error * np.sqrt(estimate.shape[1])
    hidden: npt.NDArray[np.bool_] = (pooled < minimum) | (pooled < 2 * Z95 * pooled_error)
    return hidden
