"""A check of the log by a program that is not ours: Go's own code for its formats, where it is there."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

from passersby.errors import IntegrityError

MODULES = Path("/usr/share/gocode")
"""Where Debian's golang-golang-x-mod-dev puts Go's modules."""


def missing() -> str | None:
    """Return why Go cannot check a log here, None if it can."""
    if shutil.which("go") is None or not (MODULES / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        return "Go and its sumdb packages are not installed (Debian: golang-go, golang-golang-x-mod-dev)"
    return None


def settings(cache: Path) -> dict[str, str]:
    """Return the environment in which Go builds without a network, and writes into `cache` alone."""
    return os.environ | {"GO111MODULE": "off", "GOPATH": str(MODULES), "GOCACHE": str(cache), "GOFLAGS": ""}


def build(folder: Path) -> Path:
    """Build the verifier of `trustlog/verify.go` in a folder; return the program.

    Raises:
        subprocess.SubprocessError: it does not build.
    """
    program = folder / "verify"
    with as_file(files("passersby.trustlog") / "verify.go") as path:
        command = ["go", "build", "-o", str(program), str(path)]
        subprocess.run(command, check=True, capture_output=True, env=settings(folder / "cache"), timeout=300)  # noqa: S603
    return program


def replay(log: Path, vkey: str) -> int | None:
    """Have Go replay a published log; return how many entries it counted.

    None where Go is missing, or does not build the verifier: it may be too old.

    Raises:
        IntegrityError: Go finds the log damaged.
    """
    if missing():
        return None
    with tempfile.TemporaryDirectory() as folder:
        try:
            program = build(Path(folder))
        except subprocess.SubprocessError:
            return None
        command = [str(program), str(log), vkey]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (built above)
    if done.returncode:
        raise IntegrityError("Go's verifier finds the log damaged.", "`passersby log verify` says where.")
    return int(done.stdout.split()[1])
