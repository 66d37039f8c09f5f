"""Entry point of `passersby`: puts the groups together and turns errors into exit codes, once."""

from __future__ import annotations

import json
import os
import sys

import typer
from rich.markup import escape

from passersby.cli import (
    audits,
    bundle,
    cases,
    consents,
    courts,
    data,
    demo,
    freezing,
    holders,
    house,
    keys,
    lake,
    logs,
    orders,
    plan,
    proposals,
    questions,
    records,
    releases,
    reports,
    reviews,
    risk,
    samples,
    sensitive,
    staff,
    subjects,
    taints,
    witnesses,
)
from passersby.cli.app import app
from passersby.cli.common import err
from passersby.errors import PassersbyError

__all__ = ["GROUPS", "app", "call", "run"]

GROUPS = (
    demo,
    house,
    freezing,
    keys,
    records,
    samples,
    taints,
    consents,
    staff,
    cases,
    proposals,
    data,
    sensitive,
    plan,
    questions,
    bundle,
    releases,
    courts,
    orders,
    subjects,
    holders,
    reviews,
    logs,
    witnesses,
    reports,
    risk,
    lake,
    audits,
)
"""Modules whose import puts their commands into the application."""


def run() -> None:
    """Run the command line and leave with its exit code."""
    code = call(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
    sys.exit(code)


def call(arguments: list[str]) -> int:
    """Run one command and return its exit code; every error ends here.

    With `--json` an error is an object too: {"error": {"code", "message", "next_step"}}.
    """
    as_json = "--json" in arguments
    try:
        result = app(args=arguments, prog_name="passersby", standalone_mode=False)
    except PassersbyError as error:
        _report(error.code, error.message, error.next_step, as_json=as_json)
        return error.exit_code
    except typer.Exit as leave:
        result = leave.exit_code
    except typer.TyperException as error:
        if error.format_message():  # nothing is left to say where a command alone printed its help
            _report("usage", error.format_message(), "See `passersby --help`.", as_json=as_json)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        _report("interrupted", "Interrupted.", "The next command undoes what was begun.", as_json=as_json)
        return 130
    except BrokenPipeError:
        _forget_output()
        result = 0
    except Exception as error:
        if os.environ.get("PASSERSBY_DEBUG"):
            raise
        text = f"Passersby itself failed ({type(error).__name__})."
        hint = "Run it again with PASSERSBY_DEBUG=1 and report what it prints, without any data."
        _report("internal", text, hint, as_json=as_json)
        return 70
    return result if isinstance(result, int) else 0


def _report(code: str, message: str, next_step: str, *, as_json: bool) -> None:
    if as_json:
        error = {"code": code, "message": message, "next_step": next_step}
        sys.stdout.write(json.dumps({"error": error}, ensure_ascii=False) + "\n")
        return
    err.print(f"[bold red]{code}[/]  {escape(message)}", soft_wrap=True)
    if next_step:
        err.print(f"[dim]next:[/]  {escape(next_step)}", soft_wrap=True)


def _forget_output() -> None:
    """Write nowhere from now on: whoever read the output has what they wanted."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
