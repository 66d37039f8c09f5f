"""`init`, `status`, `doctor`, `expire`: the deployment itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from passersby.cli.app import app
from passersby.cli.common import AsJson, Folder, emit, now, opened, out, steps, table
from passersby.model.period import DAY, day_name, instant_text

if TYPE_CHECKING:
    from passersby.custody.health import Status


@app.command(rich_help_panel="Deployment")
def init(
    folder: Annotated[Path, typer.Argument(help="New folder for the deployment.")],
    name: Annotated[
        str, typer.Option(help="Public name; the log's origin is derived from it.")
    ] = "passersby",
    utc_offset: Annotated[str, typer.Option(help="The one fixed offset of days and weeks.")] = "+00:00",
    database: Annotated[
        str, typer.Option(help="postgresql+psycopg://USER@HOST/NAME; default: SQLite in the folder.")
    ] = "",
    custodian: Annotated[str, typer.Option(help="Account of the first person.")] = "custodian",
    demo: Annotated[
        bool,
        typer.Option("--demo", help="Mark it for ever as a demo: no real data, test courts are accepted."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a deployment: folder, settings, keys, first custodian, and commented files to fill in."""
    from passersby.deployment.create import create

    made = create(
        folder,
        now=now(),
        name=name,
        utc_offset=utc_offset,
        database=database,
        custodian=custodian,
        demo=demo,
    )

    def human() -> None:
        out.print(f"[bold]{made.root}[/] is ready. Nothing in it is approved yet.")
        out.print(f"Your key: {made.key_file} — it, not a name, says who you are. Move it to a safe place.\n")
        out.print("The next six commands, in order:")
        steps(
            [
                (
                    f"passersby person add OFFICER --role privacy -d {folder}",
                    "A second person: approves the impact assessment with a key of their own",
                ),
                (
                    f"passersby impact draft --file {folder}/impact.toml -d {folder}",
                    "Fill in impact.toml first; you sign it as its drafter",
                ),
                (
                    f"passersby impact approve --file {folder}/impact.toml --key OFFICER.key -d {folder}",
                    "They sign the same text; without it nothing is taken in, licensed or answered",
                ),
                (
                    f"passersby supplier add --file {folder}/supplier.toml -d {folder}",
                    "Fill in supplier.toml first: legal basis, dates, schema, retention",
                ),
                (
                    f"passersby supplier assess SUPPLIER --file {folder}/assessment.toml -d {folder}",
                    "Fill in assessment.toml first; no data of an unassessed supplier is taken",
                ),
                (
                    f"passersby licence grant --file {folder}/licence.toml -d {folder}",
                    "Fill in licence.toml first; then `passersby ingest` and `passersby ask`",
                ),
            ]
        )

    emit(
        {
            "deployment": str(made.root),
            "custodian": made.custodian,
            "key": str(made.key_file),
            "files": [str(path) for path in made.forms],
        },
        as_json=as_json,
        human=human,
    )


@app.command(rich_help_panel="Deployment")
def status(folder: Folder = Path(), as_json: AsJson = False) -> None:
    """Show what the deployment holds, what people have to do and by when, and what is locked."""
    from passersby.custody import health
    from passersby.ingest.report import about

    with opened(folder) as d:
        offset = d.config.offset
        found, keeper = health.status(d.database, d.config, now=now()), health.keeper_of(d.kept)
        d.ask_witnesses()
        standing, problems = d.publisher.standing(), d.cosigning.problems()

    def human() -> None:
        out.print(
            table(
                ("table", "days", "files", "rows", "MB"),
                [(t.table, t.days, t.files, about(t.rows), f"{t.bytes / 1e6:,.1f}") for t in found.tables],
                right=("days", "files", "rows", "MB"),
            )
        )
        _show_duties(found, offset)
        out.print(keeper, soft_wrap=True)
        for name, problem in problems.items():
            out.print(f"[yellow]witness[/]  {name} {problem} (`passersby log cosign`)", soft_wrap=True)
        out.print(f"[dim]{standing.text}[/]", soft_wrap=True)

    found_json = found.to_json() | {"keys": keeper, "log": standing.to_json() | {"problems": problems}}
    emit(found_json, as_json=as_json, human=human)


def _show_duties(found: Status, offset: int) -> None:
    from passersby.policy.alerts import KINDS

    if found.frozen is not None:
        since = instant_text(found.frozen.since, offset)
        out.print(f"[bold red]frozen since {since}[/] by {found.frozen.by}: {escape(found.frozen.reason)}")
    rows = []
    for duty in found.duties:
        colour = "bold red" if duty in found.overdue else "yellow" if duty in found.soon else "dim"
        due = day_name(duty.due // DAY) if duty.due else "now"
        late = duty.locks if duty in found.overdue else ""
        rows.append((duty.what, f"[{colour}]{due}[/]", duty.command, duty.who, f"[bold red]{late}[/]"))
    heads = ("duty", "due", "command", "who", "locked")
    shown = len(heads) if found.locked else len(heads) - 1  # an empty column would squeeze the others
    out.print(table(heads[:shown], [row[:shown] for row in rows]))
    for alert in found.alerts:
        step = f"[dim]passersby alert close {alert.number}[/]"
        what = f"{alert.about or 'unknown'}: {KINDS[alert.kind]}"
        out.print(f"[bold red]alert {alert.number}[/]  {what} {step}", soft_wrap=True)
    for note in found.notes:
        out.print(f"[yellow]note[/]  {note}", soft_wrap=True)


@app.command(rich_help_panel="Deployment")
def doctor(
    folder: Folder = Path(),
    deep: Annotated[bool, typer.Option("--deep", help="Also compare the hash of every file.")] = False,
    as_json: AsJson = False,
) -> int:
    """Check folders, keys, files, ledger and log; exit code 6 where something is wrong."""
    with opened(folder) as d:
        checks = d.doctor(deep=deep)

    def human() -> None:
        for check in checks:
            mark = "[green]ok[/]  " if check.ok else "[red]bad[/] "
            out.print(f"{mark} {check.what}", soft_wrap=True)
            if not check.ok:
                out.print(f"     [dim]next:[/] {check.next_step}", soft_wrap=True)

    emit([check.to_json() for check in checks], as_json=as_json, human=human)
    return 0 if all(check.ok for check in checks) else 6


@app.command(rich_help_panel="Deployment")
def expire(folder: Folder = Path(), as_json: AsJson = False) -> None:
    """Delete what has reached its deletion date; run it daily."""
    with opened(folder) as d:
        gone = d.expire(now=now())

    def human() -> None:
        out.print(f"{gone.files} file(s) reached their deletion date.")
        for line in gone.done:
            out.print(line, soft_wrap=True)

    emit(gone.to_json(), as_json=as_json, human=human)
