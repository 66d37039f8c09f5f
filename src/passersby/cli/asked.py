"""The words of a question that `ask` and `plan` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passersby.errors import BadRecord, EmptyArea, UsageError

if TYPE_CHECKING:
    from passersby.model.census import Census, Weighting
    from passersby.model.place import Area
    from passersby.model.zones import Zones

Measure = Annotated[str, typer.Argument(help="A measure of `passersby measures`.")]
Period = Annotated[str, typer.Option(help="2026-W20, 2026-05-12, or a range of either: A..B.")]
Licence = Annotated[str, typer.Option(help="The licence that allows the question.")]
Purpose = Annotated[str, typer.Option(help="A purpose of the licence, e.g. dpv:AcademicResearch.")]
Case = Annotated[str, typer.Option(help="The case it belongs to; the log commits to it.")]
Place = Annotated[
    str,
    typer.Option(
        "--area", help="west,south,east,north, H3 cells, or a GeoJSON file; default: the licence's."
    ),
]
Grain = Annotated[str, typer.Option(help="hour, daypart, day, week, or whole: all of the period.")]
ZoneFile = Annotated[
    Path | None,
    typer.Option("--zones", help="Named polygons instead of cells: .geojson, .parquet or .shp."),
]
ZoneName = Annotated[str, typer.Option("--zone-name", help="Property or column with the zones' names.")]
WeightFile = Annotated[
    Path | None,
    typer.Option("--weights", help="Census CSV (cell or zone, population): devices count for people."),
]
Residents = Annotated[
    str, typer.Option(help="With --weights: the release of `residents` that counts devices by home.")
]
WeightCap = Annotated[
    int, typer.Option("--weight-cap", help="With --weights: the most people that a device may stand for.")
]
Filters = Annotated[
    list[str] | None, typer.Option("--filter", help="hour=7,8 · weekday=sat,sun · daypart=night")
]


def require_one_place(area: str, zones: Path | None) -> None:
    """Raise UsageError where both an area and zones are given."""
    if zones and area:
        raise UsageError("Both --zones and --area are given.", "Give one of them: zones are their own area.")


def read_area(text: str, resolution: int) -> Area | None:
    """Return the area that somebody wrote, in cells of `resolution`; None where they wrote none."""
    from passersby.model.place import parse_area, parse_geojson

    if not text:
        return None
    path = Path(text)
    if path.suffix.lower() in {".geojson", ".json"}:
        try:
            document = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise BadRecord(f"{path} cannot be read.", "Name a GeoJSON file.") from None
    else:
        document = ""
    if not 0 <= resolution <= 15:
        raise UsageError("There is no such resolution.", "Use 4 to 7.")
    for finer in range(resolution, 15):
        try:
            return parse_geojson(document, finer) if document else parse_area(text, finer)
        except EmptyArea:
            continue  # smaller than a cell: in finer cells the gate can refuse it, and logs that
    return parse_area(text, 15) if not document else parse_geojson(document, 15)


def read_zone_file(path: Path | None, name: str) -> Zones | None:
    """Return the zones of a file; None without one."""
    if path is None:
        return None
    from passersby.sources.zones import read_zones

    return read_zones(path, name)


def read_weighting(path: Path | None, residents: str, cap: int) -> Weighting | None:
    """Return the weights that somebody wants, None without a census.

    Raises:
        BadRecord: the census table cannot be read, or is none.
        UsageError: there is a release or a cap, and no census.
    """
    from passersby.model.census import Weighting

    if path is None:
        if residents or cap:
            raise UsageError(
                "--residents and --weight-cap belong to --weights.", "Name a census table with --weights."
            )
        return None
    return Weighting(read_census(path), residents, cap)


def read_census(path: Path) -> Census:
    """Return the census of a CSV file.

    Raises:
        BadRecord: it cannot be read, or is none.
    """
    from passersby.model.census import Census

    try:
        return Census.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise BadRecord(f"{path} cannot be read.", "Name a census table in CSV, UTF-8.") from None
