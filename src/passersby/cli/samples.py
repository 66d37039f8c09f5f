"""`supplier sample`, `supplier checked`: consent records that a person follows back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from passersby.cli.common import AsJson, Folder, Key, emit, err, from_here, now, opened, out
from passersby.cli.records import supplier
from passersby.model.period import DAY, day_name

Name = Annotated[str, typer.Argument(help="The supplier.")]


@supplier.command("sample")
def draw_sample(
    name: Name,
    size: Annotated[int, typer.Option(help="How many records.")] = 20,
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Draw consent records by chance, to be followed back to what the person agreed to."""
    from passersby.suppliers import samples

    with opened(folder) as d, d.writing() as session:
        found = samples.draw(session, name, size, actor=d.actor(key), now=now())

    def human() -> None:
        out.print(f"Sample {found.id}: of the register with the SHA-256 {found.file_sha256}", soft_wrap=True)
        out.print(f"follow back the records {', '.join(map(str, found.numbers))}", soft_wrap=True)
        step = f"passersby supplier checked {name} --result pass --evidence-sha256 HASH"
        err.print(f"[dim]next:[/]  {from_here(step, folder)}", soft_wrap=True)

    emit(asdict(found), as_json=as_json, human=human)


@supplier.command("checked")
def record_check(
    name: Name,
    result: Annotated[str, typer.Option(help="pass, fail or ambiguous; the last two suspend the supplier.")],
    evidence_sha256: Annotated[str, typer.Option(help="SHA-256 of the archived evidence.")],
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Record what following the drawn records back showed."""
    from passersby.suppliers import samples

    with opened(folder) as d, d.writing() as session:
        due = samples.record(session, name, result, evidence_sha256, actor=d.actor(key), now=now())
    found = {"supplier": name, "result": result, "next_due": day_name(due // DAY)}
    text = f"{name}: {result}; the next sample is due on {found['next_due']}."
    emit(found, as_json=as_json, human=lambda: out.print(text))
