"""The worst case over any two facts that may be known, for files that are small enough to try them all."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from passersby.risk import attacks
from passersby.risk.grid import USUAL, coarse, local
from passersby.risk.rates import Rate, share
from passersby.risk.traces import Trace

MOST_DEVICES, MOST_VISITS = 500, 50_000
FACTS = 2


@dataclass(frozen=True)
class Worst:
    """Devices that some two facts of one kind single out."""

    kind: str
    rate: Rate


def worst(trace: Trace, *, offset: int) -> tuple[Worst, ...]:
    """Return the worst case for each of `attacks.KINDS`; none where the file is too large to try all.

    A visit is an hour in which a device was seen in a cell of resolution 8. `trace` holds all devices.
    """
    hour, cell = local(trace.minute, offset) // 60, coarse(trace.cell, USUAL)
    starts = trace.starts()
    if len(starts) - 1 > MOST_DEVICES:
        return ()
    tracks = []
    for begin, end in itertools.pairwise(starts):
        visits = dict.fromkeys(zip(cell[begin:end].tolist(), hour[begin:end].tolist(), strict=True))
        tracks.append(list(visits))
    if sum(map(len, tracks)) > MOST_VISITS:
        return ()
    return tuple(
        Worst(kind, share(int(np.sum(attacks.risks(kind, tracks, FACTS) == 1)), len(tracks), exact=True))
        for kind in attacks.KINDS
    )
