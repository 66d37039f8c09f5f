"""Answers the questions of `run.py` with this package: `python ours.py NAME FOLDER OUT.npz`.

It runs what the gate runs between its checks and its waiting: the bounded SQL, the noise and the estimates.
What a release does not show at resolution 7 (suppressed cells, and coarse ones that were not split) counts
as zeros.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from passersby.engines.duckdb import DuckDB
from passersby.measures.base import Measure, Scope
from passersby.measures.flows import FLOWS
from passersby.measures.presence import PRESENCE
from passersby.model.cells import resolution_of
from passersby.model.cost import MicroRho
from passersby.model.period import HOUR, Span
from passersby.model.place import Area
from passersby.privacy import bound, noise
from passersby.privacy.hierarchy.columns import Columns
from passersby.privacy.hierarchy.plan import make_plan
from passersby.privacy.hierarchy.release import release_additive, release_levels

Numbers = npt.NDArray[np.float64]

MINIMUM_DEVICES = 20


class Week:
    """The generated week and the question about it."""

    def __init__(self, folder: Path) -> None:
        self.files = {name: [folder / f"{name}.parquet"] for name in ("presence", "trips")}
        with np.load(folder / "truth.npz") as truth:
            self.cells, starts = truth["cells"], truth["starts"]
        self.span = Span(int(starts[0]), int(starts[-1]) + HOUR)
        self.resolution = int(resolution_of(self.cells)[0])
        self.area = Area.from_cells(self.cells)
        setting = json.loads((folder / "setting.json").read_text())
        self.cost = MicroRho(setting["micro_rho"])
        self.most_keys: int = setting["most_keys"]

    def scope(self, every: str) -> Scope:
        """Return the question's scope."""
        return Scope(self.span, self.resolution, every, (), 0)

    def query(self, texts: dict[int, str]) -> dict[int, pa.Table]:
        """Return the bounded counts by resolution."""
        with tempfile.TemporaryDirectory() as spill:
            engine = DuckDB(Path(spill))
            try:
                area = {"area": pa.table({"cell": self.area.at(self.resolution)})}
                return {r: engine.query(text, self.files, area) for r, text in texts.items()}
            finally:
                engine.close()

    def dense(self, rows: pa.Table, scope: Scope) -> npt.NDArray[np.int64]:
        """Return `count` of each cell, or pair of cells, and bucket of time; 0 where there is no row."""
        place = np.zeros(len(rows), dtype=np.int64)
        for name in ("cell", "origin", "destination"):
            if name in rows.schema.names:
                place = place * len(self.cells) + np.searchsorted(self.cells, rows[name].to_numpy())
        column = np.searchsorted(scope.starts, rows["start"].to_numpy())
        ends = 2 if "origin" in rows.schema.names else 1
        found = np.zeros((len(self.cells) ** ends, len(scope.starts)), dtype=np.int64)
        found[place, column] = rows["count"].to_numpy()
        return found.reshape(-1)


def release(measure: Measure, every: str, week: Week) -> Numbers:
    """Return what the gate releases."""
    scope = week.scope(every)
    plan = make_plan(
        week.area,
        measure=measure.name,
        resolution=week.resolution,
        buckets=measure.columns(scope),
        squared_bound=partial(measure.squared_sensitivity, scope),
        lost=measure.lost,
        cost=week.cost,
        kind=measure.kind,
    )
    how = bound.additive_sql if measure.additive else bound.level_sql
    levels = [week.resolution] if measure.additive else [level.resolution for level in plan.levels]
    counts = week.query(
        {
            r: how(measure.rows(scope, r), squared_bound=measure.squared_bound(scope, r), keys=measure.keys)
            for r in levels
        }
    )
    starts = np.array(scope.starts, dtype=np.int64)
    columns, sampler = Columns(starts), noise.OpenDPSampler()
    minimum = measure.floor(MINIMUM_DEVICES, len(starts))
    released = (
        release_additive(
            counts[week.resolution],
            area=week.area,
            columns=columns,
            plan=plan,
            sampler=sampler,
            minimum=minimum,
        )
        if measure.additive
        else release_levels(
            counts, area=week.area, columns=columns, plan=plan, sampler=sampler, minimum=minimum
        )
    )
    rows = released.rows.filter(pc.is_valid(released.rows["count"]))
    place = rows["cell" if measure.additive else "origin"].to_numpy()
    asked = rows.filter(pa.array(resolution_of(place) == week.resolution))
    return week.dense(asked, scope).astype(np.float64)


def one_level(week: Week) -> Numbers:
    """Return presence with the same weights and noise, but without a tree and held to the others' bound."""
    scope = week.scope("hour")
    text = bound.level_sql(PRESENCE.rows(scope, week.resolution), squared_bound=week.most_keys)
    exact = week.dense(week.query({week.resolution: text})[week.resolution], scope)
    scale = noise.scale_for(week.most_keys, week.cost)
    return noise.OpenDPSampler().gaussian(exact, scale) / noise.UNIT


ANSWERS: dict[str, Callable[[Week], Numbers]] = {
    "passersby": partial(release, PRESENCE, "hour"),
    "passersby-one-level": one_level,
    "passersby-flows": partial(release, FLOWS, "week"),
}


def main() -> None:
    """Answer one question; print seconds and version."""
    name, folder, target = sys.argv[1:]
    week = Week(Path(folder))
    begun = time.perf_counter()
    numbers = ANSWERS[name](week)
    seconds = time.perf_counter() - begun
    np.savez(target, numbers=numbers)
    print(json.dumps({"version": version("passersby"), "seconds": seconds, "start": 0}))


if __name__ == "__main__":
    main()
