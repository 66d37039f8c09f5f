"""Canaries for an audit of the whole path: made-up devices in cells of their own, and how they are scored.

A canary never leaves its cell in the hours that are asked about. So its contribution has the largest norm
that the bound allows, at every level, and it lies in keys that no other canary touches at the finest one.
It is delivered by two suppliers, who write its id in different ways, several times an hour, with lines that
repeat: a path that merged, normalised or deduplicated wrongly would count it more often.

A crowd of the same size stays in each cell, canary or not: cells without enough devices would be neither
split nor shown, and hide a canary that was noised too little. Who attacks knows it exactly, as the guarantee
supposes that they know everybody else.

The score is the inner product of the noisy numbers, less what is expected, with what the canary adds, at each
level that is used, weighted by one over its variance: of the noise, and of the coins of other canaries.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import h3.api.numpy_int as h3i
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from passersby.model import cells as h3cells
from passersby.model.cells import COARSEST, FINEST, Cells
from passersby.risk.one_run import Coins, Floats

_MIDDLE = (47.0, 8.0)
"""Around here (degrees) the cells lie; no pentagon is near."""

_CROWD_AT, _CANARY_AT, _AGAIN_AT = (1800,), (300, 1500, 2700), (600, 2100)
"""Seconds within the hour: of the crowd, of a canary, of the same canary at the second supplier."""

_CROWD, _CANARY = 1, 2
"""First digit group of made-up ids."""

_SHOWN = 7.0
"""Standard errors that a crowd's pooled count has: three more than cells need to be shown."""


@dataclass(frozen=True, eq=False)
class Scene:
    """Where and when canaries and crowd are.

    Args:
        resolution: H3 resolution that is asked for.
        cells: all children at `resolution` of some root cells, sorted; canary i has cell i.
        hours: first instants (epoch s) of the hours in which everybody is there.
        crowd: devices that stay in each cell.
        included: for each canary whether it was put into the data.
    """

    resolution: int
    cells: Cells
    hours: tuple[int, ...]
    crowd: int
    included: Coins

    def crowd_pings(self) -> Iterator[pl.DataFrame]:
        """Yield the crowd's pings hour by hour: id, time, latitude, longitude."""
        cells = np.repeat(self.cells, self.crowd)
        ids = _ids(_CROWD, np.arange(len(cells)))
        for hour in self.hours:
            yield self._pings(cells, ids, (hour,), _CROWD_AT)

    def canary_pings(self, *, again: bool = False) -> pl.DataFrame:
        """Return the pings of the canaries that are in; `again` as a second supplier delivers them."""
        numbers = np.flatnonzero(self.included)
        ids = _ids(_CANARY, numbers)
        if again:
            ids = ids.str.to_uppercase().str.replace_all("-", "", literal=True)
        pings = self._pings(self.cells[numbers], ids, self.hours, _AGAIN_AT if again else _CANARY_AT)
        return pl.concat([pings, pings])

    def scores(self, rows: pa.Table, variances: Mapping[int, float]) -> Floats:
        """Return the score of each canary from the rows of an answer.

        Args:
            rows: (cell, start, estimate ..), with null where a cell is suppressed; cells of a coarser
                resolution stand for all of theirs.
            variances: by resolution, of the noise of one number at the levels that are looked at. Far above
                the finest one a canary drowns in the coins of others.
        """
        excess, many = self._excess(rows), len(self.included)
        found = np.zeros(many)
        for resolution, variance in variances.items():
            parents = h3cells.parent(self.cells, resolution, of=self.resolution)
            _, place = np.unique(parents, return_inverse=True)
            others = np.bincount(place[:many])[place[:many]] - 1
            coins = others * len(self.hours) ** 2 / 4
            found += np.bincount(place, weights=excess)[place[:many]] / (variance * len(self.hours) + coins)
        return found

    def seen(self, rows: pa.Table) -> float:
        """Return the share of canaries whose own cell an answer shows."""
        shown = np.unique(rows.filter(rows["estimate"].is_valid())["cell"].to_numpy())
        return float(np.isin(self.cells[: len(self.included)], shown).mean())

    def _excess(self, rows: pa.Table) -> Floats:
        """Return by how much each cell's numbers, added over the hours, are above what is expected."""
        expected = np.full(len(self.cells), float(self.crowd))
        expected[: len(self.included)] += 0.5
        expected *= len(self.hours)
        sums = pl.col("estimate").sum()  # of a cell that is suppressed, all are null
        table = pl.DataFrame(rows.select(["cell", "estimate"])).drop_nulls().group_by("cell").agg(sums)
        table = table.sort("cell")
        given, own = table["cell"].to_numpy(), h3cells.resolution_of(table["cell"].to_numpy())
        excess = np.zeros(len(self.cells))
        for resolution in np.unique(own).tolist():
            known, numbers = given[own == resolution], table["estimate"].to_numpy()[own == resolution]
            parents = h3cells.parent(self.cells, resolution, of=self.resolution)
            place = np.minimum(np.searchsorted(known, parents), len(known) - 1)
            inside = known[place] == parents
            many = np.bincount(place[inside], minlength=len(known))
            above = numbers - np.bincount(place[inside], expected[inside], minlength=len(known))
            excess[inside] = (above / np.maximum(many, 1))[place[inside]]
        return excess

    def _pings(
        self, cells: Cells, ids: pl.Series, hours: Sequence[int], seconds: Sequence[int]
    ) -> pl.DataFrame:
        spots, place = np.unique(cells, return_inverse=True)
        inner = h3cells.centre(spots, FINEST, of=self.resolution)
        where = np.array([h3i.cell_to_latlng(cell) for cell in inner.tolist()]).reshape(-1, 2)[place]
        times = [hour + second for hour in hours for second in seconds]
        many = len(times)
        return pl.DataFrame(
            {
                "id": pl.concat([ids] * many),
                "time": np.repeat(np.array(times, dtype=np.int64), len(cells)),
                "latitude": np.tile(where[:, 0], many),
                "longitude": np.tile(where[:, 1], many),
            }
        )


def cells_for(resolution: int, canaries: int) -> Cells:
    """Return at least so many sorted cells: all children at `resolution` of roots that lie together."""
    roots = -(-canaries // 7 ** (resolution - COARSEST))
    middle = h3i.latlng_to_cell(*_MIDDLE, COARSEST)
    rings = math.ceil((math.sqrt(12 * roots) - 3) / 6) + 1  # k rings hold 3k(k+1)+1 cells
    near = np.concatenate([np.asarray(h3i.grid_ring(middle, k)) for k in range(rings + 1)]).astype(np.int64)
    return h3cells.children(np.sort(near[:roots]), resolution)


def crowd_for(error: float, hours: int, minimum: int) -> int:
    """Return how many devices must stay in a cell so that nearly all cells are shown.

    Args:
        error: standard error of one hour's estimate, in devices.
        hours: how many are pooled to decide what is shown: at 3.9 pooled standard errors.
        minimum: floor of devices.
    """
    return max(2 * minimum, math.ceil(_SHOWN * error / math.sqrt(hours)))


def _ids(kind: int, numbers: npt.NDArray[np.int64]) -> pl.Series:
    digits = pl.Series("id", numbers, dtype=pl.Int64).cast(pl.String).str.zfill(12)
    return f"{kind:08d}-0000-4000-8000-" + digits
