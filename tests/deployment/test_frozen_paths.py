"""Every command is on one of two lists: stopped by a freeze, with nothing written, or going on in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import worlds
from cli.shell import Shell
from passersby.deployment import freezing
from passersby.errors import Refusal
from passersby.ingest.admission import Admission
from passersby.store.tables import Delivery, File
from proof.saying import command_names

ASK = (
    *("--period", "2026-W20", "--licence", worlds.LICENCE, "--purpose", worlds.PURPOSE),
    *("--case", worlds.CASE),
)
BUNDLE = f"""
epsilon = 0.4
period = "2026-W20"
licence = "{worlds.LICENCE}"
purpose = "{worlds.PURPOSE}"
case = "{worlds.CASE}"

[[question]]
measure = "presence"
"""

STOPPED: dict[tuple[str, ...], tuple[str, ...]] = {
    ("ask",): ("presence", *ASK, "--out", "out.csv"),
    ("plan",): ("presence", *ASK, "--target-error", "5%"),
    ("bundle",): ("bundle.toml",),
    ("ingest",): ("FILE", "--supplier", "veraset", "--remove-source"),
    ("release", "show"): ("r-1", "--out", "out.csv", "--png", "out.png"),
    ("release", "quality"): ("r-1", "--out", "out.md"),
    ("release", "compare"): ("r-1", "r-2", "--out", "out.csv"),
    ("order", "disclose"): ("1", "--out", "out.age"),
    ("order", "package"): ("1", "--out", "out.age"),
    ("lake", "report"): ("1", "--out", "out.html"),
}
"""Command -> arguments. By each of them data would come in or go out."""

GOES_ON = {
    *(("freeze",), ("thaw",), ("status",), ("doctor",), ("expire",), ("budget",), ("measures",)),
    *(("proposal", name) for name in ("list", "show", "approve", "refuse")),
    *(("person", name) for name in ("add", "list", "end", "rekey")),
    ("programme", "review"),
    *(("supplier", name) for name in ("add", "assess", "suspend", "list", "sniff")),
    *(("review", "list"), ("review", "show"), ("review", "do"), ("alert", "list"), ("alert", "close")),
    *(("case", name) for name in ("open", "close", "list")),
    *(
        ("impact", "draft"),
        ("impact", "approve"),
        ("licence", "grant"),
        ("licence", "revoke"),
        ("licence", "list"),
    ),
    *(("sensitive", name) for name in ("load", "list", "categories", "review", "test")),
    *(("release", "list"), ("release", "verify")),
    *(("court", name) for name in ("add", "list", "retire", "demo")),
    *(("order", name) for name in ("new", "sign", "submit", "list", "show", "approve", "refuse")),
    *(("log", name) for name in ("verify", "prove", "show", "export", "disclose", "cosign")),
    *(("keys", name) for name in ("status", "move", "rotate", "share", "test-shares", "recover", "lost")),
    *(("keys", "rotate-log"), ("witness", "init"), ("witness", "serve"), ("witness", "show")),
    *(("init",), ("synth",), ("demo",), ("risk",)),
    *(("consent", "list"), ("consent", "load")),
    *(("supplier", name) for name in ("sample", "checked", "lineage", "taint")),
    *(
        ("report", name)
        for name in ("transparency", "licences", "records", "processing", "dpia", "incident", "verify")
    ),
    *(
        ("subject", name)
        for name in ("withdraw", "erase", "receipt", "verify-receipt", "load-list", "show", "recipients")
    ),
    *(("subject", name) for name in ("check", "enrol-app", "enrol", "notices", "prove", "copy")),
    ("lake", "assess"),
    *(("audit", "run"), ("audit", "list")),
}
"""Records, lists, keys, deletion, the log and its checks; and what opens no deployment, or one of its own.

What `release list` and `budget` show is metadata that the log publishes. `subject copy` takes requests; the
copy itself is not handed out in a freeze, which is tested with the subjects.
"""


@pytest.fixture
def shell(
    built: worlds.World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    world = built.copied(tmp_path / "d")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PASSERSBY_DEPLOYMENT", "d")
    monkeypatch.setenv("PASSERSBY_KEY", str(world.key("custodian")))
    (tmp_path / "bundle.toml").write_text(BUNDLE)
    source = built.files.of("veraset")[0]
    (tmp_path / source.name).write_bytes(source.read_bytes())
    return Shell(capsys)


def test_every_command_is_on_a_list() -> None:
    assert STOPPED.keys() & GOES_ON == set()
    assert STOPPED.keys() | GOES_ON == command_names(), "say what a freeze does to it, and test it"


@pytest.mark.slow
def test_what_a_freeze_stops(shell: Shell, tmp_path: Path) -> None:
    shell.run("person", "add", "otto", "--role", "overseer")
    assert "No question, ingest, disclosure" in shell.run("freeze", "--reason", "a leak", "--key", "otto.key")
    before = {path.name for path in tmp_path.iterdir()}
    source = next(path.name for path in tmp_path.iterdir() if path.suffix not in {".toml", ".key", ""})
    for name, arguments in STOPPED.items():
        words = [source if word == "FILE" else word for word in arguments]
        error = shell.json(*name, *words, code=5)["error"]
        assert error["code"] == "frozen", name
        assert {path.name for path in tmp_path.iterdir()} == before, name
    for goes_on in ("release list", "budget", "doctor", "expire", "log verify", "sensitive test"):
        shell.run(*goes_on.split())
    assert shell.json("status")["frozen"]["by"] == "otto"
    assert "frozen since" in shell.run("status")


@pytest.mark.slow
def test_thawing_takes_two(shell: Shell) -> None:
    shell.run("person", "add", "otto", "--role", "overseer")
    assert "not frozen" in shell.run("thaw", "--reason", "x", code=2)
    shell.run("freeze", "--reason", "a leak")
    assert "already, by custodian" in shell.run("freeze", "--reason", "a leak", code=2)
    shell.run("thaw", "--reason", " ", code=2)
    made = shell.json("thaw", "--reason", "mended")
    number = str(made["proposal"])
    assert shell.json("proposal", "approve", number, code=5)["error"]["code"] == "same-person"
    for name in ("anna", "paula"):
        code = shell.json("proposal", "approve", number, "--key", f"d/people/{name}.key", code=5)
        assert code["error"]["code"] == "role-missing"
    assert shell.json("plan", *STOPPED[("plan",)], code=5)["error"]["code"] == "frozen"
    shell.run("proposal", "approve", number, "--key", "otto.key")
    assert shell.json("status")["frozen"] is None
    shell.run("plan", *STOPPED[("plan",)])
    # what they signed ends no later freeze
    shell.run("freeze", "--reason", "again", "--key", "otto.key")
    assert "no open proposal" in shell.run("proposal", "approve", number, "--key", "otto.key", code=2)


def test_who_may_not_freeze_is_logged(asker: worlds.Asker) -> None:
    with pytest.raises(Refusal) as caught:
        freezing.stop(asker.d, reason="x", actor=asker.actor("anna"), now=worlds.now())
    assert caught.value.code == "role-missing"
    assert (asker.entries()[-1]["kind"], asker.entries()[-1]["act"]) == ("act.refused", "freeze")


def test_a_freeze_stops_a_delivery_on_its_way(
    built: worlds.World, asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    d, real = asker.d, Admission.check

    def freezes_after(*arguments: Any, **named: Any) -> Any:
        found = real(*arguments, **named)
        freezing.stop(d, reason="x", actor=asker.actor("custodian"), now=worlds.now())
        return found

    monkeypatch.setattr(Admission, "check", freezes_after)
    with pytest.raises(Refusal) as caught:
        d.ingest(built.files.of("veraset"), "veraset", now=worlds.now())
    assert caught.value.code == "frozen"
    assert asker.entries("delivery.refused")[-1]["code"] == "frozen"
    with d.database.read() as session:
        assert session.query(Delivery).count() == session.query(File).count() == 0
