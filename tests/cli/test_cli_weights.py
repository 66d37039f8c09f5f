"""Weights on the command line: what is said beside an estimate, and what is wrong with a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from passersby.cli import main
from passersby.cli.common import weight_lines

WORDS = ["--period", "2026-W20", "--licence", "l", "--purpose", "dpv:AcademicResearch", "--case", "c"]


def _ask(command: str, folder: Path, *options: str) -> int:
    target = ["--target-error", "5%"] if command == "plan" else []
    return main.call([command, "presence", *WORDS, *target, *options, "-d", str(folder)])


@pytest.mark.parametrize("command", ["ask", "plan"])
@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("cell,population\n871f8d7ffffffff,1\n", 3, "Line 2 of the census table"),
        ("cell,population\n841f8d7ffffffff,-3\n", 3, "no whole number"),
        (None, 3, "cannot be read"),
    ],
)
def test_a_wrong_table_is_said_before_anything_is_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, text: str | None, code: int, said: str
) -> None:
    path = tmp_path / "census.csv"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    found = _ask(command, tmp_path / "none", "--weights", str(path), "--residents", "r", "--weight-cap", "9")
    assert found == code
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_cap_without_a_table_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _ask("ask", tmp_path / "none", "--weight-cap", "9", "--json") == 2
    assert "--weights" in json.dumps(json.loads(capsys.readouterr().out))


def test_nothing_is_silent() -> None:
    facts: dict[str, Any] = {
        "census_sha256": "ab" * 32,
        "residents": "0123456789ab",
        "cap": 500,
        "largest": 480,
        "mean": 100.0,
        "strata": 12,
        "cells_capped": 0.25,
        "people_left_out": 0.125,
        "coverage": 0.01,
        "bias": -0.2,
        "error": 0.075,
    }
    text = " ".join(weight_lines(facts))
    for said in (
        "abababababab",
        "0123456789ab",
        "480 at most",
        "cap 500",
        "25%",
        "1.000%",
        "-20.0%",
        "12.5%",
        "7.5%",
    ):
        assert said in text
    assert "no sample" in text
    assert weight_lines(None) == []
