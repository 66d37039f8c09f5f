"""`log`: what was done, for everyone to verify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passersby.cli.app import app
from passersby.cli.common import AsJson, Folder, emit, opened, out, save
from passersby.errors import UnreadableFile, UsageError

if TYPE_CHECKING:
    from passersby.trustlog.verify import Report

log = typer.Typer(help="The transparency log.", no_args_is_help=True)
app.add_typer(log, name="log", rich_help_panel="Checking")

Older = Annotated[
    Path | None, typer.Option("--older", help="A checkpoint that you kept: the log must continue it.")
]


@log.command("verify")
def verify(
    published: Annotated[
        Path | None, typer.Argument(help="A published log folder; default: that of the deployment.")
    ] = None,
    vkey: Annotated[
        str, typer.Option(help="The log's verifier key, from another channel than the folder.")
    ] = "",
    older: Older = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Verify every entry and every tile; with a deployment also that its database says the same.

    With a folder and --vkey nothing else is needed: no deployment, no key, no network.
    """
    from passersby.trustlog.verify import verify_folder

    kept = _bytes(older) if older is not None else None
    if published is not None:
        if not vkey:
            raise UsageError("A folder is verified with the log's key.", "Give --vkey, from another channel.")
        if not published.is_dir():
            raise UsageError(f"There is no folder {published}.", "Name the folder of a published log.")
        report = verify_folder(published, vkey, older=kept)
    else:
        with opened(folder) as d:
            report = d.verify_log(older=kept)
    emit(_json(report), as_json=as_json, human=lambda: _show(report, published))


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


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise UnreadableFile(f"{path} cannot be read.", "Name the checkpoint file that you kept.") from None


def _json(report: Report) -> dict[str, object]:
    return {
        "origin": report.origin,
        "size": report.size,
        "root": report.root,
        "entries": report.entries,
        "tiles": report.tiles,
    }


def _show(report: Report, published: Path | None) -> None:
    out.print(f"[green]verified[/]  {report.origin}: {report.entries:,} entries, {report.tiles:,} tiles")
    out.print(f"root {report.root}, size {report.size:,}")
    if published is None:
        out.print("The database holds the same entries.")
    out.print("[dim]No outside witness has signed this log: the operator could rewrite it.[/]")
