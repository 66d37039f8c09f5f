"""`report`: what a deployment owes the public, licensees' overseers and authorities."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from passersby.cli.app import app
from passersby.cli.common import (
    AsJson,
    Folder,
    Key,
    emit,
    err,
    now,
    opened,
    out,
    read_bytes,
    save,
    show_report,
)
from passersby.errors import UsageError

if TYPE_CHECKING:
    from passersby.render.report import Report
    from passersby.trustlog.sources import Source

report = typer.Typer(help="Reports, from the log alone where the log tells it.", no_args_is_help=True)
app.add_typer(report, name="report", rich_help_panel="Checking")

First = Annotated[str, typer.Option("--from", help="First day of the report, in UTC, e.g. 2026-01-01.")]
Last = Annotated[str, typer.Option("--to", help="Last day of the report, in UTC.")]
File = Annotated[Path | None, typer.Option("--out", help="A .json, .html, .csv or .md file.")]
Log = Annotated[
    str | None,
    typer.Option(
        "--log", metavar="DIR|URL", help="A published log instead of a deployment; needs --vkey alone."
    ),
]
Vkey = Annotated[str, typer.Option(help="The log's verifier key, from another channel than the log.")]


@report.command("transparency")
def transparency_report(
    first: First,
    last: Last,
    out_file: File = None,
    log: Log = None,
    vkey: Vkey = "",
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Say what was asked, refused and released in some days, and what courts got: for the public.

    With --log and --vkey no deployment is needed: an outsider makes the same public figures.
    """
    from passersby.custody.reports import transparency, transparency_page
    from passersby.custody.reports.reading import Days

    days = Days.parse(first, last)
    if log is not None:
        made, _ = transparency.report(_published(log, vkey), vkey, days)
    else:
        with _own(folder) as (source, key, d):
            made, figures = transparency.report(source, key, days)
            with d.database.read() as session:
                made["operator"] = transparency.hidden(session, figures)
    _tell(made, transparency_page.page, out_file, as_json=as_json)


@report.command("licences")
def licences_report(
    out_file: File = None, log: Log = None, vkey: Vkey = "", folder: Folder = Path(), as_json: AsJson = False
) -> None:
    """Register of all licences: who may ask what, until when, and what came of it. For the public.

    With --log and --vkey no deployment is needed.
    """
    from passersby.custody.reports import licences

    if log is not None:
        made = licences.report(_published(log, vkey), vkey)
    else:
        with _own(folder) as (source, key, _):
            made = licences.report(source, key)
    _tell(made, licences.page, out_file, as_json=as_json)


@report.command("records")
def records_report(
    licence: Annotated[str, typer.Option(help="Name of the licence.")],
    first: First,
    last: Last,
    to: Annotated[str, typer.Option("--for", help="Who is given the records; a hidden field of the log.")],
    out_file: Annotated[Path, typer.Option("--out", help="A .json file: entries of the log with proofs.")],
    pages: Annotated[
        list[Path] | None, typer.Option("--page", help="Also a .html, .csv or .md file; repeatable.")
    ] = None,
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Hand out every question, refusal and release of one licensee, each with its proof. This is logged."""
    from passersby.custody.reports import records
    from passersby.custody.reports.reading import Days
    from passersby.render.report import renderer

    days, renderers = Days.parse(first, last), {path: renderer(path) for path in pages or []}
    if out_file.suffix.lower() != ".json":
        raise UsageError("Records are checked as JSON.", "End --out with .json, and add pages with --page.")
    with opened(folder) as d:
        made = records.make(d.database, d.publisher, licence, days, to=to, actor=d.actor(key), now=now())
        found = records.check(made, d.vkey)
    save(out_file, _text(made))
    for path, render in renderers.items():
        save(path, render(records.page(made, found)).encode())

    def human() -> None:
        out.print(f"{out_file} holds {len(found):,} entries of the log, each with its proof.")
        for path in renderers:
            out.print(f"wrote {path}", soft_wrap=True)
        err.print(f"[dim]next:[/]  passersby report verify {out_file} --vkey KEY", soft_wrap=True)

    emit({"file": str(out_file), "entries": len(found), "log": made["log"]}, as_json=as_json, human=human)


@report.command("processing")
def processing_report(out_file: File = None, folder: Folder = Path(), as_json: AsJson = False) -> None:
    """Record of processing activities (GDPR article 30), filled from settings and signed records."""
    from passersby.custody.reports import processing

    with opened(folder) as d, d.database.read() as session:
        made = processing.record(session, d.config, now=now())
    _write(made, out_file, as_json=as_json)


@report.command("dpia")
def dpia_report(out_file: File = None, folder: Folder = Path(), as_json: AsJson = False) -> None:
    """Draft of the impact assessment (GDPR article 35), filled from settings, records and controls."""
    from passersby.custody.reports import processing

    with opened(folder) as d, d.database.read() as session:
        made = processing.assessment(session, d.config, now=now())
    _write(made, out_file, as_json=as_json)


@report.command("incident")
def incident_report(out_file: File = None, folder: Folder = Path(), as_json: AsJson = False) -> None:
    """Form for an incident (GDPR article 33), with the head of the log, which is verified first."""
    from passersby.custody.reports import incident

    with opened(folder) as d:
        made = incident.form(d.config, d.verify_log(), now=now())
    _write(made, out_file, as_json=as_json)


@report.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="A report in JSON that somebody gave you.")],
    vkey: Annotated[str, typer.Option(help="The log's verifier key, from another channel than the report.")],
    log: Annotated[
        str | None,
        typer.Option("--log", metavar="DIR|URL", help="The published log: a folder or an address."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check records, a transparency report or a register of licences; needs no deployment.

    Records prove their entries with the key alone; with --log also that none is left out.
    """
    from dataclasses import asdict

    from passersby.custody.reports import checking
    from passersby.trustlog.sources import source_of

    found = checking.check(read_bytes(file), vkey, None if log is None else source_of(log))

    def human() -> None:
        out.print(f"[green]verified[/]  {escape(found.format)} of {escape(found.origin)}")
        for line in found.holds:
            out.print(f"  {escape(line)}", soft_wrap=True)

    emit(asdict(found), as_json=as_json, human=human)


@contextmanager
def _own(folder: Path) -> Iterator[tuple[Source, str, Any]]:
    """Open a deployment and yield its published log, its verifier key, and itself."""
    from passersby.trustlog.sources import Disk

    with opened(folder) as d:
        yield Disk(d.layout.log), d.vkey, d


def _published(log: str, vkey: str) -> Source:
    from passersby.trustlog.sources import source_of

    if not vkey:
        raise UsageError("A log is verified with its key.", "Give --vkey, from another channel.")
    return source_of(log)


def _tell(
    made: Mapping[str, Any],
    page: Callable[[Mapping[str, Any]], Report],
    out_file: Path | None,
    *,
    as_json: bool,
) -> None:
    """Write a report with data of its own to a file, or print it."""
    is_data = out_file is not None and out_file.suffix.lower() == ".json"
    _write(page(made), out_file, as_json=as_json, made=made, written=_text(made) if is_data else None)


def _write(
    found: Report,
    out_file: Path | None,
    *,
    as_json: bool,
    made: Mapping[str, Any] | None = None,
    written: bytes | None = None,
) -> None:
    """Write a report to a file, or print it.

    Args:
        found: the report.
        out_file: whose ending chooses the format.
        as_json: print JSON.
        made: what JSON is printed; default: the report's facts.
        written: what is written; default: the report in the format of the file.
    """
    from dataclasses import asdict

    from passersby.render.report import renderer

    def human() -> None:
        if out_file is None:
            show_report(found)
        else:
            out.print(f"wrote {out_file}", soft_wrap=True)

    if out_file is not None:
        save(out_file, renderer(out_file)(found).encode() if written is None else written)
    emit(asdict(found) if made is None else made, as_json=as_json, human=human)


def _text(made: Mapping[str, Any]) -> bytes:
    return json.dumps(made, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"
