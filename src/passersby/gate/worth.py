"""Says before a question is paid for what it would be worth: expected error, and skill over zeros.

Skill over zeros is 1 - (error of the estimate) / (error of publishing nothing but zeros), both as root
mean squares over cells and buckets; below 0 the numbers would be worse than none. The error is that of
the noise, which is public. The counts come from an earlier release of the measure, or else from public
figures (`gate.prior`): never from the lake.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passersby.errors import UsageError
from passersby.gate import prior
from passersby.gate.planning import Planned
from passersby.model.cells import parent, resolution_of
from passersby.model.place import Area
from passersby.model.release import Release
from passersby.model.zones import Zones
from passersby.privacy.hierarchy.plan import make_plan
from passersby.privacy.hierarchy.zones import EACH


@dataclass(frozen=True)
class Worth:
    """What one resolution would be worth at the question's cost; `EACH` stands for the question's zones.

    `standard_error` and `typical` (root mean square of the counts) are in units of the measure for one
    cell and bucket; `typical` and `skill` are None where nothing public says how large counts are.
    """

    resolution: int
    standard_error: float
    typical: float | None
    skill: float | None


def of(planned: Planned, *, finest: int, devices: int | None, earlier: Release | None) -> list[Worth]:
    """Return the worth of each resolution from 4 to `finest`.

    Args:
        planned: the question; its cost, grain and area are kept.
        finest: finest resolution of the deployment.
        devices: size of the panel that the suppliers' contracts declare, None where they do not.
        earlier: a release of the same measure and grain, if there is one.
    """
    if planned.question.zones is not None:
        return [_of_zones(planned, planned.question.zones, devices)]
    found = []
    for resolution in range(4, finest + 1):
        error = _error(planned, resolution)
        if error is not None:
            typical = _typical(planned, resolution, devices, earlier)
            skill = None if not typical else 1 - error / typical
            found.append(Worth(resolution, error, typical, skill))
    return found


def _of_zones(planned: Planned, zones: Zones, devices: int | None) -> Worth:
    """Return the worth of the question's zones; typical counts are sums over the cells of each zone."""
    error = planned.plan.levels[-1].error
    if devices is None or planned.measure.bins:
        return Worth(EACH, error, None, None)
    expected = prior.expected_counts(zones.area, zones.resolution, devices) * prior.OBSERVED_SHARE
    zone, _ = zones.find(zones.area.at(zones.resolution))
    counts = np.bincount(zone, weights=expected, minlength=len(zones)) * planned.scope.bucket_hours
    typical = float(np.sqrt(np.mean(counts**2)))
    return Worth(EACH, error, typical, 1 - error / typical if typical else None)


def _error(planned: Planned, resolution: int) -> float | None:
    question = planned.question
    try:
        plan = make_plan(
            _coarsened(planned, resolution),
            measure=question.measure,
            resolution=resolution,
            buckets=planned.measure.columns(planned.scope),
            squared_bound=planned.measure.squared_sensitivity(planned.scope),
            cost=question.cost,
            kind=planned.measure.kind,
        )
    except UsageError:
        return None
    return plan.levels[-1].error


def _coarsened(planned: Planned, resolution: int) -> Area:
    """Return the question's area at `resolution`: finer cells count as their ancestor."""
    question = planned.question
    if resolution >= question.resolution:
        return question.area
    cells = question.area.at(question.resolution)
    return Area.from_cells(parent(cells, resolution, of=question.resolution))


def _typical(planned: Planned, resolution: int, devices: int | None, earlier: Release | None) -> float | None:
    if planned.measure.pairs or planned.measure.bins:
        return None  # public figures say how many people live in a cell, not what they do
    if earlier is not None:
        known = _from_release(earlier, resolution)
        if known is not None:
            return known
    if devices is None:
        return None
    counts = (
        prior.expected_counts(_coarsened(planned, resolution), resolution, devices) * prior.OBSERVED_SHARE
    )
    hours = planned.scope.bucket_hours if planned.measure.additive else 1
    return float(np.sqrt(np.mean((counts * hours) ** 2)))


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
