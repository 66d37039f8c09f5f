"""Words around a picture of a release, and what its bins are."""

from __future__ import annotations

from dataclasses import dataclass

from passersby.model.bins import Bin, Derived
from passersby.model.question import WHOLE


@dataclass(frozen=True)
class Caption:
    """Words around a map: title, unit, what the numbers mean, the promise in one line.

    `bins` and `derived` are those of the measure, empty if it has none.
    """

    title: str
    subtitle: str
    unit: str
    every: str
    promise: str
    offset: int
    bins: tuple[Bin, ...] = ()
    derived: tuple[Derived, ...] = ()

    @property
    def each(self) -> str:
        """What a mean over the buckets of time is given for."""
        return "in all" if self.every == WHOLE else f"per {self.every}, mean"

    @property
    def counted(self) -> tuple[str, ...]:
        """Labels of the bins that can be added up."""
        return tuple(each.label for each in self.bins if each.counted)
