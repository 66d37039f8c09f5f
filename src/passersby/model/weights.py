"""Weights of devices by where they live, made from a census and a release: public numbers only.

A stratum is a set of cells in which the release counts enough devices. A device that lives there stands for
(people of the stratum) / (devices that live there), at most for the cap. Weights are whole thousandths of the
largest one, so that what a device contributes is an integer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from passersby.model.cells import Cells, children, parent, resolution_of
from passersby.model.census import Census
from passersby.model.period import Span

VERSION = 1
"""Of how weights are made: part of each weighted question."""

PARTS = 1000
"""A device's weight is a whole number of so many parts of the largest weight."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Weights:
    """The weight of a device by the cell of its home.

    Args:
        census: how many people live where.
        residents: name of the release that says how many devices live where.
        residents_sha256: of its question.
        window: span in which homes were found.
        cap: most people that a device may stand for.
        resolution: of the cells.
        cells: all cells that the release is about, sorted.
        population: people in each, as the census has them.
        full: people for each device of the cell's stratum, NaN where it has none: its devices weigh nothing.
        used: the weight, in `PARTS` of the largest; 0 where there is none.
        largest: the largest weight, whole people.
        error: largest relative standard error of a stratum's number of devices.
        strata: number of strata.
    """

    census: Census
    residents: str
    residents_sha256: str
    window: Span
    cap: int
    resolution: int
    cells: Cells
    population: Floats
    full: Floats
    used: npt.NDArray[np.int64]
    largest: int
    error: float
    strata: int

    def canonical(self) -> dict[str, Any]:
        """Return what the weights follow from: part of a question's canonical form."""
        return {
            "version": VERSION,
            "census_sha256": self.census.sha256,
            "residents": self.residents,
            "residents_question_sha256": self.residents_sha256,
            "cap": self.cap,
        }

    @property
    def unit(self) -> float:
        """People whom one part stands for."""
        return self.largest / PARTS

    @property
    def heaviest(self) -> int:
        """The most parts that a device counts for."""
        return int(self.used.max())

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Which cells have a stratum."""
        return ~np.isnan(self.full)

    @property
    def devices(self) -> Floats:
        """Estimated devices that live in each cell, of a stratum in proportion to people; 0 without one."""
        return np.divide(self.population, self.full, out=np.zeros_like(self.full), where=self.known)

    @property
    def coverage(self) -> float:
        """Devices for each person, over all strata."""
        return float(self.devices.sum() / self.population[self.known].sum())

    @property
    def mean(self) -> float:
        """Mean weight of a device that has one."""
        return float((self.devices * self.used).sum() * self.unit / self.devices.sum())

    @property
    def left_out(self) -> float:
        """Share of the census' people in cells without a stratum."""
        return float(self.population[~self.known].sum() / self.census.total)

    @property
    def capped(self) -> npt.NDArray[np.bool_]:
        """Which cells have a weight that the cap cuts."""
        cut: npt.NDArray[np.bool_] = np.nan_to_num(self.full) > self.cap
        return cut

    @property
    def bias(self) -> float:
        """Relative bias of the number of residents: what cap, rounding and cells without a stratum take."""
        return float((self._kept * self.population).sum() / self.census.total - 1)

    @property
    def _kept(self) -> Floats:
        """Weight over full weight by cell, 0 where it has none."""
        kept: Floats = np.zeros_like(self.full)
        np.divide(self.used * self.unit, self.full, out=kept, where=self.known)
        return kept

    def table(self) -> pa.Table:
        """Return (home, weight in parts): the table that the SQL of a weighted measure joins."""
        some = self.used > 0
        return pa.table({"home": pa.array(self.cells[some]), "weight": pa.array(self.used[some])})

    def beside(self, places: Cells) -> tuple[Floats, Floats]:
        """Return coverage and bias for those who live in each of some cells, of any resolutions.

        Coverage is devices for each person. Bias is what cap, rounding and missing strata take from their
        weight, -1 where they weigh nothing. Both are NaN where nobody lives.
        """
        found = np.full((2, len(places)), np.nan)
        own = resolution_of(places)
        for resolution in np.unique(own):
            at = own == resolution
            level = min(int(resolution), self.resolution)
            groups, group = np.unique(parent(self.cells, level, of=self.resolution), return_inverse=True)
            sought = parent(places[at], level, of=int(resolution))
            place = np.minimum(np.searchsorted(groups, sought), len(groups) - 1)
            there = groups[place] == sought
            for i, values in enumerate(self._ratios(group, len(groups))):
                found[i, at] = np.where(there, values[place], np.nan)
        return found[0], found[1]

    def beside_all(self, cells: Cells, resolution: int) -> tuple[float, float]:
        """Return coverage and bias for those who live in any of some cells of one resolution."""
        if resolution < self.resolution:
            mine = children(cells, self.resolution)
        else:
            mine = np.unique(parent(cells, self.resolution, of=resolution))
        coverage, bias = self._ratios(np.isin(self.cells, mine).astype(np.intp), 2)
        return float(coverage[1]), float(bias[1])

    def _ratios(self, group: npt.NDArray[np.intp], size: int) -> tuple[Floats, Floats]:
        def total(values: Floats) -> Floats:
            return np.bincount(group, weights=values, minlength=size).astype(np.float64)

        people, reached = total(self.population), total(self.population * self.known)
        with np.errstate(divide="ignore", invalid="ignore"):
            coverage = total(self.devices) / reached
            bias = total(self._kept * self.population) / people - 1
        return coverage, bias

    def facts(self) -> dict[str, Any]:
        """Return what a label says of them, in numbers."""
        return {
            "census_sha256": self.census.sha256,
            "residents": self.residents,
            "cap": self.cap,
            "largest": self.largest,
            "mean": round(self.mean, 2),
            "strata": self.strata,
            "cells_capped": round(float(self.capped.sum() / self.known.sum()), 4),
            "people_left_out": round(self.left_out, 4),
            "coverage": round(self.coverage, 6),
            "bias": round(self.bias, 4),
            "error": round(self.error, 4),
        }
