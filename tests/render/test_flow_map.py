"""Pairs of cells and bins in files and pictures."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import h3.api.numpy_int as h3i
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import FancyArrowPatch

from passersby.model.bins import Bin, Derived, Quantile, Ratio, histogram
from passersby.model.period import DAY, Span
from passersby.model.question import WHOLE
from passersby.model.release import SUPPRESSED
from passersby.model.schema import PAIR, PLACE, rows_of
from passersby.render import arrows, export, ground, panels
from passersby.render.caption import Caption
from passersby.render.map import draw
from passersby.render.pooled import by_bin, by_cell, by_pair, counted, of_label
from passersby.render.sdmx import About
from passersby.render.shapes import bearing, cell_centre, cell_shape, outlines_in, together, way_shape
from passersby.render.towns import nearest_town, towns_in

pytestmark = pytest.mark.slow

START = 1_778_457_600
CELLS = sorted(int(c) for c in h3i.grid_disk(h3i.latlng_to_cell(47.37, 8.54, 6), 1))
WEST, EAST = (int(h3i.latlng_to_cell(-16.9, lon, 6)) for lon in (179.8, -179.8))
LENGTHS = histogram(0, 1, 5, unit="km")
MEDIAN = (Quantile("median", 0.5),)
MEAN = (Bin("sum", factor=0.5, counted=False), Bin("count", factor=0.01))
RATIO = (Ratio("mean", ("sum",), ("count",)),)


def pairs(cells: list[int] = CELLS, starts: int = 2) -> pa.Table:
    """All pairs of some cells; the first of them is suppressed."""
    schema = rows_of(PAIR, binned=False)
    made: list[tuple[object, ...]] = []
    for i, (origin, destination) in enumerate((a, b) for a in cells for b in cells):
        for start in range(START, START + starts * 3600, 3600):
            own: tuple[object, ...] = (100.0 * i, 100.0 * i - 19.6, 100.0 * i + 19.6, 100 * i, "")
            hidden = (None, None, None, None, SUPPRESSED)
            made.append((origin, destination, start, *(own if i else hidden)))
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in made], schema=schema)


def binned(bins: tuple[Bin, ...], derived: tuple[Derived, ...], starts: int = 2) -> pa.Table:
    """Cells with bins of 100, 200, .. and derived values of 3, each within a tenth; one is suppressed."""
    schema = rows_of(PLACE, binned=True)
    made: list[tuple[object, ...]] = []
    labels = [(each.label, 100.0 * i) for i, each in enumerate(bins, 1)] + [
        (each.label, 3.0) for each in derived
    ]
    for i, cell in enumerate(CELLS):
        for start in range(START, START + starts * 3600, 3600):
            for label, value in labels:
                own: tuple[object, ...] = (value, 0.9 * value, 1.1 * value, None, "")
                made.append((cell, start, label, *(own if i else (None, None, None, None, SUPPRESSED))))
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in made], schema=schema)


ABOUT = About("r1", "flows", "trips", "hour", Span(START, START + 7 * DAY), (1,), 3, 0)


def caption(every: str = "hour", bins: tuple[Bin, ...] = (), derived: tuple[Derived, ...] = ()) -> Caption:
    return Caption("Flows", "two hours", "trips", every, "epsilon 1", 0, bins, derived)


def test_pairs_in_csv_name_both_cells(tmp_path: Path) -> None:
    export.write(pairs(), tmp_path / "o.csv", ABOUT)
    with (tmp_path / "o.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert list(found[0])[:4] == ["origin", "destination", "start", "estimate"]
    assert [found[-1][end] for end in PAIR] == [f"{CELLS[-1]:x}"] * 2
    assert found[2]["start"] == "2026-05-11T00:00:00+00:00"


def test_bins_in_csv_are_named(tmp_path: Path) -> None:
    export.write(binned(LENGTHS, MEDIAN), tmp_path / "o.csv", ABOUT)
    with (tmp_path / "o.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["bin"] for row in found[:4]] == ["0-1 km", "1-5 km", "5+ km", "median"]


def test_geoparquet_of_pairs_has_lines_cut_lines_and_points(tmp_path: Path) -> None:
    export.write(pairs([WEST, EAST]), tmp_path / "o.parquet", ABOUT)
    table = pq.read_table(tmp_path / "o.parquet")
    kinds = json.loads(table.schema.metadata[b"geo"])["columns"]["geometry"]["geometry_types"]
    assert kinds == ["LineString", "MultiLineString", "Point"]
    shapes = dict(
        zip(zip(*(table[end].to_pylist() for end in PAIR), strict=True), table["geometry"], strict=True)
    )
    lines = {key: shapely.from_wkb(value.as_py()) for key, value in shapes.items()}
    west, east = f"{WEST:x}", f"{EAST:x}"
    assert {key: shape.geom_type for key, shape in lines.items()} == {
        (west, west): "Point",
        (east, east): "Point",
        (west, east): "MultiLineString",
        (east, west): "MultiLineString",
    }
    assert all(shape.geom_type in kinds for shape in lines.values())
    assert way_shape(cell_centre(CELLS[0]), cell_centre(CELLS[1])).geom_type == "LineString"


@pytest.mark.parametrize(("origin", "destination"), [(WEST, EAST), (EAST, WEST)])
def test_a_line_over_the_antimeridian_is_as_long_as_the_way(origin: int, destination: int) -> None:
    line = way_shape(cell_centre(origin), cell_centre(destination))
    (first, last) = (shapely.get_coordinates(part) for part in shapely.get_parts(line))
    ends = [h3i.cell_to_latlng(cell)[::-1] for cell in (origin, destination)]
    assert first[0] == pytest.approx(ends[0])
    assert last[-1] == pytest.approx(ends[1])
    assert abs(first[-1][0]) == abs(last[0][0]) == 180
    assert first[-1][1] == last[0][1]
    assert line.length < 0.5


def test_geojson_of_pairs_is_valid(tmp_path: Path) -> None:
    export.write(pairs([WEST, EAST]), tmp_path / "o.geojson", ABOUT)
    features = json.loads((tmp_path / "o.geojson").read_text(encoding="utf-8"))["features"]
    assert {feature["geometry"]["type"] for feature in features} == {"Point", "MultiLineString"}
    assert all(shapely.geometry.shape(feature["geometry"]).is_valid for feature in features)


def test_pooling_pairs() -> None:
    found = by_pair(pairs())
    assert found.key.tolist() == [[a, b] for a in CELLS for b in CELLS]
    assert np.isnan(found.mean[0])
    assert found.mean[1:].tolist() == [100.0 * i for i in range(1, 49)]
    assert found.half[1] == pytest.approx(19.6 / np.sqrt(2))
    assert found.largest(3).tolist() == [48, 47, 46]
    assert found.largest(3, found.between).tolist() == [47, 46, 45]
    assert len(found.largest(100)) == 48


def test_pooling_bins_counts_what_can_be_added_up_once() -> None:
    rows = binned(LENGTHS, MEDIAN)
    cells = by_cell(counted(rows, caption(bins=LENGTHS).counted))
    assert cells.mean[1:].tolist() == [600.0] * 6
    assert cells.half[1] == pytest.approx(np.sqrt((10**2 + 20**2 + 30**2) / 2))
    assert by_bin(rows, caption(bins=LENGTHS).counted).mean.tolist() == [600.0, 1200.0, 1800.0]
    sums = binned(MEAN, RATIO)
    assert by_cell(counted(sums, caption(bins=MEAN).counted)).mean[1:].tolist() == [200.0] * 6
    mean, reach = of_label(sums, np.array(CELLS[:2]), "mean")
    assert np.isnan(mean[0])
    assert mean[1] == pytest.approx(3)
    assert reach[:, 1] == pytest.approx([0.3 / np.sqrt(2)] * 2)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (pairs(), caption()),
        (pairs(starts=1), caption(WHOLE)),
        (pairs(CELLS[:1]), caption()),
        (pairs([WEST, EAST]), caption()),
        (binned(LENGTHS, MEDIAN), caption(bins=LENGTHS, derived=MEDIAN)),
        (binned(LENGTHS, ()), caption(bins=LENGTHS)),
        (binned(MEAN, RATIO), caption(bins=MEAN, derived=RATIO)),
        (binned(MEAN, RATIO, starts=1), caption(WHOLE, MEAN, RATIO)),
    ],
)
def test_every_kind_of_release_is_drawn(rows: pa.Table, words: Caption) -> None:
    picture = imread(io.BytesIO(draw(rows, words)), format="png")
    assert picture.shape[:2] == (1000, 1600)


def test_flows_are_arrows_and_dots_the_largest_on_top() -> None:
    axes = Figure().add_subplot()
    arrows.draw(axes, by_pair(pairs()), ground.CELLS, caption())
    drawn = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    assert len(drawn) == 42
    assert len(axes.lines) == 6
    widths = [arrow.get_linewidth() for arrow in drawn]
    assert widths == sorted(widths)
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_texts()[0].get_text().endswith("4,800")
    assert "largest" not in legend.get_title().get_text()


def test_the_legend_says_when_not_all_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrows, "MOST", 5)
    axes = Figure().add_subplot()
    arrows.draw(axes, by_pair(pairs()), ground.CELLS, caption())
    legend = axes.get_legend()
    assert legend is not None
    assert "largest 5 of 48 shown pairs" in legend.get_title().get_text()


def _words(figure: Figure) -> str:
    axes = [text for part in figure.axes for text in (part.title, *part.texts, *part.get_yticklabels())]
    titles = [part.get_title("left") for part in figure.axes]
    return "\n".join([text.get_text() for text in (*figure.texts, *axes)] + titles)


def test_where_no_flow_between_cells_is_shown_those_within_cells_are_listed() -> None:
    within, figure = pairs(CELLS[1:2]), Figure()
    within = within.set_column(within.schema.get_field_index("estimate"), "estimate", pa.array([50.0, 70.0]))
    panels.of_pairs(figure, within, by_pair(within), ground.CELLS, caption())
    assert "1 largest flows within cells: trips per hour, mean" in _words(figure)


def test_panels_say_what_they_show() -> None:
    flows, lengths, means = Figure(), Figure(), Figure()
    panels.of_pairs(flows, pairs(), by_pair(pairs()), ground.CELLS, caption())
    assert "10 largest flows between cells: trips per hour, mean" in _words(flows)
    assert "All shown pairs: trips every hour, 95% interval" in _words(flows)
    words = caption(bins=LENGTHS, derived=MEDIAN)
    rows = binned(LENGTHS, MEDIAN)
    panels.of_cells(lengths, rows, by_cell(counted(rows, words.counted)), ground.CELLS, words)
    assert "6 largest cells: median, mean of all hours" in _words(lengths)
    assert [text.get_text() for text in lengths.axes[0].get_xticklabels()] == ["0-1 km", "1-5 km", "5+ km"]
    words = caption(WHOLE, MEAN, RATIO)
    rows = binned(MEAN, RATIO, starts=1)
    panels.of_cells(means, rows, by_cell(counted(rows, words.counted)), ground.CELLS, words)
    assert "6 largest cells: mean\n" in _words(means)
    assert "6 largest cells: trips in all" in _words(means)


def test_a_way_is_named_by_towns_or_by_its_direction() -> None:
    zurich, bern = (int(h3i.latlng_to_cell(*place, 7)) for place in ((47.37, 8.54), (46.95, 7.44)))
    assert ground.CELLS.way(zurich, bern) == "Zürich → Bern"
    north = next(c for c in sorted(h3i.grid_disk(zurich, 1)) if h3i.cell_to_latlng(c)[0] > 47.385)
    assert ground.CELLS.way(zurich, int(north)).startswith("near Zürich, north")
    assert ground.CELLS.way(zurich, zurich) == "near Zürich"


def test_directions_are_told_over_the_antimeridian_too() -> None:
    assert (bearing(WEST, EAST), bearing(EAST, WEST)) == ("eastwards", "westwards")
    north, south = (int(h3i.latlng_to_cell(lat, 8.5, 6)) for lat in (48.0, 47.0))
    assert (bearing(south, north), bearing(north, south)) == ("northwards", "southwards")


def test_a_map_over_the_antimeridian_is_one_piece() -> None:
    cells = [cell_shape(int(cell)) for cell in h3i.grid_disk(int(h3i.latlng_to_cell(-16.9, 180.0, 6)), 3)]
    whole = shapely.GeometryCollection(together(cells))
    west, south, east, north = whole.bounds
    assert 179 < west < 180 < east < 181
    assert whole.area == pytest.approx(sum(cell.area for cell in cells))
    assert together(cells[:1]) != [] == together([])
    land = shapely.unary_union(outlines_in(west - 3, south - 1, east + 1, north + 1))
    assert land.bounds[0] < 178.5
    assert land.bounds[2] > 180
    names = {name: lon for name, _, lon in towns_in((176.0, -20.0, 186.0, -13.0), 14)}
    assert names["Labasa"] < 180 < max(names.values())
    axes = Figure().add_subplot(xlim=(179, 181))
    arrows.draw(axes, by_pair(pairs([WEST, EAST])), ground.CELLS, caption())
    assert [float(np.asarray(line.get_xdata())[0]) for line in axes.lines] == pytest.approx([180.2], abs=0.1)
    assert {nearest_town(WEST), nearest_town(EAST)} <= set(names)


def test_axes_for_names_leave_room_for_them() -> None:
    figure = Figure()
    short, long = (panels._named(figure, (0.7, 0.1, 0.24, 0.3), [name], "") for name in ("a", "a" * 20))
    assert isinstance(short, Axes)
    assert short.get_position().x0 < long.get_position().x0 < 0.7 + 0.56 * 0.24
