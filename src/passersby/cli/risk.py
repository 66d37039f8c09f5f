"""`risk`: how identifiable are the people in a file? Needs no deployment."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passersby.cli.app import app
from passersby.cli.common import AsJson, ByteBar, emit, err, now, out, save, table
from passersby.errors import UsageError
from passersby.model.period import parse_offset

if TYPE_CHECKING:
    from passersby.risk.assess import Assessment


@app.command(rich_help_panel="Checking")
def risk(
    files: Annotated[
        list[Path],
        typer.Argument(help="Location data: CSV, TSV, NDJSON, Parquet; gz, zst. Several: one data set."),
    ],
    html: Annotated[Path | None, typer.Option(help="Write the report as one HTML file.")] = None,
    utc_offset: Annotated[
        str, typer.Option(help="Local time of the data: days, nights, hours of work.")
    ] = "+00:00",
    schema: Annotated[
        str, typer.Option(help="Built-in schema or schema file; without it the columns are recognised.")
    ] = "",
    sensitive: Annotated[
        Path | None, typer.Option(help="List of sensitive places: OpenStreetMap extract, GeoJSON or CSV.")
    ] = None,
    other: Annotated[
        list[Path] | None,
        typer.Option(help="File of another supplier or time with the same ids; may be repeated."),
    ] = None,
    sample: Annotated[int, typer.Option(help="Devices to draw, 1,000 or more.")] = 2000,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Same seed, same figures; random by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how identifiable the people in a location file are: rates and curves, never a device.

    Nothing of the data is stored.
    """
    from passersby.risk import report
    from passersby.risk.assess import Options, assess

    if html is not None and not html.parent.is_dir():
        raise UsageError(f"There is no folder {html.parent}.", "Name a file in a folder that is there.")
    options = Options(
        seed=secrets.randbits(32) if seed is None else seed,
        sample=sample,
        offset=parse_offset(utc_offset),
        schema=schema,
        sensitive=sensitive,
        other=tuple(other or ()),
    )
    with ByteBar("reading", quiet=as_json) as bar:
        found = assess(files, options, now=now(), say=bar.name, progress=bar.step)
    if html is not None:
        save(html, report.html(found).encode())
    emit(report.to_json(found), as_json=as_json, human=lambda: show(found))
    if html is not None:
        err.print(f"report: {html}", soft_wrap=True)


def show(found: Assessment) -> None:
    """Print an assessment for a person."""
    from passersby.risk import charts, report, words
    from passersby.risk.advice import advise
    from passersby.risk.assess import POINTS
    from passersby.risk.grid import EDGE, RESOLUTIONS, TIMES, Step

    facts = found.facts
    out.print(f"{facts.rows:,} rows of {facts.devices:,} devices; {found.drawn:,} of them drawn", style="dim")
    out.print(f"\n{words.verdict(found)}\n", style="bold")
    for warning in words.warnings(found):
        out.print(f"[yellow]note[/]  {warning}\n")
    columns = ["cells of", *TIMES]
    rows = [
        [EDGE[r], *(charts.cell(found.rate(POINTS, Step(time, r))) for time in TIMES)] for r in RESOLUTIONS
    ]
    out.print("Singled out by four points, by the step in time and place:")
    out.print(table(columns, rows, right=columns[1:]))
    out.print("\nAlone with home and work, or with the most visited places:")
    rows = [
        [EDGE[r], *(charts.cell(a.groups[0]) for a in found.anchors if a.resolution == r)]
        for r in RESOLUTIONS
    ]
    kinds = [a.kind for a in found.anchors if a.resolution == RESOLUTIONS[0]]
    out.print(table(["cells of", *kinds], rows, right=kinds))
    out.print(f"\nFound again after a change of ids: {words.link_text(found.halves)}.")
    if found.others is not None:
        out.print(f"Found again in the other file: {words.link_text(found.others)}.")
    for place in found.exposure:
        out.print(
            f"Seen at sensitive places, {place.category} ({place.places:,}): {charts.cell(place.rate)}."
        )
    if found.worst:
        said = "; ".join(f"{w.kind} {charts.cell(w.rate)}" for w in found.worst)
        out.print(f"Singled out by the worst two facts: {said}.")
    if found.counts:
        out.print("\nHad only counts been published, guessing who was counted would be")
    for guessed in found.counts:
        grain = f"{guessed.step.time}, cells of {EDGE[guessed.step.resolution]}"
        out.print(f"  {guessed.way} ({grain}): {guessed.text}", soft_wrap=True)
    out.print("\nTo get what four points single out under")
    for advice in advise(found):
        out.print(f"  {advice.limit:.0%}: {advice.text}", soft_wrap=True)
    if again := report.reproduce(found):
        out.print(f"\n[dim]again:[/]  {again}", soft_wrap=True)
