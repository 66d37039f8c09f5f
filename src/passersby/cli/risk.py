"""`risk`: how identifiable are the people in a file? Needs no deployment."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passersby.cli.app import app
from passersby.cli.common import AsJson, ByteBar, emit, err, now, out, save, table
from passersby.errors import UsageError
from passersby.model.period import parse_offset

if TYPE_CHECKING:
    from passersby.risk.assess import Assessment, Options
    from passersby.risk.releases.assess import Assessment as ReleaseAssessment
    from passersby.risk.releases.columns import Columns


@app.command(rich_help_panel="Checking")
def risk(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Location data: CSV, TSV, NDJSON, Parquet; gz, zst. Several: one data set. Or releases: "
            "counts by place and time, CSV or Parquet; several are compared."
        ),
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
    raw: Annotated[
        list[Path] | None,
        typer.Option(help="With releases: location data that they were made of; may be repeated."),
    ] = None,
    sample: Annotated[int, typer.Option(help="Devices to draw, 1,000 or more.")] = 2000,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Same seed, same figures; random by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how identifiable the people in a location file are, or what published counts give away.

    Rates and curves, never a device. Nothing of the data is stored.
    """
    from passersby.risk.assess import Options
    from passersby.risk.releases.assess import releases_of

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
    releases = None if schema and not raw else releases_of(files, raw or ())
    if releases is not None:
        _of_releases(releases, raw or (), options, html, as_json=as_json)
    else:
        _of_files(files, options, html, as_json=as_json)
    if html is not None:
        err.print(f"report: {html}", soft_wrap=True)


def _of_files(files: Sequence[Path], options: Options, html: Path | None, *, as_json: bool) -> None:
    from passersby.risk import report
    from passersby.risk.assess import assess

    with ByteBar("reading", quiet=as_json) as bar:
        found = assess(files, options, now=now(), say=bar.name, progress=bar.step)
    if html is not None:
        save(html, report.html(found).encode())
    emit(report.to_json(found), as_json=as_json, human=lambda: show(found))


def _of_releases(
    releases: Sequence[tuple[Path, Columns]],
    raw: Sequence[Path],
    options: Options,
    html: Path | None,
    *,
    as_json: bool,
) -> None:
    from passersby.risk.releases import report
    from passersby.risk.releases.assess import assess

    if options.sensitive is not None or options.other:
        raise UsageError(
            "--sensitive and --other are about location data, and these are releases.", "Leave them out."
        )
    with ByteBar("reading", quiet=as_json) as bar:
        found = assess(releases, raw, options, now=now(), say=bar.name, progress=bar.step)
    if html is not None:
        save(html, report.html(found).encode())
    emit(report.to_json(found), as_json=as_json, human=lambda: _show_releases(found))


def _show_releases(found: ReleaseAssessment) -> None:
    from passersby.risk import charts
    from passersby.risk.releases import report, words
    from passersby.risk.releases.overlaps import BAND_NAMES

    for release in found.releases:
        span = report.span_text(release, found.options.offset)
        out.print(f"{release.name}: {release.counts:,} counts, {release.places:,} places {span}", style="dim")
    out.print(f"\n{words.verdict(found)}\n", style="bold")
    for warning in words.warnings(found):
        out.print(f"[yellow]note[/]  {warning}\n")
    columns = ["counts by size", *BAND_NAMES, "not told"]
    rows = [
        [r.name + (" (noise)" if r.noisy else ""), *map(charts.cell, (*r.small.bands, r.small.untold))]
        for r in found.releases
    ]
    out.print(table(columns, rows, right=columns[1:]))
    for text in words.calculated(found):
        out.print(f"\n{text}")
    out.print("\nWhether a made-up device was counted, who has the release alone guesses right")
    for release in found.releases:
        out.print(f"  {release.name}: {words.made_up_text(release)}", soft_wrap=True)
    _show_games(found)
    for reason in found.left_out:
        out.print(f"\n[dim]left out:[/]  {reason}", soft_wrap=True)
    out.print(f"\n[dim]again:[/]  {report.reproduce(found)}", soft_wrap=True)


def _show_games(found: ReleaseAssessment) -> None:
    from passersby.risk.releases import words

    for played in found.played:
        out.print(f"\nWhether a device was counted in {played.name} is guessed right by who knows")
        for game in played.games:
            out.print(f"  {game.knows}: {words.guess_text(game)}", soft_wrap=True)
    if found.compared:
        out.print("\nLeaving out small counts, or noise, at the same error:")
        knows = [f"knows {game.knows}" for game in found.compared[0].games]
        columns = ["floor", "published", "wrong", *knows]
        rows = [
            [str(c.floor), c.way, f"{c.error:.1%}", *(f"{game.right:.0%}" for game in c.games)]
            for c in found.compared
        ]
        out.print(table(columns, rows, right=columns[2:]))
    if found.recovered is not None:
        out.print(f"\n{words.recovered_text(found.recovered)}")


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
