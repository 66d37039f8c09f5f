"""Takes the line of a control out of a copy of the sources."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import passersby
from passersby.custody.reports.controls import Check

SOURCES = Path(passersby.__file__).parent
ROOT = Path(__file__).parents[2]

_OTHER_PROCESSES = {"PYTEST_XDIST_WORKER", "PYTEST_CURRENT_TEST", "PYTEST_XDIST_WORKER_COUNT"}


def without(check: Check, folder: Path) -> Path:
    """Copy the sources into `folder`, with the check's line taken out; return the folder of packages."""
    shutil.copytree(SOURCES, folder / "passersby")
    path = folder / "passersby" / file_of(check).relative_to(SOURCES)
    text = path.read_text(encoding="utf-8")
    own = segment(check, text)
    assert text.count(own) == 1, f"{check.function} stands twice"
    path.write_text(text.replace(own, own.replace(check.line, check.without)), encoding="utf-8")
    ast.parse(path.read_text(encoding="utf-8"))
    return folder


def file_of(check: Check) -> Path:
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
    return {getattr(node, "name", "")}


def run(tests: list[str], packages: Path, scratch: Path) -> subprocess.CompletedProcess[str]:
    """Run tests against the package in `packages`."""
    environment = {name: value for name, value in os.environ.items() if name not in _OTHER_PROCESSES}
    environment |= {"PYTHONPATH": str(packages), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-n",
        "0",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
    ]
    base = ("--basetemp", str(scratch))
    return subprocess.run(
        [*command, *base, *tests], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def failed(done: subprocess.CompletedProcess[str]) -> bool:
    """Tell whether tests ran and one failed: not that nothing could be collected."""
    return done.returncode == 1 and re.search(r"\b1 (failed|error)", done.stdout) is not None
