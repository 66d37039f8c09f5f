"""`supplier taint`, `supplier lineage`: bad deliveries and what came of them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passersby.cli.common import AsJson, Folder, Key, emit, err, from_here, now, opened, out, table
from passersby.cli.records import supplier
from passersby.model.period import instant_text

if TYPE_CHECKING:
    from passersby.deployment.lineages import Descent

Named = Annotated[str, typer.Argument(help="Number of a delivery, or a supplier: all its deliveries.")]


@supplier.command("taint")
def taint(
    named: Named,
    reason: Annotated[str, typer.Option(help="Why it is bad; recorded, not public.")],
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Propose to withdraw and delete all that came of a bad delivery; a second person approves it."""
    from passersby.deployment import lineages

    with opened(folder) as d:
        made = lineages.propose(d, named, reason=reason, actor=d.actor(key), now=now())
        offset, found = d.config.offset, lineages.descent(d, named)

    def human() -> None:
        _say(found, offset)
        out.print(f"Proposal {made.id}: withdraw these releases and delete {_counted(found.deliveries)}.")
        err.print(
            f"[dim]next:[/]  another person: {from_here(f'passersby proposal approve {made.id}', folder)}",
            soft_wrap=True,
        )

    emit({"proposal": made.id, **asdict(found)}, as_json=as_json, human=human)


@supplier.command("lineage")
def show_lineage(named: Named, folder: Folder = Path(), as_json: AsJson = False) -> None:
    """List the releases and disclosures that came of a delivery, and who was given them."""
    from passersby.deployment import lineages

    with opened(folder) as d:
        offset, found = d.config.offset, lineages.descent(d, named)
    emit(asdict(found), as_json=as_json, human=lambda: _say(found, offset))


def _say(found: Descent, offset: int) -> None:
    marked = f"; bad: {', '.join(map(str, found.tainted))}" if found.tainted else ""
    numbers = ", ".join(map(str, found.deliveries)) or "none"
    out.print(f"[bold]{found.supplier}[/]  deliveries: {numbers}{marked}", soft_wrap=True)
    rows = [
        (each.id, each.measure, ", ".join(each.licences), "withdrawn" if each.withdrawn else "served")
        for each in found.releases
    ]
    if rows:
        out.print(table(("release", "measure", "given to licences", "state"), rows))
    else:
        out.print("No release came of it.")
    for each in found.disclosures:
        when = instant_text(each.ended, offset)
        out.print(
            f"Order {each.order} ({each.court}), disclosed {when}: may hold rows of it; tell the recipient.",
            soft_wrap=True,
        )


def _counted(deliveries: tuple[int, ...]) -> str:
    return f"delivery {deliveries[0]}" if len(deliveries) == 1 else f"{len(deliveries)} deliveries"
