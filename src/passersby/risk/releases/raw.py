"""Counts a raw file as a release does, by its places and steps of time; counts and draws are in memory.

What a release counts is not said in it. So three measures are tried: devices; device-hours, with one place an
hour (the busiest); fixes, one a minute and place. Nor is it said whether a fix near a border lies in the
cell that holds its finer cell, or in the one that holds its position: H3 cells do not cover their children
exactly. Both are tried, and what comes nearest to the release is taken.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h3ronpy.vector
import numpy as np
import numpy.typing as npt
import polars as pl

from passersby.model.cells import cells_at, resolution_of
from passersby.risk.assess import Options
from passersby.risk.grid import coarse
from passersby.risk.guessing import Floats, Ints
from passersby.risk.releases.release import TOTAL, Release
from passersby.risk.traces import FINEST, Cells, Facts, Progress, Trace, Traces, key_of, sources_of

MEASURES = ("devices", "device-hours", "fixes")


@dataclass(frozen=True)
class Way:
    """A way to count: one of `MEASURES`; `logical`: by the cells that hold finer cells, else by position."""

    measure: str
    logical: bool


WAYS = tuple(Way(measure, logical) for logical in (True, False) for measure in MEASURES)
MOST_COUNTS = 5_000_000
"""Places times steps of a release that are held in memory."""

Flags = npt.NDArray[np.bool_]
Rows = tuple[Ints, Ints, Ints]
"""What devices add: number of the device in the trace, number of the count, by how much."""

_COIN = 20
"""The bit of a device's number, which is random, that tells whom the attacker knows."""


@dataclass(frozen=True)
class Grid:
    """The places and steps of a release, sorted; a count has the number start * number of places + place."""

    places: Ints
    starts: Ints
    step: int
    resolution: int

    @property
    def size(self) -> int:
        """How many counts there can be."""
        return len(self.places) * len(self.starts)

    def rows(self, trace: Trace, way: Way) -> Rows:
        """Return what devices add in one way of counting."""
        return self._added(self._placed(trace, logical=way.logical), way.measure)

    def all_rows(self, trace: Trace) -> Iterator[tuple[Way, Rows]]:
        """Give what devices add, in each of `WAYS`."""
        for logical in (True, False):
            placed = self._placed(trace, logical=logical)
            for measure in MEASURES:
                yield Way(measure, logical), self._added(placed, measure)

    def _placed(self, trace: Trace, *, logical: bool) -> pl.DataFrame:
        """Return owner, hour, place, key, and whether it is a count of this grid, for each row of a trace."""
        owner = np.repeat(np.arange(len(trace.starts()) - 1), np.diff(trace.starts()))
        minute = trace.minute.astype(np.int64)
        start = np.searchsorted(self.starts, minute, side="right") - 1
        place = coarse(trace.cell, self.resolution) if logical else _by_position(trace.cell, self.resolution)
        at = np.minimum(np.searchsorted(self.places, place), len(self.places) - 1)
        inside = (start >= 0) & (minute < self.starts[np.maximum(start, 0)] + self.step)
        inside &= self.places[at] == place
        key = start * len(self.places) + at
        return pl.DataFrame(
            {"owner": owner, "hour": minute // 60, "place": place, "key": key, "inside": inside}
        )

    @staticmethod
    def _added(placed: pl.DataFrame, measure: str) -> Rows:
        if measure == "device-hours":
            found = placed.group_by("owner", "hour", "place").agg(
                pl.len(), pl.col("key").first(), pl.col("inside").any()
            )
            found = found.sort("owner", "hour", "len", "place", descending=[False, False, True, False])
            placed = found.unique(["owner", "hour"], keep="first", maintain_order=True)
        counted = placed.filter("inside").group_by("owner", "key").agg(n=pl.len().cast(pl.Int64))
        counted = counted.sort("owner", "key")
        n = counted["n"].to_numpy()
        return (
            counted["owner"].to_numpy(),
            counted["key"].to_numpy(),
            np.ones_like(n) if measure == "devices" else n,
        )

    def values(self, release: Release) -> Floats:
        """Return the counts of a release by their number, NaN where it tells none."""
        found = np.full(self.size, np.nan)
        place, start = (
            np.searchsorted(self.places, release.place),
            np.searchsorted(self.starts, release.start),
        )
        found[start * len(self.places) + place] = release.value
        return found


def grid_of(release: Release) -> tuple[Release, Grid] | None:
    """Return the counts of the most frequent resolution, and their grid; None where there is no such grid.

    They cannot where places are no cells, or cells finer than those of a trace, or where there are too many.
    """
    cells = release.place[release.place != TOTAL]
    if not release.h3 or not len(cells):
        return None
    resolution = int(np.bincount(resolution_of(cells)).argmax())
    release = release.at(resolution)
    grid = Grid(np.unique(release.place), np.unique(release.start), release.step, resolution)
    return (release, grid) if resolution <= FINEST and grid.size <= MOST_COUNTS else None


@dataclass(frozen=True)
class Drawn:
    """Raw data counted by a release's grid.

    `true` are the counts of all devices by number, `known` those of the devices that the attacker knows,
    about half. The drawn devices are the targets; each adds `n` to count `key`, in rows sorted by (`owner`,
    `key`). `others` is the true count of each row without its owner, `mine` what the owner adds to `known`.
    `near` is the sum of differences between the release and the true counts by the sum of the release's.
    """

    measure: str
    near: float
    true: Floats
    owner: Ints
    key: Ints
    n: Ints
    others: Floats
    known: Floats
    mine: Floats

    @property
    def targets(self) -> int:
        """How many devices are guessed about."""
        return int(self.owner.max(initial=-1)) + 1


@dataclass(frozen=True)
class Counted:
    """Raw data counted by the grid of each release; `sample` are the drawn devices."""

    facts: Facts
    drawn: tuple[Drawn, ...]
    sample: Trace


def count(
    paths: Sequence[Path],
    grids: Sequence[tuple[Release, Grid]],
    options: Options,
    *,
    now: int,
    progress: Progress | None = None,
) -> Counted:
    """Read raw files and count them as releases do; nothing of them is written anywhere that has a name.

    Raises:
        InputError: see `Traces.fill`.
        DiskFull: there is no room for what does not fit in memory.
    """
    with Traces(key_of(options.seed), options.sample, options.threads or os.cpu_count() or 1) as traces:
        sources = sources_of(paths, options.schema)
        facts = traces.fill(sources, now=now, offset=options.offset, progress=progress)
        true = [{way: np.zeros(grid.size) for way in WAYS} for _, grid in grids]
        known = [{way: np.zeros(grid.size) for way in WAYS} for _, grid in grids]
        for part in traces.parts():
            trace = part()
            reference = _known(trace)
            for number, (_, grid) in enumerate(grids):
                for way, (owner, key, n) in grid.all_rows(trace):
                    np.add.at(true[number][way], key, n)
                    mine = reference[owner]
                    np.add.at(known[number][way], key[mine], n[mine])
        sample = traces.sample
    drawn = []
    for number, (release, grid) in enumerate(grids):
        way, near = _nearest(grid.values(release), true[number])
        owner, key, n = grid.rows(sample, way)
        own = np.where(_known(sample)[owner], n, 0).astype(np.float64)
        _, owner = np.unique(owner, return_inverse=True)  # who is nowhere in the release is not guessed about
        every = true[number][way]
        others = every[key] - n
        drawn.append(Drawn(way.measure, near, every, owner, key, n, others, known[number][way], own))
    return Counted(facts, tuple(drawn), sample)


def _known(trace: Trace) -> Flags:
    """Return whether the attacker knows each device of a trace: a coin, since its number is a hash."""
    devices = trace.device[trace.starts()[:-1]]
    found: Flags = (devices >> np.uint64(_COIN)) % np.uint64(2) == 1
    return found


def _nearest(values: Floats, true: dict[Way, Floats]) -> tuple[Way, float]:
    told = ~np.isnan(values)
    total = max(1.0, float(np.abs(values[told]).sum()))
    off = {way: float(np.abs(values[told] - counts[told]).sum()) / total for way, counts in true.items()}
    best = min(WAYS, key=lambda way: off[way])
    return best, off[best]


def _by_position(cells: Cells, resolution: int) -> Cells:
    """Return the cells that hold the centres of cells of `FINEST`."""
    every, which = np.unique(cells, return_inverse=True)
    centres = h3ronpy.vector.cells_to_coordinates(every.view(np.uint64))
    lat, lon = (np.asarray(centres[name]) for name in ("lat", "lng"))
    return cells_at(lat, lon, resolution)[which]
