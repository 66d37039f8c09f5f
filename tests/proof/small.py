"""Small worlds that start from pings, and the product's own steps from them to the vectors before the noise.

A phone has one advertising id. Each delivery writes it in another way, so that normalising counts too.
Then: pseudonym, presence, the measure's SQL with its bound, and the vectors of a release, each by the
function that a deployment uses. `reference` says what they should be, in plain Python.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import h3.api.numpy_int as h3i
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from passersby.config import Config
from passersby.derive import batches, kernel, stays
from passersby.engines.base import NOBODY, Engine
from passersby.gate import planning, running
from passersby.gate.planning import Planned
from passersby.gate.request import Request, check
from passersby.keys.pseudonym import pseudonyms
from passersby.measures.weighted import weighted
from passersby.model.cost import MicroRho
from passersby.model.period import DAY, HOUR, Period, day_of
from passersby.model.place import Area
from passersby.model.question import Question
from passersby.model.schema import PRESENCE, STAYS, TRIPS
from passersby.model.weights import Weights
from passersby.model.zones import Zones
from passersby.privacy.hierarchy.columns import Columns
from passersby.privacy.hierarchy.counts import prenoise
from passersby.privacy.hierarchy.pairs import PairTree
from passersby.privacy.hierarchy.release import counts_for
from passersby.privacy.hierarchy.tree import Nodes
from passersby.privacy.hierarchy.zones import ZoneTree
from passersby.privacy.noise import Integers
from passersby.sources import ids
from proof import plain, plain_stays
from proof.plain.asked import ZONES, Asked, Row
from proof.plain.weights import in_people
from proof.world import World

PERIODS = ("2026-W20", "2026-W21")
BUCKETS = 2
KEY = bytes(range(32))

Vectors = dict[int, Integers]
"""By resolution, thousandths of shape (cells or pairs, columns)."""


class Fix(NamedTuple):
    """One ping, as a phone knows it. `t` is epoch s, `cell` is at resolution 10."""

    phone: int
    t: int
    cell: int
    delivery: int


class Run(NamedTuple):
    """A phone that sends one ping an hour from a ring of cells, `each` hours from each.

    `start` is in hours from the first Monday.
    """

    phone: int
    start: int
    hours: int
    second: int
    cells: tuple[int, ...]
    delivery: int
    each: int = 1

    def fixes(self, offset: int) -> Iterator[Fix]:
        """Yield its pings; hours are local ones."""
        monday = Period.parse(PERIODS[0]).span(offset).start
        for i in range(self.hours):
            t = monday + (self.start + i) * HOUR + self.second
            yield Fix(self.phone, t, self.cells[i // self.each % len(self.cells)], self.delivery)


@dataclass(frozen=True)
class Ask:
    """A question over a small world. `squared_bound` 0 is the measure's own, at which nothing is clipped."""

    measure: str
    every: str
    resolution: int
    area: Area
    period: str = PERIODS[0]
    filters: tuple[str, ...] = ()
    offset: int = 0
    squared_bound: int = 0
    micro_rho: int = 20_187
    zones: Zones | None = None
    weights: Weights | None = None


def around(centre: int) -> tuple[int, ...]:
    """Return cells at resolution 10: neighbours of `centre` and of each of its ancestors down to 4."""
    found = {int(h3i.cell_to_center_child(centre, 10))}
    for resolution in range(4, 11):
        own = int(h3i.cell_to_parent(h3i.cell_to_center_child(centre, 10), resolution))
        near = sorted(int(cell) for cell in h3i.grid_disk(own, 1))
        found |= {int(h3i.cell_to_center_child(cell, 10)) for cell in near[:2] if cell != own}
    return tuple(sorted(found))


def hull(cells: Iterable[int], resolution: int) -> Area:
    """Return the area of the ancestors at `resolution`."""
    return Area.from_cells(np.array(sorted({int(h3i.cell_to_parent(c, resolution)) for c in cells})))


def planned(ask: Ask) -> Planned:
    """Return the plan that the gate would make, but for who asks and why."""
    request = Request(
        measure=ask.measure,
        period=ask.period,
        every=ask.every,
        resolution=ask.resolution,
        area=ask.area,
        epsilon=1.0,
        licence="",
        purpose="",
        case="",
        filters=ask.filters,
        zones=ask.zones,
    )
    checked = check(request, Config(utc_offset=_offset_text(ask.offset)))
    if ask.weights is not None:
        own = weighted(checked.measure, ask.weights, ask.zones.resolution if ask.zones else None)
        checked = replace(checked, measure=own, weights=ask.weights)
    scope = checked.scope(ask.offset)
    question = Question(
        measure=checked.measure.name,
        definition=1,
        span=checked.span,
        area=ask.area,
        resolution=checked.resolution,
        every=ask.every,
        filters=checked.filters,
        cost=MicroRho(ask.micro_rho),
        mechanism=planning.MECHANISMS[checked.measure.kind],
        revisions=(1,),
        offset=ask.offset,
        zones=ask.zones,
        weights=ask.weights,
    )
    measure = checked.measure
    if ask.squared_bound:
        measure = replace(measure, bound=lambda _: ask.squared_bound, coarser=None)
    found = SimpleNamespace(
        measure=measure,
        scope=scope,
        question=question,
        plan=planning._levels(measure, scope, question),
    )
    return cast("Planned", found)


class SmallLake:
    """What a small world's pings become in Parquet files by (day, bucket), as `gate.running` reads a lake."""

    buckets = BUCKETS
    withdrawn = NOBODY

    def __init__(self, folder: Path, fixes: Sequence[Fix], offset: int) -> None:
        folder.mkdir(parents=True)
        self._folder, self._fixes, self._offset = folder, fixes, offset
        self._files: dict[str, list[SimpleNamespace]] = {}

    @contextmanager
    def snapshot(self, _now: int) -> Iterator[SmallLake]:
        """Yield itself: nothing changes."""
        yield self

    def renew(self, _now: int) -> None:
        """Nothing lapses."""

    def files(self, table: str, days: Iterable[int], bucket: int) -> list[Any]:
        """Return the files of the days and the bucket."""
        if table not in self._files:
            made = _TABLES[table](self._fixes, self._offset)
            self._files[table] = [self._written(table, *key, rows) for key, rows in made.items()]
        return [file for file in self._files[table] if file.day in days and file.bucket == bucket]

    def _written(self, table: str, day: int, bucket: int, rows: pa.Table) -> SimpleNamespace:
        path = self._folder / f"{table}-{day}-{bucket}.parquet"
        pq.write_table(rows, path)
        return SimpleNamespace(path=path, day=day, bucket=bucket, rows=rows.num_rows, sources=(day,))


def vectors(engine: Engine, lake: Any, asked: Planned) -> tuple[Vectors, Nodes]:
    """Return the vectors of a question before the noise: by the gate's SQL and the release's code."""
    counts = running.run(engine, lake, asked, now=0, renew=lambda: 0)
    given = counts[asked.plan.finest] if asked.measure.additive else counts
    found, tree = counts_for(given, area=asked.question.ground, columns=columns(asked), plan=asked.plan)
    return prenoise(found, tree, asked.plan), tree


def columns(asked: Planned) -> Columns:
    """Return the columns of each vector."""
    return Columns(np.array(asked.scope.starts, dtype=np.int64), asked.measure.released_bins)


def reference(fixes: Sequence[Fix], asked: Planned, tree: Nodes) -> Vectors:
    """Return what `vectors` gives at the measure's own bound, by the definitions and by h3's own parents.

    What each phone contributes is said by the measure's own definition in plain Python, in `proof.plain`.
    Only a measure that says so clips some of it.
    """
    zones = asked.question.zones
    world = World(fixes, asked.scope.offset, zones)
    if zones is None:
        area = frozenset(asked.question.area.at(asked.scope.resolution).tolist())
    else:
        area = frozenset(range(ZONES, ZONES + len(zones)))
    about = Asked(asked.scope, area)
    rows = {level: list(plain.PLAIN[asked.measure.name](world, about, level)) for level in tree.resolutions}
    if asked.question.weights is not None:
        plain_cells = World(fixes, asked.scope.offset)  # homes are cells, of zones too
        rows = {level: in_people(plain_cells, asked.question.weights, own) for level, own in rows.items()}
    found = {}
    for depth, resolution in enumerate(tree.resolutions):
        level = asked.plan.finest if asked.measure.additive else resolution
        weights = _weights(rows[level], asked, asked.measure.squared_bound(asked.scope, level))
        total: Counter[tuple[int, ...]] = Counter()
        for phone, *key, value in rows[resolution]:
            weight = weights.get((phone, _week(key, asked)), 1000)
            total[tuple(_node(part, tree, depth) for part in key)] += weight * value
        keys = zip(*total, strict=True) if total else [()] * len(asked.measure.keys)
        table = pa.table(
            {
                **{name: pa.array(v, pa.int64()) for name, v in zip(asked.measure.keys, keys, strict=True)},
                "count": pa.array(total.values(), pa.int64()),
            }
        )
        found[resolution] = _laid_out(table, asked, tree, depth)
    return found


def _weights(rows: Iterable[Row], asked: Planned, bound: int) -> dict[tuple[int, int], int]:
    """Return the weight in thousandths of each phone and period that C2 clips, by `privacy.bound`."""
    if not asked.measure.clips:
        return {}
    units: defaultdict[tuple[int, int], Counter[tuple[int, ...]]] = defaultdict(Counter)
    for phone, *key, value in rows:
        units[phone, _week(key, asked)][tuple(key[asked.measure.additive :])] += value
    weights = {}
    for unit, own in units.items():
        n = sum(value**2 for value in own.values())
        if n > bound:
            weight = math.floor(1000 * math.sqrt(bound / n))
            weights[unit] = weight - (weight**2 * n > bound * 10**6)
    return weights


def _week(key: Sequence[int], asked: Planned) -> int:
    """Return the number of the period of a row's key; all periods are one where the measure is joint."""
    start = key[asked.measure.keys.index("start")]
    return 0 if asked.measure.joint else Period.containing(start, asked.scope.offset).index


def _node(part: int, tree: Nodes, depth: int) -> int:
    """Return a part of a key as a tree has it: of zones their stand-in, by their number."""
    if part < ZONES:
        return part
    cells = tree.cells if isinstance(tree, PairTree) else tree
    assert isinstance(cells, ZoneTree)
    return int(cells.cells[depth][part - ZONES])


def _laid_out(table: pa.Table, asked: Planned, tree: Nodes, depth: int) -> Integers:
    out = np.zeros((tree.sizes[depth], len(columns(asked))), np.int64)
    (node, here), (column, then) = tree.find(depth, table), columns(asked).find(table)
    out[node[here & then], column[here & then]] = table["count"].to_numpy()[here & then]
    return out


def _presence(fixes: Sequence[Fix], offset: int) -> dict[tuple[int, int], pa.Table]:
    """Return presence by (day, bucket), by the product's normal form, pseudonyms, merge and kernel."""
    parts = _columns(fixes, lambda t: day_of(t, offset))
    return {key: _derived(tuple(part[i] for i in (0, 1, 5, 6)), offset) for key, part in parts.items()}


def _stays(fixes: Sequence[Fix], offset: int) -> dict[tuple[int, int], pa.Table]:
    return _moved(fixes, offset, 0, STAYS)


def _trips(fixes: Sequence[Fix], offset: int) -> dict[tuple[int, int], pa.Table]:
    return _moved(fixes, offset, 1, TRIPS)


def _moved(
    fixes: Sequence[Fix], offset: int, which: int, schema: pa.Schema
) -> dict[tuple[int, int], pa.Table]:
    """Return stays or trips by (day of their begin, bucket), by the product's steps and kernel of stays."""
    found: dict[tuple[int, int], pa.Table] = {}
    for (_, bucket), part in _columns(fixes, lambda t: Period.containing(t, offset).index).items():
        rows = stays.derive(part)[which]
        table = pa.table([pa.array(column) for column in rows], schema=schema)
        begin = rows.departure if isinstance(rows, stays.Trips) else rows.arrival
        day = (begin.astype(np.int64) + offset) // DAY
        for number in np.unique(day).tolist():
            found[number, bucket] = table.filter(pa.array(day == number))
    return found


_TABLES = {"presence": _presence, "stays": _stays, "trips": _trips}


def _columns(fixes: Sequence[Fix], part_of: Callable[[int], int]) -> dict[tuple[int, int], batches.Columns]:
    """Return pings as the product's streams give them, by (part of the time, bucket), deliveries merged."""
    device = _devices(fixes)
    parts: defaultdict[tuple[int, int], list[batches.Columns]] = defaultdict(list)
    rows = sorted(
        (fix.delivery, part_of(fix.t), who % BUCKETS, who, fix.t, fix.cell)
        for fix, who in zip(fixes, device, strict=True)
    )
    for (delivery, part, bucket), group in itertools.groupby(rows, key=lambda row: row[:3]):
        who, when, where = (np.array(column) for column in list(zip(*group, strict=True))[3:])
        places = np.array([plain_stays.place_e5(int(cell)) for cell in where], dtype=np.int32)
        columns = (
            who,
            when.astype(np.int32),
            places[:, 0].copy(),
            places[:, 1].copy(),
            np.full(len(who), -1, np.int32),
            where,
            np.full(len(who), delivery, np.int32),
        )
        parts[part, bucket].append(batches._frozen(columns))
    return {key: batches._merged(part) for key, part in sorted(parts.items())}


def _devices(fixes: Sequence[Fix]) -> list[int]:
    if not fixes:
        return []
    names, _ = ids.normalised(pl.Series("id", [_written(fix.phone, fix.delivery) for fix in fixes]))
    found: list[int] = pseudonyms(names.to_list(), KEY).tolist()
    return found


def _written(phone: int, delivery: int) -> str:
    """Return a phone's advertising id as one supplier writes it."""
    name = f"{phone + 1:08x}-89ab-4cde-8f01-23456789abcd"
    return (name, name.upper(), name.replace("-", ""), "{" + name + "}")[delivery % 4]


def _derived(columns: batches.Columns, offset: int) -> pa.Table:
    size = len(columns[0])
    out = tuple(np.empty(size, kind) for kind in (np.int64, np.int32, np.int64, np.int32))
    filled = kernel.presence(columns, np.empty(0, np.int64), offset, out)
    return pa.table([pa.array(column[:filled]) for column in out], schema=PRESENCE)


def _offset_text(offset: int) -> str:
    hours, minutes = divmod(abs(offset) // 60, 60)
    return f"{'-' if offset < 0 else '+'}{hours:02d}:{minutes:02d}"
