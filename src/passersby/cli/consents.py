"""`consent`: suppliers' registers of who consented and who withdrew."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from passersby.cli.app import app
from passersby.cli.common import AsJson, Folder, Key, emit, now, opened, out, table
from passersby.model.period import instant_text

consent = typer.Typer(help="Registers of who consented and who withdrew.", no_args_is_help=True)
app.add_typer(consent, name="consent", rich_help_panel="Records")


@consent.command("load")
def load_register(
    file: Annotated[Path, typer.Argument(help="The complete register: CSV, JSON, NDJSON or Parquet.")],
    supplier: Annotated[str, typer.Option(help="The supplier whose register it is.")],
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Put a supplier's register into force between deliveries; it replaces the one before."""
    from passersby.deployment import consents

    with opened(folder) as d:
        made = consents.load(d, file, supplier, actor=d.actor(key), now=now())
    text = f"Version {made.version} of {supplier}'s register is in force."
    if not made.fresh:
        text = f"This very file is in force already, as version {made.version}."
    found = {"supplier": supplier, "version": made.version, "fresh": made.fresh}
    emit(found, as_json=as_json, human=lambda: out.print(text))


@consent.command("list")
def list_registers(folder: Folder = Path(), as_json: AsJson = False) -> None:
    """List the registers in force and the hashes of their files."""
    from passersby.deployment import consents

    with opened(folder) as d:
        offset, found = d.config.offset, consents.in_force(d)
    rows = [(f.supplier, str(f.version), instant_text(f.since, offset), f.sha256[:16]) for f in found]
    shown = table(("supplier", "version", "in force since", "SHA-256 begins"), rows, right=("version",))
    emit([asdict(each) for each in found], as_json=as_json, human=lambda: out.print(shown))
