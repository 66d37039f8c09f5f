"""What is claimed of the vectors before the noise, checked by leaving out phones and phone-periods.

`broken` returns the names of the claims that do not hold, so that tests can plant a bug and see which
check finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from passersby.engines.base import Engine
from passersby.gate.planning import Planned
from passersby.model.cost import MICRO
from passersby.model.period import Period
from passersby.privacy.hierarchy.tree import Nodes, Tree
from passersby.privacy.noise import UNIT
from proof.small import Ask, Fix, SmallLake, Vectors, planned, reference, vectors

BOUND = "a phone moves a level by more than the bound"
ELSEWHERE = "a phone's period moves another period"
TOTALS = "children do not add up to their parent"
COUNTS = "counts are not those of the definition"
SCALE = "a level's noise costs more than it is charged"

MakeLake = Callable[[Path, Sequence[Fix], int], Any]


def broken(
    engine: Engine, folder: Path, fixes: Sequence[Fix], ask: Ask, lake: MakeLake = SmallLake
) -> set[str]:
    """Return the claims that this world breaks; an empty set if all hold.

    Args:
        engine: runs the SQL.
        folder: new folder for the worlds' presence.
        fixes: the pings of all phones.
        ask: the question.
        lake: makes a lake in a new folder from pings, at an offset.
    """
    asked = planned(ask)
    whole, tree = vectors(engine, lake(folder / "whole", fixes, ask.offset), asked)
    wrong = _whole(whole, tree, asked, fixes, clipped=bool(ask.squared_bound))
    for i, (without, period) in enumerate(_neighbours(fixes, ask.offset)):
        less, _ = vectors(engine, lake(folder / str(i), without, ask.offset), asked)
        wrong |= _apart(whole, less, asked, period)
    return wrong | _scales(asked)


def _neighbours(fixes: Sequence[Fix], offset: int) -> Iterable[tuple[list[Fix], Period | None]]:
    """Yield the world without each phone's part in each period, and without each phone of several periods."""
    units = sorted({(fix.phone, Period.containing(fix.t, offset)) for fix in fixes})
    for phone, period in units:
        without = [f for f in fixes if (f.phone, Period.containing(f.t, offset)) != (phone, period)]
        yield without, period
    for phone in sorted({fix.phone for fix in fixes}):
        if sum(who == phone for who, _ in units) > 1:
            yield [fix for fix in fixes if fix.phone != phone], None


def _whole(whole: Vectors, tree: Nodes, asked: Planned, fixes: Sequence[Fix], *, clipped: bool) -> set[str]:
    wrong = set()
    if not clipped and not _equal(whole, reference(fixes, asked, tree)):
        wrong.add(COUNTS)
    if asked.measure.additive and isinstance(tree, Tree) and not _additive(whole, tree):
        wrong.add(TOTALS)
    return wrong


def _apart(whole: Vectors, less: Vectors, asked: Planned, period: Period | None) -> set[str]:
    """Compare two neighbours, in exact integers: each period's part of each level, by its own bound.

    What a joint measure counts, or one whose periods share a bucket, belongs to all of the question's
    periods: it is compared as a whole. Without a phone in several periods, the loss of a level must be no
    more than that of as many periods: squared distance / (2 scale^2) <= periods * rho.
    """
    wrong = set()
    where, measure = _periods(asked), asked.measure
    limits = {r: measure.squared_bound(asked.scope, r) for r in whole}
    if measure.joint or asked.scope.sharing > 1:
        made_for = {level.resolution: level.squared_bound for level in asked.plan.levels}
        if measure.joint:
            limits = made_for
        if period is None:
            limits = {r: bound * len(asked.question.periods) for r, bound in made_for.items()}
        where, period = np.zeros_like(where), None
    for resolution, vector in whole.items():
        moved, limit = vector - less[resolution], limits[resolution]
        for index in np.unique(where):
            squared = squared_norm(moved[:, where == index])
            if squared > limit * UNIT**2:
                wrong.add(BOUND)
            if period is not None and index != period.index and squared:
                wrong.add(ELSEWHERE)
    return wrong


def _scales(asked: Planned) -> set[str]:
    """Compare each level's scale with its charge: rho = bound / (2 scale^2) (Bun & Steinke 2016)."""
    plan = asked.plan
    for level in plan.levels:
        rho = Fraction(level.squared_bound * UNIT**2) / (2 * Fraction(level.scale) ** 2)
        if rho > Fraction(level.cost.value, MICRO):
            return {SCALE}
    return set() if plan.cost == asked.question.cost else {SCALE}


def squared_norm(values: npt.NDArray[np.int64]) -> int:
    """Return the sum of squares, in Python's integers: no overflow hides a difference."""
    return sum(int(value) ** 2 for value in values[values != 0])


def _periods(asked: Planned) -> npt.NDArray[np.int64]:
    offset = asked.question.offset
    starts = [Period.containing(start, offset).index for start in asked.scope.starts]
    return np.repeat(starts, len(asked.measure.released_bins))


def _additive(whole: Vectors, tree: Tree) -> bool:
    for depth, resolution in enumerate(tree.resolutions[1:], start=1):
        total = np.zeros_like(whole[resolution - 1])
        np.add.at(total, tree.parents[depth], whole[resolution])
        if not np.array_equal(total, whole[resolution - 1]):
            return False
    return True


def _equal(found: Vectors, expected: Vectors) -> bool:
    return found.keys() == expected.keys() and all(np.array_equal(found[r], expected[r]) for r in found)
