"""The page on reports is true: its commands run, in a deployment and outside of one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import worlds
from cli.test_docs import DOCS, Reader
from passersby.cli import main


@pytest.mark.slow
def test_publish_reports_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = worlds.build(tmp_path / "w", suppliers=("veraset",), devices=20, dirt=False, ingest=False)
    monkeypatch.chdir(world.root)
    monkeypatch.setenv("PASSERSBY_KEY", "people/custodian.key")
    monkeypatch.setenv("PASSERSBY_DEPLOYMENT", "")
    vkey = Path("log.vkey").read_text().strip()

    def real(line: str) -> str:
        if "report verify records.json" in line and "--log" in line:
            assert main.call(["log", "export", "public-log"]) == 0
        return line.replace("$VKEY", vkey).replace("--licence city", f"--licence {worlds.LICENCE}")

    assert Reader(world.root).follow(DOCS / "how-to" / "publish-reports.md", real) == 13
    assert json.loads(Path("transparency.json").read_text())["public"]["licences"]["granted"] >= 0
    made = json.loads(Path("records.json").read_text())
    assert [json.loads(each["entry"])["kind"] for each in made["entries"]] == ["licence.granted"]
    for page in ("transparency", "licences", "records", "processing", "dpia", "incident"):
        assert Path(f"{page}.html").read_text().startswith("<!doctype html>")
