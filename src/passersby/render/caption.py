"""Words around a picture of a release."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Caption:
    """Words around a map: title, unit, what the numbers mean, the promise in one line."""

    title: str
    subtitle: str
    unit: str
    every: str
    promise: str
    offset: int
