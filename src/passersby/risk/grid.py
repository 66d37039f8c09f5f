"""The grid of coarsenings: how times and places are rounded before an attacker sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from passersby.model.cells import parent
from passersby.risk.traces import FINEST, Cells, Minutes

TIMES = {"minute": 1, "15 minutes": 15, "hour": 60, "6 hours": 360, "day": 1440, "week": 10_080}
"""Minutes of each step in time. Each is a multiple of the one before, so that coarser never shows more."""

RESOLUTIONS = (11, 10, 9, 8, 7, 6, 5, 4)
"""H3 resolutions, the finest first."""

EDGE = {11: "29 m", 10: "76 m", 9: "200 m", 8: "530 m", 7: "1.4 km", 6: "3.7 km", 5: "9.9 km", 4: "26 km"}
"""Average edge of a hexagon (h3geo.org/docs/core-library/restable)."""

HOUR, USUAL = "hour", 8
"""What the headline is about: an hour and a cell of 0.7 km2, about what a city's cell tower covers."""

_MONDAY = 4 * 1440
"""Day 0 of the epoch was a Thursday: weeks begin four days later."""


@dataclass(frozen=True)
class Step:
    """One coarsening: a key of `TIMES`, an H3 resolution."""

    time: str
    resolution: int

    @property
    def text(self) -> str:
        """What it means, in words."""
        return f"{self.time}, cells of {EDGE[self.resolution]} (resolution {self.resolution})"


GRID = tuple(Step(time, resolution) for time in TIMES for resolution in RESOLUTIONS)


def local(minute: Minutes, offset: int) -> npt.NDArray[np.int64]:
    """Return local minutes since the Monday 1970-01-05 for epoch minutes; `offset` in s east of UTC."""
    return minute.astype(np.int64) + (offset // 60 - _MONDAY)


def bins(minutes: npt.NDArray[np.int64], time: str) -> npt.NDArray[np.int64]:
    """Return the number of the step in which each local minute lies."""
    return minutes // TIMES[time]


def coarse(cells: Cells, resolution: int) -> Cells:
    """Return the cells of a coarser resolution that hold cells at `FINEST`."""
    return parent(cells, resolution, of=FINEST)
