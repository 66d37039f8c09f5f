"""`freeze`, `thaw`: the kill switch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from passersby.cli.app import app
from passersby.cli.common import AsJson, Folder, Key, emit, err, from_here, now, opened, out


@app.command(rich_help_panel="Deployment")
def freeze(
    reason: Annotated[str, typer.Option(help="Why; recorded, not public.")],
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Stop at once all that takes data in or hands data out: any custodian or overseer alone."""
    from passersby.deployment import freezing

    with opened(folder) as d:
        frozen = freezing.stop(d, reason=reason, actor=d.actor(key), now=now())

    def human() -> None:
        out.print("[bold red]Frozen.[/] No question, ingest, disclosure or package from now on.")
        out.print("Withdrawals, erasure, deletion dates, the log and its checks go on.")
        step = from_here('passersby thaw --reason "what was found and mended"', folder)
        err.print(f"[dim]to end it, two people:[/]  {step}", soft_wrap=True)

    emit({"freeze": frozen.number, "by": frozen.by}, as_json=as_json, human=human)


@app.command(rich_help_panel="Deployment")
def thaw(
    reason: Annotated[str, typer.Option(help="What was found and mended; both people sign it.")],
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Propose to end a freeze; it ends once another custodian or overseer approves."""
    from passersby.deployment import freezing

    with opened(folder) as d:
        made = freezing.propose_thaw(d, reason=reason, actor=d.actor(key), now=now())

    def human() -> None:
        out.print(f"Proposed as number {made.id}. The deployment stays frozen until another person approves.")
        step = from_here(f"passersby proposal approve {made.id}", folder)
        err.print(f"[dim]next, another custodian or overseer:[/]  {step}", soft_wrap=True)

    emit({"proposal": made.id, "subject": made.subject}, as_json=as_json, human=human)
