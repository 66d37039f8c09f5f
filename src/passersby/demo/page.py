"""Writes what the demo saw as one HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely
from jinja2 import Environment, PackageLoader, StrictUndefined

from passersby.demo.seen import Seen
from passersby.demo.story import RAW_RESOLUTIONS
from passersby.deployment import views
from passersby.errors import OperationError
from passersby.ingest.report import about
from passersby.measures.catalogue import get as get_measure
from passersby.model.cells import to_text
from passersby.model.period import instant_text
from passersby.model.release import COARSE, SUPPRESSED, Release
from passersby.render.classes import classes
from passersby.render.pooled import by_cell, by_start
from passersby.render.report import code
from passersby.render.shapes import cell_shape, outlines_in
from passersby.render.towns import nearest_town, towns_in
from passersby.risk.assess import HEADLINE, POINTS, rate_in
from passersby.risk.charts import curve
from passersby.risk.grid import EDGE, Step
from passersby.risk.rates import Rate
from passersby.trustlog.kinds import MEANINGS

Box = tuple[float, float, float, float]
Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

WIDTH = 1000
"""Width of the map in SVG units; its height follows from the area."""

_CHART = (560, 170)
_MARGIN = 0.03
_TOWNS = 12


def write(seen: Seen, path: Path) -> None:
    """Write the page to `path`, whole or not at all.

    Raises:
        OperationError: the file cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(render(seen), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise OperationError(f"{path} cannot be written.", "Free some space and run it again.") from error


def render(seen: Seen) -> str:
    """Return the page as HTML."""
    if seen.release is None or seen.log is None:
        msg = "the story was not told to its end"
        raise ValueError(msg)
    environment = Environment(
        loader=PackageLoader("passersby.demo", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = code
    environment.filters["thousands"] = lambda value: f"{value:,}"
    return environment.get_template("page.html.j2").render(_context(seen, seen.release))


def _context(seen: Seen, release: Release) -> dict[str, Any]:
    caption = views.caption(release, seen.offset)
    return {
        "seen": seen,
        "release": release,
        "measure": get_measure(release.question["measure"]),
        "caption": caption,
        "label_yaml": views.label_text(release),
        "deliveries": [_delivery(report.to_json(), seen.planted) for report in seen.deliveries],
        "stored": about(sum(report.stored for report in seen.deliveries)),
        "read": sum(report.read for report in seen.deliveries),
        "composition": release.label["accounting"]["composition"],
        "odds": math.exp(float(release.label["privacy_loss"]["privacy_parameters"]["epsilon"])),
        "loss": release.label["privacy_loss"]["privacy_parameters"],
        "attack": _attack(seen),
        "chart": _chart(release.rows, seen.offset),
        "meanings": MEANINGS,
        **_map(release.rows, seen.offset),
    }


def _attack(seen: Seen) -> dict[str, Any]:
    """Return the curve of the suppliers' own files, and its point in words."""

    def rate_of(points: int, step: Step) -> Rate:
        return rate_in(seen.raw, points, step)

    return {
        "curve": curve(rate_of, RAW_RESOLUTIONS),
        "single": rate_of(POINTS, HEADLINE).text,
        "cell": EDGE[HEADLINE.resolution],
    }


def _delivery(report: dict[str, Any], planted: dict[str, dict[str, int]]) -> dict[str, Any]:
    """Return a delivery's figures; each rejection beside the number that was planted."""
    truth = planted.get(report["supplier"], {})
    rejected = report["rejected"]
    reasons = sorted(set(rejected) | {reason for reason, n in truth.items() if n})
    rows = [{"reason": r, "rejected": rejected.get(r, 0), "planted": truth.get(r)} for r in reasons]
    return {**report, "reasons": rows}


def _map(rows: pa.Table, offset: int) -> dict[str, Any]:
    """Return the map's shapes and numbers."""
    cells = by_cell(rows)
    shapes = [cell_shape(int(cell)) for cell in cells.key]
    bounds = shapely.GeometryCollection(shapes).bounds
    project, height, frame = _projection(bounds)
    flags = np.array(rows["flag"].to_pylist(), dtype=object)
    starts = sorted(set(rows["start"].to_pylist()))
    shown = np.isfinite(cells.mean)
    limits = classes(np.concatenate([cells.mean, _numbers(rows, "estimate")]))
    data = {
        "times": [_time_text(start, offset) for start in starts],
        "limits": limits,
        "cells": _cell_data(rows, cells.key[shown], len(starts)),
        "mean": np.round(cells.mean[shown], 1).tolist(),
        "half": np.round(cells.half[shown], 1).tolist(),
    }
    return {
        "height": height,
        "land": [_path(p, project) for p in outlines_in(*frame)],
        "hexagons": [_path(s, project) for s, ok in zip(shapes, shown, strict=True) if ok],
        "hidden": " ".join(_path(s, project) for s, ok in zip(shapes, shown, strict=True) if not ok),
        "towns": [(name, *project(lon, lat)) for name, lat, lon in towns_in(bounds, _TOWNS)],
        "data": json.dumps(data, separators=(",", ":"), allow_nan=False),
        "counts": {
            "cells": len(shown),
            "shown": int(shown.sum()),
            "coarse": int((flags == COARSE).sum() // max(len(starts), 1)),
            "suppressed": int((flags == SUPPRESSED).sum() // max(len(starts), 1)),
        },
        "limits": limits,
    }


def _cell_data(
    rows: pa.Table, keys: np.ndarray[Any, np.dtype[np.int64]], buckets: int
) -> list[dict[str, Any]]:
    """Return name, place and numbers of each shown cell; rows are sorted by (cell, start)."""
    table = rows.filter(pa.array(np.isin(rows["cell"].to_numpy(), keys)))
    estimate = np.round(_numbers(table, "estimate").reshape(-1, buckets), 1)
    high = np.round(_numbers(table, "high").reshape(-1, buckets), 1)
    low = np.round(_numbers(table, "low").reshape(-1, buckets), 1)
    return [
        {
            "id": to_text(int(key)),
            "near": nearest_town(int(key)),
            "e": estimate[i].tolist(),
            "l": low[i].tolist(),
            "h": high[i].tolist(),
        }
        for i, key in enumerate(keys)
    ]


def _numbers(rows: pa.Table, column: str) -> Floats:
    return np.asarray(rows[column].to_numpy(zero_copy_only=False), dtype=np.float64)


def _projection(
    bounds: tuple[float, float, float, float],
) -> tuple[Any, int, tuple[float, float, float, float]]:
    """Return (lon, lat) -> SVG units, true to shape at the middle latitude; the height; the framed box."""
    west, south, east, north = bounds
    dx, dy = (east - west) * _MARGIN, (north - south) * _MARGIN
    west, south, east, north = west - dx, south - dy, east + dx, north + dy
    scale = WIDTH / (east - west)
    stretch = scale / math.cos(math.radians((south + north) / 2))

    def project(lon: float, lat: float) -> tuple[float, float]:
        return round((lon - west) * scale, 1), round((north - lat) * stretch, 1)

    return project, round((north - south) * stretch), (west, south, east, north)


def _path(shape: Any, project: Any) -> str:  # noqa: ANN401 (shapely has no types)
    parts: Iterable[Any] = shapely.get_parts(shape)
    rings = (" ".join(f"{x},{y}" for x, y in (project(*xy) for xy in p.exterior.coords)) for p in parts)
    return "".join(f"M{ring}Z" for ring in rings)


def _chart(rows: pa.Table, offset: int) -> dict[str, Any] | None:
    """Return the total of all shown cells over time, with its interval, as SVG paths; None if none is."""
    buckets = by_start(rows)
    if len(buckets.key) == 0:
        return None
    width, height = _CHART
    top = float(np.nanmax(buckets.mean + buckets.half)) * 1.08
    x = np.linspace(44, width - 8, len(buckets.key)) if len(buckets.key) > 1 else np.array([width / 2])

    def y(values: Floats) -> Floats:
        return np.round(height - 24 - values / top * (height - 34), 1)

    upper = list(zip(np.round(x, 1), y(buckets.mean + buckets.half), strict=True))
    lower = list(zip(np.round(x, 1), y(np.maximum(buckets.mean - buckets.half, 0)), strict=True))
    line = list(zip(np.round(x, 1), y(buckets.mean), strict=True))
    names = [instant_text(int(start), offset) for start in buckets.key]
    days = [i for i, name in enumerate(names) if "T00:00" in name]
    return {
        "width": width,
        "height": height,
        "band": "M" + " ".join(f"{a},{b}" for a, b in upper + lower[::-1]) + "Z",
        "line": "M" + " ".join(f"{a},{b}" for a, b in line),
        "ticks": [(float(np.round(x[i], 1)), names[i][5:10]) for i in days],
        "levels": [(float(y(np.array([v]))[0]), f"{v:,.0f}") for v in _levels(top)],
        "half": f"{float(np.nanmean(buckets.half)):,.0f}",
    }


def _levels(top: float) -> list[float]:
    step = 10 ** math.floor(math.log10(top))
    step = step if top / step >= 3 else step / 2 if top / step >= 1.5 else step / 4
    return [step * i for i in range(int(top / step) + 1)]


def _time_text(instant: int, offset: int) -> str:
    text = instant_text(instant, offset)
    return f"{text[:10]} {text[11:16]}"
