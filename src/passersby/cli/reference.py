"""Makes the reference pages of commands, settings and exit codes from the code itself.

`python -m passersby.cli.reference FOLDER` writes them; a test holds the pages to what it makes.
"""

from __future__ import annotations

import ast
import inspect
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer

from passersby import config
from passersby.cli.app import EXIT_CODES
from passersby.cli.main import app as application


def pages() -> dict[str, str]:
    """Return name -> text of each generated page."""
    return {"commands.md": commands(), "settings.md": settings(), "exit-codes.md": exit_codes()}


def commands() -> str:
    """Return the page of all commands with their options."""
    parts = [
        "# Commands",
        "",
        "Every command has `--help`. `-d DIR` or `PASSERSBY_DEPLOYMENT` names the deployment; the default is",
        "the current folder. `--json` prints one JSON value on standard output and nothing else; an error is",
        '`{"error": {"code", "message", "next_step"}}`. [Exit codes](exit-codes.md).',
    ]
    for name, command in sorted(_flat(typer.main.get_command(application), ())):
        parts += ["", f"## passersby {name}", "", *_described(command)]
    return "\n".join(parts) + "\n"


def settings() -> str:
    """Return the page of all settings."""
    notes = _notes()
    rows = [f"| `{f.name}` | `{f.default!r}` | {notes.get(f.name, '')} |" for f in fields(config.Config)]
    head = [
        "# Settings",
        "",
        f"`{config.FILE}` in the deployment's folder. Unknown names and values out of bounds are refused. No",
        "setting reaches the noise, its scale or a seed.",
        "",
        "| setting | default | what it does |",
        "|---|---|---|",
    ]
    return "\n".join(head + rows) + "\n"


def exit_codes() -> str:
    """Return the page of exit codes."""
    rows = [f"| {code} | {text} |" for code, text in EXIT_CODES.items()]
    return "\n".join(["# Exit codes", "", "| code | meaning |", "|---|---|", *rows]) + "\n"


def _flat(command: Any, path: tuple[str, ...]) -> list[tuple[str, Any]]:  # noqa: ANN401 (Typer's commands)
    groups = getattr(command, "commands", None)
    if groups is None:
        return [(" ".join(path), command)]
    return [found for name, sub in groups.items() for found in _flat(sub, (*path, name))]


def _described(command: Any) -> list[str]:  # noqa: ANN401
    lines = [inspect.cleandoc(command.help or "").replace("\n", " "), "", "| | | default |", "|---|---|---|"]
    for parameter in command.params:
        if parameter.name in {"help", "install_completion", "show_completion"}:
            continue
        names = ", ".join(f"`{name}`" for name in parameter.opts)
        if parameter.param_type_name == "argument":
            names = f"`{parameter.name.upper()}`"
        default = "required" if parameter.required else _default(parameter.default)
        lines.append(f"| {names} | {parameter.help or ''} | {default} |")
    return lines


def _default(value: object) -> str:
    return "" if value in {None, "", False} else f"`{value}`"


def _notes() -> dict[str, str]:
    """Return the sentence that stands under each setting in `config.Config`."""
    tree = ast.parse(inspect.getsource(config.Config)).body[0]
    assert isinstance(tree, ast.ClassDef)  # noqa: S101 (for the type checker)
    found: dict[str, str] = {}
    name = ""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and name:
            found[name] = inspect.cleandoc(str(node.value.value)).replace("\n", " ")
    return found


if __name__ == "__main__":
    for page, text in pages().items():
        (Path(sys.argv[1]) / page).write_text(text, encoding="utf-8")
