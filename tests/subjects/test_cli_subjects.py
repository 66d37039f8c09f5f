"""`passersby subject` as people type it: ids from a file or a prompt, receipts, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.shell import Shell
from passersby.subjects import receipts
from subjects.conftest import ANA, BEA, Scene

pytestmark = pytest.mark.slow


@pytest.fixture
def shell(scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    root = scene.d.layout.root
    scene.d.close()
    monkeypatch.chdir(scene.folder)
    monkeypatch.setenv("PASSERSBY_DEPLOYMENT", str(root))
    monkeypatch.setenv("PASSERSBY_KEY", str(root / "people" / "custodian.key"))
    (scene.folder / "ids.txt").write_text(f"  {ANA.upper()}\n\n{BEA}\n")
    return Shell(capsys)


def test_erase_writes_a_receipt_that_verifies(shell: Shell, scene: Scene) -> None:
    found = shell.json("subject", "erase", "--devices", "ids.txt", "--out", "r.json")
    assert found == {"request": 1, "erasure": 1, "waits_for": "", "receipt": "r.json"}
    vkey = (scene.d.layout.root / "log.vkey").read_text().strip()
    told = shell.json("subject", "verify-receipt", "r.json", "--devices", "ids.txt", "--vkey", vkey)
    assert (told["kind"], told["about_ids"]) == ("subject.erased", True)
    Path("other.txt").write_text(f"{ANA}\n")
    text = shell.run("subject", "verify-receipt", "r.json", "--devices", "other.txt", "--vkey", vkey, code=6)
    assert "about other ids" in text
    assert all(line in text for line in receipts.OUTSIDE)
    again = shell.run("subject", "receipt", "1", "--devices", "ids.txt", "--out", "again.json")
    assert "again.json" in again
    assert (
        json.loads(Path("again.json").read_text())["log"]["entry"]
        == json.loads(Path("r.json").read_text())["log"]["entry"]
    )
    shell.run("subject", "receipt", "1", "--devices", "other.txt", "--out", "no.json", code=2)
    assert not Path("no.json").exists()


def test_a_file_that_is_there_stops_the_act(shell: Shell, scene: Scene) -> None:
    Path("r.json").write_text("mine")
    shell.run("subject", "erase", "--devices", "ids.txt", "--out", "r.json", code=2)
    assert Path("r.json").read_text() == "mine"
    assert scene.reopened().entries("subject.withdrawn") == []


def test_what_fails_leaves_no_file(shell: Shell) -> None:
    for words in (["--received", "2090-01-01"], ["--received", ANA], ["--key", "ids.txt"]):
        text = shell.run("subject", "withdraw", "--devices", "ids.txt", "--out", "r.json", *words, code=2)
        assert ANA not in text
        assert not Path("r.json").exists()


def test_ids_are_typed_without_being_shown(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    typed, hidden = iter([ANA, BEA, ""]), []

    def prompt(_text: str, **given: Any) -> str:
        hidden.append(given["hide_input"])
        return next(typed)

    monkeypatch.setattr("typer.prompt", prompt)
    assert shell.json("subject", "withdraw", "--out", "r.json")["request"] == 1
    assert hidden == [True, True, True]


def test_showing_needs_exactly_one_kind_of_proof(shell: Shell) -> None:
    shell.run("subject", "show", code=2)
    shell.run("subject", "show", "--proof", "ids.txt", "--checked", "1", code=2)
    shell.run("subject", "show", "--proof", "ids.txt", code=3)
