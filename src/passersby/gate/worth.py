"""Says before a question is paid for what it would be worth, and what a given error costs.

Skill over zeros is 1 - (error of the estimate) / (error of publishing nothing but zeros), both as root
mean squares over cells and buckets; below 0 the numbers would be worse than none. The error is that of
the noise, which is public. The counts come from an earlier release of the measure, or else from public
figures (`gate.prior`): never from the lake.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from passersby.errors import UsageError
from passersby.gate import prior
from passersby.gate.planning import LEAST_MICRO_RHO, Planned
from passersby.model.cells import COARSEST, parent, resolution_of
from passersby.model.cost import MicroRho
from passersby.model.place import Area
from passersby.model.release import Release
from passersby.model.zones import Zones
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
    """What one resolution would be worth at the question's cost.

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
    if planned.question.zones is not None:
        return [_of_zones(planned, planned.question.zones, known.devices)]
    found = []
    for resolution in range(COARSEST, finest + 1):
        error = expected_error(planned, resolution, planned.question.cost)
        if error is not None:
            typical, _ = typical_count(planned, resolution, known)
            skill = None if not typical else 1 - error / typical
            found.append(Worth(resolution, error, typical, skill))
    return found


def _of_zones(planned: Planned, zones: Zones, devices: int | None) -> Worth:
    """Return the worth of the question's zones; typical counts are sums over the cells of each zone."""
    error = planned.plan.levels[-1].error * planned.measure.factor
    if devices is None or not planned.measure.expected:
        return Worth(EACH, error, None, None)
    expected = prior.expected_counts(zones.area, zones.resolution, devices) * _times(planned)
    zone, _ = zones.find(zones.area.at(zones.resolution))
    counts = np.bincount(zone, weights=expected, minlength=len(zones))
    typical = float(np.sqrt(np.mean(counts**2)))
    return Worth(EACH, error, typical, 1 - error / typical if typical else None)


def price(planned: Planned, target: Target, *, delta: float, most: float, known: Known) -> Price:
    """Return what the question must cost so that its error is the target's.

    Args:
        planned: the question; its own cost does not matter.
        target: the largest error.
        delta: of the deployment.
        most: most epsilon that one question may cost.
        known: what is public about the size of counts.
    """
    question, measure = planned.question, planned.measure
    typical, earlier = typical_count(planned, question.resolution, known)
    wanted, dearest = target.standard_error(typical), micro_rho_for(most, delta)
    cost = None
    if wanted is not None:
        cost = cheapest(
            question.area,
            resolution=question.resolution,
            buckets=measure.columns(planned.scope),
            squared_bound=measure.squared_sensitivity(planned.scope),
            kind=measure.kind,
            error=wanted / measure.factor,
            between=(MicroRho(LEAST_MICRO_RHO), dearest),
        )
    while wanted is not None and cost is not None:
        epsilon = epsilon_to_ask(cost, delta, most)
        paid = micro_rho_for(epsilon, delta)
        error = expected_error(planned, question.resolution, paid)
        if error is not None and error <= wanted:
            return Price(epsilon, paid, error, typical, reached=True, earlier=earlier)
        cost = MicroRho(paid.value + 1)  # rounding of shares: a dearer plan can be worse by a hair
    error = expected_error(planned, question.resolution, dearest)
    reached = None if wanted is None else False
    return Price(most, dearest, error or math.inf, typical, reached=reached, earlier=earlier)


def expected_error(planned: Planned, resolution: int, cost: MicroRho) -> float | None:
    """Return the standard error at a resolution and cost, None where no plan is possible."""
    try:
        plan = make_plan(
            _coarsened(planned, resolution),
            measure=planned.question.measure,
            resolution=resolution,
            buckets=planned.measure.columns(planned.scope),
            squared_bound=planned.measure.squared_sensitivity(planned.scope),
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


def typical_count(planned: Planned, resolution: int, known: Known) -> tuple[float | None, bool]:
    """Return the typical count, and whether it is that of an earlier release."""
    if planned.measure.pairs or planned.measure.bins:
        return None, False
    if known.earlier is not None:
        found = _from_release(known.earlier, resolution)
        if found is not None:
            return found, True
    if known.devices is None or not planned.measure.expected:
        return None, False  # public figures say how many people live in a cell, not what they do
    area = _coarsened(planned, resolution)
    counts = prior.expected_counts(area, resolution, known.devices) * _times(planned)
    return float(np.sqrt(np.mean(counts**2))), False


def _times(planned: Planned) -> float:
    """Return how often a device is expected to count in a bucket in the cell where it lives."""
    hours = planned.scope.bucket_hours if planned.measure.expected == "each hour" else 1
    return prior.OBSERVED_SHARE * hours


def _from_release(earlier: Release, resolution: int) -> float | None:
    """Return the root mean square of an earlier release's counts, added up to `resolution`.

    Suppressed cells count as zero, as they would be published; cells of the area that the earlier release
    did not cover are taken to be like those that it did.
    """
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
