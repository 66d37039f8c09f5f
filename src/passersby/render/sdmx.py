"""Writes a release as SDMX-CSV 2.0, and the structure that it refers to as SDMX-JSON 2.0 (SDMX 3.0).

Codes are those of SDMX's cross-domain lists CL_FREQ 2.1, CL_OBS_STATUS 2.2 and CL_CONF_STATUS 1.2. Where
several observation statuses hold, the list's guideline orders them: Q (suppressed), P (provisional), U (low
reliability), A (normal). There is no code for revised values there: the data revision is an attribute.
docs/reference/sdmx.md describes every column.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from passersby.model.cells import to_text
from passersby.model.period import DAY, HOUR, Period, Span, day_name, day_of, instant_text
from passersby.model.question import GRAINS, WHOLE
from passersby.model.release import COARSE, LOW_PRECISION, SUPPRESSED
from passersby.model.schema import NAMED, PAIR, PLACE, WEIGHTED, ZONE, ZONE_PAIR, place_of

ENDING = ".sdmx.csv"

AGENCY, VERSION = "PASSERSBY", "1.0.0"

FREQUENCIES = {"hour": "H", "daypart": "_O", "day": "D", "week": "W", WHOLE: "_Z"}
"""Grain -> CL_FREQ, which has no quarter of a day (`_O`: other); a single bucket has no frequency."""

_SCHEMA = (
    "https://raw.githubusercontent.com/sdmx-twg/sdmx-json/master/structure-message/tools/schemas/2.0.0/"
    "sdmx-json-structure-schema.json"
)
"""Tells readers the version of the format: they look for it in the first lines of the message."""

_CODES = {
    "CL_FREQ": (
        "2.1",
        "Frequency",
        {"H": "Hourly", "D": "Daily", "W": "Weekly", "_O": "Other", "_Z": "Not applicable"},
    ),
    "CL_OBS_STATUS": (
        "2.2",
        "Observation status",
        {
            "A": "Normal value",
            "P": "Provisional value",
            "Q": "Missing value; suppressed",
            "U": "Low reliability",
        },
    ),
    "CL_CONF_STATUS": ("1.2", "Confidentiality status", {"F": "Free (free for publication)"}),
}
"""Of SDMX's cross-domain code lists: version, name and the codes in use with their names."""

_LIST = "urn:sdmx:org.sdmx.infomodel.codelist.Codelist=SDMX:"
_CONCEPTS = f"urn:sdmx:org.sdmx.infomodel.conceptscheme.Concept={AGENCY}:CONCEPTS({VERSION})."


@dataclass(frozen=True)
class About:
    """What a release's rows do not say themselves.

    Args:
        release: its short name.
        measure: name of what is counted.
        unit: of the measure.
        every: grain of time.
        span: of the question.
        revisions: data revision of each period that was read, in order.
        final: number of the last data revision.
        offset: the deployment's, seconds east of UTC.
        zones: compacted cells of the question's zones, by name.
        resolution: of the question's cells.
    """

    release: str
    measure: str
    unit: str
    every: str
    span: Span
    revisions: tuple[int, ...]
    final: int
    offset: int
    zones: Mapping[str, list[str]] = field(default_factory=dict)
    resolution: int = 0

    def revision_of(self, start: int) -> int:
        """Return the data revision of a bucket; of all periods together, the one that is least final."""
        if self.every == WHOLE:
            return min(self.revisions)
        first = Period.containing(self.span.start, self.offset).index
        place = Period.containing(start, self.offset).index - first
        return self.revisions[max(0, min(place, len(self.revisions) - 1))]

    def time_period(self, start: int) -> str:
        """Return a bucket as SDMX writes it: instant, day, ISO week, or start and duration."""
        if self.every == "hour":
            return instant_text(start, self.offset)
        if self.every == "week":
            return Period.containing(start, self.offset).name
        day = day_name(day_of(start, self.offset))
        if self.every == "day":
            return day
        if self.every == WHOLE:
            return f"{day}/P{(self.span.end - self.span.start) // DAY}D"
        return f"{instant_text(start, self.offset)[:19]}/PT{GRAINS[self.every] // HOUR}H"


@dataclass(frozen=True)
class _Component:
    """A column: what it is, its concept's name, and its code list or type of text."""

    id: str
    name: str
    kind: str
    codes: str = ""
    text: str = "String"
    dataset: bool = False


_ALL = (
    _Component("FREQ", "Frequency", "dimension", "CL_FREQ"),
    _Component("INDICATOR", "Measure of the catalogue", "dimension"),
    _Component(
        "REF_AREA", "H3 cell or name of a zone; of the origin where there is a counterpart", "dimension"
    ),
    _Component("COUNTERPART_AREA", "H3 cell or name of the zone of destination", "dimension"),
    _Component("BIN", "Bin, ratio or quantile", "dimension"),
    _Component("TIME_PERIOD", "Time period", "time", text="ObservationalTimePeriod"),
    _Component("OBS_VALUE", "Estimate", "measure", text="Double"),
    _Component("CONF_LOWER", "Lower bound of the 95% interval", "measure", text="Double"),
    _Component("CONF_UPPER", "Upper bound of the 95% interval", "measure", text="Double"),
    _Component("COUNT", "Consistent non-negative count", "measure", text="Long"),
    _Component("COVERAGE", "Devices seen for each person who lives there", "attribute", text="Double"),
    _Component("BIAS", "Relative bias of the weights of who lives there", "attribute", text="Double"),
    _Component("UNIT_MEASURE", "Unit of measure", "attribute"),
    _Component("OBS_STATUS", "Observation status", "attribute", "CL_OBS_STATUS"),
    _Component("CONF_STATUS", "Confidentiality status", "attribute", "CL_CONF_STATUS"),
    _Component("FLAG", "Flag of the release", "attribute"),
    _Component("DATA_REVISION", "Data revision of the period", "attribute", text="Integer"),
    _Component("RELEASE", "Name of the release", "attribute", dataset=True),
    _Component("UTC_OFFSET", "Offset of local times from UTC", "attribute", dataset=True),
)


def write(rows: pa.Table, path: Path, about: About) -> None:
    """Write `rows` (one of `model.schema.ROW_SCHEMAS`) as SDMX-CSV 2.0."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("STRUCTURE", "STRUCTURE_ID", "ACTION", *(part.id for part in _components(rows))))
        writer.writerows(_lines(rows, about))


def structure(rows: pa.Table, prepared: int) -> str:
    """Return the structure that `rows` refer to, as an SDMX-JSON 2.0 structure message made at `prepared`."""
    parts = _components(rows)
    numbered = enumerate(part for part in parts if part.kind == "dimension")
    components = {
        "dimensionList": {
            "id": "DimensionDescriptor",
            "dimensions": [{**_described(part), "position": place} for place, part in numbered],
            "timeDimension": next(_described(part) for part in parts if part.kind == "time"),
        },
        "measureList": {
            "id": "MeasureDescriptor",
            "measures": [
                {**_described(part), "usage": "optional"} for part in parts if part.kind == "measure"
            ],
        },
        "attributeList": {
            "id": "AttributeDescriptor",
            "attributes": [
                {
                    **_described(part),
                    "usage": "optional" if part.id in {"FLAG", "COVERAGE", "BIAS"} else "mandatory",
                    "attributeRelationship": {"dataflow": {}} if part.dataset else {"observation": {}},
                }
                for part in parts
                if part.kind == "attribute"
            ],
        },
    }
    common = {"version": VERSION, "agencyID": AGENCY}
    concepts = [{**_named(part.name), "id": part.id} for part in parts]
    title = "Differentially private statistics of crowds"
    codelists = [
        {
            **_named(name),
            "id": each,
            "version": version,
            "agencyID": "SDMX",
            "isPartial": True,
            "codes": [{**_named(meaning), "id": code} for code, meaning in codes.items()],
        }
        for each, (version, name, codes) in _CODES.items()
    ]
    data = {
        "dataStructures": [
            {
                **common,
                **_named(title),
                "id": _structure_id(rows),
                "dataStructureComponents": components,
            }
        ],
        "conceptSchemes": [{**common, **_named("Concepts"), "id": "CONCEPTS", "concepts": concepts}],
        "codelists": codelists,
    }
    meta = {
        "schema": _SCHEMA,
        "id": _structure_id(rows),
        "prepared": instant_text(prepared, 0),
        "contentLanguages": ["en"],
        "sender": {"id": AGENCY},
    }
    return json.dumps({"meta": meta, "data": data}, indent=2) + "\n"


def _named(name: str) -> dict[str, Any]:
    return {"name": name, "names": {"en": name}}


def _described(part: _Component) -> dict[str, Any]:
    known: dict[str, Any] = {"format": {"dataType": part.text}}
    if part.codes:
        known = {"enumeration": f"{_LIST}{part.codes}({_CODES[part.codes][0]})"}
    return {"id": part.id, "conceptIdentity": f"{_CONCEPTS}{part.id}", "localRepresentation": known}


def _components(rows: pa.Table) -> list[_Component]:
    """Return the columns of a release after the first three, in the order of SDMX-CSV."""
    absent = {"COUNTERPART_AREA"} if place_of(rows) not in {PAIR, ZONE_PAIR} else set()
    absent |= {"BIN"} if "bin" not in rows.schema.names else set()
    absent |= set() if _weighted(rows) else {"COVERAGE", "BIAS"}
    return [part for part in _ALL if part.id not in absent]


def _structure_id(rows: pa.Table) -> str:
    place = {PAIR: "PAIRS", ZONE: "ZONES", ZONE_PAIR: "ZONE_PAIRS", PLACE: "CELLS"}[place_of(rows)]
    place += "_WEIGHTED" if _weighted(rows) else ""
    return f"{place}_BINS" if "bin" in rows.schema.names else place


def _weighted(rows: pa.Table) -> bool:
    return WEIGHTED[0].name in rows.schema.names


def _lines(rows: pa.Table, about: About) -> Iterator[list[Any]]:
    """Yield a line for each row, its columns in the order of `_components`."""
    area = cache(str if place_of(rows) in NAMED else to_text)
    period, revision = cache(about.time_period), cache(about.revision_of)
    first = ["datastructure", f"{AGENCY}:{_structure_id(rows)}({VERSION})", "I"]
    first += [FREQUENCIES[about.every], about.measure]
    last = [about.release, instant_text(0, about.offset)[-6:]]
    names = place_of(rows)
    numbers = ["estimate", "low", "high", "count", *(f.name for f in WEIGHTED if _weighted(rows))]
    for row in rows.to_pylist():
        start, flag = row["start"], row["flag"]
        yield [
            *first,
            *(area(row[name]) for name in names),
            *([row["bin"]] if "bin" in row else []),
            period(start),
            *("" if row[name] is None else row[name] for name in numbers),
            about.unit,
            _status(row, final=revision(start) >= about.final),
            "F",
            flag,
            revision(start),
            *last,
        ]


def _status(row: dict[str, Any], *, final: bool) -> str:
    """Return the observation status of a row: for a coarse cell by the rule that flags all others."""
    if row["flag"] == SUPPRESSED:
        return "Q"
    if not final:
        return "P"
    wide = row["flag"] == COARSE and 2 * (row["high"] - row["estimate"]) > row["estimate"]
    return "U" if wide or row["flag"] == LOW_PRECISION else "A"
