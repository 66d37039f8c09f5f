"""How many devices are singled out by a few points of their own trace, for every step of the grid.

Unicity (de Montjoye, Hidalgo, Verleysen, Blondel 2013, "Unique in the Crowd", Scientific Reports 3:1376):
draw a device and p of the distinct (place, time) points of its trace; it is unique when no other trace has
all of them. A device with fewer than p distinct points is known by all that it has. The p points are the
first p of one random order, so that a curve over p can only rise.

The count is exact for the devices that are drawn: each trace of the file is compared with every draw. The
draws' points are an inverted index: a trace that lacks a draw's first point is never looked at for it. Rows
that a coarser step makes equal are one row from there on.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from passersby.compiled import compiled, inlined
from passersby.errors import IntegrityError
from passersby.model.cells import parent
from passersby.risk.grid import GRID, Step, bins, coarse, local
from passersby.risk.mixing import mixed
from passersby.risk.traces import FINEST, Trace, Traces

POINTS = 10
"""Most points that an attacker is assumed to know."""

Ints = npt.NDArray[np.int64]

_FREE = -1
_WORD = 64
"""Bits of a word of the filter."""


@dataclass(frozen=True)
class Draws:
    """Points of the drawn devices at one step, as an index.

    `points[d, i]` is the number of point i of device d, -1 behind its last. `slots` is an open hash table
    of point numbers by (bin, cell); `bin` and `cell` are by point number. `marks` has a bit for each hash of
    a point: most rows of a file are none of the points, and it fits where the processor reads at once.
    Devices whose first point is p are `leading[first[p]:first[p + 1]]`. A point's number is below `len(bin)`.
    """

    points: Ints
    slots: Ints
    marks: npt.NDArray[np.uint64]
    bin: Ints
    cell: Ints
    first: Ints
    leading: Ints

    @property
    def known(self) -> Ints:
        """Number of points of each device."""
        found: Ints = (self.points >= 0).sum(axis=1)
        return found


def draw(sample: Trace, step: Step, *, offset: int, seed: int) -> Draws:
    """Draw up to `POINTS` distinct points of each device of `sample`, in random order."""
    starts = sample.starts()
    bin_, cell = bins(local(sample.minute, offset), step.time), coarse(sample.cell, step.resolution)
    chosen_bin = np.zeros((len(starts) - 1, POINTS), dtype=np.int64)
    chosen_cell = np.zeros_like(chosen_bin)
    salt = np.random.default_rng([seed, GRID.index(step)]).integers(2**63).item()
    known = np.arange(POINTS) < _chosen(starts, bin_, cell, salt, chosen_bin, chosen_cell)[:, None]
    found, number = np.unique(
        np.stack([chosen_bin[known], chosen_cell[known]], axis=1), axis=0, return_inverse=True
    )
    points = np.full(known.shape, -1, dtype=np.int64)
    points[known] = number.ravel()
    leading = np.argsort(points[:, 0], kind="stable")
    first = np.searchsorted(points[leading, 0], np.arange(len(found) + 1))
    keys, cells = np.ascontiguousarray(found[:, 0]), np.ascontiguousarray(found[:, 1])
    return Draws(points, *_table(keys, cells), keys, cells, first, leading)


def sizes(
    traces: Traces, steps: tuple[Step, ...], *, offset: int, seed: int
) -> dict[Step, tuple[Ints, Ints]]:
    """Return for each step how many traces of the file have the first p points of each drawn device.

    Returns:
        int64 [devices, POINTS], each at least 1 (the device itself); and int64 [devices]: its points.

    Raises:
        IntegrityError: a drawn device was not found in its own file.
    """
    steps = tuple(sorted(steps, key=GRID.index))  # finer ones first: coarser ones begin with what they left
    with ThreadPoolExecutor(traces.threads) as pool:
        draws = pool.map(lambda step: draw(traces.sample, step, offset=offset, seed=seed), steps)
        drawn = dict(zip(steps, draws, strict=True))

        def counted(part: Callable[[], Trace]) -> list[Ints]:
            return _part_counted(part(), drawn, offset)

        total = [np.zeros((len(d.points), POINTS + 1), dtype=np.int64) for d in drawn.values()]
        for part in pool.map(counted, traces.parts()):
            total = [sum_ + ends for sum_, ends in zip(total, part, strict=True)]
    return {
        step: (_sizes(ends, drawn[step]), drawn[step].known) for step, ends in zip(steps, total, strict=True)
    }


def _part_counted(trace: Trace, drawn: dict[Step, Draws], offset: int) -> list[Ints]:
    starts, minute, cell = trace.starts(), local(trace.minute, offset), trace.cell
    found = []
    for time, steps in groupby(drawn, key=lambda step: step.time):
        starts, minute, cell = _distinct(starts, bins(minute, time), minute, cell)
        begins, bin_, place, resolution = starts.copy(), bins(minute, time), cell.copy(), FINEST
        for step in steps:
            d = drawn[step]
            rows = begins[-1]
            place = parent(place[:rows], step.resolution, of=resolution)
            resolution = step.resolution
            ends = np.zeros((len(d.points), POINTS + 1), dtype=np.int64)
            _count(begins, bin_, place, d.points, d.slots, d.marks, d.bin, d.cell, d.first, d.leading, ends)
            found.append(ends)
    return found


def _sizes(ends: Ints, drawn: Draws) -> Ints:
    """Return traces by draws that they have the first p points of, from the number that ended at each p."""
    have = np.cumsum(ends[:, ::-1], axis=1)[:, ::-1][:, 1:]
    column = np.minimum(np.arange(POINTS), drawn.known[:, None] - 1)
    found: Ints = np.take_along_axis(have, column, axis=1)
    if np.any(found < 1):
        raise IntegrityError(
            "A drawn device was not found in its own file.",
            "Run the command again; if it repeats, report it.",
        )
    return found


def _table(bin_: Ints, cell: Ints) -> tuple[Ints, npt.NDArray[np.uint64]]:
    size = 1 << int(4 * len(bin_)).bit_length()
    slots, marks = np.full(size, _FREE, dtype=np.int64), np.zeros(size * 8 // _WORD, dtype=np.uint64)
    _filled(bin_, cell, slots, marks)
    return slots, marks


@compiled
def _distinct(starts: Ints, bin_: Ints, minute: Ints, cell: Ints) -> tuple[Ints, Ints, Ints]:
    """Return one row for each device, bin and cell, sorted by these: where devices begin, minutes, cells.

    Rows come sorted by device and bin. The minute is one of the bin's.
    """
    begins = np.empty_like(starts)
    minutes, cells = np.empty_like(minute), np.empty_like(cell)
    n = begins[0] = 0
    for trace in range(len(starts) - 1):
        row, end = starts[trace], starts[trace + 1]
        while row < end:
            stop, sorted_ = row + 1, True
            while stop < end and bin_[stop] == bin_[row]:
                sorted_ &= cell[stop] >= cell[stop - 1]
                stop += 1
            of_bin = cell[row:stop] if sorted_ else np.sort(cell[row:stop])
            for i in range(len(of_bin)):
                if i == 0 or of_bin[i] != of_bin[i - 1]:
                    minutes[n], cells[n] = minute[row], of_bin[i]
                    n += 1
            row = stop
        begins[trace + 1] = n
    return begins, minutes[:n].copy(), cells[:n].copy()


@compiled
def _chosen(starts: Ints, bin_: Ints, cell: Ints, salt: int, out_bin: Ints, out_cell: Ints) -> Ints:
    """Write the distinct points of each device that have the lowest random numbers; return how many.

    A point's number is a hash of it and the device: one pass finds points without putting them in order.
    """
    found = np.zeros(len(starts) - 1, dtype=np.int64)
    number = np.empty(out_bin.shape[1], dtype=np.uint64)
    for device in range(len(starts) - 1):
        own = mixed(np.uint64(salt), np.uint64(device))
        n = 0
        for row in range(starts[device], starts[device + 1]):
            if row > starts[device] and bin_[row] == bin_[row - 1] and cell[row] == cell[row - 1]:
                continue
            mine = mixed(mixed(own, np.uint64(bin_[row])), np.uint64(cell[row]))
            if n == len(number) and mine >= number[n - 1]:
                continue
            place = n
            while place > 0 and mine < number[place - 1]:
                place -= 1
            if place > 0 and number[place - 1] == mine:
                continue  # the same point again
            n = min(n + 1, len(number))
            for i in range(n - 1, place, -1):
                number[i] = number[i - 1]
                out_bin[device, i], out_cell[device, i] = out_bin[device, i - 1], out_cell[device, i - 1]
            number[place], out_bin[device, place], out_cell[device, place] = mine, bin_[row], cell[row]
        found[device] = n
    return found


@compiled
def _hash(bin_: int, cell: int) -> np.uint64:
    return mixed(np.uint64(bin_), np.uint64(cell))


@compiled
def _filled(bin_: Ints, cell: Ints, slots: Ints, marks: npt.NDArray[np.uint64]) -> None:
    for number in range(len(bin_)):
        hashed = _hash(bin_[number], cell[number])
        at = np.int64(hashed & np.uint64(len(slots) - 1))
        while slots[at] != _FREE:
            at = (at + 1) & (len(slots) - 1)
        slots[at] = number
        bit = hashed >> np.uint64(32)
        word = np.int64((bit // np.uint64(_WORD)) & np.uint64(len(marks) - 1))
        marks[word] |= np.uint64(1) << (bit % np.uint64(_WORD))


@inlined
def _number(
    bin_: int, cell: int, slots: Ints, marks: npt.NDArray[np.uint64], point_bin: Ints, point_cell: Ints
) -> int:
    """Return the number of a point, `_FREE` where it is nobody's."""
    hashed = _hash(bin_, cell)
    bit = hashed >> np.uint64(32)
    word = marks[np.int64((bit // np.uint64(_WORD)) & np.uint64(len(marks) - 1))]
    if not (word >> (bit % np.uint64(_WORD))) & np.uint64(1):
        return _FREE
    at = np.int64(hashed & np.uint64(len(slots) - 1))
    while slots[at] != _FREE and (point_bin[slots[at]] != bin_ or point_cell[slots[at]] != cell):
        at = (at + 1) & (len(slots) - 1)
    return int(slots[at])


@compiled
def _count(  # noqa: PLR0913, PLR0917 (arrays, for compiled code)
    starts: Ints,
    bin_: Ints,
    cell: Ints,
    points: Ints,
    slots: Ints,
    marks: npt.NDArray[np.uint64],
    point_bin: Ints,
    point_cell: Ints,
    first: Ints,
    leading: Ints,
    ends: Ints,
) -> None:
    """Add to `ends[d, n]` the traces that have the first n points of draw d and not the next.

    Rows that follow an equal one are taken out of `starts`, `bin_` and `cell`, in place: a coarser step
    need not look at them again.
    """
    seen = np.full(len(point_bin), -1, dtype=np.int64)
    hits = np.empty(len(point_bin), dtype=np.int64)
    most = points.shape[1]
    kept = 0
    end = starts[0]
    for trace in range(len(starts) - 1):
        found = 0
        begin, end = end, starts[trace + 1]
        starts[trace] = kept
        for row in range(begin, end):
            if kept > starts[trace] and bin_[row] == bin_[kept - 1] and cell[row] == cell[kept - 1]:
                continue
            bin_[kept], cell[kept] = bin_[row], cell[row]
            kept += 1
            number = _number(bin_[row], cell[row], slots, marks, point_bin, point_cell)
            if number != _FREE and seen[number] != trace:
                seen[number] = trace
                hits[found] = number
                found += 1
        for i in range(found):
            for j in range(first[hits[i]], first[hits[i] + 1]):
                draw_ = leading[j]
                n = 1
                while n < most and points[draw_, n] >= 0 and seen[points[draw_, n]] == trace:
                    n += 1
                ends[draw_, n] += 1
    starts[-1] = kept
