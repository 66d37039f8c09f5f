"""The page on court orders is followed to its end: a test judge's order, sealed, opened by its recipient."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cli.test_docs import DOCS, Reader, _words
from passersby.disclosure import release
from passersby.gate import gate

PAGE = DOCS / "how-to" / "answer-a-court-order.md"


@pytest.mark.slow
def test_answer_a_court_order_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("age") is None:
        pytest.skip("the program `age` is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gate, "TICK_S", 0.001)
    monkeypatch.setattr(release, "TICK_S", 0.001)
    for name in ("PASSERSBY_DEPLOYMENT", "PASSERSBY_KEY"):
        monkeypatch.setenv(name, "")
    section = PAGE.read_text(encoding="utf-8").partition("## Try it")[2].replace("\\\n", " ")
    ran = 0
    for line in re.findall(r"^    (\S.*)$", section, flags=re.MULTILINE):
        ran += line.startswith("passersby ")
        follow(tmp_path, " ".join(line.split()))
    assert ran == 15
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    with (tmp_path / "pings.csv").open() as file:
        pings = list(csv.DictReader(file))
    asked = (tmp_path / "ids.txt").read_text().strip().lower()
    assert manifest["scope"]["devices"] == [asked]
    assert pings
    assert len(pings) == manifest["files"]["pings.csv"]["rows"]
    assert {row["device"] for row in pings} <= {asked}
    assert (tmp_path / "to-read.pdf").read_bytes() == (tmp_path / "order.pdf").read_bytes()


def follow(folder: Path, line: str) -> None:
    """Run one line of the page, as a shell would."""
    if line.startswith("export "):
        for name, _, value in (word.partition("=") for word in _words(line)):
            os.environ[name] = value
    elif line.startswith("passersby "):
        own = re.search(r'"\$\((.*?)\)"', line)
        if own:
            found = subprocess.run(own[1].split(), capture_output=True, text=True, check=True).stdout.strip()
            line = line.replace(own[0], found)
        Reader(folder)._run(line)
    else:
        subprocess.run(["bash", "-o", "pipefail", "-c", line], check=True)
