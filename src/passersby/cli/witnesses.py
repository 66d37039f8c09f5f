"""`witness`: sign other people's logs, so that they cannot be rewritten."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from passersby.cli.app import app
from passersby.cli.common import AsJson, emit, out, save
from passersby.model.period import instant_text

witness = typer.Typer(help="A witness of other people's logs; needs no deployment.", no_args_is_help=True)
app.add_typer(witness, name="witness", rich_help_panel="Checking")

Place = Annotated[Path, typer.Argument(metavar="FOLDER", help="The witness's folder.")]


@witness.command("init")
def init(
    folder: Place,
    name: Annotated[str, typer.Option(help="Name that it signs under, such as example.org/witness.")],
    as_json: AsJson = False,
) -> None:
    """Make a witness: a key, settings to fill in, an empty memory."""
    from passersby.witness import folder as folders

    vkey = folders.create(folder, name).encode()

    def human() -> None:
        out.print(f"[bold]{folder}[/] is a witness. Its verifier key, for the operators and readers of logs:")
        typer.echo(vkey)
        out.print(f"Put the logs' verifier keys into {folder}/{folders.SETTINGS}; then")
        out.print(f"[cyan]passersby witness serve {folder}[/]", soft_wrap=True)

    emit({"folder": str(folder), "verifier_key": vkey}, as_json=as_json, human=human)


@witness.command("serve")
def serve(
    folder: Place,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0: any.", min=0, max=65535)] = 8461,
) -> None:
    """Sign checkpoints that logs send, until interrupted (C2SP tlog-witness, plain HTTP)."""
    from passersby.witness import folder as folders
    from passersby.witness import serve as serving

    signer = folders.load(folder)
    listening = serving.listen(host, port)
    at, port = listening.getsockname()[:2]
    typer.echo(f"{signer.vkey.name} listens on http://{at}:{port} for {len(signer.logs)} log(s)")
    serving.serve(signer, listening)


@witness.command("show")
def show(
    folder: Place,
    evidence_out: Annotated[
        Path | None, typer.Option("--evidence", help="Write the newest signed contradiction to this file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a witness signed last for each log, and what contradicted it."""
    from passersby.witness import folder as folders

    signer, memory = folders.load(folder), folders.memory(folder)
    seen = [
        {"log": origin, "size": head.size, "root": head.root.hex(), "signed": instant_text(head.signed, 0)}
        for origin, head in memory.all_seen().items()
    ]
    kept = memory.evidence()
    contradictions = [
        {"log": e.origin, "received": instant_text(e.received, 0), "what": e.what} for e in kept
    ]
    if evidence_out is not None and kept:
        save(evidence_out, kept[-1].request)

    def human() -> None:
        out.print(f"{signer.vkey.name}, verifier key")
        typer.echo(signer.vkey.encode())
        for head in seen:
            out.print(f"[bold]{head['log']}[/]  {head['size']:,} entries, signed {head['signed']}")
        for found in contradictions:
            out.print(f"[red]contradiction[/]  {found['log']}, {found['received']}: {found['what']}")
        if not contradictions:
            out.print("Nobody asked it to sign a second history.")

    found = {"verifier_key": signer.vkey.encode(), "logs": seen, "contradictions": contradictions}
    emit(found, as_json=as_json, human=human)
