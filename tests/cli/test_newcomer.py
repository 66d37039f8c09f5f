"""A newcomer's way by commands alone: from an empty folder to a verified answer."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

import forms
from cli.shell import Shell
from passersby.cli import main
from passersby.gate import gate

pytestmark = pytest.mark.slow

WEEK = "2026-W20"
ASK = ["--period", WEEK, "--licence", "city", "--purpose", forms.PURPOSE, "--case", "c1"]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PASSERSBY_DEPLOYMENT", "d")
    monkeypatch.setenv("PASSERSBY_KEY", "d/people/custodian.key")
    monkeypatch.setattr(gate, "TICK_S", 0.001)
    return Shell(capsys)


def test_the_whole_way(shell: Shell) -> None:
    files = missing_records_are_named(shell)
    data_comes_in(shell, files)
    questions_are_answered(shell)
    everything_can_be_checked(shell)


def missing_records_are_named(shell: Shell) -> list[str]:
    shell.run("init", "d", "--utc-offset", "+02:00")
    assert "no licence" in shell.run("ask", "presence", *ASK, code=5).lower()
    forms.fill_all(Path("d"))
    missing = shell.run("licence", "grant", "--file", "d/licence.toml", code=4)
    assert "passersby impact approve --file" in missing
    shell.run("person", "add", "olga", "--role", "privacy")
    shell.run("impact", "approve", "--file", "d/impact.toml", code=5)
    assert "is not this record" in shell.run(
        "impact", "approve", "--file", "d/impact.toml", "--key", "olga.key", code=4
    )
    shell.run("impact", "draft", "--file", "d/impact.toml")
    shell.run("impact", "approve", "--file", "d/impact.toml", "--key", "olga.key")
    shell.run("synth", "files", "--devices", "400", "--rate", "20")
    files = sorted(str(path) for path in Path("files/sovrn").iterdir())
    assert "passersby supplier list" in shell.run("ingest", *files, "--supplier", "sovrn", code=2)
    shell.run("supplier", "add", "--file", "d/supplier.toml")
    assert "passersby supplier assess sovrn" in shell.run("ingest", *files, "--supplier", "sovrn", code=4)
    shell.run("supplier", "assess", "sovrn", "--file", "d/assessment.toml")
    shell.run("ingest", *files, "--supplier", "sovrn", code=4)  # consent is the basis, and none is loaded
    return files


def data_comes_in(shell: Shell, files: list[str]) -> None:
    told = shell.json(
        *("ingest", *files, "--supplier", "sovrn", "--consent", "files/consent/sovrn.csv"),
        *("--sensitive", "files/sensitive.geojson"),
    )
    assert {"delivery", "read", "stored", "duplicates", "suppressed", "rejected"} <= set(told)
    stored = int(told["stored"].removeprefix("about ").replace(",", ""))
    assert 0 < stored < told["read"] - told["duplicates"] - sum(told["rejected"].values())
    assert " to " in told["suppressed"]
    again = shell.json("ingest", *files, "--supplier", "sovrn")
    assert (again["read"], again["stored"], again["delivery"]) == (0, "0", told["delivery"])


def questions_are_answered(shell: Shell) -> None:
    shell.run("licence", "grant", "--file", "d/licence.toml")
    refused = shell.json("ask", "presence", *ASK, "--dry-run", code=5)
    assert refused["error"]["code"] == "case-not-open"
    shell.run(
        *("case", "open", "c1", "--licence", "city", "--purpose", forms.PURPOSE, "--title", "Changing trains")
    )
    plan = shell.json("ask", "presence", *ASK, "--every", "day", "--resolution", "5", "--dry-run")
    assert plan["cost"]["periods"] == [WEEK]
    assert "SELECT" in plan["sql"]["5"]
    assert shell.json("budget") == []

    asked = shell.json(
        "ask", "presence", *ASK, "--every", "day", "--resolution", "5", "--out", "rows.parquet"
    )
    assert {"release", "path", "cost", "rows"} <= set(asked)
    assert pq.read_table("rows.parquet").num_rows == asked["rows"]
    for ending in ("csv", "geojson"):
        free = shell.json(
            "ask", "presence", *ASK, "--every", "day", "--resolution", "5", "--out", f"rows.{ending}"
        )
        assert (free["new"], free["release"]) == (False, asked["release"])
        assert Path(f"rows.{ending}").stat().st_size > 0
    visitors = shell.json("ask", "visitors", *ASK, "--resolution", "4", "--epsilon", "0.5")
    assert visitors["new"]

    assert [row["release"] for row in shell.json("release", "list")] == [
        asked["release"],
        visitors["release"],
    ]
    shell.run("release", "show", asked["release"], "--png", "map.png")
    assert Path("map.png").read_bytes().startswith(b"\x89PNG")
    assert "privacy_unit" in shell.run("release", "show", asked["release"], "--label")
    shell.run("release", "verify", asked["release"])
    assert shell.json("budget")[0]["epsilon_spent"] > 1


def everything_can_be_checked(shell: Shell) -> None:
    vkey = (Path("d") / "log.vkey").read_text(encoding="utf-8").strip()
    inside, outside = shell.json("log", "verify"), shell.json("log", "verify", "d/log", "--vkey", vkey)
    assert inside == outside
    shell.run("log", "verify", "d/log", code=2)
    shell.run("log", "prove", str(inside["size"] - 1), "--out", "proof.txt")
    kinds = [entry["kind"] for entry in shell.json("log", "show", "--last", "100")]
    assert kinds[0] == "deployment.created"
    assert {"delivery.stored", "delivery.refused", "release.made", "question.refused"} <= set(kinds)

    assert all(check["ok"] for check in shell.json("doctor", "--deep"))
    assert {table["table"] for table in shell.json("status")["tables"]} == {
        "pings",
        "presence",
        "stays",
        "trips",
    }
    assert shell.json("expire")["files"] == 0


def test_lists_are_there_for_people_and_programs(shell: Shell) -> None:
    shell.run("init", "d")
    for command in (["person", "list"], ["supplier", "list"], ["licence", "list"], ["sensitive", "list"]):
        assert isinstance(shell.json(*command), list)
        assert shell.run(*command).strip()
    for measure in shell.json("measures"):
        assert {"name", "unit", "definition", "source"} <= set(measure)


@pytest.mark.parametrize(
    ("arguments", "code", "kind"),
    [
        (["status", "-d", "nowhere"], 2, "not-a-deployment"),
        (["ask"], 2, "usage"),
        (["nonsense"], 2, "usage"),
        (["ask", "presence", *ASK, "--out", "rows.xlsx"], 2, "usage"),
        (["supplier", "sniff", "nothing.csv"], 3, "unreadable-file"),
    ],
)
def test_errors_are_one_json_object(shell: Shell, arguments: list[str], code: int, kind: str) -> None:
    error = shell.json(*arguments, code=code)["error"]
    assert error["code"] == kind
    assert error["message"]
    assert error["next_step"]


def test_an_interrupt_ends_with_130(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "app", interrupted)
    shell.run("measures", code=130)


def test_a_fault_of_ours_is_told_without_details(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("device 42")

    monkeypatch.setattr(main, "app", broken)
    told = shell.run("measures", code=70)
    assert "ZeroDivisionError" in told
    assert "42" not in told
