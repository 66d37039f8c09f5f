"""Files of zones: three formats give the same zones; what cannot be read is said."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapefile
import shapely
from shapely.geometry import box, mapping

from passersby.errors import BadRecord
from passersby.sources.zones import read_zones

SHAPES = {"west": box(8.0, 47.0, 8.5, 47.4), "east": box(8.5, 47.0, 9.0, 47.4)}
GEO = {"version": "1.1.0", "primary_column": "geometry"}


def _geojson(path: Path, **more: object) -> Path:
    features = [
        {"type": "Feature", "properties": {"name": name}, "geometry": mapping(shape)}
        for name, shape in SHAPES.items()
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features, **more}))
    return path


def _parquet(path: Path, **column: object) -> Path:
    about = {**GEO, "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Polygon"], **column}}}
    table = pa.table({"name": list(SHAPES), "geometry": [shapely.to_wkb(s) for s in SHAPES.values()]})
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(about)}), path)
    return path


def _shapefile(path: Path) -> Path:
    with shapefile.Writer(str(path)) as writer:
        writer.field("name", "C")
        for name, shape in SHAPES.items():
            writer.shape(mapping(shape))
            writer.record(name)
    return path


def test_three_formats_give_the_same_zones(tmp_path: Path) -> None:
    files = [
        _geojson(tmp_path / "z.geojson"),
        _parquet(tmp_path / "z.parquet"),
        _shapefile(tmp_path / "z.shp"),
    ]
    found = [read_zones(path, "name", finest=7) for path in files]
    assert found[0].names == ("east", "west")
    assert found[0] == found[1] == found[2]


def test_features_of_one_name_are_one_zone(tmp_path: Path) -> None:
    path = _geojson(tmp_path / "z.geojson")
    document = json.loads(path.read_text())
    for feature in document["features"]:
        feature["properties"]["name"] = "both"
    path.write_text(json.dumps(document))
    whole = read_zones(_geojson(tmp_path / "y.geojson"), "name", finest=7)
    assert read_zones(path, "name", finest=7).area == whole.area


def test_another_column_may_hold_the_names(tmp_path: Path) -> None:
    with pytest.raises(BadRecord, match="has no 'code'") as caught:
        read_zones(_geojson(tmp_path / "z.geojson"), "code")
    assert "there are: name" in caught.value.next_step


def test_projected_coordinates_are_refused(tmp_path: Path) -> None:
    other = {"crs": {"id": {"authority": "EPSG", "code": 2056}}}
    with pytest.raises(BadRecord, match="another coordinate system"):
        read_zones(_parquet(tmp_path / "z.parquet", **other), "name")
    with pytest.raises(BadRecord, match="another coordinate system"):
        read_zones(_geojson(tmp_path / "z.geojson", crs={"properties": {"name": "EPSG:2056"}}), "name")
    path = _shapefile(tmp_path / "z.shp")
    path.with_suffix(".prj").write_text('PROJCS["CH1903+_LV95",GEOGCS["GCS_CH1903+"]]')
    with pytest.raises(BadRecord, match="projected"):
        read_zones(path, "name")


@pytest.mark.parametrize("name", ["z.geojson", "z.parquet", "z.shp", "z.txt"])
def test_files_that_are_no_zones(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(BadRecord):
        read_zones(path, "name")
    path.write_bytes(b"nonsense")
    with pytest.raises(BadRecord) as caught:
        read_zones(path, "name")
    assert caught.value.next_step


def test_geojson_that_is_no_collection(tmp_path: Path) -> None:
    path = tmp_path / "z.geojson"
    path.write_text(json.dumps(mapping(SHAPES["west"])))
    with pytest.raises(BadRecord, match="not a collection"):
        read_zones(path, "name")


def test_parquet_without_geometry(tmp_path: Path) -> None:
    path = tmp_path / "z.parquet"
    pq.write_table(pa.table({"name": ["a"]}), path)
    with pytest.raises(BadRecord, match="says nothing of its geometry"):
        read_zones(path, "name")
