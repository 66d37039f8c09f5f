"""`person end`, `person rekey`, `programme review`: people who leave, lost keys, the yearly review."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from passersby.cli.app import app
from passersby.cli.common import (
    AsJson,
    Folder,
    Key,
    emit,
    err,
    from_here,
    key_for,
    now,
    opened,
    out,
    read_bytes,
)
from passersby.cli.records import person
from passersby.model.period import DAY, day_name

programme = typer.Typer(help="The yearly review of the whole programme.", no_args_is_help=True)
app.add_typer(programme, name="programme", rich_help_panel="Checking")

Account = Annotated[str, typer.Argument(help="Short name of the account.")]


@person.command("end")
def end_person(
    account: Account,
    reason: Annotated[str, typer.Option(help="Why; recorded, not public.")],
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """End an account at once and for good: by a custodian or an overseer."""
    from passersby.deployment import staff

    with opened(folder) as d:
        staff.end(d, account, reason=reason, actor=d.actor(key), now=now())
    text = f"{account} has ended: the key acts no more, and what {account} proposed is refused."
    emit({"person": account}, as_json=as_json, human=lambda: out.print(text, soft_wrap=True))


@person.command("rekey")
def rekey_person(
    account: Account,
    public_key: Annotated[str, typer.Option(help="64 hexadecimal digits; default: make a key file.")] = "",
    key_out: Annotated[
        Path | None, typer.Option(help="Where the new key file goes; default ACCOUNT.key.")
    ] = None,
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Propose another key for somebody who lost theirs; a third person approves it."""
    from passersby.deployment import staff

    with opened(folder) as d:
        actor = d.actor(key)
        with key_for(account, public_key, key_out) as (enrolled, path):
            made = staff.propose_rekey(d, account, enrolled, actor=actor, now=now())

    def human() -> None:
        out.print(f"Proposed as number {made.id}; the old key stays in force until a third person approves.")
        if path is not None:
            out.print(f"Hand [bold]{path}[/] to {account} and keep no copy: it is their signature.")
        step = from_here(f"passersby proposal approve {made.id}", folder)
        err.print(f"[dim]next, neither you nor {account}:[/]  {step}", soft_wrap=True)

    found = {"proposal": made.id, "public_key": enrolled, "key": str(path) if path else None}
    emit(found, as_json=as_json, human=human)


@programme.command("review")
def review_programme(
    file: Annotated[Path, typer.Option("--file", help="The review's report; its hash becomes public.")],
    note: Annotated[str, typer.Option(help="What it came to; recorded, not public.")],
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Sign the yearly review of the programme: by an overseer."""
    from passersby.deployment import oversight

    digest = hashlib.sha256(read_bytes(file)).hexdigest()
    with opened(folder) as d:
        due = oversight.review_programme(d, digest, note=note, actor=d.actor(key), now=now())
    found = {"document_sha256": digest, "next_due": day_name(due // DAY)}
    text = f"Reviewed; due again on {found['next_due']}. SHA-256 of the report: {digest}"
    emit(found, as_json=as_json, human=lambda: out.print(text, soft_wrap=True))
