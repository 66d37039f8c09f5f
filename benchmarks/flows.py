"""Measures how exact released flows are, against the trips of a generated week; prints a Markdown table.

    python benchmarks/flows.py [--devices 30000,100000,300000] [--draws 3] [--quick] [--fast]

Phones of `passersby synth` that live in one H3 cell of resolution 4, around Zurich, leave 60 pings a day on
average; their stays and trips are found as in a lake. The trips within the cell are counted by the bounded
SQL, level by level, and released by the real code.

*Shown* is the share of all trips that lie in shown pairs of the asked resolution, *coarser too* in those of
any resolution. *WAPE* is the sum of absolute errors over the true total, *RMSE* the root mean square error,
both over all pairs and buckets of the asked resolution, where what is not shown at it counts as zeros;
*zeros* is the RMSE of zeros everywhere (their WAPE is 1). *Lost* is the share of the trips that the bound
cuts, *sd* the standard deviation of the noise. Intervals are looked at in all shown rows.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

import h3.api.numpy_int as h3i
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from passersby.derive import stays
from passersby.engines.duckdb import DuckDB
from passersby.measures.base import Scope
from passersby.measures.flows import FLOWS
from passersby.model import schema
from passersby.model.cells import cells_at, parent, resolution_of
from passersby.model.period import DAY, Period
from passersby.model.place import Area
from passersby.privacy import bound
from passersby.privacy.accounting import micro_rho_for
from passersby.privacy.hierarchy.columns import Columns
from passersby.privacy.hierarchy.plan import Plan, make_plan
from passersby.privacy.hierarchy.release import release_levels
from passersby.privacy.noise import UNIT, OpenDPSampler, Sampler
from passersby.synth import dice
from passersby.synth.country import Country, found_places
from passersby.synth.fixes import fixes
from passersby.synth.people import People, settle

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SPAN = Period.parse("2026-W20").span(0)
CELL = np.array([h3i.latlng_to_cell(47.37, 8.54, 4)], dtype=np.int64)
SHARE = 0.2
"""Share of the generated country that lives in the cell, at least."""

RATE, DAYS, SEED, BATCH = 60.0, 7, 1, 15_000
DELTA, MINIMUM = 1e-7, 20


@dataclass(frozen=True, eq=False)
class Week:
    """Trips within the cell (`model.schema.TRIPS`) and what the questions about them have in common."""

    trips: pa.Table
    area: Area

    def scope(self, resolution: int, every: str) -> Scope:
        """Return the scope of a question."""
        return Scope(SPAN, resolution, every, (), 0)

    def truth(self, scope: Scope, resolution: int) -> tuple[Ints, Floats]:
        """Return the cells at a resolution, and the trips of all pairs, shape (cells, cells, buckets)."""
        cells = self.area.at(resolution)
        ends = [
            np.searchsorted(cells, parent(self.trips[name].to_numpy(), resolution, of=10))
            for name in schema.PAIR
        ]
        starts = np.array(scope.starts)
        bucket = np.searchsorted(starts, self.trips["departure"].to_numpy(), side="right") - 1
        found = np.zeros((len(cells), len(cells), len(starts)))
        np.add.at(found, (*ends, bucket), 1)
        return cells, found


@dataclass(frozen=True)
class Score:
    """What one release was worth; shares are 0 to 1, errors in trips."""

    shown: float
    anywhere: float
    covered: float
    rows: int
    wape: float
    rmse: float


def make_week(devices: int) -> Week:
    """Return the week of so many devices."""
    country = Country.load("CH")
    places, root = found_places(country, SEED), dice.root(SEED)
    people = settle(country, places, root, int(devices / SHARE), RATE, (1.0,))
    here = np.flatnonzero(cells_at(people.home_lat, people.home_lon, 4) == CELL[0])[:devices]
    people = People(**{name: column[here].copy() for name, column in people._asdict().items()})
    parts = []
    for first in range(0, len(here), BATCH):
        last = min(first + BATCH, len(here))
        pings = []
        for day in range(DAYS):
            own = fixes(places, people, root, first, last, number=day, weekend=day >= 5)
            place = (np.round(1e5 * degrees) for degrees in (own.lat, own.lon))
            instant = SPAN.start + day * DAY + own.second
            pings.append((own.device + first, instant, *place, own.accuracy, cells_at(own.lat, own.lon, 10)))
        columns = [np.concatenate(column) for column in zip(*pings, strict=True)]
        order = np.lexsort((columns[1], columns[0]))
        kinds = (np.int64, *(np.int32,) * 4, np.int64)
        given = [column[order].astype(kind) for column, kind in zip(columns, kinds, strict=True)]
        trips = stays.derive((*given, np.ones(len(order), np.int32)))[1]
        parts.append(pa.table([pa.array(column) for column in trips], schema=schema.TRIPS))
    trips = pa.concat_tables(parts)
    ends = [parent(trips[name].to_numpy(), 4, of=10) for name in schema.PAIR]
    return Week(trips.filter(pa.array((ends[0] == CELL) & (ends[1] == CELL))), Area.from_cells(CELL))


def plan_of(week: Week, resolution: int, every: str, epsilon: float) -> Plan:
    """Return the plan that the gate would make."""
    scope = week.scope(resolution, every)
    return make_plan(
        week.area,
        measure=FLOWS.name,
        resolution=resolution,
        buckets=FLOWS.columns(scope),
        squared_bound=partial(FLOWS.squared_sensitivity, scope),
        cost=micro_rho_for(epsilon, DELTA),
        kind=FLOWS.kind,
        lost=FLOWS.lost,
    )


def bounded(week: Week, plan: Plan, every: str, folder: Path) -> dict[int, pa.Table]:
    """Return the counts of the bounded SQL (origin, destination, start, count in thousandths) by level."""
    path, scope = folder / "trips.parquet", week.scope(plan.finest, every)
    if not path.exists():
        pq.write_table(week.trips, path)
    given = {"area": pa.table({"cell": week.area.at(plan.finest)})}
    engine = DuckDB(folder / "spill")
    try:
        return {
            level.resolution: engine.query(
                bound.level_sql(
                    FLOWS.rows(scope, level.resolution),
                    squared_bound=FLOWS.squared_bound(scope, level.resolution),
                    keys=FLOWS.keys,
                ),
                {"trips": [path]},
                given,
            )
            for level in plan.levels
        }
    finally:
        engine.close()


def score(
    week: Week, counts: Mapping[int, pa.Table], plan: Plan, every: str, sampler: Sampler, factor: int = 1
) -> Score:
    """Release the week with its counts times `factor`, and compare with the truth."""
    scope = week.scope(plan.finest, every)
    times = {
        r: table.set_column(3, "count", pa.array(table["count"].to_numpy() * factor))
        for r, table in counts.items()
    }
    rows = release_levels(
        times,
        area=week.area,
        columns=Columns(np.array(scope.starts)),
        plan=plan,
        sampler=sampler,
        minimum=FLOWS.floor(MINIMUM, len(scope.starts)),
    ).rows
    rows = rows.filter(rows["estimate"].is_valid())
    known = resolution_of(rows["origin"].to_numpy())
    true, bucket = np.zeros(len(known)), np.searchsorted(scope.starts, rows["start"].to_numpy())
    for level in plan.levels:
        cells, all_pairs = week.truth(scope, level.resolution)
        at = known == level.resolution
        ends = [np.searchsorted(cells, rows[name].to_numpy()[at]) for name in schema.PAIR]
        true[at] = factor * all_pairs[(*ends, bucket[at])]
    low, high, count = (rows[name].to_numpy() for name in ("low", "high", "count"))
    asked, whole = known == plan.finest, factor * all_pairs
    total, missed = float(whole.sum()), float((whole**2).sum() - (true[asked] ** 2).sum())
    wrong = count[asked] - true[asked]
    return Score(
        shown=float(true[asked].sum()) / total,
        anywhere=float(true.sum()) / total,
        covered=float(((low <= true) & (true <= high)).mean()) if len(true) else float("nan"),
        rows=len(true),
        wape=1 + float(np.abs(wrong).sum() - true[asked].sum()) / total,
        rmse=float(np.sqrt((missed + (wrong**2).sum()) / whole.size)),
    )


def lost(week: Week, counts: Mapping[int, pa.Table], plan: Plan) -> float:
    """Return the share of all trips that the bound of the asked resolution cuts."""
    counted = float(counts[plan.finest]["count"].to_numpy().sum()) / UNIT
    return 1 - counted / float(week.trips.num_rows)


_HEAD = ("devices", "every", "resolution", "epsilon", "C2", "sd", "lost", "shown", "coarser too")
_TAIL = ("intervals cover", "rows", "WAPE", "RMSE", "zeros")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--devices", default="30000,100000,300000")
    parser.add_argument("--draws", type=int, default=3, help="releases whose errors are averaged")
    parser.add_argument("--quick", action="store_true", help="30,000 devices, one draw, epsilon 1")
    parser.add_argument("--fast", action="store_true", help="NumPy's noise instead of OpenDP's")
    given = parser.parse_args()
    sizes, epsilons, draws = [int(text) for text in given.devices.split(",")], [1.0, 4.0], given.draws
    if given.quick:
        sizes, epsilons, draws = [30_000], [1.0], 1
    sampler: Sampler = import_module("accuracy").NumPySampler(1) if given.fast else OpenDPSampler()
    begun = time.monotonic()
    print(f"noise of {sampler.name}, delta {DELTA:g}, {draws} draw(s)\n")
    print(f"| {' | '.join((*_HEAD, *_TAIL))} |\n|{'---|' * len((*_HEAD, *_TAIL))}")
    for devices in sizes:
        week = make_week(devices)
        for every in ("week", "day"):
            for resolution in (5, 6, 7):
                with tempfile.TemporaryDirectory() as folder:
                    counts = bounded(week, plan_of(week, resolution, every, 1.0), every, Path(folder))
                for epsilon in epsilons:
                    plan = plan_of(week, resolution, every, epsilon)
                    scores = [score(week, counts, plan, every, sampler) for _ in range(draws)]
                    _print_row(week, devices, every, epsilon, plan, lost(week, counts, plan), scores)
    print(f"\n{time.monotonic() - begun:.0f} s")


def _print_row(  # noqa: PLR0917 (a row has many columns)
    week: Week, devices: int, every: str, epsilon: float, plan: Plan, cut: float, scores: list[Score]
) -> None:
    mean = {name: float(np.mean([getattr(s, name) for s in scores])) for name in Score.__annotations__}
    asked = plan.levels[-1]
    whole = week.truth(week.scope(plan.finest, every), plan.finest)[1]
    words = [
        f"{devices:,}",
        every,
        str(plan.finest),
        f"{epsilon:g}",
        str(asked.squared_bound),
        f"{asked.error:.0f}",
        f"{cut:.1%}",
        *(f"{mean[name]:.1%}" for name in ("shown", "anywhere", "covered")),
        f"{mean['rows']:,.0f}",
        f"{mean['wape']:.3f}",
        *(f"{value:,.1f}" for value in (mean["rmse"], float(np.sqrt((whole**2).mean())))),
    ]
    print(f"| {' | '.join(words)} |", flush=True)


if __name__ == "__main__":
    main()
