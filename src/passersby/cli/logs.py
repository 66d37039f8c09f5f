"""`log`: what was done, for everyone to verify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from passersby.cli.app import app
from passersby.cli.common import AsJson, Folder, Key, emit, now, opened, out, save
from passersby.errors import IntegrityError, UnreadableFile, UsageError
from passersby.model.period import HOUR, instant_text

if TYPE_CHECKING:
    from passersby.trustlog.disclosure import Disclosed
    from passersby.trustlog.heads import Quorum
    from passersby.trustlog.verify import Report

log = typer.Typer(help="The transparency log.", no_args_is_help=True)
app.add_typer(log, name="log", rich_help_panel="Checking")

Older = Annotated[
    Path | None, typer.Option("--older", help="A checkpoint that you kept: the log must continue it.")
]


@log.command("verify")
def verify(
    published: Annotated[
        str | None,
        typer.Argument(
            metavar="DIR|URL",
            help="A published log: a folder or an address; default: that of the deployment.",
        ),
    ] = None,
    vkey: Annotated[
        str, typer.Option(help="The log's verifier key, from another channel than the log.")
    ] = "",
    older: Older = None,
    witness: Annotated[
        list[str] | None, typer.Option(help="Verifier key of a witness, from another channel; repeatable.")
    ] = None,
    quorum: Annotated[
        int | None, typer.Option(help="How many of the witnesses must have signed; default: all.", min=1)
    ] = None,
    within: Annotated[int | None, typer.Option(help="Most hours since the quorum signed.", min=1)] = None,
    disclosure: Annotated[
        Path | None, typer.Option(help="Check the fields that `log disclose` wrote to this file.")
    ] = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Verify every entry and every tile; with a deployment also that its database says the same.

    With a folder or an address and --vkey nothing else is needed: no deployment and no account. A
    disclosure needs --vkey alone; with a folder or an address, the log must also continue its checkpoint.
    """
    from passersby.trustlog import disclosure as disclosures
    from passersby.trustlog.sources import source_of
    from passersby.trustlog.verify import check_continued, verify_source

    kept = _bytes(older) if older is not None else None
    asked = _quorum(witness or [], quorum)
    if (disclosure is not None or published is not None) and not vkey:
        raise UsageError("A log is verified with its key.", "Give --vkey, from another channel.")
    document = _bytes(disclosure) if disclosure is not None else None
    report, shown = None, None
    if published is not None:
        source = source_of(published)
        report = verify_source(source, vkey, older=kept, quorum=asked)
        if document is not None:
            shown = disclosures.check(document, vkey, report.rekeyed)
            check_continued(source, report, shown.proven.checkpoint)
    elif document is not None:
        shown = disclosures.check(document, vkey)
    else:
        with opened(folder) as d:
            report, asked = d.verify_log(older=kept), d.publisher.quorum
    if within is not None:
        _check_age(report, asked.needed, within)

    def human() -> None:
        if shown is not None:
            _show_disclosed(shown)
        if report is not None:
            _show(report, asked, own=published is None)

    emit(_json(report, shown), as_json=as_json, human=human)


@log.command("prove")
def prove(
    index: Annotated[int, typer.Argument(help="Index of the entry.")],
    folder: Folder = Path(),
    out_file: Annotated[Path | None, typer.Option("--out", help="Write the proof to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print a proof (C2SP tlog-proof) that an entry is in the log; it verifies offline."""
    from passersby.trustlog import receipts

    with opened(folder) as d:
        proof = receipts.prove(d.layout.log, index)
    if out_file is not None:
        save(out_file, proof.encode())
    emit(
        {"index": index, "proof": proof},
        as_json=as_json,
        human=lambda: typer.echo(proof, nl=False),  # byte for byte: a wrapped line would not verify
    )


@log.command("show")
def show(
    folder: Folder = Path(),
    last: Annotated[int, typer.Option(help="How many entries.", min=1)] = 20,
    kind: Annotated[str, typer.Option(help="Only this kind, e.g. question.refused.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show the public fields of the newest entries."""
    from passersby.deployment import views

    with opened(folder) as d:
        entries = views.log_entries(d, last=last, kind=kind)

    def human() -> None:
        for entry in entries:
            hidden = {"index", "kind", "time"}
            fields = "  ".join(f"[dim]{k}[/] {v}" for k, v in entry.items() if k not in hidden)
            out.print(f"[bold]{entry['index']:>5}[/]  [cyan]{entry['kind']:<18}[/]  {fields}", soft_wrap=True)

    emit(entries, as_json=as_json, human=human)


@log.command("export")
def export(
    target: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder, or an earlier copy.")],
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Write a verified copy for any static web server: tiles, entries, public view, cosignatures.

    No salt, no hidden value and no verifier key is in it: publish the key somewhere else.
    """
    with opened(folder) as d:
        made = d.export_log(target)

    def human() -> None:
        out.print(f"{target} holds {made.head.size:,} entries; {made.written:,} files were written.")
        out.print("Serve it as it is. Publish the verifier key (log.vkey) on another channel.")

    emit({"size": made.head.size, "written": made.written}, as_json=as_json, human=human)


@log.command("disclose")
def disclose(
    index: Annotated[int, typer.Argument(help="Index of the entry.")],
    to: Annotated[str, typer.Option(help="Who is shown the fields; kept as a hidden field.")],
    out_file: Annotated[Path, typer.Option("--out", help="Write the document to this file.")],
    field: Annotated[list[str] | None, typer.Option(help="A hidden field of the entry; repeatable.")] = None,
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Show an auditor hidden fields of one entry, with what they need to check them. The act is logged."""
    with opened(folder) as d:
        document = d.disclose(index, field or [], to=to, actor=d.actor(key), now=now())
    save(out_file, document)
    emit(
        {"index": index, "fields": sorted(field or []), "file": str(out_file)},
        as_json=as_json,
        human=lambda: out.print(f"{out_file} shows {len(field or [])} field(s) of entry {index}."),
    )


@log.command("cosign")
def cosign(folder: Folder = Path(), as_json: AsJson = False) -> None:
    """Ask all outside witnesses to sign the log now, and say what each of them answers."""
    with opened(folder) as d:
        d.ask_witnesses(force=True)
        standing, problems = d.publisher.standing(), d.cosigning.problems()

    def human() -> None:
        for name, problem in problems.items():
            out.print(f"[yellow]{escape(name)}[/] {problem}", soft_wrap=True)
        out.print(standing.text, soft_wrap=True)

    emit(standing.to_json() | {"problems": problems}, as_json=as_json, human=human)


def _quorum(keys: list[str], needed: int | None) -> Quorum:
    from passersby.trustlog.checkpoint import WITNESS, VerifierKey
    from passersby.trustlog.heads import Quorum

    witnesses = tuple(VerifierKey.parse(key, WITNESS) for key in keys)
    return Quorum(witnesses, len(witnesses) if needed is None else needed)


def _check_age(report: Report | None, needed: int, hours: int) -> None:
    """Raise where fewer witnesses than are needed signed so lately: one of them alone says nothing."""
    signed = report.witnessed if report else None
    if signed is None:
        raise UsageError("No witness is named whose signature could be old.", "Give --witness.")
    times = sorted(signed.signers.values(), reverse=True)
    together = times[min(needed, len(times)) - 1]
    if together < now() - hours * HOUR:
        raise IntegrityError(
            f"So many witnesses signed last at {instant_text(together, 0)}: more than {hours} hours ago.",
            "This copy is old, or the witnesses are away: fetch the log again, and ask the operator.",
        )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise UnreadableFile(f"{path} cannot be read.", "Name a file that you kept.") from None


def _json(report: Report | None, shown: Disclosed | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if report is not None:
        found |= {name: getattr(report, name) for name in ("origin", "size", "root", "entries", "tiles")}
        found["rekeyed"] = [
            {"entry": change.index, "old": change.old, "new": change.new} for change in report.rekeyed
        ]
        found["witnessed"] = None if report.witnessed is None else vars(report.witnessed)
    if shown is not None:
        fields = {field.name: field.value for field in shown.fields}
        place = {"index": shown.proven.index, "size": shown.proven.checkpoint.size}
        found["disclosure"] = {**place, "entry": shown.entry, "fields": fields, "unshown": shown.unshown}
    return found


def _show_disclosed(shown: Disclosed) -> None:
    head = shown.proven.checkpoint
    out.print(f"[green]verified[/]  entry {shown.proven.index} of {head.origin}, in its first {head.size:,}")
    for name, value in shown.entry.items():
        out.print(f"  {escape(name)}  {escape(str(value))}", soft_wrap=True)
    for field in shown.fields:
        out.print(f"  [bold]{escape(field.name)}[/]  {escape(str(field.value))}", soft_wrap=True)
    out.print(f"[dim]{shown.unshown} more hidden field(s) are not shown.[/]")


def _show(report: Report, asked: Quorum, *, own: bool) -> None:
    from passersby.trustlog.heads import Standing

    out.print(f"[green]verified[/]  {report.origin}: {report.entries:,} entries, {report.tiles:,} tiles")
    out.print(f"root {report.root}, size {report.size:,}")
    for change in report.rekeyed:
        out.print(
            f"the log's key was replaced in entry {change.index}; since then it is {change.new}",
            soft_wrap=True,
        )
    if own:
        out.print("The database holds the same entries.")
    if report.witnessed is not None:
        for name, instant in report.witnessed.signers.items():
            out.print(f"signed by {escape(name)} at {instant_text(instant, 0)}", soft_wrap=True)
    if own or asked.needed:
        text = Standing(report.size, report.witnessed, asked.needed, len(asked.witnesses)).text
    else:
        text = "No witness was named (--witness): by this check alone, the operator could rewrite this log."
    out.print(f"[dim]{text}[/]", soft_wrap=True)
