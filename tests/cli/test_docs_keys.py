"""The page on keeping keys is true: its commands run, from a file through a token and Vault and back."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from cli.test_docs import DOCS, Reader
from deployment import keyed
from keys import tokens
from passersby.cli import main


@pytest.mark.slow
def test_keep_keys_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = keyed.make(tmp_path / "d")
    monkeypatch.chdir(made.root)
    monkeypatch.setenv("PASSERSBY_KEY", "people/custodian.key")
    monkeypatch.setenv("PASSERSBY_DEPLOYMENT", "")
    page = DOCS / "how-to" / "keep-keys.md"
    with tokens.softhsm(tmp_path / "hsm") as hsm, tokens.simulated_vault() as vault:
        hsm.add("crowd")
        made.set(**hsm.settings("crowd"), **vault.settings())
        assert Reader(made.root).follow(page) == 8
        assert made.status().keeper == "file"
        (made.root / "keys" / made.key_files()[0]).unlink()
        recover = next(line for line in page.read_text().splitlines() if "keys recover --share" in line)
        assert main.call(shlex.split(recover)[1:]) == 0
    made.check(log_key_changes=True)
    capsys.readouterr()
    assert main.call(["keys", "status", "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["keeper"], status["answers"], status["unopened"]) == ("file", True, [])
    assert status["shares"]["holders"] == ["anna", "bruno"]


@pytest.mark.parametrize("to", ["anna", "=file", "anna="])
def test_a_holder_is_a_person_and_a_file(to: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.call(["keys", "share", "--to", to, "--json"]) == 2
    assert "PERSON=FILE" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_nobody_gets_two_shares(capsys: pytest.CaptureFixture[str]) -> None:
    for second in ("anna=b", "bruno=a"):
        assert main.call(["keys", "share", "--to", "anna=a", "--to", second, "--json"]) == 2
        assert "twice" in json.loads(capsys.readouterr().out)["error"]["message"]
