"""Licences: what can be written down, who grants them, and what stands in the log."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h3
import pytest

from passersby.errors import BadRecord, Refusal
from passersby.keys.signed import Actor
from passersby.model.period import parse_day
from passersby.model.place import Area
from passersby.model.purposes import BROADER, is_prohibited
from passersby.policy import area as areas
from passersby.policy import licence, templates
from passersby.policy.licence import Licence
from passersby.store.database import Database

NOW = 1_770_000_000
BOX = (8.3, 47.2, 8.8, 47.5)
FILLED: dict[str, Any] = {
    "id": "city-2026",
    "holder": "City of Zurich",
    "contact": "mobility@city.example",
    "government": True,
    "contract": "",
    "reason": "Where new tram lines are needed.",
    "people": ["ben"],
    "purposes": ["dpv:ImproveTransportMobility", "dpv:AcademicResearch"],
    "measures": ["visitors", "presence"],
    "dates_from": "2026-01-01",
    "dates_to": "2026-06-30",
    "not_before": "2026-02-01T00:00:00+01:00",
    "expires": "2027-02-01T00:00:00+01:00",
    "resolution": 7,
    "resolution_reason": "",
    "epsilon_per_period": 1.5,
}
OPTIONAL = {"contract", "resolution", "resolution_reason"}
DEFAULTED = {"government", "epsilon_per_period"}
REQUIRED = set(FILLED) - OPTIONAL

Staff = Callable[[Database], dict[str, Actor]]


def toml(values: dict[str, Any], area: str = f"bbox = {list(BOX)}") -> str:
    def text(value: Any) -> str:
        return str(value).lower() if isinstance(value, bool) else repr(value)

    return "\n".join(f"{name} = {text(value)}" for name, value in values.items()) + f"\n[area]\n{area}\n"


LICENCE = licence.parse(toml(FILLED))


def test_a_filled_licence() -> None:
    assert LICENCE.purposes == ("dpv:AcademicResearch", "dpv:ImproveTransportMobility")
    assert LICENCE.measures == ("presence", "visitors")
    assert (LICENCE.dates_from, LICENCE.dates_to) == (parse_day("2026-01-01"), parse_day("2026-06-30"))
    assert (LICENCE.not_before, LICENCE.expires) == (1_769_900_400, 1_801_436_400)
    assert (LICENCE.resolution, LICENCE.epsilon_per_period, LICENCE.seed_id) == (7, 1.5, "")
    assert list(LICENCE.cells) == sorted(set(LICENCE.cells))
    assert {h3.get_resolution(h3.int_to_str(cell)) for cell in LICENCE.cells} == {5}


def test_the_floor_is_seven_unless_it_is_said() -> None:
    assert licence.parse(toml({name: FILLED[name] for name in REQUIRED})).resolution == 7


def test_a_contract_number_is_kept() -> None:
    assert licence.parse(toml({**FILLED, "contract": "B-17"})).to_record()["contract"] == "B-17"
    assert licence.from_record({k: v for k, v in LICENCE.to_record().items() if k != "contract"}) == LICENCE


def test_a_licence_comes_back_from_its_record() -> None:
    granted = replace(LICENCE, seed_id="0123456789abcdef")
    assert licence.from_record(json.loads(json.dumps(granted.to_record()))) == granted


def test_times_may_be_toml_times() -> None:
    text = toml(FILLED).replace("'2027-02-01T00:00:00+01:00'", "2027-01-31T23:00:00Z")
    assert licence.parse(text) == LICENCE


@pytest.mark.parametrize("resolution", [5, 6, 7])
def test_a_question_about_the_licensed_box_lies_within(resolution: int) -> None:
    asked = areas.coarse(Area.from_bbox(*BOX, resolution=resolution))
    assert set(asked) <= set(LICENCE.cells)


def test_a_box_covers_no_cell_beside_it() -> None:
    fine = Area.from_bbox(*BOX, resolution=7).at(7)
    parents = {h3.cell_to_parent(h3.int_to_str(cell), 5) for cell in fine.tolist()}
    assert {h3.int_to_str(cell) for cell in LICENCE.cells} == parents


def test_a_continent_is_cut_into_coarser_cells() -> None:
    read = licence.parse(toml(FILLED, "bbox = [-125.0, 24.0, -66.0, 50.0]"))
    km2 = sum(h3.cell_area(h3.int_to_str(cell)) for cell in read.cells)
    assert km2 == pytest.approx(15.0e6, rel=0.02)


def test_an_area_as_geojson(tmp_path: Path) -> None:
    west, south, east, north = BOX
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    (tmp_path / "area.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    read = licence.parse(toml(FILLED, "geojson = 'area.geojson'"), folder=tmp_path)
    assert read.cells == LICENCE.cells


def test_an_area_as_cells() -> None:
    names = [h3.int_to_str(cell) for cell in LICENCE.cells]
    assert licence.parse(toml(FILLED, f"cells = {names}")).cells == LICENCE.cells


def test_a_coarser_cell_stands_for_its_cells() -> None:
    parent = h3.cell_to_parent(h3.int_to_str(LICENCE.cells[0]), 4)
    read = licence.parse(toml(FILLED, f"cells = ['{parent}']"))
    assert {h3.int_to_str(cell) for cell in read.cells} == set(h3.cell_to_children(parent, 5))


@pytest.mark.parametrize(
    ("area", "words"),
    [
        ("", "exactly one of them"),
        (f"bbox = {list(BOX)}\ncells = ['851f8c5bfffffff']", "exactly one of them"),
        ("bbox = []", "`bbox` is not filled in"),
        ("cells = []", "`cells` is not filled in"),
        ("bbox = [8.3, 47.2, 8.8]", "`bbox` must be"),
        ("bbox = [8.8, 47.2, 8.3, 47.5]", "`bbox` gives no area"),
        ("bbox = [8.3, 47.2, 8.8, nan]", "`bbox` must be a list of finite numbers"),
        ("bbox = '8.3,47.2'", "`bbox` must be a list of numbers"),
        ("bbox = [8.5, 47.3, 8.50001, 47.30001]", "`bbox` gives no area"),
        ("bbox = [-179.0, -80.0, 179.0, 80.0]", "`bbox` is wider than half the globe"),
        ("bbox = [-100.0, -10.0, 80.0, 10.0]", "`bbox` is wider than half the globe"),
        ("cells = ['871f8c5b2ffffff']", "`cells` must be cells of resolution 5 or coarser"),
        ("cells = ['zurich']", "`cells` gives no area"),
        ("geojson = 'missing.geojson'", "`geojson` names a file that is not there"),
        (f"bbox = {list(BOX)}\nbuffer = 5", "no field `buffer`"),
    ],
)
def test_what_is_no_area(area: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(BadRecord, match=words):
        licence.parse(toml(FILLED, area), folder=tmp_path)


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"type": "Point", "coordinates": [8, 47]}', '{"type": "Polygon", "coordinates": [1]}'],
)
def test_a_file_that_is_no_area(content: str, tmp_path: Path) -> None:
    (tmp_path / "area.geojson").write_text(content)
    with pytest.raises(BadRecord):
        licence.parse(toml(FILLED, "geojson = 'area.geojson'"), folder=tmp_path)


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_a_field_that_is_missing_is_named(name: str) -> None:
    with pytest.raises(BadRecord, match=f"`{name}` is missing"):
        licence.parse(toml({key: value for key, value in FILLED.items() if key != name}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": "a/b"}, "`id`"),
        ({"government": "yes"}, "`government` must be true or false"),
        ({"people": []}, "`people` is not filled in"),
        ({"people": ["ben", "ben"]}, "`people` names something twice"),
        ({"purposes": ["dpv:Curiosity"]}, "`purposes` names something that is no purpose"),
        ({"purposes": ["dpv:Purpose"]}, "`purposes` names something that is no purpose"),
        ({"measures": []}, "`measures` is not filled in"),
        ({"dates_to": "2025-12-31"}, "`dates_to` is earlier"),
        ({"not_before": "2026-02-01"}, "`not_before` must be a time with its UTC offset"),
        ({"expires": "2027-02-01T00:00:00"}, "`expires` must be a time with its UTC offset"),
        ({"expires": "2027-02-01T00:00:00.5+01:00"}, "`expires` must be a time"),
        ({"expires": "2026-02-01T00:00:00+01:00"}, "`expires` must be later than `not_before`"),
        ({"expires": "2027-02-02T00:00:01+01:00"}, "`expires` must be later than `not_before`, by a year"),
        ({"resolution": 9}, "`resolution` must lie between"),
        ({"resolution": 8}, "`resolution_reason` is not filled in"),
        ({"resolution": 8, "resolution_reason": "  "}, "`resolution_reason` is not filled in"),
        ({"epsilon_per_period": 0}, "`epsilon_per_period` must be above 0"),
        ({"epsilon_per_period": float("inf")}, "`epsilon_per_period` must be above 0"),
        ({"epsilon_per_period": "1"}, "`epsilon_per_period` must be a number"),
        ({"seed_id": "0123456789abcdef"}, "`seed_id` is drawn"),
        ({"budget": 1}, "no field `budget`"),
    ],
)
def test_what_is_not_valid_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRecord, match=words):
        licence.parse(toml(FILLED | change))


@pytest.mark.parametrize("purpose", [term for term in BROADER if is_prohibited(term)])
def test_a_prohibited_purpose_is_no_purpose_of_a_licence(purpose: str) -> None:
    with pytest.raises(Refusal) as caught:
        licence.parse(toml(FILLED | {"purposes": ["dpv:AcademicResearch", purpose]}))
    assert caught.value.code == "purpose-prohibited"


def test_a_misspelt_measure_is_found_with_the_catalogue() -> None:
    known = {"presence", "visitors"}
    assert licence.parse(toml(FILLED), known_measures=known) == LICENCE
    with pytest.raises(BadRecord, match="`measures` names something"):
        licence.parse(toml(FILLED | {"measures": ["presense"]}), known_measures=known)


def fill(missing: str = "") -> str:
    values = FILLED | {"bbox": list(BOX)}
    lines = templates.licence().splitlines()
    for i, line in enumerate(lines):
        name = line.partition(" = ")[0]
        if "FILL IN" in line and name in values and name != missing:
            lines[i] = f"{name} = {values[name]!r}"
    return "\n".join(lines)


def test_the_template_is_valid_once_filled() -> None:
    expected = replace(LICENCE, government=False, epsilon_per_period=1.0)
    assert licence.parse(fill()) == expected
    assert set(tomllib.loads(templates.licence())) == set(FILLED) | {"area"}


@pytest.mark.parametrize("name", sorted(REQUIRED - DEFAULTED | {"bbox"}))
def test_the_template_is_refused_while_a_field_is_not_filled(name: str) -> None:
    with pytest.raises(BadRecord, match=f"`{name}` is not filled in"):
        licence.parse(fill(missing=name))


def test_equal_licences_have_equal_hashes() -> None:
    assert licence.parse(toml(FILLED)).sha256 == LICENCE.sha256
    assert replace(LICENCE, reason="Another.").sha256 != LICENCE.sha256
    assert isinstance(LICENCE, Licence)
