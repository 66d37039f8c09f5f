"""Commands of witnesses and of the log as people call them, in processes of their own where it matters."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

import loopback
from cli.shell import Shell
from passersby.cli import logs
from passersby.errors import IntegrityError
from passersby.model.period import HOUR
from passersby.trustlog.heads import Witnessed
from passersby.trustlog.verify import Report

pytestmark = pytest.mark.slow

RUN = "import sys; from passersby.cli.main import run; sys.argv[0] = 'passersby'; run()"


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PASSERSBY_DEPLOYMENT", "d")
    monkeypatch.setenv("PASSERSBY_KEY", "d/people/custodian.key")
    made = Shell(capsys)
    made.run("init", "d", "--name", "example.org")
    made.run("witness", "init", "w", "--name", "w.example/1")
    return made


def vkey() -> str:
    return Path("d/log.vkey").read_text(encoding="utf-8").strip()


@contextmanager
def witness_process() -> Iterator[str]:
    """Run `witness serve` as a person does; yields its address."""
    settings = Path("w/witness.toml")
    settings.write_text(settings.read_text().replace("logs = [\n", f'logs = ["{vkey()}"\n'))
    command = [sys.executable, "-c", RUN, "witness", "serve", "w", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"w\.example/1 listens on (http://127\.0\.0\.1:\d+) for 1 log\(s\)\n", line)
            assert found, line
            yield found[1]
        finally:
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            assert process.stderr.read() == ""
    assert process.returncode == 0


def use(witness: str) -> None:
    with Path("d/passersby.toml").open("a", encoding="utf-8") as file:
        file.write(f'\nwitnesses = ["{witness}"]\nwitness_quorum = 1\n')


@pytest.mark.slow
def test_a_witness_is_run_and_signs(shell: Shell) -> None:
    assert "No outside witness signs the log" in shell.run("status")
    key = shell.json("witness", "show", "w")["verifier_key"]
    with witness_process() as url:
        use(f"{key} {url}")
        assert "1 signed all 4 published entries" in shell.run("status")
        shell.run("person", "add", "bob", "--role", "overseer", "--name", "Bob")
        assert shell.json("log", "cosign")["witnessed"]["size"] == 5
    seen = shell.json("witness", "show", "w")
    assert [(log["size"], seen["contradictions"]) for log in seen["logs"]] == [(5, [])]
    shell.run("person", "add", "eve", "--role", "legal", "--name", "Eve")
    told = shell.run("status")
    assert "w.example/1 cannot be reached" in told
    assert "signed 5 of 6 entries: the operator could rewrite entries from 5 on" in told
    assert shell.json("status")["log"]["problems"] == {"w.example/1": "cannot be reached, or takes too long"}
    kinds = [entry["kind"] for entry in shell.json("log", "show")]
    assert kinds.count("witnesses.changed") == 1
    shell.run("log", "export", "out")
    check = ["log", "verify", "out", "--vkey", vkey(), "--witness", key]
    assert "signed 5 of 6 entries" in shell.run(*check, "--within", "1")
    (Path("out/checkpoint.witnessed")).unlink()
    assert "Too few witnesses signed this log" in shell.run(*check, code=6)


def test_a_log_is_checked_by_address_with_nothing_but_the_key(shell: Shell) -> None:
    shell.run("log", "export", "out")
    with loopback.static(Path("out")) as url:
        found = shell.json("log", "verify", url, "--vkey", vkey())
        assert (found["size"], found["entries"], found["witnessed"]) == (3, 3, None)
        told = shell.run("log", "verify", url, "--vkey", vkey())
        assert "the operator could rewrite this log" in told
        Path("out/tile/entries/000.p/3").write_bytes(b"\x00")
        assert "tile/entries/000.p/3" in shell.run("log", "verify", url, "--vkey", vkey(), code=6)
    assert "cannot be reached" in shell.run("log", "verify", url, "--vkey", vkey(), code=7)


def test_an_auditor_is_shown_a_field(shell: Shell) -> None:
    told = shell.run("log", "disclose", "1", "--to", "auditor", "--out", "x.json", code=2)
    assert "hidden in this entry are: name" in told
    shell.run("log", "disclose", "1", "--field", "name", "--to", "auditor", "--out", "x.json")
    found = shell.json("log", "verify", "--disclosure", "x.json", "--vkey", vkey())["disclosure"]
    assert (found["index"], found["fields"], found["unshown"]) == (1, {"name": "custodian"}, 0)
    assert "name custodian" in shell.run("log", "verify", "d/log", "--disclosure", "x.json", "--vkey", vkey())
    assert shell.json("log", "show", "--last", "1")[0]["kind"] == "log.disclosed"
    shown = json.loads(Path("x.json").read_text())
    Path("x.json").write_text(json.dumps(shown | {"entry": shown["entry"] + " "}))
    shell.run("log", "verify", "--disclosure", "x.json", "--vkey", vkey(), code=6)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["log", "verify", "https://log.example.org"], 2, "Give --vkey"),
        (["log", "verify", "--disclosure", "x"], 2, "Give --vkey"),
        (["log", "verify", "nowhere", "--vkey", "x+y+z"], 2, "no folder nowhere"),
        (["log", "verify", "--older", "nowhere"], 3, "cannot be read"),
        (["log", "verify", "d/log", "--vkey", "x", "--within", "3"], 2, "not a verifier key of a log"),
        (["log", "verify", "--within", "3"], 2, "Give --witness"),
        (["log", "verify", "d/log", "--vkey", "x", "--witness", "y"], 2, "verifier key of a witness"),
        (["log", "verify", "d/log", "--vkey", "x", "--quorum", "1"], 2, "larger than the number"),
        (["log", "export", "d"], 2, "something else"),
        (["log", "disclose", "99", "--field", "x", "--to", "y", "--out", "z"], 2, "no entry 99"),
        (["witness", "init", "w", "--name", "w.example/2"], 2, "not empty"),
        (["witness", "init", "w2", "--name", "a b"], 2, "must hold no space"),
        (["witness", "serve", "d"], 2, "no witness in d"),
        (["witness", "show", "nowhere"], 2, "passersby witness init"),
    ],
)
def test_what_is_wrong_is_said(shell: Shell, arguments: list[str], code: int, text: str) -> None:
    assert text in shell.run(*arguments, code=code)


@pytest.mark.parametrize(
    "line", ['witnesses = ["x"]', 'witnesses = "x"', "witness_quorum = 1", "witnesses = [1]"]
)
def test_settings_of_witnesses_are_checked(shell: Shell, line: str) -> None:
    with Path("d/passersby.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    assert "itness" in shell.run("status", code=2 if 'x"]' in line else 3)


@pytest.mark.parametrize(("needed", "fresh"), [(1, True), (2, False), (3, False)])
def test_a_quorum_is_as_old_as_its_last_signature_that_is_needed(needed: int, fresh: bool) -> None:
    """One witness that signs an old checkpoint again makes it no fresher for the others."""
    times = {"a": int(time.time()), "b": int(time.time()) - 5 * HOUR, "c": int(time.time()) - 9 * HOUR}
    report = Report("x", 5, "", 5, 1, witnessed=Witnessed(5, times))
    with nullcontext() if fresh else pytest.raises(IntegrityError, match="more than 3 hours ago"):
        logs._check_age(report, needed, 3)
