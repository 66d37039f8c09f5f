"""Times the lake's writer and the derivation of presence and of stays on a generated lake, and prints rates.

    python benchmarks/presence.py [--pings 5000000] [--devices 10000] [--days 7] [--threads 2]

The figures count reading, merging, finding dominant cells and writing. Pings are generated straight into
the lake's form, so that nothing else is timed. One delivery brings all pings, a second one a tenth of
them again: every part has something to merge.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import h3.api.numpy_int as h3i
import numpy as np
import pyarrow as pa

from passersby.derive import derivation, tasks
from passersby.lake.lake import Lake
from passersby.model.schema import PINGS
from passersby.store.database import Database
from passersby.store.tables import Base, Delivery, Supplier

BUCKETS = 16
FIRST_DAY = 20_600
NOW = (FIRST_DAY + 30) * 86_400
FAR = NOW + 90 * 86_400
_ANCHORS = 8
_HOURS = np.array([2, 1, 1, 1, 1, 2, 5, 8, 9, 8, 7, 8, 9, 8, 8, 8, 9, 10, 10, 9, 8, 8, 6, 4], dtype=float)


@dataclass(frozen=True)
class World:
    """Devices with places that they return to, and power-law ping rates."""

    device: np.ndarray
    rate: np.ndarray
    anchors: np.ndarray  # (devices, _ANCHORS) indices into `cells`
    cells: np.ndarray  # neighbours are mostly near each other
    lat_e5: np.ndarray
    lon_e5: np.ndarray

    @classmethod
    def of(cls, devices: int, a_day: float, rng: np.random.Generator) -> World:
        """Return a world in one city with `a_day` pings per device and day on average."""
        root = h3i.latlng_to_cell(47.37, 8.54, 4)
        cells = np.sort(np.asarray(h3i.cell_to_children(root, 10)).astype(np.int64))
        places = np.array([h3i.cell_to_latlng(int(cell)) for cell in cells])
        rate = np.minimum(rng.pareto(1.6, devices) + 0.08, 60)
        return cls(
            device=rng.integers(-(2**63), 2**63 - 1, devices),
            rate=rate * a_day / rate.mean(),
            anchors=rng.integers(0, len(cells), (devices, _ANCHORS)),
            cells=cells,
            lat_e5=np.round(places[:, 0] * 1e5).astype(np.int32),
            lon_e5=np.round(places[:, 1] * 1e5).astype(np.int32),
        )

    def pings(self, day: int, chosen: np.ndarray, delivery: int, rng: np.random.Generator) -> pa.Table:
        """Return the sorted pings of some devices (indices) on one UTC day."""
        who = np.repeat(chosen, rng.poisson(self.rate[chosen]))
        hour = np.searchsorted(np.cumsum(_HOURS) / _HOURS.sum(), rng.random(len(who)))
        second = day * 86_400 + hour * 3600 + rng.integers(0, 3600, len(who))
        # a device is at one anchor for three hours and strays to neighbouring cells
        anchor = self.anchors[who, (who * 31 + hour // 3 * 17 + day) % _ANCHORS]
        stray = np.where(rng.random(len(who)) < 0.3, rng.integers(-3, 4, len(who)), 0)
        place = np.clip(anchor + stray, 0, len(self.cells) - 1)
        order = np.lexsort((second, self.device[who]))
        columns = {
            "device": self.device[who],
            "t": second,
            "lat_e5": self.lat_e5[place] + rng.integers(-40, 41, len(who)),
            "lon_e5": self.lon_e5[place] + rng.integers(-40, 41, len(who)),
            "cell": self.cells[place],
            "accuracy_m": 3 + rng.gamma(2.0, 7, len(who)),
            "supplier": np.full(len(who), 1),
            "delivery": np.full(len(who), delivery),
        }
        arrays = [pa.array(columns[f.name][order].astype(f.type.to_pandas_dtype())) for f in PINGS]
        return pa.table(arrays, schema=PINGS)


def _fill(lake: Lake, world: World, delivery: int, share: float, days: range, seed: int) -> tuple[int, float]:
    """Write one delivery; return its pings and the seconds that writing took."""
    rng = np.random.default_rng(seed)
    seconds = 0.0
    buckets = lake.bucket_of(world.device)
    with lake.begin("ingest", {"delivery": delivery}, now=NOW) as work:
        for day in days:
            for bucket in range(lake.buckets):
                chosen = np.flatnonzero((buckets == bucket) & (rng.random(len(buckets)) < share))
                table = world.pings(day, chosen, delivery, rng)
                begun = time.perf_counter()
                work.write("pings", day, bucket, table, sources=[delivery], until=FAR)
                seconds += time.perf_counter() - begun
            work.renew(NOW)
        rows = work.rows
        begun = time.perf_counter()
        with lake.database.write() as session:
            work.commit(session, now=NOW)
    return rows, seconds + time.perf_counter() - begun


def _deployment(folder: Path) -> Lake:
    database = Database.in_file(folder / "control.db")
    Base.metadata.create_all(database.engine)
    with database.write() as session:
        session.add(Supplier(id="s", contract="{}", contract_sha256="", created=NOW, suspended=None))
        session.flush()
        for number in (1, 2):
            session.add(
                Delivery(
                    id=number,
                    supplier=1,
                    sha256=str(number),
                    files="[]",
                    report="{}",
                    created=NOW,
                    raw_until=FAR,
                    derived_until=FAR,
                )
            )
    return Lake(folder / "lake", database, buckets=BUCKETS, offset=0)


def main() -> None:
    """Generate, write, derive, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pings", type=int, default=5_000_000)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the lake is made; a temporary folder by default")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        _measure(_deployment(Path(folder)), given)


def _measure(lake: Lake, given: argparse.Namespace) -> None:
    days = range(FIRST_DAY, FIRST_DAY + given.days)
    world = World.of(given.devices, given.pings / given.devices / given.days, np.random.default_rng(7))
    rows, seconds = _fill(lake, world, 1, 1.0, days, seed=1)
    stored = sum(path.stat().st_size for path in (lake.root / "pings").iterdir())
    print(
        f"write     {rows / 1e6:8.1f} M pings   {rows / seconds / 1e6:5.1f} M/s   {stored / rows:.2f} B/ping"
    )
    for tables in (tasks.PRESENCE, tasks.STAYS):
        _derive(lake, days, given.threads, tables, "one delivery")
    _fill(lake, world, 2, 0.1, days, seed=2)
    for tables in (tasks.PRESENCE, tasks.STAYS):
        _derive(lake, days, given.threads, tables, "two deliveries")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1 << 20 if sys.platform == "darwin" else 1024
    )
    print(f"peak      {peak:8.0f} MB")


def _derive(lake: Lake, days: range, threads: int, tables: tuple[str, ...], what: str) -> None:
    whole = tasks._units  # noqa: SLF001  (each kind by itself)

    def of_one_kind(*given: Any) -> Iterator[Any]:  # noqa: ANN401  (passes on what it is given)
        return (unit for unit in whole(*given) if unit.tables == tables)

    with mock.patch.object(tasks, "_units", of_one_kind):
        derivation.derive_days(lake, days[:1], now=NOW, threads=threads)  # compiles or loads the loops
        begun, cpu = time.perf_counter(), time.process_time()
        done = derivation.derive_days(lake, days, now=NOW, threads=threads, force=True)
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    print(
        f"{tables[0]:9} {done.pings / 1e6:8.1f} M pings   {done.pings / seconds / 1e6:5.1f} M/s   "
        f"{done.pings / cpu / 1e6:5.1f} M/s of CPU   {done.rows / 1e6:.1f} M rows   {seconds:.1f} s   "
        f"({what})"
    )


if __name__ == "__main__":
    main()
