"""`case`: what questions are asked for."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from passersby.cli.app import app
from passersby.cli.common import AsJson, Folder, Key, emit, err, from_here, now, opened, out, table
from passersby.model.period import DAY, day_name, instant_text, parse_day

if TYPE_CHECKING:
    from passersby.policy.cases import Case

case = typer.Typer(help="Cases: what questions are asked for.", no_args_is_help=True)
app.add_typer(case, name="case", rich_help_panel="Records")

Name = Annotated[str, typer.Argument(help="Short reference of the case, such as a file number.")]
Licence = Annotated[str, typer.Option(help="The licence that its questions are asked under.")]


@case.command("open")
def open_case(
    name: Name,
    licence: Licence,
    purpose: Annotated[str, typer.Option(help="One of the licence's purposes.")],
    title: Annotated[str, typer.Option(help="What it is about, in a sentence; not public.")],
    until: Annotated[
        str, typer.Option(help="First day on which it is over, 2026-12-31; default: as the licence.")
    ] = "",
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Open a case; you are its owner. Every question names an open case of its licence and purpose."""
    from passersby.policy import cases

    with opened(folder) as d:
        actor = d.actor(key)
        end = parse_day(until) * DAY - d.config.offset if until else None
        with d.writing() as session:
            made = cases.open_case(
                session,
                licence=licence,
                name=name,
                title=title,
                purpose=purpose,
                until=end,
                actor=actor,
                now=now(),
            )
        over = instant_text(made.until, d.config.offset)

    def human() -> None:
        out.print(f"Case {name} of licence {licence} is open until {over}.")
        step = from_here(
            f"passersby ask MEASURE --licence {licence} --purpose {purpose} --case {name}", folder
        )
        err.print(f"[dim]next:[/]  {step}", soft_wrap=True)

    emit({"case": name, "licence": licence, "until": over}, as_json=as_json, human=human)


@case.command("close")
def close_case(
    name: Name, licence: Licence, key: Key = None, folder: Folder = Path(), as_json: AsJson = False
) -> None:
    """Close a case at once: by its owner, a custodian or an overseer."""
    from passersby.policy import cases

    with opened(folder) as d:
        actor = d.actor(key)
        with d.writing() as session:
            cases.close(session, licence=licence, name=name, actor=actor, now=now())
    found = {"case": name, "licence": licence}
    emit(found, as_json=as_json, human=lambda: out.print(f"Case {name} is closed."))


@case.command("list")
def list_cases(folder: Folder = Path(), as_json: AsJson = False) -> None:
    """List the cases, oldest first."""
    from passersby.policy import cases

    with opened(folder) as d, d.database.read() as session:
        found = cases.list_all(session)
    rows = [
        (each.name, each.licence, escape(each.title), each.purpose, each.owner, _state(each))
        for each in found
    ]
    shown = table(("case", "licence", "title", "purpose", "owner", "state"), rows)
    emit([asdict(each) for each in found], as_json=as_json, human=lambda: out.print(shown))


def _state(each: Case) -> str:
    if each.closed is not None:
        return f"closed {day_name(each.closed // DAY)}"
    return f"open until {day_name(each.until // DAY)}" if each.is_open(now()) else "over"
