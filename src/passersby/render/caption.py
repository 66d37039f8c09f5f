"""Words around a picture of a release, and what its bins are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from passersby.model.bins import Bin, Derived, Quantile, Ratio
from passersby.model.question import WHOLE


@dataclass(frozen=True)
class Caption:
    """Words around a map: title, unit, what the numbers mean, the promise in one line.

    `bins` and `derived` are those of the measure, empty if it has none. `zones` are the compacted cells of
    the question's zones by name, and `resolution` that of its cells.
    """

    title: str
    subtitle: str
    unit: str
    every: str
    promise: str
    offset: int
    bins: tuple[Bin, ...] = ()
    derived: tuple[Derived, ...] = ()
    zones: Mapping[str, list[str]] = field(default_factory=dict)
    resolution: int = 0

    @property
    def each(self) -> str:
        """What a mean over the buckets of time is given for."""
        return "in all" if self.every == WHOLE else f"per {self.every}, mean"

    @property
    def statistic(self) -> str:
        """Label of the derived row that is shown: the first ratio, or the quantile nearest to the middle."""
        ratios = [each.label for each in self.derived if isinstance(each, Ratio)]
        quantiles = [each for each in self.derived if isinstance(each, Quantile)]
        return ratios[0] if ratios else min(quantiles, key=lambda each: abs(each.q - 0.5)).label

    @property
    def counted(self) -> tuple[str, ...]:
        """Labels of the bins that can be added up."""
        return tuple(each.label for each in self.bins if each.counted)
