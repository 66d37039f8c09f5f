"""Times `passersby risk` on a release, without raw data, with its peak memory.

    python benchmarks/releases.py [--cells 3000] [--hours 672]

Counts of every cell and hour, those below 5 not told, and the total of each parent and hour.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from passersby.model.cells import children, parent
from passersby.risk.assess import Options
from passersby.risk.canaries import cells_for
from passersby.risk.releases.assess import assess, releases_of

MONDAY = 1_778_457_600


def main() -> None:
    """Generate, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cells", type=int, default=3000)
    parser.add_argument("--hours", type=int, default=672)
    given = parser.parse_args()
    cells = children(np.unique(parent(cells_for(7, given.cells), 6, of=7)), 7)
    counts = np.random.default_rng(1).poisson(12, (given.hours, len(cells)))
    fine = pl.DataFrame(
        {
            "cell": np.tile(cells, given.hours),
            "time": np.repeat(MONDAY + 3600 * np.arange(given.hours), len(cells)),
            "count": counts.ravel(),
        }
    )
    up = fine.with_columns(cell=pl.Series(parent(fine["cell"].to_numpy(), 6, of=7)))
    up = up.group_by("cell", "time").agg(pl.col("count").sum())
    told = pl.when(pl.col("count") >= 5).then(pl.col("count"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "release.csv"
        pl.concat([fine.with_columns(count=told), up]).write_csv(path)
        before = _peak()
        begun, cpu = time.perf_counter(), time.process_time()
        found = assess(releases_of([path], []) or [], [], Options(seed=1), now=MONDAY)
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
        print(
            f"{found.releases[0].counts:,} counts: {seconds:.1f} s, {cpu:.1f} s of CPU; "
            f"peak {_peak():,.0f} MB ({before:,.0f} before, the generator's)"
        )
        for group in found.bounds:
            print(f"{group.hidden:,} not told, of those determined {group.exact.rate:.1%}")
        for reason in found.left_out:
            print(f"left out: {reason}")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1 << 20 if sys.platform == "darwin" else 1024
    )


if __name__ == "__main__":
    main()
