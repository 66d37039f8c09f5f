"""Cells that may hold a ping too near to a sensitive place, and the exact test of the pings in them.

A ping is too near when a place lies within `buffer + accuracy` metres of it. Pings are sorted by their
accuracy into levels, each with cells of a fitting resolution: few candidates for sharp fixes, few
cells for vague ones. Most pings fall in no such cell and cost one look-up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import h3.api.numpy_int as h3i
import h3ronpy.vector
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from passersby.errors import BadRecord
from passersby.model import cells as h3cells
from passersby.model.motion import EARTH_M
from passersby.sensitive import geometry
from passersby.sensitive.places import BEGINNING, END, Places, merge

MAX_ACCURACY_M = 2000
"""A ping's accuracy counts up to here; beyond it a fix says little about any building."""

MAX_KM2 = 50_000
"""Largest polygon of a list."""

_LEVELS = ((10, 100), (9, 500), (8, MAX_ACCURACY_M))
"""(H3 resolution, largest accuracy in metres) of each level."""

_EDGE_M = {8: 531.414, 9: 200.786, 10: 75.864, 11: 28.664}
"""Average edge of a hexagon (h3geo.org/docs/core-library/restable)."""

_WIDEST = 1.4
"""No vertex lies further from its cell's centre than this many average edges."""

_NARROWEST = 0.7
"""Neighbouring centres are at least this part of the average spacing apart."""

_SAMPLES_AT_ONCE = 20_000


PAIRS = pa.schema(
    [
        pa.field("resolution", pa.int8(), nullable=False),
        pa.field("cell", pa.int64(), nullable=False),
        pa.field("place", pa.int32(), nullable=False),
        pa.field("begins", pa.int64(), nullable=False),
        pa.field("ends", pa.int64(), nullable=False),
    ]
)
"""Cells of one list. `place` is the row of a place near the cell, or -1: the cell lies wholly in one.
`begins` and `ends` are the dates of its places."""


@dataclass(frozen=True, eq=False)
class Window:
    """A span of time, epoch s, and the sorted cells at resolution 10 near places that have these dates."""

    begins: int
    ends: int
    cells: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Level:
    """Candidates at one resolution: a table of cells, and per row the places near it (none: within)."""

    resolution: int
    cells: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    near: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    shift: int


class Cover:
    """The sensitive-place test for all lists in force and one buffer.

    Args:
        lists: (places, their `pairs` for the same buffer) of each list.
        buffer_m: least distance in metres that a stored ping keeps, beside its accuracy.
    """

    def __init__(self, lists: Sequence[tuple[Places, pa.Table]], buffer_m: int) -> None:
        self.places = merge(places for places, _ in lists)
        self.buffer_m = buffer_m
        starts = np.cumsum([0, *(len(places) for places, _ in lists)])
        shifted = [
            cells.with_columns(pl.when(pl.col("place") >= 0).then(pl.col("place") + int(start)).otherwise(-1))
            for (_, table), start in zip(lists, starts, strict=False)
            if isinstance(cells := pl.from_arrow(table), pl.DataFrame)
        ]
        every = pl.concat(shifted) if shifted else pl.DataFrame(PAIRS.empty_table())
        self._windows = [
            (begins, ends, tuple(_level(part, resolution) for resolution, _ in _LEVELS))
            for (begins, ends), part in every.sort("begins", "ends").group_by(
                "begins", "ends", maintain_order=True
            )
        ]

    def windows(self) -> list[Window]:
        """Return for each pair of dates the cells that may hold a sharp ping (<= 100 m) too near."""
        return [Window(begins, ends, levels[0].cells) for begins, ends, levels in self._windows]

    def cells(self) -> npt.NDArray[np.int64]:
        """Return the sorted cells at resolution 10 of all windows."""
        found = [window.cells for window in self.windows()]
        return np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)

    def hits(
        self,
        lat_e5: npt.NDArray[np.int32],
        lon_e5: npt.NDArray[np.int32],
        cell: npt.NDArray[np.int64],
        accuracy_m: npt.NDArray[np.int32],
        t: npt.NDArray[np.int32],
    ) -> npt.NDArray[np.bool_]:
        """Return for each ping whether it is too near to a place.

        Args:
            lat_e5: latitude in 1e-5 degrees, as stored.
            lon_e5: longitude in 1e-5 degrees, as stored.
            cell: its cell at resolution 10.
            accuracy_m: its accuracy in metres; negative where the supplier gives none (counts as 0).
            t: its instant, epoch s.
        """
        out = np.zeros(len(cell), dtype=np.bool_)
        if not len(self.places):
            return out
        accuracy = np.clip(accuracy_m, 0, MAX_ACCURACY_M)
        which = np.searchsorted([limit for _, limit in _LEVELS], accuracy)
        for begins, ends, levels in self._windows:
            now = True if begins == BEGINNING and ends == END else (t >= begins) & (t < ends)
            for number, level in enumerate(levels):
                at = np.flatnonzero((which == number) & now)
                if len(at):
                    out[at] |= self._at(level, lat_e5[at], lon_e5[at], cell[at], accuracy[at])
        return out

    def _at(
        self,
        level: _Level,
        lat_e5: npt.NDArray[np.int32],
        lon_e5: npt.NDArray[np.int32],
        cell: npt.NDArray[np.int64],
        accuracy: npt.NDArray[np.int32],
    ) -> npt.NDArray[np.bool_]:
        found: npt.NDArray[np.bool_] = geometry.hits(
            lon_e5 / 1e5,
            lat_e5 / 1e5,
            h3cells.parent(cell, level.resolution, of=h3cells.FINEST),
            geometry.slack(accuracy.astype(np.float64) + self.buffer_m),
            level.keys,
            level.rows,
            level.shift,
            level.first,
            level.near,
            self.places.first,
            self.places.edges,
            self.places.solid,
        )
        return found


def pairs(places: Places, buffer_m: int) -> pa.Table:
    """Return the cells of a list as a table of the schema `PAIRS`.

    Raises:
        BadRecord: a polygon is larger than `MAX_KM2`.
    """
    _require_small(places)
    rows = list(places.rows())
    parts = [PAIRS.empty_table()]
    for begins, ends in places.windows():
        mine = [number for number, place in enumerate(rows) if (place.begins, place.ends) == (begins, ends)]
        found = _pairs(Places.of(rows[number] for number in mine), buffer_m)
        number = pl.Series([*mine, -1], dtype=pl.Int32)  # -1 stays -1
        found = found.with_columns(place=number.gather(found["place"]), begins=begins, ends=ends)
        parts.append(found.select(PAIRS.names).sort("resolution", "cell", "place").to_arrow().cast(PAIRS))
    return pa.concat_tables(parts)


def _pairs(places: Places, buffer_m: int) -> pl.DataFrame:
    """Return (resolution, cell, place) of places that have the same dates."""
    parts = []
    for resolution, accuracy in _LEVELS:
        reach = geometry.slack(buffer_m + accuracy)
        near = _near(places, resolution, reach)
        within = np.setdiff1d(_interior(places, resolution, reach), near["cell"].to_numpy())
        parts += [near, pl.DataFrame({"cell": within}).with_columns(owner=pl.lit(-1, pl.Int64))]
        parts[-2:] = [part.with_columns(resolution=pl.lit(resolution, pl.Int8)) for part in parts[-2:]]
    return pl.concat(parts).rename({"owner": "place"})


def _require_small(places: Places) -> None:
    for number, place in enumerate(places.rows(), 1):
        if place.solid and _km2(place.edges) > MAX_KM2:
            msg = f"Polygon {number} of the list is larger than {MAX_KM2:,} km2."
            raise BadRecord(msg, "Split it, or keep only the sites in it.")


def _level(every: pl.DataFrame, resolution: int) -> _Level:
    mine = every.filter(pl.col("resolution") == resolution)
    within = mine.filter(pl.col("place") < 0)["cell"].unique()
    near = mine.filter(pl.col("place") >= 0, ~pl.col("cell").is_in(within.implode())).sort("cell", "place")
    counts = near.group_by("cell").len().sort("cell")
    # Rows of cells wholly inside a place come first, each with no place to test.
    cells = np.concatenate([within.to_numpy(), counts["cell"].to_numpy()])
    first = np.concatenate([np.zeros(len(within) + 1, dtype=np.int64), np.cumsum(counts["len"].to_numpy())])
    keys, rows, shift = geometry.table(cells)
    owners = near["place"].to_numpy().astype(np.int64)
    return _Level(resolution, np.sort(cells), first.astype(np.int64), owners, keys, rows, shift)


def _near(places: Places, resolution: int, reach_m: float) -> pl.DataFrame:
    """Return distinct (cell, owner) pairs where a point of the cell lies within reach of the outline."""
    edge, finer = _EDGE_M[resolution], _EDGE_M[resolution + 1]
    samples = _samples(places, edge)
    # One sample stands for all of its place in the same finer cell.
    thin = h3cells.cells_at(samples["lat"].to_numpy(), samples["lon"].to_numpy(), resolution + 1)
    samples = samples.with_columns(thin=thin).unique(["owner", "thin"], maintain_order=True)
    limit = reach_m + edge / 2 + 2 * finer * _WIDEST + edge * _WIDEST
    steps = int(np.ceil((limit + edge * _WIDEST) / (edge * np.sqrt(3) * _NARROWEST * np.sqrt(3) / 2)))
    found = [_disks(part, resolution, steps, limit) for part in samples.iter_slices(_SAMPLES_AT_ONCE)]
    return pl.concat(found).unique()


def _disks(samples: pl.DataFrame, resolution: int, steps: int, limit: float) -> pl.DataFrame:
    at = h3cells.cells_at(samples["lat"].to_numpy(), samples["lon"].to_numpy(), resolution)
    disks = pl.Series(h3ronpy.grid_disk(at.view(np.uint64), steps)).cast(pl.List(pl.Int64))
    frame = samples.with_columns(cell=disks).explode("cell")
    centre = pl.DataFrame(h3ronpy.vector.cells_to_coordinates(frame["cell"].to_numpy().view(np.uint64)))
    away = _haversine(
        frame["lon"].to_numpy(), frame["lat"].to_numpy(), centre["lng"].to_numpy(), centre["lat"].to_numpy()
    )
    return frame.filter(pl.Series(away <= limit)).select("cell", "owner").unique()


def _samples(places: Places, spacing_m: float) -> pl.DataFrame:
    """Return points (lon, lat, owner) on the outlines, at most `spacing_m` apart along each edge."""
    start, end = places.edges[:, :2], places.edges[:, 2:]
    length = _haversine(*start.T, *end.T)
    pieces = np.ceil(length / spacing_m).astype(np.int64) + 1
    edge = np.repeat(np.arange(len(length)), pieces)
    place = np.repeat(np.arange(len(places)), np.diff(places.first))
    step = np.arange(len(edge)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    part = (step / np.maximum(pieces - 1, 1)[edge])[:, None]
    points = start[edge] + part * (end[edge] - start[edge])
    return pl.DataFrame({"lon": points[:, 0], "lat": points[:, 1], "owner": place[edge]})


def _interior(places: Places, resolution: int, reach_m: float) -> npt.NDArray[np.int64]:
    """Return the cells whose centre lies in a polygon; small polygons have none beyond the near cells."""
    found = [np.empty(0, dtype=np.int64)]
    for place in places.rows():
        if not place.solid or _extent_m(place.edges) < reach_m:
            continue
        shape = h3i.LatLngPoly(*_rings(place.edges))
        found.append(np.asarray(h3i.h3shape_to_cells(shape, resolution)).astype(np.int64))
    return np.unique(np.concatenate(found))


def _rings(edges: npt.NDArray[np.float64]) -> list[list[tuple[float, float]]]:
    """Return the rings as (latitude, longitude) lists; a ring ends where the next edge does not join."""
    breaks = np.flatnonzero(np.any(edges[1:, :2] != edges[:-1, 2:], axis=1)) + 1
    return [[(lat, lon) for lon, lat in part[:, :2]] for part in np.split(edges, breaks)]


def _extent_m(edges: npt.NDArray[np.float64]) -> float:
    low, high = edges[:, :2].min(axis=0), edges[:, :2].max(axis=0)
    return float(_haversine(low[0], low[1], high[0], high[1]))


def _km2(edges: npt.NDArray[np.float64]) -> float:
    """Return the area of its bounding box, an upper bound for the polygon's."""
    low, high = edges[:, :2].min(axis=0), edges[:, :2].max(axis=0)
    tall = np.radians(high[1] - low[1]) * EARTH_M
    wide = np.radians(high[0] - low[0]) * EARTH_M * np.cos(np.radians((low[1] + high[1]) / 2))
    return float(tall * wide / 1e6)


def _haversine(lon1: object, lat1: object, lon2: object, lat2: object) -> npt.NDArray[np.float64]:
    """Return great-circle distances in metres; arguments are arrays or numbers in degrees."""
    a, b, c, d = (np.radians(np.asarray(v, dtype=np.float64)) for v in (lon1, lat1, lon2, lat2))
    half = np.sin((d - b) / 2) ** 2 + np.cos(b) * np.cos(d) * np.sin((c - a) / 2) ** 2
    distance: npt.NDArray[np.float64] = 2 * EARTH_M * np.arcsin(np.sqrt(np.minimum(half, 1)))
    return distance
