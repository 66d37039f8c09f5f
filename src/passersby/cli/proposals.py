"""`proposal`: acts that take two people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from passersby.cli.app import app
from passersby.cli.common import AsJson, Folder, Key, emit, now, opened, out, table
from passersby.model.period import instant_text

if TYPE_CHECKING:
    from passersby.people.proposals import Proposal

proposal = typer.Typer(help="Acts that take two people: see, approve or refuse them.", no_args_is_help=True)
app.add_typer(proposal, name="proposal", rich_help_panel="Records")

Number = Annotated[int, typer.Argument(help="The proposal's number, as `proposal list` shows it.")]


@proposal.command("list")
def list_proposals(folder: Folder = Path(), as_json: AsJson = False) -> None:
    """List all proposals, oldest first, and who may approve those that are open."""
    from passersby.people import proposals

    with opened(folder) as d, d.database.read() as session:
        offset, found = d.config.offset, proposals.list_all(session)
    rows = [
        (
            str(each.id),
            proposals.RULES[each.kind].text,
            each.subject,
            each.proposed_by,
            each.decided_by or " or ".join(proposals.RULES[each.kind].approvers),
            _state(each, offset),
        )
        for each in found
    ]
    shown = table(("no.", "act", "about", "proposed by", "second person", "state"), rows)
    emit([_record(each) for each in found], as_json=as_json, human=lambda: out.print(shown))


@proposal.command("show")
def show_proposal(number: Number, folder: Folder = Path(), as_json: AsJson = False) -> None:
    """Show what a proposal would do: exactly what both people sign."""
    from passersby.people import proposals

    with opened(folder) as d, d.database.read() as session:
        offset, found = d.config.offset, proposals.get(session, number)

    def human() -> None:
        out.print(f"[bold]{proposals.RULES[found.kind].text}[/]: {escape(found.subject)}")
        out.print(f"proposed by {found.proposed_by}, {instant_text(found.created, offset)}")
        out.print(f"SHA-256 of the record: {found.record_sha256}", soft_wrap=True)
        out.print_json(json.dumps(dict(found.record)))
        out.print(_state(found, offset))

    emit(_record(found), as_json=as_json, human=human)


@proposal.command("approve")
def approve_proposal(
    number: Number, key: Key = None, folder: Folder = Path(), as_json: AsJson = False
) -> None:
    """Sign a proposal as its second person; it acts at once, or after the wait that its rule sets."""
    from passersby.deployment import acts

    with opened(folder) as d:
        offset, found = d.config.offset, acts.approve(d, number, actor=d.actor(key), now=now())
    emit(_record(found), as_json=as_json, human=lambda: out.print(f"{number}: {_state(found, offset)}."))


@proposal.command("refuse")
def refuse_proposal(
    number: Number,
    reason: Annotated[str, typer.Option(help="Why; recorded, not public.")],
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Refuse a proposal, or take back your own. It never acts; a new one can be made."""
    from passersby.deployment import acts

    with opened(folder) as d:
        found = acts.refuse(d, number, reason=reason, actor=d.actor(key), now=now())
    emit(_record(found), as_json=as_json, human=lambda: out.print(f"{number}: refused."))


def _record(each: Proposal) -> dict[str, Any]:
    return {
        "proposal": each.id,
        "act": each.kind,
        "subject": each.subject,
        "record": dict(each.record),
        "record_sha256": each.record_sha256,
        "proposed_by": each.proposed_by,
        "decided_by": each.decided_by,
        "state": each.state,
        "acts_from": each.acts_from,
    }


def _state(each: Proposal, offset: int) -> str:
    if each.state == "approved" and each.acts_from is not None:
        return f"approved; acts from {instant_text(each.acts_from, offset)}"
    return each.state
