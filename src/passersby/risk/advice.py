"""Which coarsening gets the share of devices that four points single out below a limit.

A step is named where the upper end of its interval is below the limit. Of steps that do, only those are
named that no other beats in both time and place. Coarser times and cells are no protection against who
knows more points, nor against the other attacks: the advice says how much must be given up, and no more.
"""

from __future__ import annotations

from dataclasses import dataclass

from passersby.risk.assess import POINTS, Assessment
from passersby.risk.grid import RESOLUTIONS, TIMES, Step
from passersby.risk.rates import percent

LIMITS = (0.5, 0.2, 0.05)


@dataclass(frozen=True)
class Advice:
    """For one limit (a share), the steps that stay below it; none if no step of the grid does."""

    limit: float
    steps: tuple[Step, ...]

    @property
    def text(self) -> str:
        """The advice in words."""
        if not self.steps:
            return f"no step of the grid gets it under {percent(self.limit)}"
        return "; or ".join(step.text for step in self.steps)


def advise(found: Assessment) -> tuple[Advice, ...]:
    """Return the advice for each of `LIMITS`."""
    return tuple(Advice(limit, _frontier(found, limit)) for limit in LIMITS)


def _frontier(found: Assessment, limit: float) -> tuple[Step, ...]:
    steps: list[Step] = []
    for time in TIMES:  # from the finest
        low = (r for r in RESOLUTIONS if found.rate(POINTS, Step(time, r)).high <= limit)
        finest = next(low, None)
        if finest is not None and (not steps or finest > steps[-1].resolution):
            steps.append(Step(time, finest))
    return tuple(steps)
