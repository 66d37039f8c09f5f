"""Measures how exact released numbers are, against the truth of a generated panel; prints a Markdown table.

    python benchmarks/accuracy.py [--devices 20000] [--draws 3] [--quick] [--fast]

A panel of devices lives for a week in one H3 cell of resolution 4. Its presence is counted by the bounded
SQL and released by the real code, hour by hour, with OpenDP's noise. Larger panels are the same one with
its counts times 10, 100 and 600: noise does not grow with the counts, so errors stay and skill grows.

Errors are root mean squares over shown cells and hours of the asked resolution; *zeros* is what publishing
nothing but zeros would be wrong by in the same cells, *skill* is 1 - estimate / zeros. *Zeros, all* and
*skill, all* look at all cells, where the counts of those that are not shown are read as zeros. Intervals are
looked at in all shown rows, cells that were not split included.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import h3.api.numpy_int as h3i
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from passersby.engines.duckdb import DuckDB
from passersby.measures.base import Scope
from passersby.measures.presence import PRESENCE
from passersby.model import schema
from passersby.model.cells import children, parent, resolution_of
from passersby.model.period import HOUR, Period
from passersby.model.place import Area
from passersby.privacy import bound
from passersby.privacy.accounting import micro_rho_for
from passersby.privacy.hierarchy.columns import Columns
from passersby.privacy.hierarchy.plan import make_plan
from passersby.privacy.hierarchy.release import release_additive
from passersby.privacy.noise import OpenDPSampler, Sampler

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SPAN = Period.parse("2026-W20").span(0)
HOURS = 168
LEAF = 8
ROOT = 4
DELTA = 1e-7
MINIMUM = 20
FACTORS = (1, 10, 100, 600)

_ACTIVE = np.array([10, 8, 7, 6, 7, 10, 16, 22, *(26,) * 8, 27, 28, 28, 26, 24, 22, 18, 14]) / 20
"""How active phones are in each hour of the day."""


@dataclass(frozen=True, eq=False)
class Panel:
    """A week of generated presence.

    Args:
        area: the resolution-4 cell.
        presence: `model.schema.PRESENCE`.
        truth: by resolution, sorted cells and their device-hours, shape (cells, hours).
    """

    area: Area
    presence: pa.Table
    truth: dict[int, tuple[Ints, Ints]]

    @property
    def starts(self) -> Ints:
        """First instants of the hours."""
        return np.arange(SPAN.start, SPAN.end, HOUR, dtype=np.int64)


@dataclass(frozen=True)
class Score:
    """What one release was worth. Errors are root mean squares in device-hours; shares are 0 to 1."""

    shown: float
    mass: float
    covered: float
    rows: int
    zeros: float
    zeros_everywhere: float
    estimate: float
    count: float
    smooth: float
    everywhere: float


class NumPySampler:
    """Rounded normal noise: fast, and good for nothing but a look."""

    name = "numpy"

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def gaussian(self, values: Ints, scale: float) -> Ints:
        """Return `values` with noise."""
        noise: Ints = np.rint(self._rng.normal(0, scale, values.shape)).astype(np.int64)
        return values + noise


def make_panel(devices: int, seed: int = 1) -> Panel:
    """Return a panel: homes, workplaces, a few other places each, heavy-tailed activity, a daily rhythm."""
    rng = np.random.default_rng(seed)
    root = np.array([h3i.latlng_to_cell(40.7, -74.0, ROOT)], dtype=np.int64)
    leaves = children(root, LEAF)
    busy, lived_in = _attractions(leaves, rng)
    device, hour = np.nonzero(rng.random((devices, HOURS)) < _activity(devices, rng))
    place = _places(device, hour, rng, busy, lived_in)
    counts = np.zeros((len(leaves), HOURS), dtype=np.int64)
    np.add.at(counts, (place, hour), 1)
    fine = np.array([h3i.cell_to_center_child(int(cell), 10) for cell in leaves], dtype=np.int64)
    columns = (device, SPAN.start + hour * HOUR, fine[place], np.ones(len(device)))
    types = [field.type.to_pandas_dtype() for field in schema.PRESENCE]
    arrays = [pa.array(column.astype(kind)) for column, kind in zip(columns, types, strict=True)]
    return Panel(Area.from_cells(root), pa.table(arrays, schema=schema.PRESENCE), _levels(leaves, counts))


def bounded(panel: Panel, resolution: int, folder: Path) -> pa.Table:
    """Return the counts of the bounded SQL (cell, start, count in thousandths)."""
    path = folder / "presence.parquet"
    if not path.exists():
        pq.write_table(panel.presence, path)
    scope = _scope(resolution)
    area = pa.table({"cell": panel.area.at(resolution)})
    sql = bound.additive_sql(PRESENCE.rows(scope, resolution), squared_bound=PRESENCE.bound(scope))
    engine = DuckDB(folder / "spill")
    try:
        return engine.query(sql, {"presence": [path]}, {"area": area})
    finally:
        engine.close()


def score(
    panel: Panel, leaf: pa.Table, resolution: int, *, epsilon: float, factor: int, sampler: Sampler
) -> Score:
    """Release the panel with its counts times `factor`, and compare with the truth."""
    scope = _scope(resolution)
    plan = make_plan(
        panel.area,
        measure=PRESENCE.name,
        resolution=resolution,
        buckets=HOURS,
        squared_bound=PRESENCE.bound(scope),
        cost=micro_rho_for(epsilon, DELTA),
        kind="additive",
    )
    times = pa.array(leaf["count"].to_numpy() * factor)
    released = release_additive(
        leaf.set_column(2, "count", times),
        area=panel.area,
        columns=Columns(panel.starts),
        plan=plan,
        sampler=sampler,
        minimum=PRESENCE.floor(MINIMUM, HOURS),
        smooth=True,
    )
    return _scored(panel, released.rows, resolution, factor)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--devices", type=int, default=20_000)
    parser.add_argument("--draws", type=int, default=3, help="releases whose errors are averaged")
    parser.add_argument("--quick", action="store_true", help="one draw, resolutions 5 to 7, epsilon 1")
    parser.add_argument("--fast", action="store_true", help="NumPy's noise instead of OpenDP's")
    given = parser.parse_args()
    epsilons, resolutions, draws = [1.0, 4.0], range(ROOT, LEAF + 1), given.draws
    if given.quick:
        epsilons, resolutions, draws = [1.0], range(5, 8), 1
    sampler: Sampler = NumPySampler(1) if given.fast else OpenDPSampler()
    begun, panel = time.monotonic(), make_panel(given.devices)
    print(
        f"{given.devices:,} devices, {panel.presence.num_rows:,} device-hours, every hour of a week, delta "
        f"{DELTA:g}, {draws} draw(s), noise of {sampler.name}\n"
    )
    _print_head()
    with tempfile.TemporaryDirectory() as folder:
        for resolution in resolutions:
            leaf = bounded(panel, resolution, Path(folder))
            for epsilon in epsilons:
                for factor in FACTORS:
                    scores = [
                        score(panel, leaf, resolution, epsilon=epsilon, factor=factor, sampler=sampler)
                        for _ in range(draws)
                    ]
                    _print_row(resolution, epsilon, factor, scores)
    print(f"\n{time.monotonic() - begun:.0f} s")


def _scope(resolution: int) -> Scope:
    return Scope(SPAN, resolution, "hour", (), 0)


def _attractions(leaves: Ints, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return how much each cell is visited and lived in: clustered, with a heavy tail. Each adds up to 1."""
    places = np.array([h3i.cell_to_latlng(int(cell)) for cell in leaves]) * (111, 85)
    centres = places[rng.choice(len(leaves), 6, replace=False)]
    reach = np.array([1, 0.8, 0.6, 0.6, 0.5, 0.5])
    distance = (np.linalg.norm(places[:, None] - centres[None], axis=2) / reach).min(axis=1)
    busy = np.exp(-distance / 2.5) * rng.pareto(1.2, len(leaves))
    lived_in = np.exp(-distance / 6) * rng.lognormal(0, 1.2, len(leaves))
    return busy / busy.sum(), lived_in / lived_in.sum()


def _activity(devices: int, rng: np.random.Generator) -> Floats:
    """Return the chance that each device is seen in each hour of the week, shape (devices, hours)."""
    hours = np.clip(rng.lognormal(np.log(35), 0.9, devices), 2, HOURS)
    chance: Floats = np.minimum(hours[:, None] / HOURS * np.tile(_ACTIVE, 7)[None], 1)
    return chance


def _places(device: Ints, hour: Ints, rng: np.random.Generator, busy: Floats, lived_in: Floats) -> Ints:
    """Return where each device-hour is spent: at home, at work, or at one of the device's other places."""
    devices = int(device.max()) + 1
    home = rng.choice(len(busy), devices, p=lived_in)
    work = rng.choice(len(busy), devices, p=busy)
    most = np.clip((rng.pareto(1.5, devices) * 4 + 3).astype(np.int64), 3, 150)
    first = np.cumsum(most) - most
    others = rng.choice(len(busy), int(most.sum()), p=busy)
    rank = (most[device] ** (rng.random(len(device)) ** 1.5)).astype(np.int64) - 1
    other = others[first[device] + np.minimum(rank, most[device] - 1)]
    clock, day = hour % 24, hour // 24
    at_night = (clock < 7) | (clock >= 21)
    at_work = (day < 5) & (clock >= 9) & (clock < 17)
    luck = rng.random(len(device))
    stays_home = luck < np.select([at_night, at_work], [0.92, 0.15], 0.4)
    goes_to_work = at_work & (luck >= 0.15) & (luck < 0.75)
    place: Ints = np.where(stays_home, home[device], np.where(goes_to_work, work[device], other))
    return place


def _levels(leaves: Ints, counts: Ints) -> dict[int, tuple[Ints, Ints]]:
    found = {}
    for resolution in range(ROOT, LEAF + 1):
        cells, place = np.unique(parent(leaves, resolution, of=LEAF), return_inverse=True)
        total = np.zeros((len(cells), HOURS), dtype=np.int64)
        np.add.at(total, place, counts)
        found[resolution] = (cells, total)
    return found


def _scored(panel: Panel, rows: pa.Table, resolution: int, factor: int) -> Score:
    shown = rows.filter(rows["estimate"].is_valid())
    cell = shown["cell"].to_numpy()
    true = factor * _true(panel, cell, shown["start"].to_numpy())
    within = (shown["low"].to_numpy() <= true) & (true <= shown["high"].to_numpy())
    asked = resolution_of(cell) == resolution
    total = factor * panel.truth[resolution][1].astype(np.float64)
    missed = float((total**2).sum() - (true[asked] ** 2).sum())
    errors = {name: shown[name].to_numpy()[asked] - true[asked] for name in ("estimate", "count", "smooth")}
    return Score(
        shown=float(asked.sum()) / total.size,
        mass=float(true[asked].sum() / total.sum()),
        covered=float(within.mean()) if len(within) else float("nan"),
        rows=len(within),
        zeros=_rms(true[asked]),
        zeros_everywhere=_rms(total.reshape(-1)),
        estimate=_rms(errors["estimate"]),
        count=_rms(errors["count"]),
        smooth=_rms(errors["smooth"]),
        everywhere=1 - float(np.sqrt((missed + (errors["count"] ** 2).sum()) / (total**2).sum())),
    )


def _true(panel: Panel, cell: Ints, start: Ints) -> Floats:
    """Return the device-hours of each row's own cell, whatever its resolution."""
    found = np.zeros(len(cell))
    hour = (start - SPAN.start) // HOUR
    own = resolution_of(cell)
    for resolution in np.unique(own):
        at = own == resolution
        cells, counts = panel.truth[int(resolution)]
        found[at] = counts[np.searchsorted(cells, cell[at]), hour[at]]
    return found


def _rms(values: Iterable[float]) -> float:
    array = np.asarray(values, dtype=np.float64)
    return float(np.sqrt((array**2).mean())) if len(array) else float("nan")


_HEAD = (
    "resolution",
    "epsilon",
    "counts",
    "cells shown",
    "device-hours in them",
    "intervals cover",
    "zeros",
    "estimate",
    "count",
    "smooth",
    "skill",
    "zeros, all",
    "skill, all",
)


def _print_head() -> None:
    print(f"| {' | '.join(_HEAD)} |")
    print(f"|{'---|' * len(_HEAD)}")


def _print_row(resolution: int, epsilon: float, factor: int, scores: list[Score]) -> None:
    def mean(name: str) -> float:
        return float(np.mean([getattr(s, name) for s in scores]))

    errors = [_number(mean(name)) for name in ("zeros", "estimate", "count", "smooth")]
    shares = [_share(mean(name)) for name in ("shown", "mass", "covered")]
    skill = _share(1 - mean("estimate") / mean("zeros"))
    everywhere = [_number(mean("zeros_everywhere")), _share(mean("everywhere"))]
    words = [str(resolution), f"{epsilon:g}", f"x{factor}", *shares, *errors, skill, *everywhere]
    print(f"| {' | '.join(words)} |", flush=True)


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _share(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.1%}"


if __name__ == "__main__":
    main()
