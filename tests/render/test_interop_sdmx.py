"""What we write is read by pysdmx, of the Bank for International Settlements, and by the schema of SDMX."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pysdmx.errors import Invalid
from pysdmx.io import get_datasets, read_sdmx
from pysdmx.model import Codelist, Component, ConceptScheme, DataStructureDefinition, Schema

from passersby.model.cells import to_text
from passersby.model.period import DAY, HOUR
from passersby.model.schema import PAIR, PLACE, ZONE
from passersby.render import export, sdmx
from render.released import MONDAY, about, rows

PLACES = [PLACE, PAIR, ZONE]
TYPES = {"OBS_VALUE": float, "CONF_LOWER": float, "CONF_UPPER": float, "COUNT": int}


def structure(path: Path, message: str) -> DataStructureDefinition:
    """Read the one data structure of a message, checked against the schema of SDMX-JSON 2.0."""
    path.write_text(message, encoding="utf-8")
    found = read_sdmx(path, validate=True)
    assert len(found.get_concept_schemes()) == 1
    (dsd,) = found.get_data_structure_definitions()
    return dsd


@pytest.mark.parametrize("binned", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_the_structure_is_valid_and_means_what_we_wrote(
    tmp_path: Path, place: tuple[str, ...], binned: bool
) -> None:
    dsd = structure(tmp_path / "s.json", sdmx.structure(rows(place, binned=binned), 0))
    wanted = [
        "FREQ",
        "INDICATOR",
        "REF_AREA",
        *(["COUNTERPART_AREA"] if place == PAIR else []),
        *(["BIN"] if binned else []),
        "TIME_PERIOD",
    ]
    assert [each.id for each in dsd.components.dimensions] == wanted
    assert [each.id for each in dsd.components.measures] == list(TYPES)
    assert {each.id: each.attachment_level for each in dsd.components.attributes} == {
        **dict.fromkeys(("UNIT_MEASURE", "OBS_STATUS", "CONF_STATUS", "FLAG", "DATA_REVISION"), "O"),
        **dict.fromkeys(("RELEASE", "UTC_OFFSET"), "D"),
    }
    assert {each.id for each in dsd.components if not each.required} == {*TYPES, "FLAG"}


@pytest.mark.parametrize("binned", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_the_rows_are_ours(tmp_path: Path, place: tuple[str, ...], binned: bool) -> None:
    made = rows(place, binned=binned, starts=(MONDAY, MONDAY + DAY))
    data, path = tmp_path / "o.sdmx.csv", tmp_path / "s.json"
    export.write(made, data, about())
    path.write_text(sdmx.structure(made, 0), encoding="utf-8")
    (found,) = get_datasets(data, path, validate=True)
    assert isinstance(found.structure, Schema)
    assert found.attributes == {"RELEASE": "r1", "UTC_OFFSET": "+02:00"}
    assert found.structure.short_urn == f"DataStructure=PASSERSBY:{sdmx._structure_id(made)}(1.0.0)"
    read = found.data.to_dict("records")
    assert len(read) == made.num_rows
    for line, row in zip(read, made.to_pylist(), strict=True):
        assert set(line) == {each.id for each in found.structure.components} - set(found.attributes)
        areas = [line[name] for name in ("REF_AREA", "COUNTERPART_AREA") if name in line]
        assert areas == [row[name] if place == ZONE else to_text(row[name]) for name in place]
        assert line.get("BIN") == row.get("bin")
        assert line["FLAG"] == row["flag"]
        values = (row[name] for name in ("estimate", "low", "high", "count"))
        assert [number(line[name], name) for name in TYPES] == list(values)


def number(text: Any, name: str) -> float | None:
    return None if pd.isna(text) else TYPES[name](text)


@pytest.mark.parametrize("revision", [1, 3])
@pytest.mark.parametrize(
    ("every", "start"), [("hour", HOUR), ("daypart", 6 * HOUR), ("day", DAY), ("week", 0), ("whole", 0)]
)
def test_all_codes_are_in_their_lists(tmp_path: Path, every: str, start: int, revision: int) -> None:
    made = rows(starts=(MONDAY + start,))
    data, path = tmp_path / "o.sdmx.csv", tmp_path / "s.json"
    export.write(made, data, about(every, (revision,)))
    path.write_text(sdmx.structure(made, 0), encoding="utf-8")
    (found,) = get_datasets(data, path, validate=True)
    assert isinstance(found.structure, Schema)
    coded = [each for each in found.structure.components if each.enumeration]
    assert [each.id for each in coded] == ["FREQ", "OBS_STATUS", "CONF_STATUS"]
    for each in coded:
        assert set(found.data[each.id]) <= codes(each)


def codes(component: Component) -> set[str]:
    found = component.enumeration
    assert isinstance(found, Codelist)
    assert found.agency == "SDMX"
    assert found.is_partial
    return {code.id for code in found}


def test_the_concepts_are_those_of_the_components(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    dsd = structure(path, sdmx.structure(rows(binned=True), 0))
    (scheme,) = read_sdmx(path).get_concept_schemes()
    assert isinstance(scheme, ConceptScheme)
    assert [each.id for each in scheme] == [each.id for each in dsd.components]


def test_a_message_that_breaks_the_schema_is_refused(tmp_path: Path) -> None:
    message = json.loads(sdmx.structure(rows(), 0))
    del message["data"]["dataStructures"][0]["agencyID"]
    with pytest.raises(Invalid, match="agencyID"):
        structure(tmp_path / "s.json", json.dumps(message))
