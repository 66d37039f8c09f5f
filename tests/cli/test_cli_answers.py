"""What commands say: proofs byte for byte, next steps that work as they stand, wrong names and areas."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import forms
from passersby.cli import main, sensitive
from passersby.sensitive import lists
from passersby.trustlog.receipts import verify_proof

pytestmark = pytest.mark.slow

ASK = ["ask", "presence", "--period", "2026-W20", "--licence", "city"]
ASK += ["--purpose", forms.PURPOSE, "--case", "c1", "--dry-run"]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new deployment below the current folder, its record files filled in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "60")
    for name in ("PASSERSBY_DEPLOYMENT", "PASSERSBY_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert main.call(["init", "my house"]) == 0
    forms.fill_all(tmp_path / "my house")
    return "my house"


def _refused(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int) -> dict[str, str]:
    capsys.readouterr()
    assert main.call([*arguments, "--json"]) == code
    error: dict[str, str] = json.loads(capsys.readouterr().out)["error"]
    return error


def test_a_printed_proof_verifies(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main.call(["log", "prove", "1", "-d", root]) == 0
    printed = capsys.readouterr().out
    bundle = (Path(root) / "log" / "tile" / "entries" / "000.p" / "2").read_bytes()
    second = bundle[2 + int.from_bytes(bundle[:2]) :][2:]
    assert verify_proof(second, printed, (Path(root) / "log.vkey").read_text().strip()).index == 1


def test_the_command_that_makes_a_missing_record_works_as_it_stands(
    root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = _refused(capsys, ["licence", "grant", "--file", f"{root}/licence.toml", "-d", root], 4)
    draft, approve = re.findall(r"`passersby ([^`]+)`", error["next_step"])
    assert main.call(["person", "add", "olga", "--role", "privacy", "-d", root]) == 0
    assert main.call([*shlex.split(draft), "--key", f"{root}/people/custodian.key"]) == 0
    assert main.call([*shlex.split(approve), "--key", "olga.key"]) == 0
    assert main.call(["licence", "grant", "--file", f"{root}/licence.toml", "-d", root]) == 0


def test_the_next_step_after_a_supplier_works_as_it_stands(
    root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main.call(["supplier", "add", "--file", f"{root}/supplier.toml", "-d", root]) == 0
    said = capsys.readouterr().err.removeprefix("next:  passersby ")
    assert main.call(shlex.split(said)) == 0


def test_an_area_smaller_than_a_cell_is_refused_and_logged(
    root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["person", "add", "olga", "--role", "privacy"],
                      ["impact", "draft", "--file", f"{root}/impact.toml"],
                      ["impact", "approve", "--file", f"{root}/impact.toml", "--key", "olga.key"],
                      ["licence", "grant", "--file", f"{root}/licence.toml"]):  # fmt: skip
        assert main.call([*arguments, "-d", root]) == 0
    house = ["--area", "8.5,47.3,8.5001,47.3001", "--resolution", "7", "-d", root]
    assert _refused(capsys, [*ASK, *house], 5)["code"] == "area-too-small"
    capsys.readouterr()
    assert main.call(["log", "show", "--last", "1", "-d", root, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["code"] == "area-too-small"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["budget", "--licence", "nobody"], "unknown-name"),
        (["log", "show", "--last", "0"], "usage"),
        (["log", "verify", "nowhere", "--vkey", "x"], "usage"),
    ],
)
def test_names_and_numbers_that_are_wrong(
    root: str, capsys: pytest.CaptureFixture[str], arguments: list[str], code: str
) -> None:
    assert _refused(capsys, [*arguments, "-d", root], 2)["code"] == code


def test_settings_that_are_no_text(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    (Path(root) / "passersby.toml").write_bytes(b"\xff\xfe")
    assert _refused(capsys, ["status", "-d", root], 3)["code"] == "bad-record"


def test_an_entry_that_an_editor_wrote_as_text_is_found(
    root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(Path(root) / "control.db")) as database, database:
        database.execute('UPDATE log_entry SET body = CAST(body AS TEXT) WHERE "index" = 1')
    error = _refused(capsys, ["log", "verify", "-d", root], 6)
    assert error["message"].startswith("Log entry 1 was changed")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Spitäler Zürich.geojson", "spitaler-zurich"),
        ("health_2026.csv", "health_2026"),
        ("病院.csv", "places"),
        ("-x-.csv", "x"),
        ("a" * 200 + ".csv", "a" * 60),
    ],
)
def test_a_file_of_places_gives_its_list_a_valid_name(file: str, name: str) -> None:
    assert sensitive.list_name(Path(file)) == name
    assert lists._NAME.fullmatch(name)
