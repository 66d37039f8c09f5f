"""The demo phones nobody: it runs where there is no network at all."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_RUN = "from passersby.cli.main import run; run()"


@pytest.fixture(scope="module")
def without_network() -> list[str]:
    """Words before a command that take its network away."""
    for words in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if shutil.which("unshare") and subprocess.run([*words, "true"], check=False).returncode == 0:
            return words
    pytest.skip("this machine does not permit `unshare --net`: what needs no network cannot be shown")


def test_there_is_no_network_in_there(without_network: list[str]) -> None:
    code = "import socket; print([name for _, name in socket.if_nameindex()])"
    found = subprocess.run(
        [*without_network, sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert found.stdout == "['lo']\n"


@pytest.mark.slow
def test_the_demo_runs_without_a_network(without_network: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*without_network, sys.executable, "-c", _RUN, "demo", "out", "--devices", "300", "--json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert Path(told["page"]) == tmp_path / "out" / "index.html"
    assert Path(told["page"]).stat().st_size > 10_000
    assert told["refused"] == [
        *("resolution-too-fine", "device-level-request", "licence-expired"),
        *("NotJudicial", "ReverseSearchRefused"),
    ]
    assert Path(told["receipt"]).is_file()
    assert "Checking the log and the ledger" in done.stderr
