"""The application object that the groups of commands register with, and the exit codes."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

EXIT_CODES = {
    0: "done",
    2: "the call is wrong (an argument, a name)",
    3: "a file cannot be taken; nothing of it is stored",
    4: "a record is missing; the message names the command that makes it",
    5: "refused by policy or budget; nothing was spent",
    6: "log, ledger, lake or a signature contradict each other",
    7: "the machine failed (disk, database, engine); the next command repairs what was begun",
    70: "a fault in Passersby itself",
    130: "interrupted",
}
"""Documented in `passersby --help` and docs/reference/exit-codes.md."""

_EPILOG = "Exit codes: " + " · ".join(f"{code} {text}" for code, text in EXIT_CODES.items())

PANELS = ("Start here", "Deployment", "Records", "Data", "Questions", "Court orders", "Holders", "Checking")
"""Groups of commands in `passersby --help`, in the order in which a newcomer needs them."""


class InOrder(TyperGroup):
    """Lists commands by panel, whatever the order in which modules were imported."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 (the class of Typer's contexts is private)
        """Return the names of all commands, those of the first panel first."""
        panels = {name: getattr(command, "rich_help_panel", "") for name, command in self.commands.items()}
        return sorted(super().list_commands(ctx), key=lambda name: PANELS.index(panels[name]))


app = typer.Typer(
    name="passersby",
    cls=InOrder,
    help="A location database that answers questions about crowds and follows no person.",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"passersby {version('passersby')}")
        raise typer.Exit


@app.callback()
def passersby(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and leave.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""
