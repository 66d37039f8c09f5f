"""How many devices share their most visited places, or their home and work, with others.

Top-N (Zang, Bolot 2011, "Anonymization of Location Data Does Not Work", MobiCom): the N cells in which a
device was seen in most distinct hours, as a set; of equal ones the cell of lower number. Home and work
(Golle, Partridge 2009, "On the Anonymity of Home/Work Location Pairs", Pervasive): the cell of most
distinct hours from 22:00 to 7:00, and that of most from 9:00 to 17:00 on Mondays to Fridays, in this order;
devices that lack one are left out. The size of a set is the number of traces in the file that have it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from passersby.compiled import compiled
from passersby.risk.grid import RESOLUTIONS, coarse, local
from passersby.risk.mixing import mixed
from passersby.risk.traces import Trace, Traces

KINDS = ("top 1", "top 2", "top 3", "home and work")

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

_MOST = 3
_NONE = np.uint64(0)


def sizes(traces: Traces, *, offset: int) -> dict[tuple[str, int], Ints]:
    """Return for each kind and resolution the sizes of the sets of the drawn devices that have one."""
    drawn = keys_of(traces.sample, offset=offset)
    known = [np.unique(column) for column in drawn.T]
    counts = [np.zeros(len(column), dtype=np.int64) for column in known]

    def counted(part: Callable[[], Trace]) -> list[Ints]:
        keys = keys_of(part(), offset=offset)
        return [_counted(keys[:, i], column) for i, column in enumerate(known)]

    with ThreadPoolExecutor(traces.threads) as pool:
        for part in pool.map(counted, traces.parts()):
            counts = [sum_ + count for sum_, count in zip(counts, part, strict=True)]
    names = [(kind, resolution) for resolution in RESOLUTIONS for kind in KINDS]
    return {
        name: counts[i][np.searchsorted(known[i], mine[mine != _NONE])]
        for i, (name, mine) in enumerate(zip(names, drawn.T, strict=True))
    }


def _counted(keys: Keys, known: Keys) -> Ints:
    at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.bincount(at[known[at] == keys], minlength=len(known)).astype(np.int64)


def keys_of(trace: Trace, *, offset: int) -> Keys:
    """Return a 64-bit number of each device's set: uint64 [devices, resolutions * kinds], 0 for none.

    Two sets have the same number by chance once in 2^64 pairs.
    """
    hour = local(trace.minute, offset) // 60
    keep = np.ones(len(hour), dtype=np.bool_)
    same = (
        (trace.device[1:] == trace.device[:-1])
        & (hour[1:] == hour[:-1])
        & (trace.cell[1:] == trace.cell[:-1])
    )
    keep[1:] = ~same
    hourly = Trace(trace.device[keep], trace.minute[keep], trace.cell[keep])
    starts = hourly.starts()
    device = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    order = np.lexsort((hourly.cell, device))  # the cells within a coarser cell follow one another
    hours, fine = hour[keep][order], hourly.cell[order]
    found = np.zeros((len(starts) - 1, len(RESOLUTIONS) * len(KINDS)), dtype=np.uint64)
    for i, resolution in enumerate(RESOLUTIONS):
        _keys(starts, coarse(fine, resolution), hours, found[:, i * len(KINDS) : (i + 1) * len(KINDS)])
    return found


@compiled
def _hours(hours: Ints) -> tuple[int, int, int]:
    """Return the distinct hours among some: all, those of the night, those of work."""
    seen = np.sort(hours)
    every, night, office = 0, 0, 0
    for i in range(len(seen)):
        if i > 0 and seen[i] == seen[i - 1]:
            continue
        every += 1
        clock, weekday = seen[i] % 24, seen[i] // 24 % 7
        night += clock >= 22 or clock < 7
        office += 9 <= clock < 17 and weekday < 5
    return every, night, office


@compiled
def _ranked(cell: int, seen: int, top_cell: Ints, top_seen: Ints) -> None:
    """Put a cell among the most visited; cells come in ascending order, so that of equals the first stays."""
    place = len(top_seen)
    while place > 0 and seen > top_seen[place - 1]:
        place -= 1
    for i in range(len(top_seen) - 1, place, -1):
        top_cell[i], top_seen[i] = top_cell[i - 1], top_seen[i - 1]
    if place < len(top_seen):
        top_cell[place], top_seen[place] = cell, seen


@compiled
def _keys(starts: Ints, cell: Ints, hours: Ints, out: Keys) -> None:
    top_cell = np.empty(_MOST, dtype=np.int64)
    top_seen = np.empty(_MOST, dtype=np.int64)
    for device in range(len(starts) - 1):
        top_seen[:] = 0
        home, home_seen, work, work_seen = np.int64(0), 0, np.int64(0), 0
        begin = starts[device]
        while begin < starts[device + 1]:
            end = begin + 1
            while end < starts[device + 1] and cell[end] == cell[begin]:
                end += 1
            every, night, office = _hours(hours[begin:end])
            if night > home_seen:
                home, home_seen = cell[begin], night
            if office > work_seen:
                work, work_seen = cell[begin], office
            _ranked(cell[begin], every, top_cell, top_seen)
            begin = end
        for size in range(1, _MOST + 1):
            chosen = np.sort(top_cell[: min(size, (top_seen > 0).sum())])
            key = np.uint64(size)
            for i in range(len(chosen)):
                key = mixed(key, np.uint64(chosen[i]))
            out[device, size - 1] = key
        if home_seen > 0 and work_seen > 0:
            out[device, _MOST] = mixed(mixed(np.uint64(7), np.uint64(home)), np.uint64(work))
