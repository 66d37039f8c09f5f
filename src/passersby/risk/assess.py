"""Looks at location data and says how identifiable its people are: the steps, in their order.

1  read      into traces by device; no id and no coordinate is kept         traces, exposure
2  draw      a sample of devices, each with equal chance                    traces
3  points    singled out by p of their own points, over the grid            uniqueness
4  anchors   most visited places, home and work                             anchors
5  link      found again after a change of ids                              linking
6  advise    which coarsening gets a rate down                              advice
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from passersby.errors import UsageError
from passersby.model.period import instant_text
from passersby.risk import anchors, counts, linking, uniqueness
from passersby.risk.counts import Guessed
from passersby.risk.exposure import Exposure
from passersby.risk.grid import GRID, HOUR, USUAL, Step, bins, coarse, local
from passersby.risk.linking import Linked
from passersby.risk.rates import Rate, rounded, share, spread
from passersby.risk.traces import Facts, Progress, Trace, Traces, key_of, sources_of
from passersby.risk.worst import Worst, worst

HEADLINE = Step(HOUR, USUAL)
POINTS = 4
"""Points of the headline, as in the paper's."""

GROUPS = (1, 2, 5, 20, 100)
"""Sizes of sets are told from each of these to before the next."""

LEAST_SAMPLE, MOST_SAMPLE = 1000, 100_000

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What a person may choose. None of it says which devices are looked at.

    `sample` devices are drawn; `seed` repeats a run; `offset` is s east of UTC of the file's country, for
    days, nights and hours of work; `schema` names a schema or its file, "" to recognise it; `sensitive`
    is a list of places, `other` are files with the same ids; `threads` 0 means all cores.
    """

    seed: int
    sample: int = 2000
    offset: int = 0
    schema: str = ""
    sensitive: Path | None = None
    other: tuple[Path, ...] = ()
    threads: int = 0

    def __post_init__(self) -> None:
        if not LEAST_SAMPLE <= self.sample <= MOST_SAMPLE:
            raise UsageError(
                f"The sample must have {LEAST_SAMPLE:,} to {MOST_SAMPLE:,} devices.",
                "A larger one narrows the intervals; a smaller one would speak of single people.",
            )


@dataclass(frozen=True)
class Singled:
    """Devices that `points` of their points single out, at one step of the grid."""

    points: int
    step: Step
    rate: Rate


@dataclass(frozen=True)
class Anchored:
    """How devices share one kind of anchor: share of drawn devices that have one, sets by `GROUPS`."""

    kind: str
    resolution: int
    have: Rate
    groups: tuple[Rate, ...]


@dataclass(frozen=True)
class Exposed:
    """Devices of the whole file seen at places of one category."""

    category: str
    places: int
    rate: Rate


@dataclass(frozen=True)
class OfLake:
    """Which rows of which deployment's lake were looked at, and which two people agreed to it.

    `origin` is the deployment's log, `weeks` the time of the rows, `proposal` the number in that log.
    """

    origin: str
    weeks: str
    proposal: int
    proposed_by: str
    approved_by: str


@dataclass(frozen=True)
class Assessment:
    """All that is said about a data set; see `to_json` in `report` for its form.

    `few` are the drawn devices with fewer than four distinct points at the headline's step, who are known by
    all that they have. `cells_a_day` is the median over devices of the distinct cells of resolution 8 on a
    day on which they are seen. `groups` are sizes of sets of four points at the headline's step.
    """

    facts: Facts
    options: Options
    drawn: int
    few: Rate
    cells_a_day: float
    uniqueness: tuple[Singled, ...]
    groups: tuple[Rate, ...]
    anchors: tuple[Anchored, ...]
    halves: Linked
    others: Linked | None
    worst: tuple[Worst, ...]
    counts: tuple[Guessed, ...]
    exposure: tuple[Exposed, ...] = field(default=())
    lake: OfLake | None = None

    @property
    def what(self) -> str:
        """What was looked at, in a word."""
        return "file" if self.lake is None else "lake"

    def rate(self, points: int, step: Step) -> Rate:
        """Return one rate of the grid."""
        return rate_in(self.uniqueness, points, step)

    @property
    def headline(self) -> Rate:
        """Devices that four points single out, by the hour and in cells of resolution 8."""
        return self.rate(POINTS, HEADLINE)


def assess(
    paths: Sequence[Path],
    options: Options,
    *,
    now: int,
    say: Say = lambda _: None,
    progress: Progress | None = None,
) -> Assessment:
    """Look at files as one; nothing of them is written anywhere that has a name.

    Args:
        paths: CSV, TSV, NDJSON or Parquet with an id, a time and a position a row.
        options: what a person chose.
        now: epoch s.
        say: is told the name of each step.
        progress: is told (rows, bytes done, bytes in all) while a file is read.

    Raises:
        InputError: the file is damaged, of unknown form, or has rows of fewer than 20 devices.
        DiskFull: there is no room for what does not fit in memory.
    """
    exposure = Exposure(options.sensitive, offset=options.offset) if options.sensitive else None

    def fill(traces: Traces, _key: int) -> Facts:
        return traces.fill(
            sources_of(paths, options.schema),
            now=now,
            offset=options.offset,
            watch=exposure.watch if exposure else None,
            progress=progress,
        )

    def others(sample: Trace) -> Linked | None:
        return _linked(sample, options, now, say, progress) if options.other else None

    found = examine(fill, options, say=say, others=others)
    return replace(found, exposure=_exposed(exposure, found.facts)) if exposure else found


def examine(
    fill: Callable[[Traces, int], Facts],
    options: Options,
    *,
    say: Say = lambda _: None,
    others: Callable[[Trace], Linked | None] = lambda _: None,
    folder: Path | None = None,
) -> Assessment:
    """Look at rows, wherever they come from.

    Args:
        fill: puts the rows into traces (`Traces.take`), devices under the given key.
        options: what a person chose; `schema`, `sensitive` and `other` are for `fill` and `others`.
        say: is told the name of each step.
        others: links the drawn devices to those of other data, if there is any.
        folder: where what does not fit in memory lies, without a name; by default where the system has it.

    Raises: what `fill` and `others` raise.
    """
    threads = options.threads or os.cpu_count() or 1
    key = key_of(options.seed)
    with Traces(key, options.sample, threads, folder) as traces:
        # 1 read, 2 draw
        say("reading")
        facts = fill(traces, key)
        sample = traces.sample
        # 3 points
        say("counting who is singled out by points")
        found = uniqueness.sizes(traces, GRID, offset=options.offset, seed=options.seed)
        # 4 anchors
        say("counting who shares home and work")
        places = anchors.sizes(traces, offset=options.offset)
    # 5 link
    say("linking the halves of the time")
    halves = linking.link(*linking.halves(sample), offset=options.offset)
    other = others(sample)
    sizes, known = found[HEADLINE]
    drawn = len(sizes)
    whole = drawn == facts.devices
    # 6 worst
    say("trying all that may be known")
    worst_cases = worst(sample, offset=options.offset) if whole else ()
    # 7 counts
    say("guessing who was counted")
    guessed = counts.guess(sample, offset=options.offset, seed=options.seed)
    return Assessment(
        facts=facts,
        options=options,
        drawn=drawn,
        few=share(int((known < POINTS).sum()), drawn),
        cells_a_day=cells_a_day(sample, offset=options.offset),
        uniqueness=_singled(found),
        groups=tuple(spread(sizes[:, POINTS - 1], GROUPS)),
        anchors=tuple(
            Anchored(kind, resolution, share(len(s), drawn, exact=whole), tuple(spread(s, GROUPS)))
            for (kind, resolution), s in places.items()
        ),
        halves=halves,
        others=other,
        worst=worst_cases,
        counts=guessed,
    )


def curve(
    paths: Sequence[Path],
    steps: tuple[Step, ...],
    options: Options,
    *,
    now: int,
    progress: Progress | None = None,
) -> tuple[Singled, ...]:
    """Return what 1 to 10 points single out at a few steps of the grid alone; see `assess`."""
    with Traces(key_of(options.seed), options.sample, options.threads or os.cpu_count() or 1) as traces:
        sources = sources_of(paths, options.schema)
        traces.fill(sources, now=now, offset=options.offset, progress=progress)
        return _singled(uniqueness.sizes(traces, steps, offset=options.offset, seed=options.seed))


def _singled(found: dict[Step, tuple[uniqueness.Ints, uniqueness.Ints]]) -> tuple[Singled, ...]:
    return tuple(
        Singled(points, step, share(int((sizes[:, points - 1] == 1).sum()), len(sizes)))
        for step, (sizes, _) in found.items()
        for points in range(1, uniqueness.POINTS + 1)
    )


def rate_in(found: Sequence[Singled], points: int, step: Step) -> Rate:
    """Return one rate among some."""
    return next(s.rate for s in found if s.points == points and s.step == step)


def _linked(sample: Trace, options: Options, now: int, say: Say, progress: Progress | None) -> Linked:
    """Return how often the matcher finds a device of this file in the other one.

    The drawn devices of both files are those of the lowest numbers: those that are in both are drawn in both.
    """
    say("reading the other file")
    threads = options.threads or os.cpu_count() or 1
    with Traces(key_of(options.seed), options.sample, threads) as traces:
        sources = sources_of(options.other, options.schema)
        traces.fill(sources, now=now, offset=options.offset, progress=progress)
        return linking.link(sample, traces.sample, offset=options.offset)


def _exposed(exposure: Exposure, facts: Facts) -> tuple[Exposed, ...]:
    places = {"any": sum(exposure.places.values()), **exposure.places}
    return tuple(
        Exposed(name, places[name], rounded(count, facts.devices))
        for name, count in exposure.counts().items()
    )


def cells_a_day(sample: Trace, *, offset: int) -> float:
    """Return the median over devices of the mean number of distinct cells of resolution 8 a day seen."""
    frame = pl.DataFrame(
        {
            "device": sample.device,
            "day": bins(local(sample.minute, offset), "day"),
            "cell": coarse(sample.cell, USUAL),
        }
    )
    cells = frame.group_by("device", "day").agg(cells=pl.col("cell").n_unique())
    return float(np.median(cells.group_by("device").agg(pl.col("cells").mean())["cells"].to_numpy()))


def days(facts: Facts, offset: int) -> tuple[str, str]:
    """Return the first and the last local date of a file."""
    return instant_text(facts.first * 60, offset)[:10], instant_text(facts.last * 60, offset)[:10]
