"""Counts that are not told, from those that are: totals less their parts, within what is left.

The attacker is assumed to know the released files, that counts of parts add up to the count of the whole
(cells of an H3 parent, hours of a day, places of a total), and that a count that is not told is smaller than
the smallest that is. Each whole is an equation; each count that is not told has a lowest and a highest
value, which the equations narrow until nothing changes. Where each count belongs to one whole, as in a tree,
these are the very bounds (Fréchet bounds for totals; Dobra, Fienberg 2000); where places and times cross, the
true bounds may be narrower still.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import polars as pl

from passersby.model.cells import children, parent, resolution_of
from passersby.risk.guessing import Ints
from passersby.risk.rates import Rate, share
from passersby.risk.releases.release import TOTAL, UNTIMED, Release

FEW = 4
"""A count that is shown to lie between 1 and this is taken for one that is given away."""

ADD_UP = 0.95
"""Wholes all of whose parts are told must equal their sum in this share, else counts do not add up."""

MOST_PARTS = 10_000_000
"""Counts and parts of wholes from which on nothing is derived: they are held in memory."""

_NO_LIMIT = 1 << 50
_ROUNDS = 200
_KEY = ("place", "start", "step")
_UP = ("up_place", "up_start", "up_step")
_Find = Callable[[pl.DataFrame, bool], pl.DataFrame]


class TooManyParts(Exception):
    """There are more counts and parts of wholes than are held in memory."""


@dataclass(frozen=True)
class Bounds:
    """What becomes of counts that are not told.

    `hidden` is their number; `exact` the share that is determined, `few` that shown to lie between 1 and
    `FEW`. `smallest` is the smallest count above 0 that is told. `wholes` is the number of equations,
    `checked` of those all of whose parts are told: `agree` of these add up (None without any).
    """

    hidden: int
    exact: Rate
    few: Rate
    smallest: int
    wholes: int
    checked: int
    agree: float | None


@dataclass(frozen=True)
class System:
    """Counts with the lowest and the highest value that each may have, and wholes made of parts.

    `whole[e]` is the count that the parts of equation e add up to; part `part[i]` belongs to `equation[i]`.
    """

    low: Ints
    high: Ints
    whole: Ints
    equation: Ints
    part: Ints


def narrowed(system: System) -> tuple[Ints, Ints] | None:
    """Return the lowest and the highest value of each count that is left; None: the equations contradict."""
    low, high = system.low.copy(), system.high.copy()
    whole, equation, part = system.whole, system.equation, system.part
    number = len(whole)
    for _ in range(_ROUNDS):
        before = low.copy(), high.copy()
        lows, highs = _summed(equation, low[part], number), _summed(equation, high[part], number)
        np.maximum.at(low, whole, lows)
        np.minimum.at(high, whole, highs)
        np.maximum.at(low, part, low[whole][equation] - (highs[equation] - before[1][part]))
        np.minimum.at(high, part, high[whole][equation] - (lows[equation] - before[0][part]))
        if (low > high).any():
            return None
        if (low == before[0]).all() and (high == before[1]).all():
            break
    return low, high


def _summed(equation: Ints, values: Ints, number: int) -> Ints:
    sums = np.zeros(number, dtype=np.int64)
    np.add.at(sums, equation, values)
    return sums


def bounds(releases: Sequence[Release]) -> Bounds | None:
    """Return what exact releases of the same people tell of counts that they do not tell.

    None where no count is the whole of others, and none is told by one release that another does not tell.
    Where counts do not add up, as those of distinct visitors, nothing is derived: `wholes` is 0.

    Raises:
        TooManyParts: there are more than `MOST_PARTS`.
    """
    if len(releases) == 1 and _flat(releases[0]):
        return None
    nodes = _nodes(releases)
    told = nodes["value"].drop_nulls()
    explicit = bool(nodes["hidden"].any())
    equations: list[pl.DataFrame] = []
    checked = agreeing = 0
    for find in _kinds(nodes):
        pairs = find(nodes, explicit)
        if len(pairs) + len(nodes) > MOST_PARTS:
            raise TooManyParts
        pairs, wholes = _looked_up(nodes, pairs)
        full = pl.col("untold") + pl.col("absent") == 0
        looked = wholes.filter(
            (full | (pl.col("sum") >= pl.col("up_value"))) & pl.col("up_value").is_not_null()
        )
        equal = int((looked["sum"] == looked["up_value"]).sum())
        checked, agreeing = checked + len(looked), agreeing + equal
        if equal < ADD_UP * len(looked):
            continue
        pairs, more = _filled(pairs, wholes)
        nodes = pl.concat([nodes, more])
        equations.append(pairs)
    elsewhere = nodes.filter(pl.col("hidden") & pl.col("value").is_not_null())
    if not (equations or checked or len(elsewhere)):
        return None
    positive = told.filter(told > 0)
    smallest = int(positive.min() or 0) if len(positive) else 0  # type: ignore[arg-type]
    return _solved(nodes, equations, smallest, checked, agreeing)


def _flat(release: Release) -> bool:
    """Tell whether no count of a release is the whole of others."""
    return len(release.resolutions) < 2 and not (release.place == TOTAL).any()


def _solved(
    nodes: pl.DataFrame, equations: Sequence[pl.DataFrame], smallest: int, checked: int, agreeing: int
) -> Bounds:
    nodes = nodes.with_row_index("node")
    pairs = pl.concat([*equations, pl.DataFrame(schema=dict.fromkeys((*_UP, *_KEY), pl.Int64))])
    pairs = pairs.join(nodes.select(*_KEY, part="node"), on=_KEY)
    pairs = pairs.join(nodes.select(*_KEY, whole="node"), left_on=_UP, right_on=_KEY)
    # a whole of cells and a whole of hours are two equations about the same count
    kind = pl.struct("whole", pl.col("step") == pl.col("up_step"))
    pairs = pairs.with_columns(equation=kind.rank("dense").cast(pl.Int64) - 1).sort("equation")
    wholes = pairs.unique("equation", maintain_order=True)
    value = nodes["value"].cast(pl.Int64)
    system = System(
        low=value.fill_null(0).to_numpy(),
        high=value.fill_null(max(smallest - 1, 0) if smallest > 1 else _NO_LIMIT).to_numpy(),
        whole=wholes["whole"].cast(pl.Int64).to_numpy(),
        equation=pairs["equation"].to_numpy(),
        part=pairs["part"].cast(pl.Int64).to_numpy(),
    )
    found = narrowed(system)
    if found is None:  # more than small counts was left out
        found = narrowed(replace(system, high=value.fill_null(_NO_LIMIT).to_numpy()))
    untold = nodes["hidden"].to_numpy()
    low, high = (system.low, system.high) if found is None else found
    low, high = low[untold], high[untold]
    return Bounds(
        hidden=len(low),
        exact=share(int((low == high).sum()), len(low), exact=True),
        few=share(int(((low >= 1) & (high <= FEW)).sum()), len(low), exact=True),
        smallest=smallest,
        wholes=len(wholes),
        checked=checked,
        agree=agreeing / checked if checked else None,
    )


def _nodes(releases: Sequence[Release]) -> pl.DataFrame:
    """Return each count once: place, start, step, value (null: not told), hidden (by some release)."""
    frames = [
        pl.DataFrame(
            {
                "place": r.place,
                "start": r.start,
                "step": np.full(len(r.place), r.step),
                "value": pl.Series(np.round(r.value), nan_to_null=True).cast(pl.Int64),
            }
        )
        for r in releases
    ]
    found = pl.concat(frames).group_by(_KEY, maintain_order=True)
    return found.agg(value=pl.col("value").drop_nulls().first(), hidden=pl.col("value").is_null().any())


def _kinds(nodes: pl.DataFrame) -> Iterator[_Find]:
    """Give a search for each kind of whole: from large places to small, then from long times to short."""
    places = nodes.filter(pl.col("place") != TOTAL)["place"].to_numpy()
    cells = bool(((places >> 59) == 1).all())
    resolutions = [int(r) for r in np.unique(resolution_of(places))] if cells else []
    if (nodes["place"] == TOTAL).any():
        yield partial(_of_total, resolution=resolutions[0] if cells else None)
    for coarse, fine in itertools.pairwise(resolutions):
        yield partial(_of_cells, coarse=coarse, fine=fine)
    steps = sorted(nodes["step"].unique().to_list(), reverse=True)
    for long, short in itertools.pairwise(steps):
        if long % short == 0 and long < UNTIMED:
            yield partial(_of_times, long=long, short=short)


def _of_total(nodes: pl.DataFrame, explicit: bool, resolution: int | None) -> pl.DataFrame:  # noqa: FBT001
    parts = nodes.filter(pl.col("place") != TOTAL)
    if resolution is not None:
        parts = parts.filter(pl.Series(resolution_of(parts["place"].to_numpy()) == resolution))
    wholes = nodes.filter(pl.col("place") == TOTAL).select("start", "step")
    if explicit:
        parts = parts.join(wholes, on=["start", "step"])
    else:
        parts = wholes.join(parts.select("place", "step").unique(), on="step")
    parts = parts.with_columns(up_place=pl.lit(TOTAL, pl.Int64), up_start="start", up_step="step")
    return parts.select(*_UP, *_KEY)


def _of_cells(nodes: pl.DataFrame, explicit: bool, coarse: int, fine: int) -> pl.DataFrame:  # noqa: FBT001
    mine = nodes.filter(pl.Series(resolution_of(nodes["place"].to_numpy()) == fine), pl.col("place") != TOTAL)
    up = parent(mine["place"].to_numpy(), coarse, of=fine)
    mine = mine.with_columns(up_place=pl.Series(up, dtype=pl.Int64))
    if not explicit:
        # a cell that is nowhere told may have been left out as well
        every = children(np.unique(up), fine)
        of_each = pl.DataFrame({"up_place": parent(every, coarse, of=fine), "place": every})
        mine = mine.select("up_place", "start", "step").unique().join(of_each, on="up_place")
    whole = nodes.select(up_place="place", start="start", step="step")
    return mine.join(whole, on=["up_place", "start", "step"]).select(
        "up_place", *_KEY, up_start="start", up_step="step"
    )


def _of_times(nodes: pl.DataFrame, explicit: bool, long: int, short: int) -> pl.DataFrame:  # noqa: FBT001
    wholes = nodes.filter(pl.col("step") == long).select(up_place="place", up_start="start", up_step="step")
    parts = nodes.filter(pl.col("step") == short)
    starts, begins = parts["start"].unique().sort(), np.unique(wholes["up_start"].to_numpy())
    at = np.searchsorted(begins, starts.to_numpy(), side="right") - 1
    within = pl.DataFrame({"start": starts, "up_start": begins[np.maximum(at, 0)]}).filter(
        pl.Series(at >= 0) & (pl.col("start") < pl.col("up_start") + long)
    )
    # a day of which not every hour was released is no whole
    within = within.filter(pl.len().over("up_start") == long // short)
    pairs = wholes.join(within, on="up_start").with_columns(place="up_place", step=pl.lit(short, pl.Int64))
    some = pairs.join(parts.select(_KEY), on=_KEY, how="semi")
    pairs = some if explicit else pairs.join(some.select(_UP).unique(), on=_UP, how="semi")
    return pairs.select(*_UP, *_KEY)


def _looked_up(nodes: pl.DataFrame, pairs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return pairs with what is known of the part, and the wholes with sums of theirs.

    A part is told, untold, or absent: in no release. `sum` is of those that are told.
    """
    pairs = pairs.select(*_UP, *_KEY).join(nodes.with_columns(there=True), on=_KEY, how="left")
    pairs = pairs.with_columns(pl.col("there").fill_null(value=False))
    wholes = pairs.group_by(_UP).agg(
        sum=pl.col("value").sum(),
        untold=(pl.col("there") & pl.col("value").is_null()).sum().cast(pl.Int64),
        absent=(~pl.col("there")).sum().cast(pl.Int64),
    )
    values = nodes.select(*_KEY, up_value="value")
    return pairs, wholes.join(values, left_on=_UP, right_on=_KEY, how="left")


def _filled(pairs: pl.DataFrame, wholes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the pairs of whole equations, and counts for the parts that are in no release.

    Where nothing is left of a whole, absent parts are 0. A whole that is not told needs all of its parts.
    """
    pairs = pairs.join(wholes, on=_UP)
    left = pl.col("up_value") - pl.col("sum")
    pairs = pairs.filter(pl.col("there") | (left > 0).fill_null(value=True))
    pairs = pairs.filter(pl.col("up_value").is_not_null() | (pl.col("absent") == 0))
    more = pairs.filter(~pl.col("there")).select(_KEY).unique(maintain_order=True)
    more = more.with_columns(value=pl.lit(None, pl.Int64), hidden=pl.lit(value=True))
    return pairs.select(*_UP, *_KEY), more
