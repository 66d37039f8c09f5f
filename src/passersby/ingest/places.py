"""Loads a list of sensitive places and says how many stored pings it would have kept out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from passersby.keys.signed import Actor
from passersby.lake.lake import Lake
from passersby.lake.layout import ROW_GROUP
from passersby.sensitive.cover import Cover
from passersby.sensitive.lists import Loaded, SensitiveLists

_COLUMNS = ["lat_e5", "lon_e5", "cell", "accuracy_m"]


@dataclass(frozen=True)
class PlacesLoaded:
    """A list that was put into force.

    Args:
        loaded: its version.
        standing: stored pings that it would have kept out; they were stored before, and stay until
            their deletion date. For the custodian alone.
    """

    loaded: Loaded
    standing: int

    def sentences(self) -> list[str]:
        """Return what the person who loaded the list must know, in plain words."""
        place = "place" if self.loaded.places == 1 else "places"
        state = "is in force" if self.loaded.fresh else "was in force already"
        said = [
            f"Version {self.loaded.version} of {self.loaded.name} ({self.loaded.places:,} {place}) {state}."
        ]
        if self.standing:
            said.append(
                f"The lake already holds {self.standing:,} pings at these places; they were stored before "
                "and stay until their deletion date."
            )
        return said


def load(lists: SensitiveLists, lake: Lake, path: Path, *, name: str, actor: Actor, now: int) -> PlacesLoaded:
    """Put a list into force (see `SensitiveLists.load`) and count the stored pings at its places.

    Raises:
        UsageError: the list's name is not valid.
        Refusal: the actor may not load lists.
        InputError: the file is not a valid list.
    """
    loaded = lists.load(path, name=name, actor=actor, now=now)
    return PlacesLoaded(loaded, standing(lake, lists.cover(name), now=now))


def standing(lake: Lake, cover: Cover, *, now: int) -> int:
    """Return how many stored pings are too near to a place; the lake is read one row group at a time."""
    found = 0
    with lake.snapshot(now) as snapshot:
        for file in snapshot.files("pings"):
            with pq.ParquetFile(file.path) as parquet:
                for batch in parquet.iter_batches(ROW_GROUP, columns=_COLUMNS):
                    lat, lon, cell, accuracy = (batch.column(column) for column in _COLUMNS)
                    known: npt.NDArray[np.int32] = accuracy.fill_null(-1).to_numpy()
                    found += int(cover.hits(lat.to_numpy(), lon.to_numpy(), cell.to_numpy(), known).sum())
    return found
