"""Times `passersby risk`: one question of uniqueness, and the whole default report.

    python benchmarks/risk.py [--pings 97000000] [--devices 200000] [--folder DIR]

The file is a Parquet of made-up people: a home, a workplace, errands, each its own rate. What is timed:

    report     the whole command, as `passersby risk FILE --html OUT` does it, with its peak memory
    uniqueness 1,000 drawn devices among all, four points by the hour in cells of resolution 8, on rows of
               presence (device, hour, cell) that are put aside already
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from passersby.risk import assess as assessing
from passersby.risk import report, uniqueness
from passersby.risk.assess import HEADLINE, Options
from passersby.risk.spill import Spill
from passersby.risk.traces import Trace, Traces, key_of, sources_of

MONDAY = 1_778_457_600
WEEK = 7 * 86_400
BATCH = 2000


def generate(path: Path, pings: int, devices: int) -> None:
    """Write the file: rows of a batch of devices after another, in order of time within each device."""
    rng = np.random.default_rng(1)
    each = pings // devices
    schema = pa.schema(
        [
            ("ad_id", pa.string()),
            ("utc_timestamp", pa.int64()),
            ("latitude", pa.float64()),
            ("longitude", pa.float64()),
        ]
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for first in range(0, devices, BATCH):
            size = min(BATCH, devices - first)
            town = rng.normal((46.9, 7.5), (0.25, 0.5), (size, 2))
            places = town[:, None, :] + rng.normal(0, 0.03, (size, 6, 2))
            count = np.maximum(1, rng.gamma(1.5, each / 1.5, size).astype(np.int64))
            who = np.repeat(np.arange(size), count)
            second = rng.integers(0, WEEK, len(who))
            second = second[np.lexsort((second, who))]
            hour = second // 3600 % 24
            which = np.where((hour >= 9) & (hour < 17), 1, 0)
            errand = rng.random(len(who)) < 0.15
            which = np.where(errand, rng.integers(2, 6, len(who)), which)
            at = places[who, which] + rng.normal(0, 0.0003, (len(who), 2))
            ids = pa.array([f"{first + n:08x}-0000-4000-8000-000000000000" for n in range(size)])
            columns = [ids.take(pa.array(who)), MONDAY + second, at[:, 0], at[:, 1]]
            writer.write_table(pa.table(columns, schema=schema))


def hourly(traces: Traces) -> Traces:
    """Return rows like those of presence: one cell for each hour in which a device was seen."""
    made = Traces(0, 1000, traces.threads)
    made._sorted = Spill((np.uint64, np.int32, np.int64))  # noqa: SLF001 (what `fill` does at its end)

    def reduced(found: Trace) -> Trace:
        minute = found.minute // 60 * 60
        new = np.ones(len(minute), dtype=np.bool_)
        new[1:] = (found.device[1:] != found.device[:-1]) | (minute[1:] != minute[:-1])
        return Trace(found.device[new], minute[new], found.cell[new])

    for part in traces.parts():
        found = reduced(part())
        made._blocks.append(made._sorted.write([found.device, found.minute, found.cell]))  # noqa: SLF001
    made.sample = reduced(traces.sample)
    return made


def main() -> None:
    """Generate, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pings", type=int, default=97_000_000)
    parser.add_argument("--devices", type=int, default=200_000)
    parser.add_argument("--folder", type=Path, default=None, help="keeps the file for the next run")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = (given.folder or Path(folder)) / f"risk-{given.pings}-{given.devices}.parquet"
        if not path.exists():
            generate(path, given.pings, given.devices)
        begun = time.perf_counter()
        steps: list[tuple[str, float]] = []
        found = assessing.assess(
            [path],
            Options(seed=1),
            now=MONDAY + 2 * WEEK,
            say=lambda name: steps.append((name, time.perf_counter() - begun)),
        )
        report.html(found)
        seconds, cpu = time.perf_counter() - begun, time.process_time()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        size = path.stat().st_size / 1e6
        print(f"{found.facts.rows:,} pings of {found.facts.devices:,} devices, {size:,.0f} MB")
        print(f"whole report {seconds:.1f} s ({cpu:.0f} s of CPU), peak {peak:,.0f} MB")
        for (name, start), (_, end) in zip(steps, [*steps[1:], ("", seconds)], strict=True):
            print(f"    {name:40} {end - start:6.1f} s")
        with Traces(key_of(2), 1000, 2) as traces:
            traces.fill(sources_of([path]), now=MONDAY + 2 * WEEK, offset=0)
            with hourly(traces) as presence:
                rows = sum(len(part().device) for part in presence.parts())
                spent, cpu = [], time.process_time()
                for _ in range(5):
                    begun = time.perf_counter()
                    sizes, _known = uniqueness.sizes(presence, (HEADLINE,), offset=0, seed=3)[HEADLINE]
                    spent.append(time.perf_counter() - begun)
                cpu = (time.process_time() - cpu) / 5
        alone = float((sizes[:, 3] == 1).mean())
        print(f"uniqueness of {len(sizes):,} devices, four points, {rows:,} rows of presence:")
        print(
            f"    {statistics.median(spent):.2f} s (median of five; CPU {cpu:.2f} s each), {alone:.1%} alone"
        )


if __name__ == "__main__":
    main()
