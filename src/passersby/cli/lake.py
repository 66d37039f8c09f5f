"""`lake`: what two people may have computed from the lake's own rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passersby.cli.app import app
from passersby.cli.common import (
    AsJson,
    ByteBar,
    Folder,
    Key,
    emit,
    err,
    from_here,
    now,
    opened,
    out,
    reserved,
    save,
)
from passersby.cli.risk import show
from passersby.errors import UsageError

if TYPE_CHECKING:
    from passersby.risk.assess import Assessment

lake = typer.Typer(
    help="How identifiable the people in the lake are: two people agree; never for publication.",
    no_args_is_help=True,
)
app.add_typer(lake, name="lake", rich_help_panel="Checking")


@lake.command("assess")
def assess(
    period: Annotated[str, typer.Option(help="A week, or a range of weeks: 2026-W20..2026-W22.")],
    reason: Annotated[str, typer.Option(help="Why; both people sign it; not public.")],
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Propose to compute how identifiable the people in the lake are, once, over whole weeks."""
    from passersby.deployment import assessing

    with opened(folder) as d:
        made = assessing.propose(d, period, reason=reason, actor=d.actor(key), now=now())

    def human() -> None:
        out.print(f"Proposal {made.id}: assess the lake's rows of {made.subject}, once. Nothing was read.")
        approve, run = (
            from_here(f"passersby {step}", folder)
            for step in (f"proposal approve {made.id}", f"lake report {made.id} --out lake.html")
        )
        err.print(f"[dim]next, a privacy officer or an overseer:[/]  {approve}", soft_wrap=True)
        err.print(f"[dim]then a custodian:[/]  {run}", soft_wrap=True)

    emit({"proposal": made.id, "weeks": made.subject}, as_json=as_json, human=human)


@lake.command("report")
def report(
    number: Annotated[int, typer.Argument(help="The approved proposal; it is used up by one report.")],
    html: Annotated[
        Path, typer.Option("--out", help="New HTML file, for you alone; JSON is written beside it.")
    ],
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Compute it from the lake's rows, log it, and write the report: not for publication."""
    from passersby.deployment import assessing
    from passersby.risk.report import to_json

    if html.suffix != ".html":
        raise UsageError("The report is a page.", "Name a file that ends with .html.")
    beside = html.with_suffix(".json")
    with opened(folder) as d:
        actor = d.actor(key)
        with reserved(html), reserved(beside), ByteBar("reading", quiet=as_json) as bar:
            made = assessing.run(d, number, actor=actor, now=now(), say=bar.name, progress=bar.step)
            save(beside, made.json)
            save(html, made.html)
    emit(to_json(made.found), as_json=as_json, human=lambda: _say(made.found))
    err.print(f"report: {html}, {beside}; entry {made.log_index} of the log has its hash", soft_wrap=True)


def _say(found: Assessment) -> None:
    from passersby.risk import words

    mark = f"[bold white on red] {words.BANNER.upper()} [/]"
    out.print(mark)
    show(found)
    out.print(f"\n{mark}  {words.WHY_BANNER}", soft_wrap=True)
