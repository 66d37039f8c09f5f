"""`court`: whose orders are carried out, and who stamps the time on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from passersby.cli.app import app
from passersby.cli.common import AsJson, Folder, Key, emit, err, from_here, now, opened, out, read_text
from passersby.model.period import instant_text

court = typer.Typer(help="Courts and timestamp authorities.", no_args_is_help=True)
app.add_typer(court, name="court", rich_help_panel="Court orders")


@court.command("add")
def add_court(
    file: Annotated[
        Path, typer.Option("--file", help="The TOML file; docs/reference/order.md describes it.")
    ],
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Propose a court or a timestamp authority. A second person approves it, and it acts 7 days later."""
    from passersby.deployment import courts

    text = read_text(file)
    with opened(folder) as d:
        made = courts.propose(d, text, actor=d.actor(key), now=now())

    def human() -> None:
        out.print(f"{made.subject} is proposed, number {made.id}. A second person approves it:")
        err.print(
            f"[dim]next:[/]  {from_here(f'passersby proposal approve {made.id}', folder)}", soft_wrap=True
        )

    emit({"proposal": made.id, "authority": made.subject}, as_json=as_json, human=human)


@court.command("list")
def list_courts(folder: Folder = Path(), as_json: AsJson = False) -> None:
    """List courts and timestamp authorities, from when on each acts, and how many devices it was told of."""
    from passersby.disclosure import authorities, counterparties

    with opened(folder) as d, d.database.read() as session:
        offset, known = d.config.offset, authorities.list_all(session)
        devices = counterparties.disclosed(session, d.ring, now=now())
    found = [
        {
            "authority": each.authority.id,
            "use": each.authority.use,
            "title": each.authority.title,
            "jurisdiction": each.authority.jurisdiction,
            "source": each.authority.source,
            "revocation": each.authority.revocation,
            "acts_from": instant_text(each.acts_from, offset),
            "valid_until": instant_text(each.authority.valid_until, offset),
            "test": each.authority.test,
            "retired": each.retired is not None,
            "devices_12_months": devices.get(each.authority.id, 0),
        }
        for each in known
    ]

    def human() -> None:
        for each in found:
            marks = (
                f"{' [yellow]TEST[/]' if each['test'] else ''}{' [red]retired[/]' if each['retired'] else ''}"
            )
            out.print(f"[bold]{escape(str(each['authority']))}[/]  {each['use']}{marks}")
            for name in ("title", "jurisdiction", "source", "revocation", "acts_from", "valid_until"):
                out.print(f"  {name:13}  {escape(str(each[name]))}", soft_wrap=True)
            count = devices.get(str(each["authority"]), 0)
            if each["use"] == authorities.COURT:
                over = " [red]bulk data by 28 CFR 202.205[/]" if count >= counterparties.THRESHOLD else ""
                out.print(f"  {'disclosed':13}  {count:,} device(s) in 12 months{over}")
        if not found:
            out.print("No court is registered: every order is refused.")

    emit(found, as_json=as_json, human=human)


@court.command("retire")
def retire_court(
    name: Annotated[str, typer.Argument(help="The court or timestamp authority.")],
    reason: Annotated[str, typer.Option(help="Why; recorded, not public.")],
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Stop relying on a court or timestamp authority at once; one person can do that."""
    from passersby.deployment import courts

    with opened(folder) as d:
        courts.retire(d, name, reason=reason, actor=d.actor(key), now=now())
    emit({"authority": name}, as_json=as_json, human=lambda: out.print(f"{name} is retired."))


@court.command("demo")
def demo_court(
    target: Annotated[Path, typer.Argument(help="A new folder for the court's keys and records.")],
    name: Annotated[str, typer.Option(help="The court's name in the registry.")] = "test-court",
    as_json: AsJson = False,
) -> None:
    """Make a court for trying. Only deployments made with `--demo` accept what it signs."""
    from passersby.disclosure import testcourt

    testcourt.make(target, name=name, now=now())

    def human() -> None:
        out.print(f"{name} is made in {target}; every certificate of it carries the mark TEST.")
        hint = f"passersby court add --file {target / 'court.toml'}, and the same for {target / 'clock.toml'}"
        err.print(f"[dim]next:[/]  {hint}", soft_wrap=True)

    emit({"court": name, "folder": str(target)}, as_json=as_json, human=human)
