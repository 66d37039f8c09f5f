"""`subject`: what holders of devices can ask for: see, withdraw, erase."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from passersby.cli.app import app
from passersby.cli.common import (
    AsJson,
    Folder,
    Key,
    emit,
    err,
    from_here,
    now,
    opened,
    out,
    read_bytes,
    reserved,
    save,
    save_new,
)
from passersby.errors import UsageError
from passersby.model.period import day_start, instant_text, parse_day

if TYPE_CHECKING:
    from passersby.subjects.rights import Done

subject = typer.Typer(help="What holders of devices can ask for: see, withdraw, erase.", no_args_is_help=True)
app.add_typer(subject, name="subject", rich_help_panel="Holders")

Devices = Annotated[
    Path | None,
    typer.Option(
        help="File of advertising ids, one a line; without it they are asked for, never as an argument."
    ),
]
Received = Annotated[
    str, typer.Option(help="Day on which the request arrived, 2026-05-12: its clock starts there.")
]
Receipt = Annotated[Path, typer.Option("--out", help="A new file for the receipt.")]
Vkey = Annotated[str, typer.Option(help="The log's verifier key, from another channel than the receipt.")]


@subject.command("withdraw")
def withdraw(
    out_file: Receipt,
    devices: Devices = None,
    received: Received = "",
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Withdraw devices: from now on nothing reads their rows, and no delivery brings new ones in."""
    from passersby.deployment import holders

    ids = device_ids(devices)
    with reserved(out_file), opened(folder) as d:
        at = instant_of(received, d.config.offset)
        done = holders.withdraw(d, ids, actor=d.actor(key), received=at, now=now())
        save(out_file, done.receipt)
    _done(done, out_file, folder, "Withdrawn: nothing reads the rows any more.", as_json=as_json)


@subject.command("erase")
def erase(
    out_file: Receipt,
    devices: Devices = None,
    received: Received = "",
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Withdraw devices and remove their rows from the disk; the receipt proves that this was checked."""
    from passersby.deployment import holders

    ids = device_ids(devices)
    with reserved(out_file), opened(folder) as d:
        at = instant_of(received, d.config.offset)
        done = holders.erase(d, ids, actor=d.actor(key), received=at, now=now())
        save(out_file, done.receipt)
    _done(done, out_file, folder, "Erased: what there was is gone from the lake.", as_json=as_json)


@subject.command("load-list")
def load_list(
    file: Annotated[Path, typer.Argument(help="Hashes of ids in hexadecimal, one a line.")],
    form: Annotated[
        str,
        typer.Option(
            help="sha256, sha1 or md5; a colon; the id as hashed: lower, upper, compact (no dashes)."
        ),
    ] = "sha256:lower",
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Put a deletion list of hashed ids in force: whoever is on it is erased once their id arrives."""
    from passersby.deployment import holders

    text = read_bytes(file).decode("utf-8", "replace")
    with opened(folder) as d:
        fresh = holders.load_list(d, text, form=form, actor=d.actor(key), now=now())

    def human() -> None:
        out.print(
            f"In force: {fresh:,} new hash(es). Stored rows bear no ids, so that nobody is looked up now;"
        )
        out.print("who is on the list is erased when a delivery brings their id.")

    emit({"new": fresh}, as_json=as_json, human=human)


@subject.command("receipt")
def receipt_of(
    number: Annotated[int, typer.Argument(help="The erasure's number.")],
    out_file: Receipt,
    devices: Devices = None,
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Write the receipt of an erasure, for the same list of ids; or say what it waits for."""
    from passersby.deployment import holders

    ids = device_ids(devices)
    with opened(folder) as d:
        found = holders.receipt(d, number, ids, actor=d.actor(key), now=now())
    save_new(out_file, found)
    emit(
        {"erasure": number, "receipt": str(out_file)},
        as_json=as_json,
        human=lambda: out.print(f"Receipt of erasure {number}: {out_file}"),
    )


@subject.command("verify-receipt")
def verify_receipt(
    file: Annotated[Path, typer.Argument(help="A receipt.")],
    vkey: Vkey,
    devices: Annotated[Path | None, typer.Option(help="File of the ids that it should be about.")] = None,
    as_json: AsJson = False,
) -> int:
    """Check a receipt with the log's public key alone, without a deployment. Exit code 6: about other ids."""
    from passersby.subjects import receipts
    from passersby.subjects.parts import normal_ids

    ids = None if devices is None else normal_ids(device_ids(devices))
    found = receipts.check(read_bytes(file), vkey, ids=ids)

    def human() -> None:
        out.print(receipts.SAYS[found.kind], soft_wrap=True)
        out.print(f"Entry {found.proven.index} of the log, {instant_text(found.time, 0)}: [green]proven[/]")
        if found.about_ids is not None:
            out.print("It is about these ids." if found.about_ids else "[bold red]It is about other ids.[/]")
        out.print("Outside of it:")
        for line in receipts.OUTSIDE:
            out.print(f"  - {escape(line)}", soft_wrap=True)

    value = {
        "kind": found.kind,
        "entry": found.proven.index,
        "time": found.time,
        "about_ids": found.about_ids,
        "outside": list(receipts.OUTSIDE),
    }
    emit(value, as_json=as_json, human=human)
    return 6 if found.about_ids is False else 0


def _done(done: Done, path: Path, folder: Path, said: str, *, as_json: bool) -> None:
    def human() -> None:
        if done.waits_for:
            out.print(
                "Withdrawn, and taken out of use; the proof that the rows are gone from the disk waits for"
            )
            out.print(f"{done.waits_for}.", soft_wrap=True)
            step = f"passersby subject receipt {done.erasure} --out {path}"
            err.print(f"[dim]next:[/]  {from_here(step, folder)}", soft_wrap=True)
            return
        out.print(said)
        out.print(f"Receipt: {path}; `passersby subject verify-receipt` checks it.", soft_wrap=True)

    value = {
        "request": done.request,
        "erasure": done.erasure,
        "waits_for": done.waits_for,
        "receipt": str(path) if done.receipt else None,
    }
    emit(value, as_json=as_json, human=human)


def device_ids(path: Path | None) -> list[str]:
    """Return advertising ids from a file, or from a prompt that shows nothing of what is typed."""
    if path is not None:
        return read_bytes(path).decode("utf-8", "replace").split()
    err.print("Advertising ids, one a line; an empty line ends the list. They are not shown.")
    return list(
        iter(lambda: typer.prompt("id", default="", show_default=False, hide_input=True, err=True), "")
    )


def instant_of(day: str, offset: int) -> int | None:
    """Return the beginning of a local day, epoch s; None for none.

    Raises:
        UsageError: it is no day; the text does not repeat it, since it may be an id in the wrong place.
    """
    if not day:
        return None
    try:
        return day_start(parse_day(day), offset)
    except UsageError:
        raise UsageError("--received is not a date.", "Write it as 2026-05-12.") from None
