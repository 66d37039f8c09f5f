"""Traces and files as the tests give them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import h3.api.numpy_int as h3i
import numpy as np

from passersby.risk.spill import Spill
from passersby.risk.traces import FINEST, Trace, Traces, _sorted_trace

CELLS = np.sort(
    np.concatenate(
        [
            np.asarray(h3i.cell_to_children(c, FINEST)).astype(np.int64)
            for c in h3i.grid_disk(h3i.latlng_to_cell(46.948, 7.447, 9), 1)
        ]
    )
)
"""343 cells of resolution 11, in seven of resolution 9."""

Row = tuple[int, int, int]
"""Device, epoch minute, number of a cell in `CELLS`."""


def trace(rows: Iterable[Row]) -> Trace:
    """Return rows as a trace."""
    device, minute, cell = np.array(list(rows), dtype=np.int64).reshape(-1, 3).T
    return _sorted_trace(device.astype(np.uint64), minute.astype(np.int32), CELLS[cell])


def traces(rows: Sequence[Row], parts: int = 3) -> Traces:
    """Return traces as they are once a file is read, all devices drawn."""
    made = Traces(1, 1 << 20, 1)
    made._sorted = Spill((np.uint64, np.int32, np.int64))
    for number in range(parts):
        part = [row for row in rows if row[0] % parts == number]
        if part:
            found = trace(part)
            made._blocks.append(made._sorted.write([found.device, found.minute, found.cell]))
    made.sample = trace(rows)
    return made


def csv(path: Path, rows: Iterable[tuple[str, int, float, float]]) -> Path:
    """Write a file of pings: id, epoch s, latitude, longitude."""
    lines = [f"{name},{t},{lat:.6f},{lon:.6f}\n" for name, t, lat, lon in rows]
    path.write_text("device_id,timestamp,latitude,longitude\n" + "".join(lines), encoding="utf-8")
    return path


MONDAY = 1_778_457_600
"""2026-05-11T00:00:00Z."""


def people(number: int, days: int, seed: int) -> list[tuple[str, int, float, float]]:
    """Return hourly pings of made-up people: a home, a workplace and walks, each their own."""
    rng = np.random.default_rng(seed)
    homes, works = (rng.uniform((46.8, 7.2), (47.2, 7.8), (number, 2)) for _ in range(2))
    rows = []
    for who in range(number):
        for hour in range(24 * days):
            at = works[who] if 9 <= hour % 24 < 17 else homes[who]
            lat, lon = at + rng.normal(0, 0.02 if rng.random() < 0.1 else 0.0003, 2)
            second = MONDAY + 3600 * hour + int(rng.integers(3600))
            rows.append((f"phone-{seed}-{who:06d}", second, float(lat), float(lon)))
    return rows
