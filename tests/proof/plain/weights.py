"""Devices that count for people: by the cell of their home, in plain Python."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from proof.plain.asked import Row, above
from proof.plain.homes import places


def in_people(world: Any, weights: Any, rows: Iterable[Row]) -> list[Row]:
    """Return each phone's rows, times the weight of its home; without one it has none."""
    parts = dict(zip(weights.cells.tolist(), weights.used.tolist(), strict=True))
    home_of = places(world, weights.window)
    found = []
    for phone, *key, value in rows:
        weight = parts.get(above(home_of[phone], weights.resolution), 0) if phone in home_of else 0
        if weight:
            found.append((phone, *key, weight * value))
    return found
