"""What a question will cost and how exact it can be, decided before any data is read.

A plan depends on the area, the resolution, the buckets of time, the bound on a device's contribution and
the cost: all of it public. The cost is split over the levels in whole micro-rho; every level is charged,
whether or not its cells are measured in the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from passersby.errors import UsageError
from passersby.model.cells import COARSEST
from passersby.model.cost import MechanismEvent, MicroRho
from passersby.model.place import Area
from passersby.model.zones import Zones
from passersby.privacy import noise
from passersby.privacy.hierarchy import gls, tree, zones
from passersby.privacy.hierarchy.pairs import PairTree

Kind = Literal["additive", "levels", "pairs"]
"""What keys and levels are. `additive`: cells whose children add up to their parent, so that all levels are
estimated together. `levels`: cells whose children do not; each level stands alone. `pairs`: pairs of cells,
each level alone."""

Ground = Area | Zones
"""What a question is answered on: the cells of an area, or zones."""

Bounds = int | Callable[[int], int]
"""C2, the most by which one device and period changes a level's vector, squared: one for all levels, or a
function of a level's resolution."""

KEY_CAP = 700_000
"""Most keys (cells times buckets) that one question measures: about ten seconds of noise on one core."""


_ROUNDING = 1e-4
"""About how far, relative to the cost, rounded scales and shares move the cost that an error needs."""


@dataclass(frozen=True)
class Level:
    """One resolution of a plan.

    Args:
        resolution: H3 resolution, or a level of zones (`hierarchy.zones`).
        cells: number of public cells or pairs, of which the measured ones are a part.
        cost: its part of the question's cost.
        squared_bound: its C2; its L2 sensitivity is 1000 * sqrt(C2) thousandths.
        scale: of the noise, in thousandths.
        error: standard error of an estimate at this level, in units of the measure, if every cell is
            measured; where coarse cells stay whole, theirs is larger.
    """

    resolution: int
    cells: int
    cost: MicroRho
    squared_bound: int
    scale: float
    error: float


@dataclass(frozen=True)
class Plan:
    """Levels, coarsest first, and what they share.

    Args:
        measure: name of what is counted.
        levels: one for each resolution from the roots to the asked one.
        buckets: number of values of a cell: buckets of time, times bins.
        key_cap: most keys that are measured over all levels.
        kind: of its keys and levels.
        lost: share of a count that intervals allow the bounds to have cut.
    """

    measure: str
    levels: tuple[Level, ...]
    buckets: int
    key_cap: int
    kind: Kind
    lost: float = 0.0

    @property
    def finest(self) -> int:
        """Resolution asked for."""
        return self.levels[-1].resolution

    @property
    def cost(self) -> MicroRho:
        """Sum of the levels' costs: exactly the question's."""
        return MicroRho(sum(level.cost.value for level in self.levels))

    def tree(self, area: Ground) -> tree.Nodes:
        """Return the public tree over `area` whose levels are this plan's.

        Raises:
            UsageError: the area is not the one that the plan was made for.
        """
        built = _build(area, self.finest, self.key_cap, self.buckets, self.kind)
        if [(level.resolution, level.cells) for level in self.levels] != list(
            zip(built.resolutions, built.sizes, strict=True)
        ):
            raise UsageError("The plan was made for another area.", "Plan the question again.")
        return built

    def events(self) -> list[MechanismEvent]:
        """Return the mechanism event of each level, as the ledger is charged before anything is read.

        Raises:
            IntegrityError: a level's noise would cost more than its share.
        """
        return [
            noise.event(
                level.scale,
                noise.sensitivity(level.squared_bound),
                level.cost,
                f"{self.measure} {level_name(level.resolution)}",
            )
            for level in self.levels
        ]


def level_name(resolution: int) -> str:
    """Return the words for a level: a resolution of H3, or one of the levels of zones."""
    return {zones.UNION: "all zones together", zones.EACH: "each zone"}.get(
        resolution, f"H3 resolution {resolution}"
    )


def make_plan(  # noqa: PLR0913 (all but one are named)
    area: Ground,
    *,
    measure: str,
    resolution: int,
    buckets: int,
    squared_bound: Bounds,
    cost: MicroRho,
    kind: Kind,
    lost: float = 0.0,
    key_cap: int = KEY_CAP,
) -> Plan:
    """Return the plan of a question.

    Args:
        area: the question's area, or its zones.
        measure: name of what is counted.
        resolution: resolution asked for.
        buckets: number of values of a cell: buckets of time, times bins.
        squared_bound: C2, of all levels or by resolution; additive measures have one for all.
        cost: what the question is charged for each of its periods.
        kind: of the measure's keys and levels.
        lost: share of a count that intervals allow the bounds to have cut; 0 to below 1.
        key_cap: most keys to measure.

    Raises:
        UsageError: the area does not fit the resolution, the cost is too small to be split, or there are
            more buckets than can be answered at once.
    """
    built = _build(area, resolution, key_cap, buckets, kind)
    return Plan(measure, _levels(built, squared_bound, cost, kind), buckets, key_cap, kind, lost)


def cheapest(
    area: Ground,
    *,
    resolution: int,
    buckets: int,
    squared_bound: Bounds,
    kind: Kind,
    error: float,
    between: tuple[MicroRho, MicroRho],
) -> MicroRho | None:
    """Return the least cost whose plan has a standard error of at most `error` at the asked resolution.

    Args:
        area: see `make_plan`, as the next four.
        resolution: asked for.
        buckets: number of values of a cell.
        squared_bound: C2, of all levels or by resolution.
        kind: of the measure's keys and levels.
        error: largest standard error that will do, in units of the measure; above 0.
        between: least and most that the question may cost.

    Returns:
        None where even the most that it may cost leaves a larger error.

    Raises:
        UsageError: see `make_plan`.
    """
    built = _build(area, resolution, KEY_CAP, buckets, kind)
    least, most = (cost.value for cost in between)

    def reached(cost: int) -> bool:
        return _levels(built, squared_bound, MicroRho(cost), kind)[-1].error <= error

    if not reached(most):
        return None
    # the error falls as one over the root of the cost, but for the rounding of scales and shares
    known = _levels(built, squared_bound, MicroRho(most), kind)[-1].error
    guess = most * (known / error) ** 2
    low = max(least - 1, math.floor(guess * (1 - _ROUNDING)) - 1)
    while low >= least and reached(low):
        low = max(least - 1, low - max(1, low // 100))
    high = min(most, max(low + 1, math.ceil(guess * (1 + _ROUNDING))))
    while not reached(high):
        high = min(most, high + max(1, high // 100))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return MicroRho(high)


def _levels(built: tree.Nodes, squared_bound: Bounds, cost: MicroRho, kind: Kind) -> tuple[Level, ...]:
    bounds = [
        squared_bound if isinstance(squared_bound, int) else squared_bound(r) for r in built.resolutions
    ]
    costs = cost.split(shares(len(built.resolutions), kind))
    scales = [noise.scale_for(bound, part) for bound, part in zip(bounds, costs, strict=True)]
    variances = [(scale / noise.UNIT) ** 2 for scale in scales]
    errors = (
        gls.mean_errors(variances, built.parents)
        if kind == "additive" and isinstance(built, tree.Tree)
        else [math.sqrt(variance) for variance in variances]
    )
    return tuple(map(Level, built.resolutions, built.sizes, costs, bounds, scales, errors))


def shares(levels: int, kind: Kind) -> tuple[Fraction, ...]:
    """Return the part of the cost for each of so many levels, coarsest first; they add up to 1.

    Where least squares lends other levels' strength to the asked one, that gets half of the cost if two
    levels or more lie above it, and at least twice what another level gets. Where each level stands alone,
    coarser ones only tell where to look: the asked resolution gets four fifths.
    """
    above = levels - 1
    own = max(2, above) if kind == "additive" else 4 * max(1, above)
    weights = [1] * above + [own]
    return tuple(Fraction(weight, sum(weights)) for weight in weights)


def expected_error(plan: Plan) -> dict[int, float]:
    """Return the standard error of an estimate by resolution, in units of the measure.

    From public information alone: the mean over the level's cells if all of them are measured.
    """
    return {level.resolution: level.error for level in plan.levels}


def _build(area: Ground, resolution: int, key_cap: int, buckets: int, kind: Kind) -> tree.Nodes:
    """Return the tree over `area`, with so few roots that half of the keys are left to finer levels.

    Pairs begin one level above the asked resolution where three quarters of the keys suffice: what coarser
    levels cost the finest one loses, and few of its pairs are looked at in the end. Zones have no levels to
    choose between: all of them, or all pairs of them, must fit.
    """
    if isinstance(area, Zones):
        each = zones.build(area, union=kind == "additive")
        found = PairTree(each) if kind == "pairs" else each
        if sum(found.sizes) * buckets > key_cap:
            raise UsageError(
                "The question has more zones and hours than can be answered at once.",
                "Ask for fewer zones, a coarser grain or a shorter span.",
            )
        return found
    roots = key_cap // (2 * max(1, buckets))
    if kind == "pairs":
        most, above = math.isqrt(roots * 3 // 2), max(COARSEST, resolution - 1)
        return PairTree(tree.build(area, resolution, most_roots=most, roots=above))
    return tree.build(area, resolution, most_roots=roots)
