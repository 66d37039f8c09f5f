"""What a one-run audit of presence shows where the noise is too small by a factor: power and false alarms.

python benchmarks/audit.py [RUNS]

Scene, plan, noise, least squares, suppression, scores and bound are the product's own; files, ingest and SQL
are left out, so that many runs take a minute: counts are those that they would give.
"""

from __future__ import annotations

import sys

import numpy as np
import pyarrow as pa

from passersby.deployment.audits import CANARIES, CONFIDENCE, GUESSES
from passersby.measures.presence import PRESENCE
from passersby.model.place import Area
from passersby.privacy.accounting import micro_rho_for
from passersby.privacy.hierarchy.columns import Columns
from passersby.privacy.hierarchy.plan import make_plan
from passersby.privacy.hierarchy.release import release_additive
from passersby.privacy.noise import UNIT, Integers, OpenDPSampler
from passersby.risk import canaries, one_run
from passersby.risk.canaries import Scene

DELTA = 1e-7
CASES = [(1.0, CANARIES, by) for by in (1, 2, 3, 4, 5, 8)]
CASES += [(1.0, 6000, by) for by in (1, 3, 4, 5)] + [(0.5, CANARIES, by) for by in (1, 5, 8)]


class Divided(OpenDPSampler):
    """OpenDP's noise, too small by a factor."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self._by = by

    def gaussian(self, values: Integers, scale: float) -> Integers:
        """Return `values` with that noise."""
        return super().gaussian(values, scale / self._by)


def bounds(epsilon: float, many: int, by: float, runs: int) -> list[float]:
    """Return the lower bound of each run."""
    cells, cost = canaries.cells_for(7, many), micro_rho_for(epsilon, DELTA)
    area = Area.from_cells(cells)
    plan = make_plan(
        area, measure="presence", resolution=7, buckets=1, squared_bound=1, cost=cost, kind="additive"
    )
    noise = {level.resolution: (level.scale / UNIT) ** 2 for level in plan.levels[-2:]}
    crowd = canaries.crowd_for(plan.levels[-1].error, 1, 10)
    columns = Columns(np.zeros(1, dtype=np.int64), PRESENCE.released_bins, PRESENCE.derived, 0.0)
    coins, found = np.random.default_rng(), []
    for _ in range(runs):
        scene = Scene(7, cells, (0,), crowd, coins.random(many) < 0.5)
        counts = np.full(len(cells), crowd * UNIT)
        counts[:many] += UNIT * scene.included
        leaf = pa.table({"cell": cells, "start": np.zeros(len(cells), dtype=np.int64), "count": counts})
        measured = release_additive(
            leaf, area=area, columns=columns, plan=plan, sampler=Divided(by), minimum=10
        )
        guessed = one_run.guess(
            scene.scores(measured.rows, noise), scene.included, many * GUESSES // CANARIES
        )
        found.append(one_run.lower_bound(guessed, delta=DELTA, confidence=CONFIDENCE))
    return found


def main() -> None:
    """Print the table of docs/explanation/audit.md."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    print("| claimed | canaries | noise divided by | bound, median | lowest | highest | above the claim |")
    print("|---|---|---|---|---|---|---|")
    for epsilon, many, by in CASES:
        found = bounds(epsilon, many, by, runs)
        above = sum(bound > epsilon for bound in found)
        middle, low, high = np.median(found), min(found), max(found)
        print(
            f"| {epsilon:g} | {many:,} | {by} | {middle:.2f} | {low:.2f} | {high:.2f} | {above} of {runs} |"
        )


if __name__ == "__main__":
    main()
