"""`synth`, `ingest`: data comes in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passersby.cli.app import app
from passersby.cli.common import AsJson, ByteBar, Folder, Key, count_bar, emit, err, now, opened, out, table
from passersby.cli.sensitive import list_name
from passersby.model.period import day_name, parse_offset

if TYPE_CHECKING:
    from passersby.ingest.report import Report


@app.command(rich_help_panel="Data")
def synth(
    folder: Annotated[Path, typer.Argument(help="New folder for the generated files.")],
    devices: Annotated[int, typer.Option(help="Number of devices.")] = 10_000,
    days: Annotated[int, typer.Option(help="Number of days.")] = 7,
    start_day: Annotated[str, typer.Option(help="First day, a Monday.")] = "2026-05-11",
    country: Annotated[str, typer.Option(help="ISO 3166 code; its towns are the world.")] = "CH",
    rate: Annotated[float, typer.Option(help="Pings of a device and day, on average.")] = 40.0,
    utc_offset: Annotated[str, typer.Option(help="Local time of the country.")] = "+02:00",
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 1,
    clean: Annotated[bool, typer.Option("--clean", help="Plant no dirt.")] = False,
    as_json: AsJson = False,
) -> None:
    """Generate suppliers' files of a made-up population, with planted dirt and its ground truth."""
    from passersby.synth import write as synth_write

    with count_bar("generating", quiet=as_json) as step:
        made = synth_write.generate(
            folder,
            seed=seed,
            devices=devices,
            start_day=start_day,
            days=days,
            country=country,
            pings_per_device_day=rate,
            offset=parse_offset(utc_offset),
            dirt=not clean,
            progress=step,
        )
    found = [
        {"file": str(f.path), "supplier": f.supplier, "rows": f.rows, "bytes": f.bytes} for f in made.files
    ]

    def human() -> None:
        rows = [(f.supplier, f.path, f"{f.rows:,}", f"{f.bytes / 1e6:,.1f}") for f in made.files]
        out.print(table(("supplier", "file", "rows", "MB"), rows, right=("rows", "MB")))

    emit(found, as_json=as_json, human=human)


@app.command(rich_help_panel="Data")
def ingest(
    files: Annotated[list[Path], typer.Argument(help="One delivery: CSV, TSV, NDJSON, Parquet; gz, zst.")],
    supplier: Annotated[str, typer.Option(help="Who delivers it.")],
    consent: Annotated[
        Path | None, typer.Option(help="The supplier's consent register, loaded first.")
    ] = None,
    places: Annotated[
        Path | None, typer.Option("--sensitive", help="A list of sensitive places, loaded first.")
    ] = None,
    remove_source: Annotated[
        bool, typer.Option("--remove-source", help="Delete the files once stored.")
    ] = False,
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Take a delivery in: whole, or not at all. The same files twice add nothing."""
    from passersby.deployment import places as lists

    with opened(folder) as d:
        if places is not None:
            made = lists.load(d, places, name=list_name(places), actor=d.actor(key), now=now())
            for line in made.sentences():
                err.print(line, soft_wrap=True)
            made.require_in_force()
        with ByteBar("ingesting", quiet=as_json) as bar:
            report = d.ingest(
                files, supplier, now=now(), consent=consent, progress=bar.step, remove_source=remove_source
            )
    emit(report.to_json(), as_json=as_json, human=lambda: _show_report(report))


def _show_report(report: Report) -> None:
    for line in report.repaired:
        err.print(f"[yellow]repaired[/]  {line}", soft_wrap=True)
    for name, delivery in report.again.items():
        out.print(f"{name}: already stored with delivery {delivery}; nothing was added.")
    if report.files:
        _show_counts(report)
    for note in report.notes:
        out.print(f"[yellow]note[/]  {note}", soft_wrap=True)


def _show_counts(report: Report) -> None:
    share = 100 / max(report.read, 1)
    shown = report.to_json()
    rows = [
        ("read", f"{report.read:,}", "", ""),
        ("stored", shown["stored"], "", "in the lake"),
        (
            "duplicates",
            f"{report.duplicates:,}",
            f"{report.duplicates * share:.2f}",
            "same device and second",
        ),
        ("suppressed", shown["suppressed"], "", "at sensitive places"),
    ]
    for reason, count in sorted(report.rejected.items(), key=lambda item: -item[1]):
        lines = ", ".join(map(str, report.examples.get(reason, ())))
        rows.append(
            (f"rejected: {reason}", f"{count:,}", f"{count * share:.2f}", f"line {lines}" if lines else "")
        )
    out.print(f"[bold]delivery {report.delivery}[/] of {report.supplier}")
    out.print(table(("rows", "number", "%", ""), rows, right=("number", "%")))
    if report.first_day is not None and report.last_day is not None:
        out.print(
            f"days {day_name(report.first_day)} to {day_name(report.last_day)}; devices: {report.devices}"
        )
    if report.dropped:
        out.print(f"columns dropped: {', '.join(report.dropped)}")
