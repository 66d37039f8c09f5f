"""Says before a question is paid for what it would be worth, and what a given error costs.

Skill over zeros is 1 - (error of the estimate) / (error of publishing nothing but zeros), both as root
mean squares over cells and buckets; below 0 the numbers would be worse than none. The error is that of
the noise, which is public. The counts come from an earlier release of the measure, or else from public
figures (`gate.prior`): never from the lake.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow.compute as pc

from passersby.errors import UsageError
from passersby.gate import prior
from passersby.gate.planning import LEAST_MICRO_RHO, Planned
from passersby.model.cells import COARSEST, parent, resolution_of
from passersby.model.cost import MicroRho
from passersby.model.place import Area
from passersby.model.release import Release
from passersby.model.schema import ZONE
from passersby.model.zones import ALL
from passersby.privacy.accounting import epsilon_to_ask, micro_rho_for
from passersby.privacy.hierarchy.plan import cheapest, make_plan
from passersby.privacy.hierarchy.zones import EACH


@dataclass(frozen=True)
class Known:
    """What is public about the size of counts.

    Args:
        devices: size of the panel that the suppliers' contracts declare, None where they do not.
        earlier: a release of the same measure, grain and filters, if there is one.
    """

    devices: int | None
    earlier: Release | None


@dataclass(frozen=True)
class Worth:
    """What one resolution, or `EACH` of the question's zones, would be worth at the question's cost.

    `standard_error` and `typical` (root mean square of the counts) are in units of the measure for one
    cell, bucket and counted bin; `typical` and `skill` are None where nothing public says how large counts
    are.
    """

    resolution: int
    standard_error: float
    typical: float | None
    skill: float | None


@dataclass(frozen=True)
class Target:
    """The largest error that will do.

    A relative one is the standard error of one cell and bucket over the typical count, which is the root mean
    square of the counts of all cells and buckets. Another one is a standard error in units of the measure: it
    needs no typical count.
    """

    value: float
    relative: bool

    def standard_error(self, typical: float | None) -> float | None:
        """Return the standard error that it allows, None if it depends on a typical count that is unknown."""
        if not self.relative:
            return self.value
        return self.value * typical if typical else None


@dataclass(frozen=True)
class Price:
    """What a target costs at one resolution and grain, or that it cannot be reached.

    Args:
        epsilon: to ask with; the most that one question may cost, where the target is not reached.
        cost: the same in micro-rho.
        standard_error: at that cost.
        typical: count, None where it is unknown.
        reached: whether the target can be reached; None where that is unknown.
        earlier: whether the typical count is that of an earlier release.
    """

    epsilon: float
    cost: MicroRho
    standard_error: float
    typical: float | None
    reached: bool | None
    earlier: bool


def parse_target(text: str) -> Target:
    """Return the target of `5%`, or of `100`: a standard error in units of the measure.

    Raises:
        UsageError: the text is neither.
    """
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(%?)", text.strip())
    value = float(match[1]) if match else 0.0
    if match is None or not 0 < value < 1e12:
        raise UsageError("The target error is neither a share nor a number above 0.", "Write 5% or 100.")
    return Target(value / 100, relative=True) if match[2] else Target(value, relative=False)


def of(planned: Planned, *, finest: int, known: Known) -> list[Worth]:
    """Return the worth of each resolution from 4 to `finest`, or of the zones, at the question's cost."""
    found = []
    for level in range(COARSEST, finest + 1) if planned.question.zones is None else (EACH,):
        error = expected_error(planned, level, planned.question.cost)
        if error is not None:
            typical, _ = typical_count(planned, level, known)
            skill = None if not typical else 1 - error / typical
            found.append(Worth(level, error, typical, skill))
    return found


def price(planned: Planned, target: Target, *, delta: float, most: float, known: Known) -> Price:
    """Return what the question must cost so that its error is the target's.

    Args:
        planned: the question; its own cost does not matter.
        target: the largest error.
        delta: of the deployment.
        most: most epsilon that one question may cost.
        known: what is public about the size of counts.
    """
    question, measure, level = planned.question, planned.measure, planned.plan.finest
    typical, earlier = typical_count(planned, level, known)
    wanted, dearest = target.standard_error(typical), micro_rho_for(most, delta)
    cost = None
    if wanted is not None:
        cost = cheapest(
            question.ground,
            resolution=question.resolution,
            buckets=measure.columns(planned.scope),
            squared_bound=partial(measure.squared_sensitivity, planned.scope),
            kind=measure.kind,
            error=wanted / measure.factor,
            between=(MicroRho(LEAST_MICRO_RHO), dearest),
        )
    while wanted is not None and cost is not None:
        epsilon = epsilon_to_ask(cost, delta, most)
        paid = micro_rho_for(epsilon, delta)
        error = expected_error(planned, level, paid)
        if error is not None and error <= wanted:
            return Price(epsilon, paid, error, typical, reached=True, earlier=earlier)
        cost = MicroRho(paid.value + 1)  # rounding of shares: a dearer plan can be worse by a hair
    error = expected_error(planned, level, dearest)
    reached = None if wanted is None else False
    return Price(most, dearest, error or math.inf, typical, reached=reached, earlier=earlier)


def expected_error(planned: Planned, level: int, cost: MicroRho) -> float | None:
    """Return the standard error at a resolution or of zones, at a cost; None where no plan is possible."""
    scope = planned.scope if planned.question.zones else replace(planned.scope, resolution=level)
    try:
        plan = make_plan(
            planned.question.zones or _coarsened(planned, level),
            measure=planned.question.measure,
            resolution=level,
            buckets=planned.measure.columns(planned.scope),
            squared_bound=partial(planned.measure.squared_sensitivity, scope),
            cost=cost,
            kind=planned.measure.kind,
        )
    except UsageError:
        return None
    return plan.levels[-1].error * planned.measure.factor


def _coarsened(planned: Planned, resolution: int) -> Area:
    """Return the question's area at `resolution`: finer cells count as their ancestor."""
    question = planned.question
    if resolution >= question.resolution:
        return question.area
    cells = question.area.at(question.resolution)
    return Area.from_cells(parent(cells, resolution, of=question.resolution))


def typical_count(planned: Planned, level: int, known: Known) -> tuple[float | None, bool]:
    """Return the typical count at a resolution or of zones, and whether it is that of an earlier release."""
    if planned.measure.pairs or planned.measure.bins:
        return None, False
    if known.earlier is not None:
        found = _from_release(known.earlier, level)
        if found is not None:
            return found, True
    if known.devices is None or not planned.measure.expected:
        return None, False  # public figures say how many people live in a cell, not what they do
    zones = planned.question.zones
    if zones is None:
        counts = prior.expected_counts(_coarsened(planned, level), level, known.devices)
    else:
        zone, _ = zones.find(zones.area.at(zones.resolution))
        cells = prior.expected_counts(zones.area, zones.resolution, known.devices)
        counts = np.bincount(zone, weights=cells, minlength=len(zones)).astype(np.float64)
    return float(np.sqrt(np.mean(counts**2))) * _times(planned), False


def _times(planned: Planned) -> float:
    """Return how often a device is expected to count in a bucket in the cell where it lives."""
    hours = planned.scope.bucket_hours if planned.measure.expected == "each hour" else 1
    weights = planned.question.weights
    return prior.OBSERVED_SHARE * hours * (weights.mean if weights else 1.0)


def _from_release(earlier: Release, level: int) -> float | None:
    """Return the root mean square of an earlier release's counts, added up to a resolution.

    Suppressed cells count as zero, as they would be published; cells of the area that the earlier release
    did not cover are taken to be like those that it did. A release of zones is one of the same zones; where
    it tells of all of them together, it says nothing of each.
    """
    if level == EACH:
        rows = earlier.rows.filter(earlier.rows["count"].is_valid())
        own = rows.filter(pc.not_equal(rows[ZONE[0]], ALL))["count"].to_numpy().astype(np.float64)
        keys = len(earlier.question["zones"]) * len(np.unique(earlier.rows["start"].to_numpy()))
        return float(np.sqrt(np.sum(own**2) / keys)) if len(own) else None
    return _from_cells(earlier, level)


def _from_cells(earlier: Release, resolution: int) -> float | None:
    area = Area.from_names(list(earlier.question["area"]))
    known = earlier.question["resolution"]
    if resolution > known:
        return None
    cells_there = np.unique(parent(area.at(known), resolution, of=known))
    measured_keys = len(cells_there) * len(np.unique(earlier.rows["start"].to_numpy()))
    rows = earlier.rows.filter(earlier.rows["count"].is_valid())
    cells = rows["cell"].to_numpy()
    own = resolution_of(cells)
    keep = own >= resolution
    if not keep.any():
        return None
    parents = np.zeros(len(cells), dtype=np.int64)
    for level in np.unique(own[keep]):
        at = own == level
        parents[at] = parent(cells[at], resolution, of=int(level))
    keys = np.stack([parents[keep], rows["start"].to_numpy()[keep]])
    _, group = np.unique(keys, axis=1, return_inverse=True)
    totals = np.bincount(group.ravel(), weights=rows["count"].to_numpy()[keep])
    return float(np.sqrt(np.sum(totals**2) / measured_keys))
