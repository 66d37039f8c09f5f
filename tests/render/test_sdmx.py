"""SDMX-CSV read back by the rules of its field guide: columns, codes, time formats, and its structure."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from passersby.model.cells import to_text
from passersby.model.period import DAY, HOUR
from passersby.model.release import COARSE, LOW_PRECISION, SUPPRESSED
from passersby.model.schema import PAIR, PLACE
from passersby.render import export, sdmx
from render.released import CELLS, MONDAY, about, rows

OBS_STATUS = set("ABDEFGHIJKLMNOPQSUVW")
FREQ = {"H", "D", "W", "_O", "_Z"}
CONF_STATUS = set("ACDEFGMNOPQRSTW")
DIMENSIONS = ["FREQ", "INDICATOR", "REF_AREA"]
TAIL = ["TIME_PERIOD", "OBS_VALUE", "CONF_LOWER", "CONF_UPPER", "COUNT"]
TAIL += ["UNIT_MEASURE", "OBS_STATUS", "CONF_STATUS", "FLAG", "DATA_REVISION", "RELEASE", "UTC_OFFSET"]


def extra(place: tuple[str, ...], *, binned: bool) -> list[str]:
    return ["COUNTERPART_AREA"] * (place == PAIR) + ["BIN"] * binned


def read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    with path.open(encoding="utf-8", newline="") as file:
        found = csv.DictReader(file)
        lines = list(found)
        return list(found.fieldnames or []), lines


@pytest.mark.parametrize("binned", [False, True])
@pytest.mark.parametrize("place", [PLACE, PAIR])
def test_columns_follow_the_field_guide(tmp_path: Path, place: tuple[str, ...], binned: bool) -> None:
    path = tmp_path / "o.sdmx.csv"
    export.write(rows(place, binned=binned), path, about())
    columns, lines = read(path)
    middle = [*DIMENSIONS, *extra(place, binned=binned), *TAIL]
    assert columns == ["STRUCTURE", "STRUCTURE_ID", "ACTION", *middle]
    assert len(lines) == 5
    assert all(None not in line and None not in line.values() for line in lines)
    assert {line["STRUCTURE"] for line in lines} == {"datastructure"}
    assert {line["ACTION"] for line in lines} == {"I"}
    (identity,) = {line["STRUCTURE_ID"] for line in lines}
    assert re.fullmatch(r"[A-Z]+:[A-Z_]+\(\d+\.\d+\.\d+\)", identity)
    keys = [
        tuple(line[name] for name in (*DIMENSIONS, *extra(place, binned=binned), "TIME_PERIOD"))
        for line in lines
    ]
    assert len(set(keys)) == len(keys)


def test_values_are_those_of_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "O.SDMX.CSV"
    export.write(rows(binned=True), path, about())
    _, lines = read(path)
    first, last = lines[0], lines[-1]
    assert first["REF_AREA"] == to_text(CELLS[0])
    assert [float(first[name]) for name in ("OBS_VALUE", "CONF_LOWER", "CONF_UPPER")] == [100.5, 80, 121]
    assert (first["COUNT"], first["INDICATOR"], first["UNIT_MEASURE"]) == ("101", "presence", "device-hours")
    assert (first["BIN"], first["RELEASE"], first["UTC_OFFSET"]) == ('0-1 km, "short"', "r1", "+02:00")
    assert [last[name] for name in ("OBS_VALUE", "CONF_LOWER", "CONF_UPPER", "COUNT")] == [""] * 4
    assert [line["FLAG"] for line in lines] == ["", LOW_PRECISION, COARSE, COARSE, SUPPRESSED]


def test_origin_and_destination_have_columns_of_their_own(tmp_path: Path) -> None:
    export.write(rows(PAIR), tmp_path / "o.sdmx.csv", about())
    _, lines = read(tmp_path / "o.sdmx.csv")
    assert [lines[1][name] for name in ("REF_AREA", "COUNTERPART_AREA")] == [to_text(c) for c in CELLS[1:3]]


@pytest.mark.parametrize(
    ("revision", "expected"), [(3, ["A", "U", "A", "U", "Q"]), (1, ["P"] * 4 + ["Q"]), (2, ["P"] * 4 + ["Q"])]
)
def test_statuses_are_in_the_order_of_the_guideline(
    tmp_path: Path, revision: int, expected: list[str]
) -> None:
    export.write(rows(), tmp_path / "o.sdmx.csv", about(revisions=(revision,)))
    _, lines = read(tmp_path / "o.sdmx.csv")
    assert [line["OBS_STATUS"] for line in lines] == expected
    assert {line["OBS_STATUS"] for line in lines} <= OBS_STATUS
    assert {line["CONF_STATUS"] for line in lines} <= CONF_STATUS
    assert {line["DATA_REVISION"] for line in lines} == {str(revision)}


@pytest.mark.parametrize(
    ("every", "start", "frequency", "expected"),
    [
        ("hour", MONDAY + 13 * HOUR, "H", "2026-05-11T13:00:00+02:00"),
        ("daypart", MONDAY + 6 * HOUR, "_O", "2026-05-11T06:00:00/PT6H"),
        ("day", MONDAY + 2 * DAY, "D", "2026-05-13"),
        ("week", MONDAY, "W", "2026-W20"),
        ("whole", MONDAY, "_Z", "2026-05-11/P14D"),
    ],
)
def test_time_periods_have_the_formats_of_sdmx(
    tmp_path: Path, every: str, start: int, frequency: str, expected: str
) -> None:
    export.write(rows(starts=(start,)), tmp_path / "o.sdmx.csv", about(every, (1, 1), weeks=2))
    _, lines = read(tmp_path / "o.sdmx.csv")
    assert {line["TIME_PERIOD"] for line in lines} == {expected}
    assert {line["FREQ"] for line in lines} == {frequency}
    assert frequency in FREQ


def test_each_bucket_has_the_revision_of_its_week(tmp_path: Path) -> None:
    made = rows(starts=(MONDAY + 6 * DAY, MONDAY + 7 * DAY))
    export.write(made, tmp_path / "o.sdmx.csv", about(revisions=(3, 2), weeks=2))
    _, lines = read(tmp_path / "o.sdmx.csv")
    assert [line["DATA_REVISION"] for line in lines] == ["3"] * 5 + ["2"] * 5
    assert [line["OBS_STATUS"] for line in lines[::5]] == ["A", "P"]
    export.write(rows(), tmp_path / "whole.sdmx.csv", about("whole", (3, 2), weeks=2))
    assert {line["DATA_REVISION"] for line in read(tmp_path / "whole.sdmx.csv")[1]} == {"2"}


@pytest.mark.parametrize("binned", [False, True])
@pytest.mark.parametrize("place", [PLACE, PAIR])
def test_the_structure_is_that_of_the_columns(tmp_path: Path, place: tuple[str, ...], binned: bool) -> None:
    made = rows(place, binned=binned)
    export.write(made, tmp_path / "o.sdmx.csv", about())
    columns, lines = read(tmp_path / "o.sdmx.csv")
    message = json.loads(sdmx.structure(made, 0))
    assert {"id", "prepared", "sender"} <= set(message["meta"])
    (dsd,), (scheme,) = message["data"]["dataStructures"], message["data"]["conceptSchemes"]
    assert lines[0]["STRUCTURE_ID"] == f"{dsd['agencyID']}:{dsd['id']}({dsd['version']})"
    parts = dsd["dataStructureComponents"]
    dimensions = parts["dimensionList"]["dimensions"]
    assert [part["position"] for part in dimensions] == list(range(len(dimensions)))
    found = [*dimensions, parts["dimensionList"]["timeDimension"]]
    found += [*parts["measureList"]["measures"], *parts["attributeList"]["attributes"]]
    assert [part["id"] for part in found] == columns[3:]
    named = f"{scheme['agencyID']}:{scheme['id']}({scheme['version']})"
    urn = f"urn:sdmx:org.sdmx.infomodel.conceptscheme.Concept={named}."
    concepts = {urn + concept["id"] for concept in scheme["concepts"]}
    assert {part["conceptIdentity"] for part in found} == concepts
    coded = {
        p["id"]: p["localRepresentation"]["enumeration"]
        for p in found
        if "enumeration" in p["localRepresentation"]
    }
    lists = {
        f"{each['agencyID']}:{each['id']}({each['version']})": {code["id"] for code in each["codes"]}
        for each in message["data"]["codelists"]
    }
    of = {name: lists[reference.rpartition("=")[2]] for name, reference in coded.items()}
    assert of["FREQ"] == FREQ
    assert of["OBS_STATUS"] < OBS_STATUS
    assert of["CONF_STATUS"] < CONF_STATUS
    assert all({line[name] for line in lines} <= codes for name, codes in of.items())
    assert all(part["attributeRelationship"] for part in parts["attributeList"]["attributes"])


def test_every_column_is_described() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "sdmx.md").read_text(encoding="utf-8")
    missing = [part.id for part in sdmx._ALL if f"`{part.id}`" not in text]
    assert missing == []
    assert all(f"`{code}`" in text for code in (*sdmx.FREQUENCIES.values(), "A", "P", "Q", "U", "F"))
