"""`audit`: does an attack on made-up data show more than the epsilon that is claimed?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from passersby.cli.app import app
from passersby.cli.common import AsJson, Folder, Key, emit, err, now, opened, out, table
from passersby.model.period import day_name, day_of

if TYPE_CHECKING:
    from passersby.policy.audits import Audit

audit = typer.Typer(help="Audits of the privacy that is claimed, on made-up data.", no_args_is_help=True)
app.add_typer(audit, name="audit", rich_help_panel="Checking")


@audit.command("run")
def run(
    measure: Annotated[str, typer.Option(help="presence or visitors.")] = "presence",
    epsilon: Annotated[float, typer.Option(help="Claimed for the question, 0.5 to 4.")] = 1.0,
    canaries: Annotated[
        int, typer.Option(min=1000, max=20_000, help="Made-up devices that are guessed about.")
    ] = 2000,
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Attack a question on made-up data; what is shown of its epsilon stands in labels from now on.

    Reads no data of the deployment and costs nothing. Exit code 6 where more is shown than is claimed.
    """
    from passersby.deployment import audits

    def say(step: str) -> None:
        if not as_json:
            err.print(f"[dim]{step}[/]")

    with opened(folder) as d:
        found = audits.run(
            d, measure=measure, epsilon=epsilon, actor=d.actor(key), now=now(), count=canaries, say=say
        )
    outcome = found.outcome

    def human() -> None:
        out.print(
            f"Shown: an epsilon of at least [bold]{outcome.bound:.2f}[/] ({outcome.confidence:.0%} "
            f"confidence). Claimed: {outcome.epsilon:.2f} (delta {outcome.delta:g}).",
            soft_wrap=True,
        )
        out.print(
            f"{outcome.correct} of {outcome.guesses} guesses were right, about {outcome.canaries:,} made-up "
            f"devices of which a coin kept half away. Guessing blindly gets {outcome.guesses // 2}.",
            soft_wrap=True,
        )
        out.print(
            "[dim]This finds gross faults and proves nothing beyond. Labels of new answers show it.[/]",
            soft_wrap=True,
        )

    emit(_json(found), as_json=as_json, human=human)


@audit.command("list")
def list_audits(folder: Folder = Path(), as_json: AsJson = False) -> None:
    """List the audits on record, oldest first."""
    from passersby.policy import audits

    with opened(folder) as d, d.database.read() as session:
        offset, found = d.config.offset, audits.list_all(session)
    rows = []
    for each in found:
        it = each.outcome
        bound = f"[bold red]{it.bound:.2f}[/]" if it.above else f"{it.bound:.2f}"
        day = day_name(day_of(each.created, offset))
        rows.append((each.number, day, it.measure, f"{it.epsilon:.2f}", bound, it.software, each.by))
    heads = ("no.", "day", "measure", "claimed", "at least", "software", "by")
    shown = table(heads, rows, right=("claimed", "at least"))
    emit([_json(each) for each in found], as_json=as_json, human=lambda: out.print(shown))


def _json(found: Audit) -> dict[str, Any]:
    return {**asdict(found), "above_claim": found.outcome.above}
