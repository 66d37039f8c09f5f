"""How often movement alone finds a device again after its id was changed: a rate, and no pair.

The same devices are looked at twice: in the two halves of a file's time, or in two files that share ids. The
matcher knows nothing of ids: each side of a device is the hours in which it was seen in each cell, each
cell weighted by log(devices / devices seen there), and the other side of a device is taken to be the one
of greatest cosine. It is right where that is the same device; a tie is shared out among the tied. A better
matcher finds more: the rate is a lower bound of the risk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from passersby.compiled import compiled
from passersby.risk.grid import coarse, local
from passersby.risk.rates import SMALLEST
from passersby.risk.traces import Numbers, Trace

LEAST = 1000
"""With fewer devices a side nothing is told: a small game of pairs would name them."""

MOST = 2000
"""Devices a side, at most: each is compared with each."""

RESOLUTION = 9

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Linked:
    """What came out: `rate` in whole percent of `devices`, None if masked; no devices: not measured."""

    devices: int
    rate: float | None
    masked: bool = False


class _Side(NamedTuple):
    """One side by cell: rows `first[c]:first[c + 1]` are devices seen in cell c, and its weight for them."""

    first: Ints
    device: Ints
    weight: Floats


def halves(trace: Trace) -> tuple[Trace, Trace]:
    """Return the rows before and after the middle of the time that the rows span."""
    middle = (int(trace.minute.min()) + int(trace.minute.max()) + 1) // 2
    early = trace.minute < middle
    return _where(trace, early), _where(trace, ~early)


def link(one: Trace, other: Trace, *, offset: int, resolution: int = RESOLUTION) -> Linked:
    """Return how many devices that are on both sides the matcher finds again among all of them."""
    both = np.intersect1d(np.unique(one.device), np.unique(other.device))[:MOST]
    if len(both) < LEAST:
        return Linked(0, None)
    sides = [_weights(_where(t, np.isin(t.device, both)), both, offset, resolution) for t in (one, other)]
    cells = np.unique(np.concatenate([cell for _, cell, _ in sides]))
    scores = np.zeros((len(both), len(both)))
    ready = []
    for device, cell, hours in sides:
        number = np.searchsorted(cells, cell)
        rarity = np.log(len(both) / np.maximum(np.bincount(number, minlength=len(cells)), 1))
        rare = hours.astype(np.float64) * rarity[number]
        length = np.sqrt(np.bincount(device, rare**2, minlength=len(both)))
        weight = rare / np.maximum(length, 1e-300)[device]
        order = np.argsort(number, kind="stable")
        first = np.searchsorted(number[order], np.arange(len(cells) + 1)).astype(np.int64)
        ready.append(_Side(first, device[order], weight[order]))
    a, b = ready
    _scores(a.first, a.device, a.weight, b.first, b.device, b.weight, scores)
    right = _right(scores)
    if right < SMALLEST:
        return Linked(len(both), None, masked=True)
    return Linked(len(both), round(right / len(both), 2))


def _right(scores: Floats) -> float:
    """Return the expected number of rows whose diagonal is picked among the greatest; rows of 0 pick none."""
    greatest = scores.max(axis=1)
    tied = np.isclose(scores, greatest[:, None], rtol=1e-12, atol=0).sum(axis=1)
    own = np.isclose(np.diagonal(scores), greatest, rtol=1e-12, atol=0) & (greatest > 0)
    return float((own / tied).sum())


def _where(trace: Trace, mask: npt.NDArray[np.bool_]) -> Trace:
    return Trace(trace.device[mask], trace.minute[mask], trace.cell[mask])


def _weights(trace: Trace, both: Numbers, offset: int, resolution: int) -> tuple[Ints, Ints, Ints]:
    """Return (number of the device, cell, distinct hours seen there), one row a pair."""
    device = np.searchsorted(both, trace.device)
    rows = np.stack([device, coarse(trace.cell, resolution), local(trace.minute, offset) // 60], axis=1)
    rows = np.unique(rows, axis=0)
    pairs, hours = np.unique(rows[:, :2], axis=0, return_counts=True)
    return pairs[:, 0], pairs[:, 1], hours


@compiled
def _scores(  # noqa: PLR0917 (arrays, for compiled code)
    first: Ints,
    device: Ints,
    weight: Floats,
    other_first: Ints,
    other_device: Ints,
    other_weight: Floats,
    scores: Floats,
) -> None:
    for cell in range(len(first) - 1):
        for i in range(first[cell], first[cell + 1]):
            for j in range(other_first[cell], other_first[cell + 1]):
                scores[device[i], other_device[j]] += weight[i] * other_weight[j]
