"""The command line at its edges: help, completion, programs, pipes, faults, and what it imports."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer

from passersby import errors
from passersby.cli import main, records
from passersby.cli.app import EXIT_CODES
from passersby.cli.reference import _flat
from passersby.measures.catalogue import CATALOGUE, GROUPS
from passersby.people.accounts import ROLES

pytestmark = pytest.mark.slow

COMMANDS = dict(_flat(typer.main.get_command(main.app), ()))
INTERNALS = re.compile(
    r"sqlalchemy|alembic|duckdb|polars|pyarrow|sqlglot|passersby\.\w+\.\w+|\bsrc/|__|0x|TODO", re.IGNORECASE
)
HEAVY = (
    "alembic",
    "cryptography",
    "duckdb",
    "matplotlib",
    "numba",
    "numpy",
    "opendp",
    "polars",
    "sqlalchemy",
)

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command; return its exit code and what it printed to standard output and error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main.call(list(arguments))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def _process(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from passersby.cli.main import run; run()", *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        **more,
    )


def _raising(error: BaseException) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_helps_without_internals(call: Call, name: str) -> None:
    code, out, err = call(*name.split(), "--help")
    assert (code, err) == (0, "")
    assert f"passersby {name}" in out
    assert COMMANDS[name].help.splitlines()[0].rstrip(".")[:30] in out
    assert not INTERNALS.search(out), INTERNALS.findall(out)


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"measures", "demo", "sensitive categories"}))
def test_every_command_fails_with_one_json_value(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Without a deployment or its arguments none can succeed."""
    monkeypatch.chdir(tmp_path)
    code, out, _ = call(*name.split(), "--json")
    assert code == 2
    error = json.loads(out)["error"]
    assert set(error) == {"code", "message", "next_step"}
    assert all(error.values())
    assert list(tmp_path.iterdir()) == []


def test_help_names_every_exit_code(call: Call) -> None:
    _, out, _ = call("--help")
    words = " ".join(out.split())
    assert all(f"{code} {text}" in words for code, text in EXIT_CODES.items())


def test_help_begins_where_a_newcomer_does(call: Call) -> None:
    _, out, _ = call("--help")
    panels = [line.split("─ ")[1].split(" ─")[0] for line in out.splitlines() if line.startswith("╭")]
    assert panels == [
        "Options",
        "Start here",
        "Deployment",
        "Records",
        "Data",
        "Questions",
        "Court orders",
        "Holders",
        "Checking",
    ]


@pytest.mark.parametrize("group", [(), ("log",), ("release",), ("person",), ("supplier",)])
def test_a_group_alone_prints_its_help_and_nothing_else(call: Call, group: tuple[str, ...]) -> None:
    code, out, err = call(*group)
    assert (code, err) == (2, "")
    assert "Usage: passersby" in out


def test_the_roles_that_help_names_are_all_there_are() -> None:
    (role,) = (p for p in COMMANDS["person add"].params if p.name == "role")
    assert [word for word in ROLES if word not in role.help] == []
    assert records.__doc__


def test_version(call: Call) -> None:
    assert call("--version") == (0, f"passersby {version('passersby')}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["--nonsense"],
        ["status", "--nonsense"],
        ["release", "nonsense"],
        ["log", "prove", "x"],
        ["ask", "presence", "--resolution", "fine"],
        ["ingest", "--supplier", "x"],
        ["measures", "too", "many"],
    ],
)
def test_a_wrong_call_is_exit_code_2(call: Call, arguments: list[str]) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("usage  ")
    assert "passersby --help" in err
    code, out, err = call(*arguments, "--json")
    assert (code, err) == (2, "")
    assert json.loads(out)["error"]["code"] == "usage"


def _kinds(kind: type[errors.PassersbyError]) -> list[type[errors.PassersbyError]]:
    return [kind, *(below for sub in kind.__subclasses__() for below in _kinds(sub))]


@pytest.mark.parametrize("kind", _kinds(errors.PassersbyError)[1:], ids=lambda kind: kind.__name__)
def test_every_error_ends_with_its_code(
    call: Call, monkeypatch: pytest.MonkeyPatch, kind: type[errors.PassersbyError]
) -> None:
    made = {
        errors.Refusal: lambda: errors.Refusal("why", "What [bold]happened[/].", "What now."),
        errors.PeriodOpen: errors.PeriodOpen,
        errors.BudgetSpent: errors.BudgetSpent,
    }
    error = made.get(kind, lambda: kind("What [bold]happened[/].", "What now."))()
    monkeypatch.setattr(main, "app", _raising(error))
    code, out, err = call("measures")
    assert code == kind.exit_code
    assert code in EXIT_CODES
    assert out == ""
    assert err == f"{error.code}  {error.message}\nnext:  {error.next_step}\n"
    code, out, err = call("measures", "--json")
    assert (code, err) == (kind.exit_code, "")
    told = {"code": error.code, "message": error.message, "next_step": error.next_step}
    assert json.loads(out) == {"error": told}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()])
def test_an_interrupt_is_told(call: Call, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    monkeypatch.setattr(main, "app", _raising(error))
    code, out, err = call("measures")
    assert (code, out) == (130, "")
    assert "The next command undoes what was begun." in err
    code, out, err = call("measures", "--json")
    assert (code, err, json.loads(out)["error"]["code"]) == (130, "", "interrupted")


def test_a_fault_of_ours_has_no_details(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PASSERSBY_DEBUG", raising=False)
    monkeypatch.setattr(main, "app", _raising(KeyError("38400000-8cf0-11bd-b23e-10b96e40000d")))
    code, out, err = call("measures", "--json")
    assert (code, err) == (70, "")
    assert json.loads(out)["error"]["code"] == "internal"
    assert "KeyError" in out
    assert "38400000" not in out


def test_a_fault_of_ours_is_whole_for_who_asks_for_it(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSERSBY_DEBUG", "1")
    monkeypatch.setattr(main, "app", _raising(KeyError("x")))
    with pytest.raises(KeyError):
        call("measures")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str) -> None:
    done = _process(env={**os.environ, "_PASSERSBY_COMPLETE": f"source_{shell}"})
    assert done.returncode == 0, done.stderr
    assert "passersby" in done.stdout


def test_completion_completes() -> None:
    words = {"COMP_WORDS": "passersby rel", "COMP_CWORD": "1", "_PASSERSBY_COMPLETE": "complete_bash"}
    done = _process(env={**os.environ, **words})
    assert done.stdout.split() == ["release"]


def test_help_answers_without_engine_database_and_mechanism() -> None:
    code = f"import sys, passersby, passersby.cli.main; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.slow
@pytest.mark.parametrize("columns", ["60", "80", "400"])
def test_without_a_terminal_there_is_no_decoration(columns: str) -> None:
    done = _process("measures", env={**os.environ, "COLUMNS": columns, "TERM": "xterm-256color"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "device-hours" in "".join(done.stdout.split())


@pytest.mark.slow
def test_json_is_the_same_whatever_the_terminal() -> None:
    wide, narrow = (
        _process("measures", "--json", env={**os.environ, "COLUMNS": columns, "FORCE_COLOR": "1"})
        for columns in ("400", "20")
    )
    assert wide.stdout == narrow.stdout
    assert [measure["name"] for measure in json.loads(wide.stdout)] == list(CATALOGUE)


@pytest.mark.slow
@pytest.mark.parametrize("columns", ["100", "160"])
def test_the_catalogue_is_a_list_of_names_by_group(columns: str) -> None:
    lines = _process("measures", env={**os.environ, "COLUMNS": columns}).stdout.splitlines()
    first = [line.split()[0] for line in lines if line.strip() and not line.startswith(" ")]
    assert [word for word in first if word in CATALOGUE] == list(CATALOGUE)
    assert all(title in "\n".join(lines) for title in GROUPS)
    assert len(lines) < 2 * len(CATALOGUE)


@pytest.mark.parametrize("name", ["residents", "mean-dwell", "flows", "change"])
def test_one_measure_is_shown_in_full(call: Call, name: str) -> None:
    measure = CATALOGUE[name]
    code, out, err = call("measures", name)
    assert (code, err) == (0, "")
    said = " ".join(out.split())
    assert measure.definition in said
    assert measure.clips in said
    assert all(each.label in said for each in (*measure.bins, *measure.derived))
    _, out, _ = call("measures", name, "--json")
    found = json.loads(out)
    assert list(found["bounds"]) == list(measure.grains)
    assert " ".join(found["sql"].split()) in said


def test_no_measure_is_shown_that_is_none(call: Call) -> None:
    code, _, err = call("measures", "homes")
    assert (code, err.splitlines()[0]) == (2, "unknown-name  There is no measure of that name.")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["measures", "--json"], ["measures"], ["--help"]])
def test_a_reader_who_leaves_is_no_fault(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", "from passersby.cli.main import run; run()", *arguments],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert "internal" not in done.stderr
    assert done.returncode in {0, 1}
