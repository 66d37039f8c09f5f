"""`review`, `alert`: what overseers look at."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from passersby.cli.app import app
from passersby.cli.common import AsJson, Folder, Key, emit, now, opened, out, table
from passersby.model.period import DAY, day_name, instant_text

if TYPE_CHECKING:
    from passersby.policy.reviews import Review

review = typer.Typer(help="Reviews of questions that a random sample drew.", no_args_is_help=True)
alert = typer.Typer(help="Alerts: what an overseer should look at.", no_args_is_help=True)
for group, name in ((review, "review"), (alert, "alert")):
    app.add_typer(group, name=name, rich_help_panel="Checking")

Number = Annotated[int, typer.Argument(help="Its number, as `list` shows it.")]
Note = Annotated[str, typer.Option(help="What you found; recorded, not public.")]


@review.command("list")
def list_reviews(folder: Folder = Path(), as_json: AsJson = False) -> None:
    """List the reviews, oldest first; one that is overdue locks its licence."""
    from passersby.policy import reviews

    with opened(folder) as d, d.database.read() as session:
        found = reviews.list_all(session)
    rows = [(each.number, each.licence, each.asked_by, each.entry, _state(each)) for each in found]
    shown = table(("no.", "licence", "asked by", "entry", "state"), rows)
    emit([asdict(each) for each in found], as_json=as_json, human=lambda: out.print(shown))


@review.command("show")
def show_review(number: Number, folder: Folder = Path(), as_json: AsJson = False) -> None:
    """Show the question that is to be reviewed: who asked what, for which case and purpose."""
    from passersby.deployment import oversight

    with opened(folder) as d:
        found = oversight.asked(d, number)

    def human() -> None:
        for name, value in found.items():
            out.print(f"{name:11}  {escape(str(value))}", soft_wrap=True)

    emit(found, as_json=as_json, human=human)


@review.command("do")
def do_review(
    number: Number,
    result: Annotated[str, typer.Option(help="in-order, or concern: that raises an alert.")],
    note: Note,
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Sign a review: an overseer, who did not ask the question."""
    from passersby.deployment import oversight

    with opened(folder) as d:
        done = oversight.review(d, number, result=result, note=note, actor=d.actor(key), now=now())
    text = f"Review {number} is done: {done.result}."
    emit(asdict(done), as_json=as_json, human=lambda: out.print(text))


@alert.command("list")
def list_alerts(folder: Folder = Path(), as_json: AsJson = False) -> None:
    """List the alerts that no overseer has closed, oldest first."""
    from passersby.policy import alerts

    with opened(folder) as d, d.database.read() as session:
        offset, found = d.config.offset, alerts.open_alerts(session)
    rows = [
        (each.number, alerts.KINDS[each.kind], each.about or "unknown", instant_text(each.created, offset))
        for each in found
    ]
    shown = table(("no.", "what", "account", "since"), rows)
    emit([asdict(each) for each in found], as_json=as_json, human=lambda: out.print(shown))


@alert.command("close")
def close_alert(
    number: Number, note: Note, key: Key = None, folder: Folder = Path(), as_json: AsJson = False
) -> None:
    """Sign what an alert came to: an overseer, whom it is not about."""
    from passersby.deployment import oversight

    with opened(folder) as d:
        oversight.close_alert(d, number, note=note, actor=d.actor(key), now=now())
    emit({"alert": number}, as_json=as_json, human=lambda: out.print(f"Alert {number} is closed."))


def _state(each: Review) -> str:
    if each.done is not None:
        return f"{each.result} ({each.reviewer})"
    due = day_name(each.due // DAY)
    return f"overdue since {due}: the licence is locked" if each.due <= now() else f"due on {due}"
