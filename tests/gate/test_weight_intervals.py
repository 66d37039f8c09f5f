"""Do 95% intervals of weighted estimates hold the truth, though the weights are themselves noisy?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from gate.censuses import FIVES, ROOT, WEEK, Row, census, residents
from passersby.gate import weighting
from passersby.measures.base import each_bucket
from passersby.model.bins import Bin
from passersby.model.census import Weighting
from passersby.model.cost import MicroRho
from passersby.model.place import Area
from passersby.privacy.hierarchy.columns import Columns
from passersby.privacy.hierarchy.plan import make_plan
from passersby.privacy.hierarchy.release import release_additive

pytestmark = pytest.mark.slow

AREA = Area.from_cells(np.array([ROOT]))
HOMES = np.array([400, 500, 600, 450, 550, 650, 480])
"""Devices that live in each of seven cells."""

ALIKE = np.full(7, 500)

PEOPLE = np.array([90_000, 60_000, 20_000, 80_000, 50_000, 70_000, 40_000])
AT_HOME = np.eye(7)
"""Where the residents of each cell (columns) spend their time: shares of each place (rows)."""

MIXED = 0.6 * np.eye(7) + 0.4 / 7
RUNS = 300
CERTAIN = 10**9
"""A cost in micro-rho at which the question's own noise is next to nothing."""

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class _Noise:
    name = "test"

    def __init__(self, dice: np.random.Generator) -> None:
        self._dice = dice

    def gaussian(self, values: Counts, scale: float) -> Counts:
        """Return the values with normal noise, rounded."""
        return values + np.rint(self._dice.normal(0, scale, values.shape)).astype(np.int64)


def _covered(
    hours: Counts, homes: Counts, error: float, rho: int, *, seed: int, carried: bool = True
) -> tuple[float, Floats]:
    """Return the share of shown rows whose interval holds the truth, and relative errors of the weights.

    Args:
        hours: device-hours in each place (rows) of the residents of each cell (columns).
        homes: devices that live in each cell.
        error: standard error of the released number of residents of each cell.
        rho: cost of the question, micro-rho.
        seed: of all noise.
        carried: whether the weights' error is carried into the intervals.
    """
    dice = np.random.default_rng(seed)
    truth = hours @ (PEOPLE / homes)
    inside: list[bool] = []
    errors = []
    for _ in range(RUNS):
        noisy = homes + dice.normal(0, error, 7)
        rows: list[Row] = [(cell, float(n), error) for cell, n in zip(FIVES, noisy, strict=True)]
        people = census(dict(zip(FIVES, PEOPLE.tolist(), strict=True)))
        own = weighting.make(residents(rows), WEEK, Weighting(people, "0" * 12, 10_000))
        errors.append(own.error)
        leaf = pa.table({"cell": FIVES, "start": [0] * 7, "count": 1000 * (hours @ own.used)})
        plan = make_plan(
            AREA,
            measure="presence",
            resolution=5,
            buckets=1,
            squared_bound=168 * 168 * own.heaviest**2,
            cost=MicroRho(rho),
            kind="additive",
        )
        found = release_additive(
            leaf,
            area=AREA,
            columns=Columns(np.array([0]), (Bin("", factor=own.unit),), (), own.error if carried else 0.0),
            plan=plan,
            sampler=_Noise(dice),
            minimum=each_bucket(20, 1) * own.largest,
        ).rows
        fine = found.filter(pa.compute.is_valid(found["estimate"])).to_pydict()
        true = dict(zip(FIVES, truth, strict=True)) | {ROOT: truth.sum()}
        ends = zip(fine["cell"], fine["low"], fine["high"], strict=True)
        inside += [low <= true[cell] <= high for cell, low, high in ends]
    assert len(inside) > RUNS  # the check is about something
    return float(np.mean(inside)), np.array(errors)


def _hours(where: Floats, homes: Counts) -> Counts:
    """Return a week of device-hours in each place of the residents of each cell."""
    return np.rint(where * homes * 168).astype(np.int64)


def test_where_weights_are_all_of_the_error() -> None:
    # Each place holds its own residents, as many in each: the error is that of one stratum.
    covered, errors = _covered(_hours(AT_HOME, ALIKE), ALIKE, 30.0, CERTAIN, seed=1)
    assert errors.mean() == pytest.approx(0.064, abs=0.005)
    assert 0.93 <= covered <= 0.97
    bare, _ = _covered(_hours(AT_HOME, ALIKE), ALIKE, 30.0, CERTAIN, seed=1, carried=False)
    assert bare < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("where", [AT_HOME, MIXED])
def test_where_noise_is_most_of_the_error(where: Floats) -> None:
    covered, _ = _covered(_hours(where, HOMES), HOMES, 4.0, 20_187, seed=2)
    assert 0.93 <= covered <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("where", [AT_HOME, MIXED])
def test_strata_that_differ_and_people_of_many_are_covered_more_often(where: Floats) -> None:
    # The largest error of a stratum is taken for every row, and errors of several strata even out.
    covered, _ = _covered(_hours(where, HOMES), HOMES, 30.0, CERTAIN, seed=3)
    assert covered >= 0.93
