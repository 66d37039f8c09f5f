"""Tracks from counts: how well the movements of devices are recovered from how many were where.

The attack of Xu, Tu, Li, Zhang, Fu, Jin 2017 ("Trajectory Recovery From Ash: User Privacy Is NOT Preserved
in Aggregated Mobility Data", WWW) within one day: people stay near where they are by night, and go on as
they went by day. From step to step the counted are matched with the next counts so that the sum of
distances is least: from where they are by night (22:00 to 6:00), from where they would be next by day. The
days are not joined, as the paper does.

The attacker is assumed to see exact counts, by the release's places and steps, of a sample of devices that
are nearly always seen: this is about the grain of a release, not about the numbers that are in it. Where a
device is not seen it counts as where it was last. Only the score leaves this module: recovered tracks are
paired with the true ones as well as possible, and compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import h3.api.numpy_int as h3i
import numpy as np

from passersby.model.motion import EARTH_M
from passersby.risk.guessing import Floats, Ints
from passersby.risk.rates import SMALLEST
from passersby.risk.releases.assignment import assigned
from passersby.risk.releases.raw import Flags, Grid, Way
from passersby.risk.traces import Trace

MOST_DEVICES = 200
LOOKED_AT = 5000
"""Drawn devices among which those are looked for that are seen often enough."""
MOST_STEPS = 96
_DAY = 1440
_NIGHT = (22 * 60, 6 * 60)
_SEEN = 0.5
"""A device is taken if it is seen in this share of the day's steps."""


@dataclass(frozen=True)
class Recovered:
    """The score over `devices` and `steps` of one day.

    `accuracy` is the mean share of steps in which a recovered track is where the true one is, with its 95%
    interval for the draw of devices; `chance` is that of tracks put together at random and paired as well.
    `metres` is the median distance between the two.
    """

    devices: int
    steps: int
    accuracy: float
    low: float
    high: float
    chance: float
    metres: float


def recover(sample: Trace, grid: Grid, *, offset: int, seed: int) -> Recovered | None:
    """Return how well the tracks of a sample are recovered.

    None where steps are longer than a quarter of a day or too many, or where fewer than `SMALLEST` devices
    are seen in half of the steps of a day.
    """
    per_day = _DAY // grid.step if grid.step else 0
    if not 4 <= per_day <= MOST_STEPS:
        return None
    found = _busiest(sample, grid, offset, per_day)
    if found is None:
        return None
    minutes, where = found
    cells, number = np.unique(where, return_inverse=True)
    metres = _metres(cells)
    true = number.reshape(where.shape)
    rng = np.random.default_rng([seed, len(cells)])
    counted = rng.permuted(true, axis=0)  # who is who is not in counts
    night = (minutes >= _NIGHT[0]) | (minutes < _NIGHT[1])
    tracks = _followed(counted, metres, night)
    shares, paired = _paired(tracks, true)
    chance, _ = _paired(counted, true)
    far = np.linalg.norm(metres[paired] - metres[true], axis=2)
    half = 1.96 * float(shares.std(ddof=1)) / np.sqrt(len(shares))
    accuracy = float(shares.mean())
    return Recovered(
        len(true),
        len(minutes),
        accuracy,
        max(0.0, accuracy - half),
        min(1.0, accuracy + half),
        float(chance.mean()),
        float(np.median(far)),
    )


def _busiest(sample: Trace, grid: Grid, offset: int, per_day: int) -> tuple[Ints, Ints] | None:
    """Return local minutes of the steps of the day that has most devices, and their cells (device, step)."""
    starts = sample.starts()
    rows = starts[min(LOOKED_AT, len(starts) - 1)]
    sample = Trace(sample.device[:rows], sample.minute[:rows], sample.cell[:rows])
    owner, key, n = grid.rows(sample, Way("fixes", logical=True))
    start, place = key // len(grid.places), key % len(grid.places)
    local = grid.starts + offset // 60
    days = local // _DAY
    cells = np.full((len(sample.starts()) - 1, len(grid.starts)), -1, np.int64)
    order = np.argsort(n, kind="stable")  # the place of most fixes is written last
    cells[owner[order], start[order]] = grid.places[place[order]]
    best: tuple[Ints, Ints] | None = None
    for day in np.unique(days):
        steps = np.flatnonzero(days == day)
        if len(steps) < per_day:
            continue
        mine = cells[:, steps]
        mine = mine[(mine >= 0).mean(axis=1) >= _SEEN][:MOST_DEVICES]
        if len(mine) >= SMALLEST and (best is None or len(mine) > len(best[1])):
            best = local[steps] % _DAY, _without_gaps(mine)
    return best


def _without_gaps(cells: Ints) -> Ints:
    """Return cells with the last one before each gap in it, and the first one before all."""
    column = np.arange(cells.shape[1])
    known = np.where(cells >= 0, column, -1)
    last = np.maximum.accumulate(known, axis=1)
    first = (cells >= 0).argmax(axis=1)[:, None]
    return np.take_along_axis(cells, np.where(last >= 0, last, first), axis=1)


def _metres(cells: Ints) -> Floats:
    """Return positions (n, 2) in metres on a plane."""
    degrees = np.array([h3i.cell_to_latlng(int(cell)) for cell in cells])
    scale = EARTH_M * np.pi / 180
    found: Floats = degrees * [scale, scale * np.cos(np.radians(degrees[:, 0].mean()))]
    return found


def _followed(counted: Ints, metres: Floats, night: Flags) -> Ints:
    """Return tracks (device, step) put together from the places that are counted at each step."""
    tracks = counted.copy()
    for step in range(1, len(night)):
        here = metres[tracks[:, step - 1]]
        if step > 1 and not night[step]:
            here = 2 * here - metres[tracks[:, step - 2]]
        cost = np.linalg.norm(here[:, None] - metres[counted[:, step]][None], axis=2)
        tracks[:, step] = counted[assigned(cost), step]
    return tracks


def _paired(tracks: Ints, true: Ints) -> tuple[Floats, Ints]:
    """Return for each true track the share of steps where its best track agrees, and that track."""
    agree = (true[:, None, :] == tracks[None]).mean(axis=2)
    column = assigned(-agree)
    return agree[np.arange(len(true)), column], tracks[column]
