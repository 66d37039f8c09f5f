"""How many devices were seen at sensitive places, by category: a share, never which device or place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from passersby.model.cells import FINEST, cells_at
from passersby.risk.traces import Numbers
from passersby.sensitive import osm
from passersby.sensitive.cover import Cover, pairs
from passersby.sensitive.places import Places, read

BUFFER_M = 100
"""A fix counts when a place lies within this many metres and its own accuracy."""


class Exposure:
    """Counts devices at the places of a list while a file is read.

    Args:
        path: an OpenStreetMap extract, a GeoJSON or a CSV file of places.
        offset: s east of UTC of dates in the list.
    """

    def __init__(self, path: Path, *, offset: int) -> None:
        places = osm.read(path, ()) if osm.is_pbf(path) else read(path, offset=offset)
        rows = list(places.rows())
        self._covers = {
            name: _cover(Places.of(row for row in rows if row.category == name))
            for name in sorted(set(places.categories))
        }
        self.places = {name: sum(row.category == name for row in rows) for name in self._covers}
        self._seen = {name: np.empty(0, dtype=np.uint64) for name in self._covers}

    def watch(self, device: Numbers, frame: pl.DataFrame) -> None:
        """Count the devices of one batch of checked rows."""
        lat, lon = (np.round(frame[name].to_numpy() * 1e5).astype(np.int32) for name in ("lat", "lon"))
        cell = cells_at(lat / 1e5, lon / 1e5, FINEST)
        accuracy = frame["accuracy_m"].fill_null(-1).to_numpy()
        t = frame["t"].to_numpy().astype(np.int32)
        for name, cover in self._covers.items():
            hit = cover.hits(lat, lon, cell, accuracy, t)
            if hit.any():
                self._seen[name] = np.union1d(self._seen[name], device[hit])

    def counts(self) -> dict[str, int]:
        """Return the number of devices that were at a place of each category, and of any ("any")."""
        every = np.unique(np.concatenate(list(self._seen.values())))
        return {"any": len(every), **{name: len(seen) for name, seen in self._seen.items()}}


def _cover(places: Places) -> Cover:
    return Cover([(places, pairs(places, BUFFER_M))], BUFFER_M)
