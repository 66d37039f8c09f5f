"""Writes a release's rows as GeoParquet, CSV, GeoJSON or SDMX-CSV, whole or not at all."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import shapely
from shapely.geometry import mapping

from passersby.errors import DiskFull, OperationError, UsageError
from passersby.model.cells import to_text
from passersby.model.period import instant_text
from passersby.model.schema import NAMED, PAIR, PLACE, ZONE, ZONE_PAIR, place_of
from passersby.render import sdmx
from passersby.render.sdmx import About
from passersby.render.shapes import cell_centre, cell_shape, way_shape, zone_centre, zone_shape

_Key = tuple[Any, ...]


def write(rows: pa.Table, path: Path, about: About) -> None:
    """Write rows with places, and perhaps with starts, to `path`, whose ending chooses the format.

    Raises:
        UsageError: the ending is none of .parquet, .csv, .geojson, .sdmx.csv.
        DiskFull: there is no room.
        OperationError: the file cannot be written.
    """
    writer = check_format(path)
    part = path.with_name(f".{path.name}.part")
    try:
        writer(rows, part, about)
        part.replace(path)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull(
                "The disk is full.", "Free some space; the answer is stored, ask again."
            ) from error
        raise OperationError(
            f"{path.name} cannot be written: {os.strerror(error.errno or 0)}.",
            "Choose another place with --out; the answer is stored, asking again is free.",
        ) from error
    finally:
        part.unlink(missing_ok=True)


def check_format(path: Path) -> Callable[[pa.Table, Path, About], None]:
    """Return the writer for the ending of `path`: a question is paid for only if its answer can be written.

    Raises:
        UsageError: the ending is none of .parquet, .csv, .geojson, .sdmx.csv, or the folder is not there.
    """
    if not path.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {path.parent}.", "Make it first, or choose another with --out.")
    for ending, writer in _WRITERS.items():
        if path.name.lower().endswith(ending):
            return writer
    raise UsageError(
        "The name of the output does not say which format it has.",
        "End it with .parquet, .csv, .geojson or .sdmx.csv.",
    )


def records(rows: pa.Table, offset: int) -> list[dict[str, Any]]:
    """Return rows as plain dictionaries: cells by name, start as ISO 8601."""
    return _named(rows, offset).to_pylist()  # type: ignore[no-any-return]


def _named(rows: pa.Table, offset: int) -> pa.Table:
    """Return the rows with cells by name and, where they have them, starts as ISO 8601."""
    words: dict[str, Callable[[Any], str]] = {"start": partial(instant_text, offset=offset)}
    if place_of(rows) not in NAMED:
        words |= dict.fromkeys(place_of(rows), to_text)
    for name, text in words.items():
        if name not in rows.schema.names:
            continue
        values = rows[name].to_pylist()
        known = {value: text(value) for value in set(values)}
        rows = rows.set_column(rows.schema.get_field_index(name), name, pa.array([known[v] for v in values]))
    return rows


def _shapes(rows: pa.Table, form: Callable[[Any], Any], about: About) -> list[Any]:
    """Return the shape of each row in some form: outline of a cell or zone, or line from one to another."""
    place = place_of(rows)
    outline = cache(lambda name: zone_shape(about.zones, about.resolution, name))
    centre = cache(lambda name: zone_centre(outline(name)))
    shapes: dict[tuple[str, ...], Callable[..., Any]] = {
        PLACE: cell_shape,
        PAIR: lambda origin, destination: way_shape(cell_centre(origin), cell_centre(destination)),
        ZONE: outline,
        ZONE_PAIR: lambda origin, destination: way_shape(centre(origin), centre(destination)),
    }
    shape = shapes[place]
    keys: list[_Key] = list(zip(*(rows[name].to_pylist() for name in place), strict=True))
    known = {key: form(shape(*key)) for key in set(keys)}
    return [known[key] for key in keys]


def _parquet(rows: pa.Table, path: Path, about: About) -> None:
    geometry = pa.array(_shapes(rows, shapely.to_wkb, about), pa.binary())
    table = _named(rows, about.offset)
    if "start" in rows.schema.names:
        start = rows["start"].cast(pa.timestamp("s")).cast(pa.timestamp("ms", tz="UTC"))
        table = table.set_column(table.schema.get_field_index("start"), "start", start)
    table = table.append_column("geometry", geometry)
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(_geo(rows))}), path, compression="zstd")


def _geo(rows: pa.Table) -> dict[str, Any]:
    """Return GeoParquet 1.1 file metadata; no CRS entry means OGC:CRS84, longitude and latitude."""
    types = ["Polygon", "MultiPolygon"]
    if place_of(rows) in {PAIR, ZONE_PAIR}:
        types = ["LineString", "MultiLineString", "Point"]
    column = {"encoding": "WKB", "geometry_types": types}
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}


def _csv(rows: pa.Table, path: Path, about: About) -> None:
    quoting = "needed" if place_of(rows) in NAMED else "none"
    pacsv.write_csv(_named(rows, about.offset), path, pacsv.WriteOptions(quoting_style=quoting))


def _geojson(rows: pa.Table, path: Path, about: About) -> None:
    features = [
        {"type": "Feature", "geometry": shape, "properties": record}
        for shape, record in zip(_shapes(rows, mapping, about), records(rows, about.offset), strict=True)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")


_WRITERS: dict[str, Callable[[pa.Table, Path, About], None]] = {
    sdmx.ENDING: sdmx.write,  # before .csv, which its ending ends with
    ".parquet": _parquet,
    ".csv": _csv,
    ".geojson": _geojson,
}
