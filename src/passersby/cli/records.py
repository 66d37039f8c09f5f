"""`person`, `supplier`, `impact`, `licence`: the records that everything else stands on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.markup import escape
from rich.panel import Panel

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
    read_text,
    save,
    table,
)
from passersby.errors import UsageError
from passersby.model.period import day_name, instant_text

if TYPE_CHECKING:
    from passersby.policy import licence as licences

person = typer.Typer(help="Individual accounts, each with a key of their own.", no_args_is_help=True)
supplier = typer.Typer(help="Who delivers, under which contract.", no_args_is_help=True)
impact = typer.Typer(help="The impact assessment (DPIA) of the deployment.", no_args_is_help=True)
licence = typer.Typer(help="Who may ask what for which purpose.", no_args_is_help=True)
for group, name in ((person, "person"), (supplier, "supplier"), (impact, "impact"), (licence, "licence")):
    app.add_typer(group, name=name, rich_help_panel="Records")

File = Annotated[Path, typer.Option("--file", help="The TOML file; `passersby init` writes commented ones.")]


@person.command("add")
def add_person(
    account: Annotated[str, typer.Argument(help="Short name of the account, unique for ever.")],
    role: Annotated[
        list[str], typer.Option(help="custodian, analyst, legal, privacy, releaser, overseer; repeatable.")
    ],
    name: Annotated[str, typer.Option(help="Full name; stays out of the public log.")] = "",
    public_key: Annotated[str, typer.Option(help="64 hexadecimal digits; default: make a key file.")] = "",
    key_out: Annotated[
        Path | None, typer.Option(help="Where the new key file goes; default ACCOUNT.key.")
    ] = None,
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Add a person. Signed by a custodian; the new person's key is theirs alone."""
    from passersby.people import accounts

    with opened(folder) as d:
        actor = d.actor(key)
        with key_for(account, public_key, key_out) as (enrolled, path), d.writing() as session:
            accounts.add(
                session,
                person_id=account,
                name=name or account,
                roles=role,
                public_key=enrolled,
                by=actor,
                now=now(),
            )

    def human() -> None:
        out.print(f"{account} is added with the role(s) {', '.join(role)}.")
        if path is not None:
            out.print(f"Hand [bold]{path}[/] to them and keep no copy: it is their signature.")

    found = {"person": account, "roles": role, "public_key": enrolled, "key": str(path) if path else None}
    emit(found, as_json=as_json, human=human)


@person.command("list")
def list_people(folder: Folder = Path(), as_json: AsJson = False) -> None:
    """List the accounts."""
    from passersby.people import accounts

    with opened(folder) as d, d.database.read() as session:
        people = accounts.list_all(session)
    found = [{"person": a.id, "name": a.name, "roles": sorted(a.roles), "active": a.active} for a in people]
    rows = [(a.id, a.name, " ".join(sorted(a.roles)), "yes" if a.active else "no") for a in people]
    emit(found, as_json=as_json, human=lambda: out.print(table(("person", "name", "roles", "active"), rows)))


@supplier.command("add")
def add_supplier(file: File, key: Key = None, folder: Folder = Path(), as_json: AsJson = False) -> None:
    """Record a supplier with its contract."""
    from passersby.deployment import contracts

    with opened(folder) as d:
        number, contract = contracts.add(d, read_text(file), actor=d.actor(key), now=now())

    def human() -> None:
        out.print(f"{contract.id} is recorded as supplier {number}; legal basis: {contract.basis}.")
        next_step = f"passersby supplier assess {contract.id} --file assessment.toml"
        err.print(f"[dim]next:[/]  {from_here(next_step, folder)}", soft_wrap=True)

    emit({"supplier": contract.id, "number": number, "basis": contract.basis}, as_json=as_json, human=human)


@supplier.command("assess")
def assess_supplier(
    name: Annotated[str, typer.Argument(help="The supplier.")],
    file: File,
    evidence: Annotated[
        Path | None, typer.Option(help="The archive of evidence; kept in the deployment by its SHA-256.")
    ] = None,
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Record an assessment; without a good one no data is taken."""
    from passersby.deployment import contracts

    with opened(folder) as d:
        text, actor = read_text(file), d.actor(key)
        record = contracts.assess(d, name, text, evidence=evidence, actor=actor, now=now())
    found = {"supplier": name, "result": record.result, "next_due": day_name(record.next_due)}
    text = f"{name}: {record.result}; due again on {day_name(record.next_due)}."
    emit(found, as_json=as_json, human=lambda: out.print(text))


@supplier.command("suspend")
def suspend_supplier(
    name: Annotated[str, typer.Argument(help="The supplier.")],
    reason: Annotated[str, typer.Option(help="Why; recorded, not public.")],
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Stop taking data of a supplier until a new assessment passes."""
    from passersby.suppliers import registry

    with opened(folder) as d, d.writing() as session:
        registry.suspend(session, name, reason=reason, actor=d.actor(key), now=now())
    emit({"supplier": name}, as_json=as_json, human=lambda: out.print(f"{name} is suspended."))


@supplier.command("list")
def list_suppliers(folder: Folder = Path(), as_json: AsJson = False) -> None:
    """List suppliers, their legal basis and when they are due."""
    from passersby.suppliers import registry

    with opened(folder) as d, d.database.read() as session:
        found = [
            {
                "supplier": s.contract.id,
                "schema": s.contract.schema,
                "basis": s.contract.basis,
                "dates": f"{day_name(s.contract.dates_from)} to {day_name(s.contract.dates_to)}",
                "assessed": s.latest.result if s.latest else "never",
                "due": day_name(s.latest.next_due) if s.latest else "now",
                "suspended": s.suspended is not None,
            }
            for s in registry.list_all(session)
        ]
    columns = ("supplier", "schema", "basis", "dates", "assessed", "due", "suspended")
    rows = [[f[column] for column in columns] for f in found]
    emit(found, as_json=as_json, human=lambda: out.print(table(columns, rows)))


@supplier.command("sniff")
def sniff_file(
    file: Annotated[Path, typer.Argument(help="A file of an unknown schema.")],
    out_file: Annotated[Path | None, typer.Option("--out", help="Write the proposed schema file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Propose a schema for an unknown file, for you to confirm. Values are masked; needs no deployment."""
    from passersby.sources import sniff as sniffing

    proposal = sniffing.sniff(file)
    toml = proposal.to_toml()
    if out_file is not None:
        if out_file.exists():
            raise UsageError(f"There is a file at {out_file} already.", "Choose another --out.")
        save(out_file, toml.encode())

    def human() -> None:
        kind = " ".join(filter(None, (proposal.format, proposal.compression)))
        out.print(f"[bold]{file.name}[/]  {kind}, {'with' if proposal.header else 'without'} a header")
        rows = [
            (c.name, c.role or "-", f"{c.confidence:.0%}" if c.role else "", "  ".join(c.examples), c.note)
            for c in proposal.columns
        ]
        out.print(table(("column", "role", "sure", "values (masked)", ""), map(_escaped, rows)))
        if proposal.builtin:
            out.print(f'The built-in schema fits: write schema = "{proposal.builtin}" in the contract.')
        elif proposal.refused:
            out.print(f"[red]refused[/]  {proposal.refused}", soft_wrap=True)
        else:
            title = "proposed schema: confirm each line"
            out.print(Panel(escape(toml.strip()), title=title, title_align="left", border_style="cyan"))
            path = out_file or Path("schema.toml")
            hint = f'passersby supplier sniff {file} --out {path}, then schema = "{path}" in the contract'
            err.print(f"[dim]next:[/]  {hint}", soft_wrap=True)

    emit({**asdict(proposal), "missing": list(proposal.missing), "toml": toml}, as_json=as_json, human=human)


def _escaped(row: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(escape(cell) for cell in row)


@impact.command("draft")
def draft_impact(file: File, key: Key = None, folder: Folder = Path(), as_json: AsJson = False) -> None:
    """Sign a draft of the impact assessment; another person approves it."""
    from passersby.policy import impact as impacts

    record = impacts.parse(read_text(file))
    with opened(folder) as d:
        actor = d.actor(key)
        with d.writing() as session:
            impacts.draft(session, record, actor=actor, now=now())

    def human() -> None:
        out.print(f"Drafted by {actor.id}; {record.approved_by} reads it and approves.")
        step = from_here("passersby impact approve --file impact.toml", folder)
        err.print(f"[dim]next, with the key of {record.approved_by}:[/]  {step}", soft_wrap=True)

    emit({"drafted_by": actor.id, "approved_by": record.approved_by}, as_json=as_json, human=human)


@impact.command("approve")
def approve_impact(file: File, key: Key = None, folder: Folder = Path(), as_json: AsJson = False) -> None:
    """Approve the newest draft: a person with the role privacy, who did not draft it."""
    from passersby.policy import impact as impacts

    record = impacts.parse(read_text(file))
    with opened(folder) as d, d.writing() as session:
        impacts.approve(session, record, actor=d.actor(key), now=now())
    found = {"approved_by": record.approved_by, "next_due": day_name(record.next_due)}
    text = f"Approved by {record.approved_by}; due again on {found['next_due']}."
    emit(found, as_json=as_json, human=lambda: out.print(text))


@licence.command("grant")
def grant_licence(file: File, key: Key = None, folder: Folder = Path(), as_json: AsJson = False) -> None:
    """Grant a licence, signed by a custodian."""
    from passersby.measures.catalogue import CATALOGUE
    from passersby.policy import licence as licences

    with opened(folder) as d:
        asked = licences.parse(read_text(file), folder=file.parent, known_measures=list(CATALOGUE))
        with d.writing() as session:
            granted = licences.grant(session, asked, actor=d.actor(key), now=now(), config=d.config)
        expires = instant_text(granted.expires, d.config.offset)

    def human() -> None:
        out.print(f"Licence {granted.id} of {granted.holder} is granted until {expires}.")
        err.print(
            f"[dim]next:[/]  passersby ask presence --period 2026-W20 --licence {granted.id} "
            f"--purpose {granted.purposes[0]} --case CASE --dry-run",
            soft_wrap=True,
        )

    emit({"licence": granted.id, "holder": granted.holder, "expires": expires}, as_json=as_json, human=human)


@licence.command("revoke")
def revoke_licence(
    name: Annotated[str, typer.Argument(help="The licence.")],
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """End a licence at once."""
    from passersby.policy import licence as licences

    with opened(folder) as d, d.writing() as session:
        licences.revoke(session, name, actor=d.actor(key), now=now())
    emit({"licence": name}, as_json=as_json, human=lambda: out.print(f"Licence {name} is revoked."))


@licence.command("list")
def list_licences(folder: Folder = Path(), as_json: AsJson = False) -> None:
    """List the licences."""
    from passersby.model.cells import to_text
    from passersby.policy import licence as licences

    with opened(folder) as d, d.database.read() as session:
        found = [
            {
                "licence": g.licence.id,
                "holder": g.licence.holder,
                "people": list(g.licence.people),
                "purposes": list(g.licence.purposes),
                "measures": list(g.licence.measures),
                "dates": f"{day_name(g.licence.dates_from)} to {day_name(g.licence.dates_to)}",
                "resolution": g.licence.resolution,
                "expires": instant_text(g.licence.expires, d.config.offset),
                "state": _state(g, now()),
                "area": [to_text(cell) for cell in g.licence.cells],
            }
            for g in licences.list_all(session)
        ]

    def human() -> None:
        for f in found:
            out.print(f"[bold]{escape(str(f['licence']))}[/]  {f['state']}, expires {f['expires']}")
            for column in ("holder", "people", "purposes", "measures", "dates", "resolution"):
                out.print(f"  {column:10}  {escape(_words(f[column]))}", soft_wrap=True)
            cells = len(cast("list[str]", f["area"]))
            out.print(f"  {'area':10}  {cells:,} cells of resolution 5; --json names them")
        if not found:
            out.print("There is no licence.")

    emit(found, as_json=as_json, human=human)


def _state(grant: licences.Grant, instant: int) -> str:
    if grant.revoked is not None:
        return "revoked"
    return "valid" if grant.licence.not_before <= instant < grant.licence.expires else "not valid now"


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
