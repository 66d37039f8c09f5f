"""Times the kernel of stays and trips, and compares it with trackintel, scikit-mobility and infostop.

    python benchmarks/stays.py [--pings 20000000] [--sample 100000] [--python PYTHON ...]

Figures of the kernel count it alone: no reading, no writing. Then files as the lake writes them are read,
without and with the kernel. The other libraries run on a sample, each in the first of the given interpreters
that has it; none of them is a dependency. The second table takes trackintel's rules and turns them into ours
one by one: what a line adds in differences has the line's reason. Its columns are stays with the same arrival
and departure, with the same arrival and another departure, the median of that difference, and stays whose
arrival only one side has.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from passersby.derive import batches
from passersby.derive.stays import TRACKINTEL, Columns, Rules, derive
from passersby.derive.stays_files import COLUMNS
from passersby.lake.layout import ENCODINGS, ROW_GROUP
from passersby.model.cells import FINEST, cells_at
from passersby.model.period import HOUR, WEEK, Period

PEERS = Path(__file__).with_name("stays_peers.py")
MISSING = 3
PARTS = 16
A_DEVICE = 500  # pings a week
START = Period.parse("2026-W20").span(0).start
INSTALL = {
    "trackintel": "pip install trackintel",
    "scikit-mobility": "pip install 'pandas<2.1' 'geopandas<1' 'shapely<2.1' matplotlib scikit-learn "
    "powerlaw statsmodels folium geojson h3 requests tqdm; pip install --no-deps scikit-mobility",
    "infostop": "pip install 'setuptools<80' wheel pybind11 'numpy<2'; "
    "pip install --no-build-isolation infostop",
}
STEPS: tuple[tuple[dict[str, Any], str], ...] = (
    ({}, "trackintel's rules"),
    ({"include_last": True}, "the stay at a device's last fix counts"),
    ({"gap": "close"}, "a gap closes the stay before it, if long enough, instead of dropping it"),
    ({"departure": "last"}, "the way to the next fix is no part of a stay: earlier, or then too short"),
    ({"speed_m_s": Rules().speed_m_s}, "a teleport breaks no stay and is none"),
    ({"merge": True}, "pieces in one cell are one stay, with the arrival of the first"),
)
ACCURATE = "a fix of 2 km accuracy breaks no stay (trackintel reads no accuracy)"


def tracks(pings: int, seed: int) -> Columns:
    """Return sorted pings of one week: places held for three hours, ways, bursts, gaps and bad fixes."""
    rng = np.random.default_rng(seed)
    devices = max(1, pings // A_DEVICE)
    waits = 1 + (rng.pareto(1.3, (devices, A_DEVICE)) * 0.3 * WEEK / A_DEVICE).astype(np.int64)
    second = np.cumsum(waits, axis=1)
    who = np.repeat(np.arange(devices), A_DEVICE)[second.ravel() < WEEK]
    second = second.ravel()[second.ravel() < WEEK]
    size = len(who)
    centre = rng.uniform((46.5, 7.0), (47.5, 9.0), (devices, 2))
    places = centre[:, None, :] + rng.normal(0, 0.03, (devices, 8, 2))
    block = second // (3 * HOUR)
    along = np.clip(second % (3 * HOUR) / 1200, 0, 1)[:, None]  # 20 minutes of way into each block
    before, after = (places[who, (who * 31 + (block - back) ** 2) % 8] for back in (1, 0))
    bad, teleport = rng.random(size) < 0.02, rng.random(size) < 0.002
    noise = rng.normal(0, 1, (size, 2)) * np.where(bad, 1000, 25)[:, None] / 111_195
    where = before * (1 - along) + after * along + noise + teleport[:, None] * 1.5
    lat_e5, lon_e5 = np.round(where.T * 1e5).astype(np.int32)
    cell = cells_at(lat_e5 / 1e5, lon_e5 / 1e5, FINEST)
    accuracy = np.where(bad, 2000, 20).astype(np.int32)
    when = (START + second).astype(np.int32)
    return who, when, lat_e5, lon_e5, accuracy, cell, np.ones(size, np.int32)


def unknown(columns: Columns) -> Columns:
    """Return the pings without their accuracy, as trackintel sees them."""
    return (*columns[:4], np.full(len(columns[0]), -1, np.int32), *columns[5:])


def parts(columns: Columns) -> list[Columns]:
    """Cut into parts of whole devices."""
    device = columns[0]
    wanted = [device[len(device) * i // PARTS] for i in range(1, PARTS)]
    ends = [0, *np.searchsorted(device, wanted), len(device)]
    return [tuple(column[a:b] for column in columns) for a, b in itertools.pairwise(ends)]


def time_ours(columns: Columns) -> Iterator[str]:
    """Yield a line for each number of threads: medians of five runs."""
    pieces = parts(columns)
    derive(tuple(column[:1000] for column in columns))  # compiles or loads the loops
    for threads in (1, 2):
        spent = []
        with ThreadPoolExecutor(threads) as pool:
            for _ in range(5):
                begun, cpu = time.perf_counter(), time.process_time()
                found = list(pool.map(derive, pieces))
                spent.append((time.perf_counter() - begun, time.process_time() - cpu))
        seconds, cpu = (statistics.median(column) for column in zip(*spent, strict=True))
        stays, trips = (sum(len(result[i].device) for result in found) for i in (0, 1))
        what = f"this kernel, {threads} thread{'s'[: threads - 1]}"
        of_cpu = f"{len(columns[0]) / cpu / 1e6:6.1f} M/s of CPU"
        yield f"{line(what, len(columns[0]), seconds, stays)}   {trips:,} trips   {of_cpu}"


def time_reading(columns: Columns, folder: Path) -> Iterator[str]:
    """Yield lines for reading the columns from files of the lake on two threads, and for stays from them."""
    paths = [folder / f"{i}.parquet" for i in range(PARTS)]
    for path, piece in zip(paths, parts(columns), strict=True):
        table = pa.table(dict(zip(COLUMNS, map(pa.array, piece), strict=True)))
        encoding = replace(ENCODINGS["pings"], dictionary=("device", "accuracy_m", "delivery"))
        options = encoding.options(table.column_names)
        pq.write_table(table, path, row_group_size=ROW_GROUP, **options)

    def read(path: Path) -> int:
        return sum(len(chunk[0]) for chunk in batches.devices([path], COLUMNS))

    def stayed(path: Path) -> int:
        return sum(len(derive(chunk)[0].device) for chunk in batches.devices([path], COLUMNS))

    with ThreadPoolExecutor(2) as pool:
        for what, work in (("reading, 2 threads", read), ("reading and kernel, 2 threads", stayed)):
            spent = []
            for _ in range(5):
                begun = time.perf_counter()
                found = sum(pool.map(work, paths))
                spent.append(time.perf_counter() - begun)
            yield line(what, len(columns[0]), statistics.median(spent), found if work is stayed else 0)


def line(what: str, pings: int, seconds: float, stays: int) -> str:
    """Return one line of the first table."""
    return f"{what:28} {pings / 1e6:7.2f} M pings {pings / seconds / 1e6:10.4f} M/s   {stays:9,} stays"


def run_peer(name: str, pythons: list[str], source: Path) -> tuple[dict[str, Any], Any] | None:
    """Run a library on the sample in the first interpreter that has it; return its figures and stays."""
    target = source.with_name(f"{name}.npz")
    for python in pythons:
        done = subprocess.run(
            [python, PEERS, name, source, target], stdout=subprocess.PIPE, text=True, check=False
        )
        if done.returncode == 0:
            with np.load(target) as file:
                return json.loads(done.stdout), file["stays"]
        if done.returncode != MISSING:
            print(f"{name} failed")
    return None


def agreement(columns: Columns, theirs: Any) -> Iterator[str]:  # noqa: ANN401
    """Yield the second table: stays that match trackintel's while its rules become ours."""
    heads = ("stays", 8), ("same", 8), ("departure", 10), ("by (s)", 7), ("only here", 10), ("only there", 11)
    yield " ".join(f"{head:>{width}}" for head, width in heads) + "   rule changed"
    wanted = {(int(d), int(a)): int(b) for d, a, b in theirs}
    rules, seen = TRACKINTEL, unknown(columns)
    for changes, reason in (*STEPS, ({}, ACCURATE)):
        rules = replace(rules, **changes)
        seen = columns if reason == ACCURATE else seen
        found, _ = derive(seen, None, rules)
        ours = dict(
            zip(
                zip(found.device.tolist(), found.arrival.tolist(), strict=True),
                found.departure.tolist(),
                strict=True,
            )
        )
        both = ours.keys() & wanted.keys()
        moved = [abs(ours[key] - wanted[key]) for key in both if ours[key] != wanted[key]]
        same, by = len(both) - len(moved), statistics.median(moved or [0])
        only = len(ours) - len(both), len(wanted) - len(both)
        yield f"{len(ours):8} {same:8} {len(moved):10} {by:7.0f} {only[0]:10} {only[1]:11}   {reason}"


def main() -> None:
    """Generate, time, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pings", type=int, default=20_000_000)
    parser.add_argument("--sample", type=int, default=100_000, help="pings for the other libraries")
    parser.add_argument(
        "--python", nargs="*", default=[], help="interpreters of environments with other libraries"
    )
    given = parser.parse_args()
    columns = tracks(given.pings, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        for text in itertools.chain(time_ours(columns), time_reading(columns, Path(folder))):
            print(text, flush=True)
    sample = tracks(given.sample, seed=2)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "sample.npz"
        np.savez(source, device=sample[0], t=sample[1], lat_e5=sample[2], lon_e5=sample[3])
        theirs = None
        for name, install in INSTALL.items():
            ran = run_peer(name, [sys.executable, *given.python], source)
            if ran is None:
                print(f"{name:28} not installed; in an environment of its own (--python): {install}")
                continue
            figures, stays = ran
            print(
                line(f"{name} {figures['version']}", len(sample[0]), figures["seconds"], len(stays)),
                flush=True,
            )
            theirs = stays if name == "trackintel" else theirs
    if theirs is not None:
        print(f"\nagreement with trackintel's {len(theirs)} stays\n")
        for text in agreement(sample, theirs):
            print(text)


if __name__ == "__main__":
    main()
