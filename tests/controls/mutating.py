"""Takes the line of a control out of the code that a process runs tests with."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import passersby
from controls import child
from passersby.custody.reports.controls import Check

SOURCES = Path(passersby.__file__).parent
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Done:
    """What became of a run: the status of pytest, and what it printed."""

    status: int
    output: str

    @property
    def failed(self) -> bool:
        """Whether a test ran and failed: not that it could not be collected or set up."""
        return self.status == 1 and re.search(r"\b1 failed", self.output) is not None


class Forks:
    """A process whose forks run tests (`controls.child`).

    Args:
        folder: where compiled modules are kept, so that each is compiled once.
    """

    def __init__(self, folder: Path) -> None:
        path = os.pathsep.join(filter(None, (str(SOURCES.parent), os.environ.get("PYTHONPATH"))))
        own = {"PYTHONPATH": path, "PYTHONPYCACHEPREFIX": str(folder), "PYTHONDONTWRITEBYTECODE": ""}
        self._process = subprocess.Popen(
            [sys.executable, "-P", child.__file__, str(SOURCES)],
            cwd=ROOT,
            env={**os.environ, **own},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, tests: list[str], scratch: Path, check: Check | None = None) -> Done:
        """Run tests against the package, without the line of a check if one is given."""
        change = None
        if check is not None:
            change = (check.function.partition(":")[0], str(file_of(check)), without(check))
        job = {"tests": tests, "root": str(ROOT), "scratch": str(scratch), "change": change}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        output = scratch.with_suffix(".txt").read_text(encoding="utf-8", errors="replace")
        return Done(status, output)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def without(check: Check) -> str:
    """Return the text of the check's module, with its line taken out."""
    text = file_of(check).read_text(encoding="utf-8")
    own = segment(check, text)
    assert text.count(own) == 1, f"{check.function} stands twice"
    changed = text.replace(own, own.replace(check.line, check.without))
    ast.parse(changed)
    return changed


def file_of(check: Check) -> Path:
    """Return the file of the check's module."""
    module = check.function.partition(":")[0].removeprefix("passersby.")
    return SOURCES / f"{module.replace('.', '/')}.py"


def segment(check: Check, text: str) -> str:
    """Return the source of the check's function, class or constant, in which its line stands once."""
    body: list[ast.stmt] = ast.parse(text).body
    found: ast.stmt | None = None
    for name in check.function.partition(":")[2].split("."):
        found = next(node for node in body if name in _names(node))
        body = getattr(found, "body", [])
    assert found is not None
    own = ast.get_source_segment(text, found) or ""
    assert own.count(check.line) == 1, f"{check.function} holds {check.line!r} {own.count(check.line)} times"
    return own


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.Assign):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return {node.target.id}
    return {getattr(node, "name", "")}
