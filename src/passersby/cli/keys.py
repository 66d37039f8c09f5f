"""`keys`: who keeps the key-encryption key, and what is done with all keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passersby.cli.app import app
from passersby.cli.common import AsJson, Folder, Key, emit, err, now, opened, out
from passersby.errors import UsageError
from passersby.model.period import instant_text

if TYPE_CHECKING:
    from passersby.deployment.keeping import Moved
    from passersby.deployment.recovering import KeyStatus

keys = typer.Typer(help="Keys: who keeps them, shares, changes.", no_args_is_help=True)
app.add_typer(keys, name="keys", rich_help_panel="Deployment")

Shares = Annotated[
    list[Path], typer.Option("--share", help="File of one share; as many as are needed, repeatable.")
]


@keys.command("status")
def show_status(folder: Folder = Path(), as_json: AsJson = False) -> int:
    """Say who keeps the key-encryption key and whether it answers; works while nothing else does."""
    from passersby.deployment.recovering import closed

    with closed(folder) as house:
        found = house.status()
    emit(found.to_json(), as_json=as_json, human=lambda: _show_status(found))
    return 0 if found.answers and not found.unopened else 6


@keys.command("move")
def move(
    to: Annotated[str, typer.Option(help="file, pkcs11 or vault; passersby.toml says how it is reached.")],
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Wrap all keys with a new key-encryption key of another keeper; the old one is destroyed."""
    from passersby.deployment import keeping

    with opened(folder) as d:
        moved = keeping.move(d, to, d.actor(key), now=now())
    emit(moved.to_json(), as_json=as_json, human=lambda: _show_moved(moved))


@keys.command("rotate")
def rotate(key: Key = None, folder: Folder = Path(), as_json: AsJson = False) -> None:
    """Wrap all keys with a new key-encryption key of the same keeper; the old one is destroyed."""
    from passersby.deployment import keeping

    with opened(folder) as d:
        moved = keeping.rotate(d, d.actor(key), now=now())
    emit(moved.to_json(), as_json=as_json, human=lambda: _show_moved(moved))


@keys.command("share")
def share(
    to: Annotated[
        list[str], typer.Option(help="PERSON=FILE: who gets a share, and the new file for it; repeatable.")
    ],
    needed: Annotated[int, typer.Option(help="Shares that open the keys.", min=2)] = 2,
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Make recovery shares, one file for each person; shares that were made before open nothing any more."""
    from passersby.deployment import keeping

    holders = _holders(to)
    with opened(folder) as d:
        made = keeping.share(d, holders, d.actor(key), needed=needed, now=now())

    def human() -> None:
        for holder, path in holders.items():
            out.print(f"{holder}: [bold]{path}[/]", soft_wrap=True)
        out.print(f"Any {made.needed} of these {len(made.holders)} shares open the keys of this deployment.")
        out.print("Hand each to its holder, on paper or on a medium of theirs, and delete the file here.")

    found = {"needed": made.needed, "shares": {name: str(path) for name, path in holders.items()}}
    emit(found, as_json=as_json, human=human)


@keys.command("test-shares")
def try_shares(shares: Shares, key: Key = None, folder: Folder = Path(), as_json: AsJson = False) -> None:
    """Show that shares would give every key back; changes nothing."""
    from passersby.deployment import keeping
    from passersby.keys import shares as files

    with opened(folder) as d:
        number = keeping.try_shares(d, [files.read(path) for path in shares], d.actor(key), now=now())
    emit({"keys": number}, as_json=as_json, human=lambda: out.print(f"The shares open every key ({number})."))


@keys.command("recover")
def recover(
    shares: Shares,
    key: Annotated[
        Path, typer.Option("--key", envvar="PASSERSBY_KEY", help="Private key file of a custodian.")
    ],
    to: Annotated[str, typer.Option(help="file, pkcs11 or vault; default: the keeper as before.")] = "",
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Get all keys back by shares, once their key-encryption key is lost; they get a new one."""
    from passersby.deployment.recovering import closed
    from passersby.keys import shares as files

    with closed(folder) as house:
        found = house.recover([files.read(path) for path in shares], key, to=to, now=now())
    with opened(folder):
        pass  # what recovery logged is published, and the deployment opens again

    def human() -> None:
        out.print(f"Keys that are back: {found.keys}, under {found.place}.", soft_wrap=True)
        for name in found.lost:
            out.print(
                f"[yellow]lost[/]  {name}: `passersby keys lost {name}` deletes its rows", soft_wrap=True
            )
        err.print("[dim]next:[/]  make new shares, these were seen: passersby keys share", soft_wrap=True)

    emit(found.to_json(), as_json=as_json, human=human)


@keys.command("lost")
def lost(
    name: Annotated[str, typer.Argument(help="Name of the epoch key, as `keys status` lists it.")],
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Give up an epoch key that does not open any more: every row under it is deleted, for ever."""
    from passersby.deployment import keeping

    with opened(folder) as d:
        done = keeping.give_up(d, name, d.actor(key), now=now())
    emit(
        {"key": name, "done": done}, as_json=as_json, human=lambda: out.print("\n".join(done), soft_wrap=True)
    )


@keys.command("rotate-log")
def rotate_log(key: Key = None, folder: Folder = Path(), as_json: AsJson = False) -> None:
    """Replace the key that signs the log; who holds the old verifier key can follow to the new one."""
    from passersby.deployment import keeping

    with opened(folder) as d:
        old, new = keeping.replace_log_key(d, d.actor(key), now=now())

    def human() -> None:
        out.print("The log has a new key. Publish its verifier key where you published the old one:")
        out.print(f"[bold]{new}[/]", soft_wrap=True)
        out.print("`passersby log verify` with the old one follows the log to it.")

    emit({"old": old, "new": new}, as_json=as_json, human=human)


def _holders(to: list[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for text in to:
        person, sign, path = text.partition("=")
        if not person or not sign or not path:
            raise UsageError(f"{text!r} is not PERSON=FILE.", "Write for example --to anna=anna.share.")
        if person in found or Path(path) in found.values():
            raise UsageError("A person or a file is named twice.", "Give each person one share in one file.")
        found[person] = Path(path)
    return found


def _show_moved(moved: Moved) -> None:
    out.print(f"All keys lie under {moved.place}.", soft_wrap=True)
    if moved.before_destroyed:
        out.print(f"Destroyed: {moved.before}.", soft_wrap=True)
    else:
        out.print(f"[yellow]not destroyed yet[/]  {moved.before}: its keeper is away", soft_wrap=True)
    if moved.keeper == "file":
        err.print("[dim]next:[/]  back up the key file, apart from the control database", soft_wrap=True)
    err.print(
        "[dim]next:[/]  back up the control database: older backups need the old key, or shares",
        soft_wrap=True,
    )


def _show_status(found: KeyStatus) -> None:
    state = "[green]answers[/]" if found.answers else "[red]does not answer[/]"
    made = f"; made {instant_text(found.since, 0)}" if found.since else ""
    lie = "1 key lies" if found.keys == 1 else f"{found.keys} keys lie"
    out.print(f"{lie} under {found.place}, which {state}{made}.", soft_wrap=True)
    if found.problem:
        out.print(f"[red]problem[/]  {found.problem}", soft_wrap=True)
    for name in found.unopened:
        out.print(f"[red]does not open[/]  {name}", soft_wrap=True)
    if found.destroyed:
        out.print(f"{found.destroyed} epoch key(s) were destroyed with their last row.")
    for place in found.left_over:
        out.print(f"[yellow]to be destroyed[/]  {place}", soft_wrap=True)
    if found.shares is None:
        out.print("[yellow]no recovery shares[/]  if that key is lost, all is: `passersby keys share`")
    else:
        made, shares = instant_text(found.shares.created, 0), found.shares
        out.print(f"Recovery shares of {made}: any {shares.needed} of {', '.join(shares.holders)}.")
