"""Writes a release's rows as GeoParquet, CSV or GeoJSON, whole or not at all."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
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
from passersby.render.shapes import cell_shape

_GEO = {
    "version": "1.1.0",
    "primary_column": "geometry",
    "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Polygon", "MultiPolygon"]}},
}
"""GeoParquet 1.1 file metadata; no CRS entry means OGC:CRS84, longitude and latitude."""


def write(rows: pa.Table, path: Path, offset: int) -> None:
    """Write `rows` (`model.schema.ROWS`) to `path`, whose ending chooses the format.

    Raises:
        UsageError: the ending is none of .parquet, .csv, .geojson.
        DiskFull: there is no room.
        OperationError: the file cannot be written.
    """
    writer = check_format(path)
    part = path.with_name(f".{path.name}.part")
    try:
        writer(rows, part, offset)
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


def check_format(path: Path) -> Callable[[pa.Table, Path, int], None]:
    """Return the writer for the ending of `path`: a question is paid for only if its answer can be written.

    Raises:
        UsageError: the ending is none of .parquet, .csv, .geojson, or the folder is not there.
    """
    if not path.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {path.parent}.", "Make it first, or choose another with --out.")
    writers = {".parquet": _parquet, ".csv": _csv, ".geojson": _geojson}
    try:
        return writers[path.suffix.lower()]
    except KeyError:
        raise UsageError(
            "The name of the output does not say which format it has.",
            "End it with .parquet, .csv or .geojson.",
        ) from None


def records(rows: pa.Table, offset: int) -> list[dict[str, Any]]:
    """Return rows as plain dictionaries: cell by name, start as ISO 8601."""
    return [
        {**row, "cell": to_text(row["cell"]), "start": instant_text(row["start"], offset)}
        for row in rows.to_pylist()
    ]


def _named(rows: pa.Table, offset: int) -> pa.Table:
    names = {cell: to_text(cell) for cell in set(rows["cell"].to_pylist())}
    texts = {start: instant_text(start, offset) for start in set(rows["start"].to_pylist())}
    table = rows.set_column(0, "cell", pa.array([names[c] for c in rows["cell"].to_pylist()]))
    return table.set_column(1, "start", pa.array([texts[s] for s in rows["start"].to_pylist()]))


def _parquet(rows: pa.Table, path: Path, offset: int) -> None:
    outlines = {cell: shapely.to_wkb(cell_shape(cell)) for cell in set(rows["cell"].to_pylist())}
    geometry = pa.array([outlines[cell] for cell in rows["cell"].to_pylist()], pa.binary())
    start = rows["start"].cast(pa.timestamp("s")).cast(pa.timestamp("ms", tz="UTC"))
    table = _named(rows, offset).set_column(1, "start", start).append_column("geometry", geometry)
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(_GEO)}), path, compression="zstd")


def _csv(rows: pa.Table, path: Path, offset: int) -> None:
    pacsv.write_csv(_named(rows, offset), path, pacsv.WriteOptions(quoting_style="none"))


def _geojson(rows: pa.Table, path: Path, offset: int) -> None:
    outlines = {cell: mapping(cell_shape(cell)) for cell in set(rows["cell"].to_pylist())}
    features = [
        {"type": "Feature", "geometry": outlines[cell], "properties": record}
        for cell, record in zip(rows["cell"].to_pylist(), records(rows, offset), strict=True)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
