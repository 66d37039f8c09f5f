"""The pages about assessing a file and the lake run from top to bottom."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest

import worlds
from cli.test_docs import DOCS, Reader
from risk.given import csv, people
from risk.releases.given import published


@pytest.mark.slow
def test_assess_a_file_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pings = csv(tmp_path / "pings.csv", people(60, 3, seed=1)).read_bytes()
    Path("pings.csv.gz").write_bytes(gzip.compress(pings))
    for name in ("monday", "tuesday", "may", "june"):
        Path(f"{name}.parquet").write_bytes(pings)  # read by content, whatever the name says
    Path("clinics.geojson").write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"category": "clinic"},'
        ' "geometry": {"type": "Point", "coordinates": [7.5, 47.0]}}]}'
    )
    rows = people(60, 3, seed=1)
    Path("published.csv").write_text(published(rows, 6, floor=5))
    Path("published-total.csv").write_text(published(rows, 5))
    assert Reader(tmp_path).follow(DOCS / "how-to" / "assess-a-file.md") == 7
    assert "How identifiable" in Path("report.html").read_text(encoding="utf-8")
    assert "What do these counts give away" in Path("release.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_assess_the_lake_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = worlds.build(tmp_path / "w", devices=40, suppliers=("veraset",), dirt=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PASSERSBY_DEPLOYMENT", str(world.root))
    shutil.copy(world.key("custodian"), "me.pem")
    shutil.copy(world.key("paula"), "paula.key")
    assert Reader(tmp_path).follow(DOCS / "how-to" / "assess-the-lake.md") == 5
    assert "Not for publication" in Path("lake.html").read_text(encoding="utf-8")
    assert json.loads(Path("lake.json").read_text())["publication"] == "not for publication"
