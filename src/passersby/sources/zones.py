"""Reads zones from GeoJSON, GeoParquet and Shapefile: named polygons in longitude and latitude."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import shapefile
import shapely
import shapely.ops
from shapely.geometry import shape as to_shape

from passersby.errors import BadRecord, PassersbyError
from passersby.model.cells import FINEST
from passersby.model.zones import Zones

_CRS = "Give longitude and latitude on WGS 84 (EPSG:4326): reproject the file first."
_KINDS = "End the name with .geojson, .parquet (GeoParquet) or .shp."

Feature = tuple[dict[str, Any], Any]
"""Properties and a shapely geometry."""


def read_zones(path: Path, name: str, *, finest: int = FINEST) -> Zones:
    """Return the zones of a file. Features of one name are one zone.

    Args:
        path: .geojson or .json (RFC 7946), .parquet (GeoParquet 1.1, WKB) or .shp with its .dbf.
        name: property or column that holds the names.
        finest: finest resolution of the zones' cells.

    Raises:
        BadRecord: the file cannot be read, has another coordinate system, or no such property; a zone is not
            valid, or two overlap.
        UsageError: there are no zones, or too many.
    """
    readers = {".geojson": _geojson, ".json": _geojson, ".parquet": _parquet, ".shp": _shapefile}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise BadRecord(f"The kind of {path.name} is not known.", _KINDS)
    try:
        features = list(reader(path))
    except PassersbyError:
        raise
    except FileNotFoundError:
        raise BadRecord(f"There is no file {path}.", "Name a file of zones.") from None
    except Exception as error:  # three libraries, each with many errors of its own for a damaged file
        raise BadRecord(f"{path.name} cannot be read as zones.", _KINDS) from error
    return Zones.from_shapes(_named(features, name, path), finest=finest)


def _named(features: Iterable[Feature], name: str, path: Path) -> dict[str, Any]:
    parts: dict[str, list[Any]] = {}
    for properties, geometry in features:
        if properties.get(name) is None:
            known = ", ".join(sorted(properties)) or "none"
            raise BadRecord(
                f"A feature of {path.name} has no {name!r}.",
                f"Name the column of the zones' names with --zone-name; there are: {known}.",
            )
        parts.setdefault(str(properties[name]), []).append(geometry)
    return {key: own[0] if len(own) == 1 else shapely.union_all(own) for key, own in parts.items()}


def _geojson(path: Path) -> Iterable[Feature]:
    document = json.loads(path.read_text(encoding="utf-8"))
    if document.get("type") != "FeatureCollection":
        raise BadRecord(f"{path.name} is not a collection of features.", "Give a GeoJSON FeatureCollection.")
    if "crs" in document and "CRS84" not in str(document["crs"]) and "4326" not in str(document["crs"]):
        raise BadRecord(f"{path.name} has another coordinate system.", _CRS)
    for feature in document["features"]:
        yield feature.get("properties") or {}, to_shape(feature["geometry"])


def _parquet(path: Path) -> Iterable[Feature]:
    table = pq.read_table(path)
    described = (table.schema.metadata or {}).get(b"geo")
    if described is None:
        raise BadRecord(f"{path.name} says nothing of its geometry.", "Write it as GeoParquet.")
    geo = json.loads(described)
    primary = geo["primary_column"]
    column = geo["columns"][primary]
    if column["encoding"] != "WKB":
        raise BadRecord(f"The geometry of {path.name} is not WKB.", "Write it as GeoParquet with WKB.")
    crs = column.get("crs")
    if crs is not None and crs.get("id", {}).get("code") not in {"CRS84", 4326, "4326"}:
        raise BadRecord(f"{path.name} has another coordinate system.", _CRS)
    shapes = shapely.from_wkb(table[primary].to_pylist())
    words = table.select(
        [f.name for f in table.schema if f.name != primary and not pa.types.is_nested(f.type)]
    )
    yield from zip(words.to_pylist(), shapes, strict=True)


def _shapefile(path: Path) -> Iterable[Feature]:
    described = path.with_suffix(".prj")
    if described.exists() and "PROJCS" in described.read_text(encoding="utf-8", errors="replace").upper():
        raise BadRecord(f"{path.name} has projected coordinates.", _CRS)
    with shapefile.Reader(str(path)) as reader:
        for item in reader.iterShapeRecords():
            yield item.record.as_dict(), to_shape(item.shape.__geo_interface__)
