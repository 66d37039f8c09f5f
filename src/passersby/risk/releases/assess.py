"""Looks at releases and says what they give away: the steps, in their order.

1  read      counts by place and time                                   columns, release
2  small     small counts, differences, means of repeated counts        overlaps
3  bounds    counts that are not told, from totals                      bounds
4  made up   is a device more noticed, by who has the release alone     membership
with the raw files:
5  count     again, as the releases do                                  raw
6  guess     who was among the counted                                  membership
7  compare   leaving out small counts, or noise, at the same error      equal
8  follow    tracks from counts: the score                              tracks
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from passersby.errors import UsageError
from passersby.risk.assess import Options, Say
from passersby.risk.releases import equal, membership, overlaps, tracks
from passersby.risk.releases import raw as raw_counts
from passersby.risk.releases.bounds import MOST_PARTS, Bounds, TooManyParts, bounds
from passersby.risk.releases.columns import Columns, recognised
from passersby.risk.releases.equal import Compared
from passersby.risk.releases.membership import Guessed
from passersby.risk.releases.overlaps import Averaged, Differences, Small
from passersby.risk.releases.raw import Grid
from passersby.risk.releases.release import Release, read
from passersby.risk.releases.tracks import Recovered
from passersby.risk.traces import Facts, Progress

NO_RAW = (
    "Membership inference on real devices, the comparison of leaving out with noise, and the recovery of "
    "tracks need the fixes that the release was made of: give them with --raw."
)
NO_CELLS = (
    "{name}: attacks with raw files need places that are H3 cells of resolution 11 or coarser, and at most "
    "{most:,} places times steps; the others were run."
)
FEW = "{name}: membership of real devices is not guessed with fewer than {least} of them on each side."
FEW_COUNTS = "{name}: it tells no count above 0, so that no device could be made up."
NO_TRACKS = (
    "Tracks are recovered only from steps of a quarter of an hour to six hours, over a whole day in "
    "which 20 or more drawn devices are seen in half of the steps."
)
NO_FLOOR = (
    "Leaving out is not compared with noise: no floor of 5, 10 or 20 leaves out a part of these counts."
)
MANY = "{names}: what is not told is bounded by totals only up to {most:,} counts and parts of wholes."
NOISE = "Bounds and differences are not derived from counts with noise: what they show is noise."
MISFIT = 0.5
"""Where raw counts differ from a release by more of it, it may not be made of these files."""


@dataclass(frozen=True)
class Described:
    """One release: what is said about itself, and what it gives away alone.

    `first` and `last` are epoch minutes; `counts` are its rows. `made_up` is None where it tells too little.
    """

    name: str
    sha256: str
    counts: int
    places: int
    resolutions: tuple[int, ...]
    step: int
    first: int
    last: int
    timed: bool
    noisy: bool
    half: float
    small: Small
    made_up: Guessed | None


@dataclass(frozen=True)
class Played:
    """Games with the raw files on one release: see `raw.Drawn` for `measure` and `near`."""

    name: str
    resolution: int
    measure: str
    near: float
    noisy: bool
    games: tuple[Guessed, ...]


@dataclass(frozen=True)
class Assessment:
    """All that is said about releases; `left_out` says which attacks were not run, and why.

    See `report.to_json` for its form.
    """

    options: Options
    releases: tuple[Described, ...]
    differences: Differences | None
    averaged: Averaged | None
    bounds: tuple[Bounds, ...]
    raw: Facts | None
    played: tuple[Played, ...]
    compared: tuple[Compared, ...]
    recovered: Recovered | None
    left_out: tuple[str, ...]


def releases_of(files: Sequence[Path], raw: Sequence[Path]) -> list[tuple[Path, Columns]] | None:
    """Return files with their columns if they are releases; None if they are location data.

    Raises:
        UsageError: some are and some are not; or raw files are no location data, or go with none.
    """
    found = [(path, recognised(path)) for path in files]
    releases = [(path, columns) for path, columns in found if columns is not None]
    others = [path.name for path, columns in found if columns is None]
    if releases and others:
        raise UsageError(
            f"{releases[0][0].name} is a release (counts by place and time), and {others[0]} is none.",
            "Give releases alone, and the fixes that they were made of with --raw.",
        )
    if raw and not releases:
        raise UsageError(
            f"{others[0]} is no release: no columns for a place and a count.",
            "--raw goes with releases; give location data without it.",
        )
    for path in raw:
        if recognised(path) is not None:
            raise UsageError(
                f"{path.name} is a release (counts by place and time).",
                "Give it without --raw; --raw names fixes: an id, a time and a position a row.",
            )
    return releases or None


def assess(
    files: Sequence[tuple[Path, Columns]],
    raw: Sequence[Path],
    options: Options,
    *,
    now: int,
    say: Say = lambda _: None,
    progress: Progress | None = None,
) -> Assessment:
    """Look at releases together; nothing of them or of the raw files is written anywhere that has a name.

    Args:
        files: releases and their columns.
        raw: the location data that they were made of, or none.
        options: what a person chose; `sample` devices of the raw files are drawn.
        now: epoch s.
        say: is told the name of each step.
        progress: is told (rows, bytes done, bytes in all) while a raw file is read.

    Raises:
        InputError: a file is damaged, or holds too little to speak of crowds.
        DiskFull: there is no room for what does not fit in memory.
    """
    left_out: list[str] = []
    # 1 read
    say("reading releases")
    releases = [read(path, columns, offset=options.offset) for path, columns in files]
    # 2 small, 3 bounds
    say("comparing counts")
    exact = [release for release in releases if not release.noisy]
    if len(exact) < len(releases):
        left_out.append(NOISE)
    derived = []
    for group in overlaps.populations(exact):
        try:
            derived.append(bounds(group))
        except TooManyParts:
            left_out.append(MANY.format(names=", ".join(r.name for r in group), most=MOST_PARTS))
    # 4 made up
    say("guessing about made-up devices")
    described = [_described(release, options) for release in releases]
    left_out += [FEW_COUNTS.format(name=d.name) for d in described if d.made_up is None]
    found = Assessment(
        options=options,
        releases=tuple(described),
        differences=overlaps.differences(releases),
        averaged=overlaps.averaged(releases),
        bounds=tuple(group for group in derived if group is not None),
        raw=None,
        played=(),
        compared=(),
        recovered=None,
        left_out=(*left_out, *(() if raw else (NO_RAW,))),
    )
    return _with_raw(found, releases, raw, now, say, progress) if raw else found


def _with_raw(
    found: Assessment,
    releases: Sequence[Release],
    raw: Sequence[Path],
    now: int,
    say: Say,
    progress: Progress | None,
) -> Assessment:
    options, left_out = found.options, list(found.left_out)
    grids: list[tuple[Release, Grid]] = []
    for release in releases:
        placed = raw_counts.grid_of(release)
        if placed is None:
            left_out.append(NO_CELLS.format(name=release.name, most=raw_counts.MOST_COUNTS))
        else:
            grids.append(placed)
    # 5 count
    say("counting the raw files")
    counted = raw_counts.count(raw, grids, options, now=now, progress=progress)
    # 6 guess
    say("guessing who was counted")
    played = []
    for (release, grid), drawn in zip(grids, counted.drawn, strict=True):
        games = membership.guess(release, grid, drawn)
        played.append(Played(release.name, grid.resolution, drawn.measure, drawn.near, release.noisy, games))
        if not games:
            left_out.append(FEW.format(name=release.name, least=membership.LEAST))
    # 7 compare
    say("comparing leaving out with noise")
    compared = equal.compare(counted.drawn[0], seed=options.seed) if grids else ()
    if grids and not compared:
        left_out.append(NO_FLOOR)
    # 8 follow
    say("following the counted")
    by_day = [grid for _, grid in grids]
    recovered = next(
        (
            r
            for g in by_day
            if (r := tracks.recover(counted.sample, g, offset=options.offset, seed=options.seed))
        ),
        None,
    )
    if grids and recovered is None:
        left_out.append(NO_TRACKS)
    return replace(
        found,
        raw=counted.facts,
        played=tuple(played),
        compared=compared,
        recovered=recovered,
        left_out=tuple(left_out),
    )


def _described(release: Release, options: Options) -> Described:
    return Described(
        name=release.name,
        sha256=release.sha256,
        counts=len(release.value),
        places=len(np.unique(release.place)),
        resolutions=release.resolutions,
        step=release.step,
        first=int(release.start.min()),
        last=int(release.start.max()),
        timed=release.timed,
        noisy=release.noisy,
        half=release.half,
        small=overlaps.small(release),
        made_up=membership.made_up(release, seed=options.seed),
    )
