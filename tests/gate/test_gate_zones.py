"""Questions on zones: measured as zones, adding up to their union, refused where they cannot be."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import shapely
from shapely.geometry import box

import worlds
from passersby.deployment import comparing, quality, views
from passersby.errors import UsageError
from passersby.gate import running
from passersby.gate.planning import Planned
from passersby.measures.catalogue import CATALOGUE
from passersby.model.schema import ZONE, ZONE_PAIR, rows_of
from passersby.model.zones import ALL, Zones
from passersby.privacy.hierarchy.columns import Columns
from passersby.privacy.hierarchy.counts import prenoise
from passersby.privacy.hierarchy.release import counts_for
from passersby.privacy.hierarchy.zones import EACH
from passersby.privacy.noise import OpenDPSampler
from passersby.render import ground

pytestmark = pytest.mark.slow

CANTONS = {
    "west": box(6.0, 46.0, 7.5, 47.6),
    "middle": box(7.5, 46.0, 8.5, 47.6),
    "east": box(8.5, 46, 10, 47.6),
}


@pytest.fixture(scope="module")
def zones() -> Zones:
    return Zones.from_shapes(CANTONS, finest=8)


def _counted(full: worlds.Asker, zones: Zones, **changed: Any) -> tuple[Planned, dict[int, pa.Table]]:
    """Return the plan of a question, and its counts before the noise."""
    planned = full.d.gate.plan(
        full.request(zones=zones, area=None, **changed), full.actor(), now=worlds.now()
    )
    return planned, running.run(full.d.engine, full.d.lake, planned, now=worlds.now(), renew=worlds.now)


def _vectors(planned: Planned, counts: dict[int, pa.Table]) -> dict[int, Any]:
    """Return the exact counts of each level, in thousandths."""
    columns = Columns(np.array(planned.scope.starts, dtype=np.int64), planned.measure.released_bins)
    given = counts[planned.plan.finest] if planned.measure.additive else counts
    found, tree = counts_for(given, area=planned.question.ground, columns=columns, plan=planned.plan)
    return prenoise(found, tree, planned.plan)


def _exact(full: worlds.Asker, zones: Zones, **changed: Any) -> dict[int, Any]:
    return _vectors(*_counted(full, zones, **changed))


def test_rows_are_zones_with_their_names(full: worlds.Asker, zones: Zones) -> None:
    release = full.ask(zones=zones, area=None, resolution=5, every="day").release
    assert release.rows.schema.equals(rows_of(ZONE, binned=False))
    assert set(release.rows["zone"].to_pylist()) - {ALL} == set(CANTONS)
    assert release.question["zones"] == zones.canonical()
    assert "3 zones" in release.label["name"]
    assert any("border crosses" in limit for limit in release.label["limits"])
    mechanisms = [each["mechanism"] for each in release.label["implementation"]["mechanisms"]]
    assert [text.rpartition(" at ")[2] for text in mechanisms] == ["all zones together", "each zone"]


def test_zones_add_up_to_their_union_and_to_their_cells(full: worlds.Asker, zones: Zones) -> None:
    union, each = _exact(full, zones, resolution=5, every="day").values()
    np.testing.assert_array_equal(each.sum(axis=0), union[0])
    assert each.sum() > 0
    # the same counted cell by cell
    one = Zones.from_shapes({"east": CANTONS["east"]}, finest=8)
    (alone,) = _exact(full, one, resolution=5, every="day").values()
    np.testing.assert_array_equal(alone[0], each[zones.names.index("east")])


def test_estimates_are_those_of_the_zones(full: worlds.Asker, zones: Zones) -> None:
    """Of a panel a hundred times as large, so that no noise hides a zone."""
    planned, counts = _counted(full, zones, resolution=5, every="day")
    found = counts[planned.plan.finest]
    place = found.schema.get_field_index("count")
    many = {planned.plan.finest: found.set_column(place, "count", pc.multiply(found["count"], 100))}
    rows = running.measure(planned, many, OpenDPSampler(1), full.d.config.minimum_devices).rows
    _, each = _vectors(planned, many).values()
    days = planned.scope.starts
    assert rows.num_rows == len(zones.names) * len(days)
    for row in rows.to_pylist():
        truth = each[zones.names.index(row["zone"])][days.index(row["start"])] / 1000
        error = (row["high"] - row["estimate"]) / 1.96
        assert abs(row["estimate"] - truth) < 6.5 * error  # by chance beyond it: 2e-9 for all rows


def test_the_same_zones_in_another_order_are_the_same_question(full: worlds.Asker, zones: Zones) -> None:
    first = full.ask(zones=zones, area=None, resolution=5, every="day")
    again = Zones.from_shapes(dict(reversed(CANTONS.items())), finest=8)
    assert not full.ask(zones=again, area=None, resolution=5, every="day").new
    assert first.new


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"measure": "residents", "every": "whole", "resolution": 7}, "resolution-too-fine"),
        (
            {
                "measure": "residents",
                "every": "whole",
                "resolution": 6,
                "zones": {"small": box(8.5, 47.3, 8.54, 47.34)},
            },
            "area-too-small",
        ),
        (
            {
                "measure": "flows",
                "every": "hour",
                "resolution": 6,
                "zones": {
                    f"{x} {y}": box(6 + x / 5, 46 + y / 5, 6.2 + x / 5, 46.2 + y / 5)
                    for x in range(10)
                    for y in range(8)
                },
            },
            "question-too-large",
        ),
        ({"zones": {"small": box(8.5, 47.3, 8.52, 47.32)}, "resolution": 5}, "area-too-small"),
        ({"zones": {"far": box(20.0, 46.0, 21.0, 47.0)}}, "area-outside-licence"),
    ],
)
def test_refused(full: worlds.Asker, zones: Zones, changed: dict[str, Any], code: str) -> None:
    given = changed.get("zones")
    asked = Zones.from_shapes(given, finest=8) if given else zones
    refused = full.refused(**{"resolution": 5, "every": "day", "area": None, **changed, "zones": asked})
    assert refused.code == code


def test_a_refusal_is_the_same_without_data(full: worlds.Asker, empty: worlds.Asker, zones: Zones) -> None:
    asked: dict[str, Any] = {"measure": "residents", "every": "whole", "resolution": 7}
    both = [who.refused(zones=zones, area=None, **asked) for who in (full, empty)]
    assert str(both[0]) == str(both[1])


def test_written_as_geometry(full: worlds.Asker, zones: Zones, tmp_path: Path) -> None:
    release = full.ask(zones=zones, area=None, resolution=5, every="week").release
    for name in ("z.csv", "z.geojson", "z.parquet", "z.sdmx.csv"):
        views.write(full.d, release, tmp_path / name)
    features = json.loads((tmp_path / "z.geojson").read_text())["features"]
    outlines = {**CANTONS, ALL: box(6.0, 46.0, 10.0, 47.6)}
    for feature in features:
        outline = shapely.geometry.shape(feature["geometry"])
        truth = outlines[feature["properties"]["zone"]]
        assert outline.symmetric_difference(truth).area < 0.02 * truth.area
    table = pq.read_table(tmp_path / "z.parquet")
    assert shapely.from_wkb(table["geometry"][0].as_py()).area > 1
    assert "PASSERSBY:ZONES(1.0.0),I,W,presence,east," in (tmp_path / "z.sdmx.csv").read_text()
    assert (tmp_path / "z.csv").read_text().splitlines()[0].startswith('"zone","start"')


def test_drawn_with_their_names(full: worlds.Asker, zones: Zones) -> None:
    release = full.ask(zones=zones, area=None, resolution=5, every="day").release
    words = views.caption(release, 0)
    rows, place = ground.of(release.rows, words)
    assert place.what == "zones"
    assert {place.name(i) for i in set(rows["cell"].to_pylist())} - {ALL} == set(CANTONS)
    assert views.picture(full.d, release).startswith(b"\x89PNG")
    assert views.release(full.d, release)["question"]["zones"]["east"].endswith("compacted cells")


def test_the_quality_report_is_of_zones(full: worlds.Asker, zones: Zones) -> None:
    release = full.ask(zones=zones, area=None, resolution=5, every="day").release
    facts = {
        fact.name: fact for section in quality.report(full.d, release).sections for fact in section.facts
    }
    assert facts["Breakdown"].text == "3 zones, held in cells of H3 resolution 8, every day"
    assert facts["Rows and area"].value is True
    assert "of 3 cells, pairs or zones" in facts["Completeness: places"].text


def test_two_days_of_zones_are_compared(full: worlds.Asker, zones: Zones, tmp_path: Path) -> None:
    days = [
        full.ask(zones=zones, area=None, resolution=5, every="day", period=day, epsilon=0.4).release
        for day in ("2026-05-12", "2026-05-13")
    ]
    path = tmp_path / "change.csv"
    found = comparing.releases(full.d, days[0].id, days[1].id, path)
    # where the noise of a day does not let the zones be told apart, their union stands for them
    shown = {name for day in days for name in day.rows["zone"].to_pylist()}
    assert found["rows"] == len(shown)
    assert shown <= {*CANTONS, ALL}
    assert {line.split(",")[0] for line in path.read_text().splitlines()[1:]} == {f'"{n}"' for n in shown}
    other = Zones.from_shapes({"west": CANTONS["west"], "rest": box(7.5, 46.0, 10.0, 47.6)}, finest=8)
    third = full.ask(zones=other, area=None, resolution=5, every="day", period="2026-05-13").release
    with pytest.raises(UsageError, match="zones"):
        comparing.releases(full.d, days[0].id, third.id, None)


@pytest.mark.parametrize(
    ("measure", "every", "place"),
    [
        ("visitors", "day", ZONE),
        ("dwell", "week", ZONE),
        ("flows", "day", ZONE_PAIR),
        ("commuting", "whole", ZONE_PAIR),
    ],
)
def test_what_does_not_add_up_has_one_level(
    full: worlds.Asker, zones: Zones, tmp_path: Path, measure: str, every: str, place: tuple[str, ...]
) -> None:
    asked: dict[str, Any] = {
        "measure": measure,
        "every": every,
        "resolution": 5,
        "zones": zones,
        "area": None,
    }
    release = full.ask(**asked).release
    additive = CATALOGUE[measure].additive
    assert release.rows.schema.equals(rows_of(place, binned=bool(CATALOGUE[measure].bins)))
    levels = release.label["implementation"]["mechanisms"]
    assert len(levels) == (2 if additive else 1)
    assert levels[-1]["mechanism"].endswith("each zone")
    if not additive:
        exact = _exact(full, zones, measure=measure, every=every, resolution=5)
        assert set(exact) == {EACH}
        names = [zones.names, *([zones.names] if place == ZONE_PAIR else [])]
        assert set(zip(*(release.rows[name].to_pylist() for name in place), strict=True)) == set(
            itertools.product(*names)
        )
        error = levels[0]["standard_deviation"]
        values = dict(zip(itertools.product(*names), exact[EACH] / 1000, strict=True))
        starts = sorted(set(release.rows["start"].to_pylist()))
        for row in release.rows.to_pylist():
            if row["estimate"] is not None:
                truth = values[tuple(row[name] for name in place)][starts.index(row["start"])]
                assert abs(row["estimate"] - truth) < 6 * error
    for name in ("z.csv", "z.geojson", "z.parquet", "z.sdmx.csv"):
        views.write(full.d, release, tmp_path / name)
    feature = json.loads((tmp_path / "z.geojson").read_text())["features"][0]
    assert set(place) <= set(feature["properties"])
    assert views.picture(full.d, release).startswith(b"\x89PNG")
    facts = {
        fact.name: fact.text for section in quality.report(full.d, release).sections for fact in section.facts
    }
    assert facts["Breakdown"].startswith("3 zones, held in cells of H3 resolution 8")
    assert "zones" in facts["Rows and area"] or place == ZONE


def test_flows_between_zones_lead_from_centre_to_centre(
    full: worlds.Asker, zones: Zones, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {
        "measure": "consecutive-flows",
        "every": "week",
        "resolution": 5,
        "zones": zones,
        "area": None,
    }
    release = full.ask(**asked).release
    views.write(full.d, release, tmp_path / "z.geojson")
    for feature in json.loads((tmp_path / "z.geojson").read_text())["features"]:
        ends = [feature["properties"][name] for name in ZONE_PAIR]
        line = shapely.geometry.shape(feature["geometry"])
        assert (line.geom_type == "Point") == (ends[0] == ends[1])
        for end, point in zip(ends, (line.coords[0], line.coords[-1]), strict=True):
            assert shapely.Point(point).distance(CANTONS[end].centroid) < 0.02
    views.write(full.d, release, tmp_path / "z.sdmx.csv")
    text = (tmp_path / "z.sdmx.csv").read_text()
    assert "PASSERSBY:ZONE_PAIRS(1.0.0),I,W,consecutive-flows,east,middle," in text
    assert "pair of zones" in release.label["data_product_type"]
    assert "per pair of zones" in views.caption(release, 0).subtitle


def test_visitors_of_all_zones_are_fewer_than_those_of_each(full: worlds.Asker, zones: Zones) -> None:
    whole = Zones.from_shapes({"all": shapely.union_all(list(CANTONS.values()))}, finest=8)
    asked: dict[str, Any] = {"measure": "visitors", "every": "week", "resolution": 5}
    (each,), (together,) = (_exact(full, some, **asked).values() for some in (zones, whole))
    assert each.max() < together[0, 0] <= each.sum()
