"""Canaries stay in a cell of their own, and faults of the noise are seen; noise as it should be is none.

With noise as claimed, some 59% of guesses are right: five standard errors and more below what would refute
epsilon 1. What is said to be caught is as far or farther above.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from passersby.measures.catalogue import CATALOGUE
from passersby.model import cells as h3cells
from passersby.model.place import Area
from passersby.privacy.accounting import micro_rho_for
from passersby.privacy.hierarchy.columns import Columns
from passersby.privacy.hierarchy.plan import make_plan
from passersby.privacy.hierarchy.release import release_additive
from passersby.privacy.noise import UNIT, Integers, OpenDPSampler, scale_for
from passersby.risk import canaries
from passersby.risk.canaries import Scene
from passersby.risk.one_run import guess, lower_bound
from passersby.sources.ids import normalised

DELTA, CLAIM = 1e-7, micro_rho_for(1.0, 1e-7)
HOURS = (1_778_536_800, 1_778_540_400)
PRESENCE = CATALOGUE["presence"]


class Divided(OpenDPSampler):
    """OpenDP's noise, of a scale that is too small by a factor."""

    def __init__(self, by: float) -> None:
        super().__init__(threads=1)
        self._by = by

    def gaussian(self, values: Integers, scale: float) -> Integers:
        return super().gaussian(values, scale / self._by)


def scene(many: int, *, crowd: int = 0, hours: tuple[int, ...] = HOURS[:1], at_least: int = 0) -> Scene:
    included = np.random.default_rng().random(many) < 0.5
    return Scene(7, canaries.cells_for(7, max(many, at_least)), hours, crowd, included)


def rows(of: Scene, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> pa.Table:
    return pa.table({"cell": of.cells, "estimate": values})


@pytest.mark.parametrize(
    ("divided", "clip", "caught"),
    [(1, True, False), (5, True, True), (1, False, True)],
    ids=["as claimed", "sigma / 5", "no clip"],
)
def test_faults_of_the_mechanism_are_caught(divided: float, clip: bool, caught: bool) -> None:
    """The mechanism alone: one noisy number for each canary, which would count five times without a clip."""
    included = np.random.default_rng().random(4000) < 0.5
    counts = included.astype(np.int64) * UNIT * (1 if clip else 5)
    noisy = Divided(divided).gaussian(counts, scale_for(1, CLAIM))
    bound = lower_bound(guess(noisy.astype(np.float64), included, 400), delta=DELTA, confidence=0.95)
    assert (bound > 1.0) == caught


@pytest.mark.parametrize(("divided", "caught"), [(1, False), (8, True)], ids=["as claimed", "sigma / 8"])
def test_faults_are_seen_through_hierarchy_and_suppression(divided: float, caught: bool) -> None:
    area = Area.from_cells(canaries.cells_for(7, 2000))
    plan = make_plan(
        area, measure="presence", resolution=7, buckets=1, squared_bound=1, cost=CLAIM, kind="additive"
    )
    made = scene(2000, crowd=canaries.crowd_for(plan.levels[-1].error, 1, 10))
    counts = np.full(len(made.cells), made.crowd * UNIT)
    counts[:2000] += made.included * UNIT
    measured = release_additive(
        pa.table({"cell": made.cells, "start": np.full(len(counts), HOURS[0]), "count": counts}),
        area=area,
        columns=Columns(np.array(HOURS[:1]), PRESENCE.released_bins, PRESENCE.derived, 0.0),
        plan=plan,
        sampler=Divided(divided),
        minimum=10,
    )
    assert made.seen(measured.rows) > 0.97
    noise = {level.resolution: (level.scale / UNIT) ** 2 for level in plan.levels[-2:]}
    guessed = guess(made.scores(measured.rows, noise), made.included, 200)
    assert (lower_bound(guessed, delta=DELTA, confidence=0.95) > 1.0) == caught


@pytest.mark.parametrize(("resolution", "many"), [(4, 30), (5, 100), (6, 2000), (7, 2000), (8, 2000)])
def test_cells_are_whole_families_of_roots(resolution: int, many: int) -> None:
    cells = canaries.cells_for(resolution, many)
    roots, sizes = np.unique(h3cells.parent(cells, 4, of=resolution), return_counts=True)
    assert set(sizes.tolist()) == {7 ** (resolution - 4)}  # no pentagon, none cut off
    assert many <= len(cells) < many + sizes[0]
    assert len(roots) * sizes[0] == len(cells) == len(np.unique(cells))
    assert np.all(np.diff(cells) > 0)


def test_everybody_stays_in_one_cell_for_all_hours() -> None:
    made = scene(50, crowd=3, hours=HOURS)
    crowd = list(made.crowd_pings())
    assert [len(part) for part in crowd] == [3 * 343] * 2
    for pings in [*crowd, made.canary_pings(), made.canary_pings(again=True)]:
        where = h3cells.cells_at(
            pings["latitude"].to_numpy().round(5), pings["longitude"].to_numpy().round(5), 7
        )
        assert len(np.unique(where)) == (343 if len(pings) > 1000 else made.included.sum())
        assert set((pings["time"] - pings["time"] % 3600).to_list()) <= set(HOURS)
        one = {"id": pings["id"], "cell": where}
        assert len({*zip(*one.values(), strict=True)}) == pings["id"].n_unique()


def test_canaries_that_are_out_are_nowhere_and_those_that_are_in_come_twice() -> None:
    made = scene(50, hours=HOURS)
    first, again = made.canary_pings(), made.canary_pings(again=True)
    assert first["id"].n_unique() == again["id"].n_unique() == made.included.sum()
    assert len(first) > first.unique().height  # lines repeat
    assert set(first["id"]).isdisjoint(again["id"])
    assert set(normalised(first["id"])[0]) == set(normalised(again["id"])[0])
    where = h3cells.cells_at(first["latitude"].to_numpy(), first["longitude"].to_numpy(), 7)
    assert set(where.tolist()) == set(made.cells[:50][made.included].tolist())


def test_scores_without_noise_tell_all() -> None:
    made = scene(2000, crowd=4, hours=HOURS)
    values = np.full(len(made.cells), 8.0)
    values[:2000] += 2 * made.included
    for noise in ({7: 1.0}, {7: 1.0, 6: 30.0}):
        assert guess(made.scores(rows(made, values), noise), made.included, 1700).correct == 1700


def test_hidden_cells_tell_nothing_and_coarse_ones_the_same_of_all() -> None:
    made = scene(343, crowd=4)
    parents = h3cells.parent(made.cells, 6, of=7)
    coarse = parents == parents[0]
    hidden = int(np.flatnonzero(~coarse)[0])
    values = np.full(343, 4.0) + made.included
    table = pa.concat_tables(
        [
            rows(made, np.where(np.arange(343) == hidden, np.nan, values)).filter(pa.array(~coarse)),
            pa.table({"cell": parents[:1], "estimate": np.array([values[coarse].sum()])}),
        ]
    )
    estimate = pa.array(table["estimate"].to_numpy(), from_pandas=True)  # NaN is null
    table = table.set_column(1, "estimate", estimate)
    scores = made.scores(table, {7: 2.0})
    assert scores[hidden] == 0.0
    assert len(set(scores[coarse].tolist())) == 1
    shown = ~coarse & (np.arange(343) != hidden)
    np.testing.assert_allclose(scores[shown], (made.included[shown] - 0.5) / 2.0)
    assert made.seen(table) == pytest.approx(shown.sum() / 343)


def test_a_crowd_is_large_enough_to_be_shown_and_for_the_floor() -> None:
    assert canaries.crowd_for(7.0, 1, 10) == 49
    assert canaries.crowd_for(7.0, 49, 10) == 20  # of ten devices at least, with room
