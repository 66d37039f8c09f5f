"""Cells against circles: the radius rules of US states and of 28 CFR 202.242 (control D1)."""

from __future__ import annotations

import h3
import numpy as np
import pytest
import shapely

from passersby.config import Config

EARTH_M = 6_371_008.8
FIXTURES_M = (533.4, 563.88, 1000.0)
"""1,750 ft (Virginia, Oregon, Maryland), 1,850 ft (California), 1,000 m."""


def _radii(resolution: int, number: int = 20_000) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the radius in metres of the smallest circle around each of many cells, spread over the Earth."""
    rng = np.random.default_rng(5)
    digits = rng.integers(0, 7, (number, resolution))
    base = rng.integers(0, 122, number)
    names = (1 << 59) | (resolution << 52) | (base << 45)
    for level in range(15):
        digit = digits[:, level] if level < resolution else np.full(number, 7)
        names = names | (digit << (3 * (14 - level)))
    cells = [name for name in map(h3.int_to_str, names.tolist()) if h3.is_valid_cell(name)]
    return np.array([shapely.minimum_bounding_radius(_flat(cell)) for cell in cells])


def _flat(cell: str) -> shapely.Polygon:
    """Return a cell in metres, as seen from its centre (azimuthal equidistant)."""
    lat, lon = np.radians(h3.cell_to_latlng(cell))
    edge = np.radians(np.array(h3.cell_to_boundary(cell)))
    away = np.arccos(
        np.clip(
            np.sin(lat) * np.sin(edge[:, 0]) + np.cos(lat) * np.cos(edge[:, 0]) * np.cos(edge[:, 1] - lon),
            -1,
            1,
        )
    )
    bearing = np.arctan2(
        np.sin(edge[:, 1] - lon) * np.cos(edge[:, 0]),
        np.cos(lat) * np.sin(edge[:, 0]) - np.sin(lat) * np.cos(edge[:, 0]) * np.cos(edge[:, 1] - lon),
    )
    return shapely.Polygon(EARTH_M * away[:, None] * np.column_stack([np.sin(bearing), np.cos(bearing)]))


def test_no_cell_of_the_default_floor_lies_within_a_circle_of_a_kilometre() -> None:
    assert _radii(Config().finest_resolution).min() > max(FIXTURES_M)


@pytest.mark.slow
@pytest.mark.parametrize(("radius", "share"), list(zip(FIXTURES_M, (0.29, 0.71, 1.0), strict=True)))
def test_cells_of_resolution_8_lie_within_circles(radius: float, share: float) -> None:
    """Why 8 takes a deployment that allows it and a reason in the licence."""
    assert np.mean(_radii(8) <= radius) == pytest.approx(share, abs=0.02)
