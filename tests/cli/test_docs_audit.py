"""The page about audits is followed, and what the command prints is what the page shows."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import worlds
from cli.shell import Shell
from cli.test_docs import DOCS, Reader
from passersby.config import Config
from passersby.deployment import audits
from passersby.deployment.create import create
from passersby.gate import gate
from passersby.policy.audits import Outcome, software

pytestmark = pytest.mark.slow

PAGE = DOCS / "how-to" / "audit-what-is-claimed.md"


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A new deployment in `d`, whose custodian's key is `me.pem`; audits ask about one hour."""
    made = create(tmp_path / "d", now=worlds.now(), config=Config(buckets=4, threads=2))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PASSERSBY_DEPLOYMENT", "d")
    monkeypatch.setattr(gate, "TICK_S", 0.001)
    monkeypatch.setattr(audits, "_PINGS", 1)
    shutil.move(made.key_file, "me.pem")
    return Shell(capsys)


def test_audit_what_is_claimed_runs(shell: Shell, tmp_path: Path) -> None:
    assert Reader(tmp_path).follow(PAGE) == 3
    first, second = shell.json("audit", "list")
    assert [each["outcome"]["measure"] for each in (first, second)] == ["presence", "visitors"]
    assert [each["above_claim"] for each in (first, second)] == [False, False]
    assert second["outcome"]["canaries"] == 3000


def found(shell: Shell, monkeypatch: pytest.MonkeyPatch, bound: float, code: int) -> str:
    outcome = Outcome("presence", 1.0, 1e-7, bound, 0.95, 2000, 200, 117, software())
    monkeypatch.setattr(audits, "attack", lambda *_, **__: outcome)
    return shell.run("audit", "run", "--key", "me.pem", code=code)


def test_the_page_shows_what_is_printed(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    said = found(shell, monkeypatch, 0.1, 0)
    for line in re.findall(
        r"^    ((?:Shown:|\d+ of \d+).*?)(?: \.\.)?$", PAGE.read_text(), flags=re.MULTILINE
    ):
        assert line in said


def test_more_than_is_claimed_ends_with_exit_code_6(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    said = found(shell, monkeypatch, 1.25, 6)
    assert "at least 1.25, where 1.00 is claimed" in said
    assert "passersby freeze" in said
    listed: Any = shell.json("audit", "list")
    assert listed[0]["above_claim"]
    assert "1.25" in shell.run("audit", "list")


def test_what_is_wrong_with_the_call_is_said(shell: Shell) -> None:
    assert "presence, visitors" in shell.run("audit", "run", "--measure", "flows", "--key", "me.pem", code=2)
    assert "0.5 and 4" in shell.run("audit", "run", "--epsilon", "0.1", "--key", "me.pem", code=2)
    assert shell.json("audit", "run", "--canaries", "10", code=2)["error"]["code"] == "usage"
