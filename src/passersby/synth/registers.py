"""Files that come with the pings: records of consent, and a list of sensitive places."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from passersby.model.period import instant_text
from passersby.synth.country import METRES_PER_DEGREE, Country, Places
from passersby.synth.phones import Consents, Phones

NOTICE = "2025-01"
"""Version of the notice that every consent names."""

CATEGORIES = ("hospital", "clinic", "place_of_worship", "shelter", "school")
"""Kinds of sensitive places, in turn."""

_INHABITANTS_PER_SITE = 25_000
_MOST_SITES = 5_000


def consent_rows(
    phones: Phones, consents: Consents, known: np.ndarray[Any, np.dtype[np.bool_]], offset: int
) -> pl.DataFrame:
    """Return id, given_at (ISO 8601), state and notice_version of the devices that have a record.

    Args:
        phones: a batch of devices.
        consents: their records at one supplier.
        known: devices that the supplier knows.
        offset: seconds east of UTC, of the times.
    """
    zone = instant_text(0, offset)[19:]
    local = pl.from_epoch(pl.Series("given_at", consents.given_at + offset), time_unit="s")
    frame = pl.DataFrame(
        {
            "id": phones.ids,
            "given_at": local.dt.strftime(f"%Y-%m-%dT%H:%M:%S{zone}"),
            "state": pl.Series(["none", "given", "withdrawn"]).gather(consents.state),
        }
    ).with_columns(pl.lit(NOTICE).alias("notice_version"))
    return frame.filter(pl.Series(known & (consents.state > 0)))


def write_sensitive(path: Path, country: Country, places: Places, seed: int) -> int:
    """Write sites near popular places as GeoJSON (RFC 7946) and return how many there are.

    Every second one is a point, the others are the outlines of buildings.
    """
    features = list(islice(_sites(country, places, np.random.default_rng([seed, 2])), _MOST_SITES))
    document = {"type": "FeatureCollection", "features": features}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return len(features)


def _sites(country: Country, places: Places, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    categories = cycle(CATEGORIES)
    for city, name in enumerate(country.cities):
        number = 1 + int(country.population[city] / _INHABITANTS_PER_SITE)
        for rank in range(number):
            place = places.start[city] + rank
            away, angle = rng.uniform(100, 400) / METRES_PER_DEGREE, rng.uniform(0, 2 * np.pi)
            lat = float(places.lat[place] + away * np.sin(angle))
            squeeze = np.cos(np.radians(lat))
            lon = float(places.lon[place] + away * np.cos(angle) / squeeze)
            size = rng.uniform(30, 90) / METRES_PER_DEGREE
            category = next(categories)
            yield {
                "type": "Feature",
                "properties": {"name": f"{name} {category} {rank + 1}", "category": category},
                "geometry": _point(lon, lat) if rank % 2 else _building(lon, lat, size / squeeze, size),
            }


def _point(lon: float, lat: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [round(lon, 6), round(lat, 6)]}


def _building(lon: float, lat: float, width: float, height: float) -> dict[str, Any]:
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))
    ring = [[round(lon + x * width / 2, 6), round(lat + y * height / 2, 6)] for x, y in corners]
    return {"type": "Polygon", "coordinates": [ring]}
