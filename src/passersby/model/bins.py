"""Public bins of an answer, fixed by a measure's definition and never by data.

A measure without bins counts one thing. One with bins gives each (cell, bucket of time) a vector: a
histogram, or a numerator beside its denominator. Ratios and quantiles are then functions of the released,
noisy values of the bins: they cost nothing more.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Bin:
    """One bin.

    Args:
        label: its name in rows.
        low: lower edge, included, in the unit of the quantity.
        high: upper edge, excluded; infinity for an open last bin.
        factor: what one unit of the counted integer stands for: sums are counted in whole parts of a public
            maximum, and released in units of the quantity.
        counted: whether it counts devices or events. A cell is shown if its counted bins together reach the
            floor; a sum of metres says nothing about how many there were.
    """

    label: str
    low: float = 0.0
    high: float = math.inf
    factor: float = 1.0
    counted: bool = True


ONE_BIN = (Bin(""),)
"""The one bin of a measure that has none."""


@dataclass(frozen=True)
class Ratio:
    """A derived row: the sum of some bins over the sum of others, with Fieller's interval."""

    label: str
    numerators: tuple[str, ...]
    denominators: tuple[str, ...]


@dataclass(frozen=True)
class Quantile:
    """A derived row: the value below which a share `q` of a histogram lies, linear within its bin."""

    label: str
    q: float


Derived = Ratio | Quantile


def histogram(*edges: float, unit: str, closed: bool = False) -> tuple[Bin, ...]:
    """Return the bins between rising `edges`; the last one is open unless `closed`.

    Labels read "0-1 km" and "5+ km".
    """
    bins = [Bin(f"{low:g}-{high:g} {unit}", low, high) for low, high in itertools.pairwise(edges)]
    if not closed:
        bins.append(Bin(f"{edges[-1]:g}+ {unit}", edges[-1]))
    return tuple(bins)


def whole_numbers(first: int, last: int, unit: str) -> tuple[Bin, ...]:
    """Return a bin for each number from `first` to `last`, the last one open: "1", "2", "3+"."""
    named = [Bin(f"{n} {unit}", n, n + 1) for n in range(first, last)]
    return (*named, Bin(f"{last}+ {unit}", last))


def bin_sql(column: str, bins: tuple[Bin, ...]) -> str:
    """Return SQL for the index of the bin that holds a number, as BIGINT: the edges are compared as DOUBLE.

    What lies below the first edge counts in the first bin, so that every contribution has one.
    """
    cases = " ".join(
        f"WHEN {column} < CAST({each.high!r} AS DOUBLE) THEN {i}" for i, each in enumerate(bins[:-1])
    )
    return f"CAST(CASE {cases} ELSE {len(bins) - 1} END AS BIGINT)"
