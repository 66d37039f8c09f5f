"""Files of a release read back by other tools, and the map as a picture."""

from __future__ import annotations

import csv
import errno
import io
import json
from itertools import pairwise
from pathlib import Path

import h3.api.numpy_int as h3i
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from matplotlib.figure import Figure
from matplotlib.image import imread

from passersby.errors import DiskFull, OperationError, UsageError
from passersby.model.cells import from_text
from passersby.model.period import DAY, Span
from passersby.model.release import COARSE, LOW_PRECISION, SUPPRESSED
from passersby.model.schema import ROWS
from passersby.render import export
from passersby.render.caption import Caption
from passersby.render.classes import classes, number, round_two
from passersby.render.map import _legend, draw
from passersby.render.pooled import by_cell, by_start
from passersby.render.sdmx import About
from passersby.render.shapes import cell_shape, countries, outlines_in
from passersby.render.towns import nearest_town, towns_in

pytestmark = pytest.mark.slow

OFFSET = 7200
START = 1_778_450_400
ABOUT = About("r1", "presence", "device-hours", "hour", Span(START, START + 7 * DAY), (1,), 3, OFFSET)
CELLS = sorted(int(c) for c in h3i.grid_disk(h3i.latlng_to_cell(47.37, 8.54, 6), 1))


def rows() -> pa.Table:
    """Seven cells, two hours: one suppressed, one coarse, one imprecise."""
    made: list[tuple[object, ...]] = []
    for i, cell in enumerate(CELLS):
        for start in (START, START + 3600):
            if i == 0:
                made.append((cell, start, None, None, None, None, SUPPRESSED))
            else:
                flag = {1: COARSE, 2: LOW_PRECISION}.get(i, "")
                made.append((cell, start, 100.0 * i, 100.0 * i - 19.6, 100.0 * i + 19.6, 100 * i, flag))
    return pa.Table.from_pylist([dict(zip(ROWS.names, row, strict=True)) for row in made], schema=ROWS)


def test_csv_is_read_by_any_tool(tmp_path: Path) -> None:
    export.write(rows(), tmp_path / "o.csv", ABOUT)
    with (tmp_path / "o.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == ["cell", "start", "estimate", "low", "high", "count", "flag"]
    assert len(found) == 14
    assert from_text(found[0]["cell"]) == CELLS[0]
    assert found[0]["start"] == "2026-05-11T00:00:00+02:00"
    assert found[0]["estimate"] == found[0]["count"] == ""
    assert float(found[-1]["estimate"]) == 600


def test_geoparquet_has_outlines_and_metadata(tmp_path: Path) -> None:
    export.write(rows(), tmp_path / "o.parquet", ABOUT)
    table = pq.read_table(tmp_path / "o.parquet")
    geo = json.loads(table.schema.metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["columns"]["geometry"]["encoding"] == "WKB"
    outline = shapely.from_wkb(table["geometry"][2].as_py())
    lat, lon = h3i.cell_to_latlng(CELLS[1])
    assert outline.contains(shapely.Point(lon, lat))
    assert table["start"][0].as_py().isoformat() == "2026-05-10T22:00:00+00:00"
    assert table["estimate"][0].as_py() is None


def test_geojson_is_a_feature_collection(tmp_path: Path) -> None:
    export.write(rows(), tmp_path / "o.geojson", ABOUT)
    document = json.loads((tmp_path / "o.geojson").read_text(encoding="utf-8"))
    assert document["type"] == "FeatureCollection"
    assert document["features"][0]["properties"]["flag"] == SUPPRESSED
    assert shapely.geometry.shape(document["features"][3]["geometry"]).is_valid


def test_an_unknown_ending_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="format"):
        export.check_format(tmp_path / "answer.xlsx")


def test_a_full_disk_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DiskFull):
        export.write(rows(), tmp_path / "o.csv", ABOUT)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        export.check_format(tmp_path / "nowhere" / "o.csv")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "o.csv").mkdir()
    with pytest.raises(OperationError, match=r"o\.csv"):
        export.write(rows(), tmp_path / "o.csv", ABOUT)


def test_pooling_adds_up_means_and_variances() -> None:
    cells = by_cell(rows())
    assert cells.key.tolist() == CELLS
    assert np.isnan(cells.mean[0])
    assert cells.mean[6] == 600
    assert cells.half[6] == pytest.approx(19.6 / np.sqrt(2))
    assert cells.coarse.tolist() == [False, True, False, False, False, False, False]
    starts = by_start(rows())
    assert starts.mean.tolist() == [2100, 2100]
    assert starts.half[0] == pytest.approx(19.6 * np.sqrt(6))


def test_the_map_is_drawn() -> None:
    caption = Caption("Presence", "two hours", "device-hours", "hour", "epsilon 1", OFFSET)
    picture = imread(io.BytesIO(draw(rows(), caption)), format="png")
    assert picture.shape[:2] == (1000, 1600)
    assert len(np.unique((picture[100:900, 50:1050, :3] * 255).astype(int).reshape(-1, 3), axis=0)) > 20


def test_a_map_with_nothing_to_show_is_drawn_too() -> None:
    hidden = rows().filter(pa.array([flag == SUPPRESSED for flag in rows()["flag"].to_pylist()]))
    assert draw(hidden, Caption("Presence", "", "device-hours", "hour", "", OFFSET)).startswith(b"\x89PNG")


def test_classes_rise() -> None:
    for values in ([1.0], [3.0, 3.0], [0.1, 5, 900], [np.nan, 2, 4], [np.nan], [0.0], [-3.0, -1.0]):
        limits = classes(np.array(values, dtype=float))
        assert len(limits) >= 2
        assert all(low < high for low, high in pairwise(limits))


def test_numbers_for_people() -> None:
    assert [round_two(v) for v in (0, 1234, 0.0123)] == [0, 1200, 0.012]
    assert [number(v) for v in (1234.6, 0.123, 9.99)] == ["1,235", "0.12", "10"]


def test_a_cell_over_the_antimeridian_is_cut() -> None:
    outline = cell_shape(h3i.latlng_to_cell(-16.8, 179.999, 5))
    west, _, east, _ = outline.bounds
    assert (west, east) == (-180, 180)
    assert outline.area < 1
    assert outline.is_valid


def test_outlines_and_towns_are_where_they_should_be() -> None:
    assert {"CH", "FR", "NO"} <= {code for code, _ in countries()}
    assert any(p.contains(shapely.Point(8.54, 47.37)) for p in outlines_in(5.5, 45.5, 11, 48))
    assert "Zürich" in nearest_town(h3i.latlng_to_cell(47.37, 8.54, 7))


def test_no_town_is_named_at_the_edge_of_the_map() -> None:
    (_, lat, lon), *_ = towns_in((5.9, 45.8, 10.5, 47.8), 1)
    assert towns_in((lon - 0.01, 45.8, 10.5, 47.8), 14)[0][1:] != (lat, lon)


def test_the_legend_ends_with_the_suppressed() -> None:
    axes = Figure().add_subplot()
    limits = [0.0, 1.0, 2.0]
    _legend(axes, limits, ["#ffffff", "#000000"], Caption("", "", "device-hours", "hour", "", OFFSET))
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["1 to 2", "0 to 1", "suppressed"]
