"""Releases as the tests give them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import h3.api.numpy_int as h3i
import numpy as np
import polars as pl

from passersby.model.cells import cells_at
from passersby.risk.releases.columns import recognised
from passersby.risk.releases.release import Release, read

DAY = 29_640_960
"""2026-05-11T00:00:00Z, epoch minutes."""

HOME = int(h3i.latlng_to_cell(46.948, 7.447, 6))
"""A cell of resolution 6."""
CHILDREN = sorted(int(c) for c in h3i.cell_to_children(HOME, 7))
"""Its seven cells of resolution 7."""

Row = tuple[int, int, float | None]
"""Place, number of the step after `DAY`, count."""


def release(rows: Iterable[Row], *, step: int = 60, h3: bool = True, noisy: bool = False) -> Release:
    """Return counts as a release."""
    found = sorted(rows, key=lambda row: row[:2])
    place, number, value = zip(*found, strict=True)
    return Release(
        "made.csv",
        "0" * 64,
        np.array(place, dtype=np.int64),
        DAY + step * np.array(number, dtype=np.int64),
        np.array([np.nan if v is None else v for v in value], dtype=np.float64),
        h3,
        step,
        noisy,
        float("nan"),
    )


def load(path: Path, text: str, offset: int = 0) -> Release:
    """Write a release and read it."""
    path.write_text(text, encoding="utf-8")
    columns = recognised(path)
    assert columns is not None
    return read(path, columns, offset=offset)


def published(rows: list[tuple[str, int, float, float]], resolution: int, floor: int = 0) -> str:
    """Return a release of devices by the hour; counts below a floor are empty."""
    name, t, lat, lon = zip(*rows, strict=True)
    start = np.array(t) // 3600 * 3600
    cell = cells_at(np.array(lat), np.array(lon), resolution)
    frame = pl.DataFrame({"name": name, "cell": cell, "start": start}).unique()
    lines = [
        f"{cell:x},{start},{n if n >= floor else ''}"
        for cell, start, n in frame.group_by("cell", "start").len().sort("cell", "start").rows()
    ]
    return "\n".join(["cell,start,devices", *lines]) + "\n"
