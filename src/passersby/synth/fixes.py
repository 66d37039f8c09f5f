"""Location fixes of a batch of devices on one day: when, where, how exact, and who gets them; compiled."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from passersby.compiled import compiled
from passersby.synth.country import METRES_PER_DEGREE, Places
from passersby.synth.dice import State, begin, draw, normal, word
from passersby.synth.people import BUSIEST, People
from passersby.synth.walk import LEGS, Legs, day

DAY = 86_400

_LOW10, _TOP32 = np.uint64(1023), np.uint64(32)

ACTIVE = 0.85
"""Share of days on which a device's apps report at all."""

RESOLD = 0.05
"""Share of the fixes of a shared device that reach all of its suppliers, and not one of them."""

_AWAY = 0.03  # chance that a device is silent for four days on end
_GAP_TAIL = 1.1  # gaps between fixes follow a power law: bursts, and hours of silence
_R68 = 1.5096  # radius that holds 68% of a normal cloud, in deviations: sqrt(-2 ln 0.32)

WEEKDAY = (
    *(0.3, 0.2, 0.15, 0.15, 0.2, 0.5, 1.0, 1.5, 1.5, 1.2, 1.1, 1.2),
    *(1.5, 1.3, 1.2, 1.2, 1.4, 1.7, 1.7, 1.5, 1.4, 1.3, 1.0, 0.6),
)
WEEKEND = (
    *(0.6, 0.45, 0.3, 0.2, 0.15, 0.2, 0.35, 0.6, 0.9, 1.2, 1.4, 1.5),
    *(1.5, 1.4, 1.4, 1.4, 1.4, 1.5, 1.5, 1.4, 1.3, 1.2, 1.1, 0.8),
)
"""Fixes in each hour of a day of work and of a day off, in any unit: two peaks, and a late morning."""


def _clock(weights: tuple[float, ...]) -> npt.NDArray[np.float64]:
    edges = np.concatenate([[0.0], np.cumsum(weights)])
    return np.asarray(edges / edges[-1])


CLOCKS = (_clock(WEEKDAY), _clock(WEEKEND))
"""Share of a day's fixes before each full hour, 25 numbers."""

_LAW = NormalDist(np.log(12.0), 0.8)
ACCURACY = np.clip(np.exp([_LAW.inv_cdf((i + 0.5) / 1024) for i in range(1024)]), 3, 500).round(1)
"""Quantiles of the horizontal accuracy in metres: log-normal, median 12; the error of 68% of fixes."""


class Fixes(NamedTuple):
    """Columns of a batch, by device and time; no two fixes of a device share a second.

    `device` counts from the batch's first device, `second` from local midnight (never 0), `speed` is
    m/s and 0 at a place, `to` has bit s set if supplier s gets the fix, `salt` is 32 random bits.
    """

    device: npt.NDArray[np.int32]
    second: npt.NDArray[np.int32]
    lat: npt.NDArray[np.float64]
    lon: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    speed: npt.NDArray[np.float32]
    to: npt.NDArray[np.uint8]
    salt: npt.NDArray[np.uint32]


class Run(NamedTuple):
    """What a batch walks: a day's number, whether it is a weekend, and its first device."""

    seed: np.uint64
    number: int
    weekend: bool
    first: int


@compiled
def counts(rate: npt.NDArray[np.float32], seed: np.uint64, first: int, last: int, number: int) -> State:
    """Return how many fixes each device from `first` to before `last` has on day `number`."""
    out = np.zeros(last - first, dtype=np.uint64)
    state = np.zeros(1, dtype=np.uint64)
    for device in range(first, last):
        begin(state, seed, device, 100_000 + number // 4)
        away = draw(state) < _AWAY
        begin(state, seed, device, 200_000 + number)
        if not away and draw(state) < ACTIVE:
            mean = rate[device] / (ACTIVE * (1 - _AWAY)) * np.exp(normal(state, -0.125, 0.5))
            out[device - first] = np.uint64(min(mean + draw(state), float(BUSIEST)))
    return out


@compiled
def _times(clock: npt.NDArray[np.float64], state: State, seconds: npt.NDArray[np.int32]) -> None:
    """Fill `seconds` with rising whole seconds: power-law gaps, stretched along the day's rhythm."""
    n = len(seconds)
    gaps = np.empty(n, dtype=np.float64)
    total = 0.0
    for i in range(n):
        total += (1.0 - draw(state)) ** (-1.0 / _GAP_TAIL)
        gaps[i] = total
    total += (1.0 - draw(state)) ** (-1.0 / _GAP_TAIL)
    hour, before = 0, 0
    for i in range(n):
        share = gaps[i] / total
        while hour < 23 and share >= clock[hour + 1]:
            hour += 1
        part = (share - clock[hour]) / (clock[hour + 1] - clock[hour])
        before = max(int((hour + part) * 3600), before + 1)
        seconds[i] = before
    limit = DAY
    for i in range(n - 1, -1, -1):
        if seconds[i] < limit:
            break
        seconds[i] = limit - 1
        limit -= 1


@compiled
def _deal(members: int, state: State, to: npt.NDArray[np.uint8]) -> None:
    """Decide which of a device's suppliers get each of its fixes: one of them, seldom all."""
    bits = np.empty(16, dtype=np.uint8)
    held = 0
    for bit in range(16):
        if (members >> bit) & 1:
            bits[held] = 1 << bit
            held += 1
    for i in range(len(to)):
        to[i] = bits[0]
        if held > 1:
            to[i] = members if draw(state) < RESOLD else bits[int(draw(state) * held)]


@compiled
def _positions_at(
    legs: Legs, accuracy: npt.NDArray[np.float64], state: State, out: Fixes, span: tuple[int, int]
) -> None:
    """Write position, accuracy, speed and salt of one device's fixes, rows span[0] to span[1]."""
    leg, end = -1, -1.0
    start = lat = lon = north = along = east = speed = 0.0
    for at in range(span[0], span[1]):
        second = out.second[at]
        while second >= end:
            leg += 1
            start, end, lat, lon = legs[leg, 0], legs[leg, 1], legs[leg, 2], legs[leg, 3]
            north, along = (legs[leg, 4] - lat) / (end - start), (legs[leg, 5] - lon) / (end - start)
            east = np.cos(np.radians(lat)) * METRES_PER_DEGREE
            speed = np.rint(np.hypot(north * METRES_PER_DEGREE, along * east) * 10.0) / 10.0
        bits = word(state)
        radius = accuracy[bits & _LOW10]
        error = radius / _R68 * np.sqrt(-2.0 * np.log(1.0 - draw(state)))
        angle = 2.0 * np.pi * draw(state)
        here = lat + (second - start) * north + error * np.sin(angle) / METRES_PER_DEGREE
        there = lon + (second - start) * along + error * np.cos(angle) / east
        out.lat[at] = np.rint(here * 1e6) / 1e6
        out.lon[at] = np.rint((there - 360.0 * np.floor((there + 180.0) / 360.0)) * 1e6) / 1e6
        out.accuracy[at] = radius
        out.speed[at] = speed
        out.salt[at] = np.uint32(bits >> _TOP32)


@compiled
def _fill(
    places: Places,
    people: People,
    run: Run,
    starts: npt.NDArray[np.int64],
    tables: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    out: Fixes,
) -> None:
    """Walk each device of the batch and write its fixes, rows starts[i] to starts[i + 1]."""
    clock, accuracy = tables
    state = np.zeros(1, dtype=np.uint64)
    legs = np.zeros((LEGS, 6), dtype=np.float64)
    for i in range(len(starts) - 1):
        device, start, end = run.first + i, starts[i], starts[i + 1]
        begin(state, run.seed, device, run.number)
        day(places, people, device, run.weekend, state, legs)
        begin(state, run.seed, device, 300_000 + run.number)
        _times(clock, state, out.second[start:end])
        _deal(people.members[device], state, out.to[start:end])
        out.device[start:end] = i
        _positions_at(legs, accuracy, state, out, (start, end))


def fixes(
    places: Places, people: People, seed: np.uint64, first: int, last: int, *, number: int, weekend: bool
) -> Fixes:
    """Walk the devices `first` to before `last` through day `number` and return their fixes.

    Days of a device have to be asked for in order, since each changes its state in `people`.
    """
    sizes = counts(people.rate, seed, first, last, number)
    starts = np.concatenate([[0], np.cumsum(sizes.astype(np.int64))]).astype(np.int64)
    n = int(starts[-1])
    out = Fixes(
        np.empty(n, np.int32),
        np.empty(n, np.int32),
        np.empty(n, np.float64),
        np.empty(n, np.float64),
        np.empty(n, np.float64),
        np.empty(n, np.float32),
        np.empty(n, np.uint8),
        np.empty(n, np.uint32),
    )
    _fill(places, people, Run(seed, number, weekend, first), starts, (CLOCKS[weekend], ACCURACY), out)
    return out


@compiled
def select(second: npt.NDArray[np.int32], to: npt.NDArray[np.uint8], bit: int) -> npt.NDArray[np.int64]:
    """Return the positions of one supplier's fixes in order of time (a counting sort by second)."""
    place = np.zeros(DAY + 1, dtype=np.int64)
    for i in range(len(second)):
        if to[i] & bit:
            place[second[i] + 1] += 1
    for s in range(DAY):
        place[s + 1] += place[s]
    out = np.empty(place[DAY], dtype=np.int64)
    for i in range(len(second)):
        if to[i] & bit:
            out[place[second[i]]] = i
            place[second[i]] += 1
    return out


def taken(fixes: Fixes, rows: npt.NDArray[np.int64]) -> Fixes:
    """Return the fixes at `rows`, in that order."""
    return Fixes(
        fixes.device[rows],
        fixes.second[rows],
        fixes.lat[rows],
        fixes.lon[rows],
        fixes.accuracy[rows],
        fixes.speed[rows],
        fixes.to[rows],
        fixes.salt[rows],
    )
