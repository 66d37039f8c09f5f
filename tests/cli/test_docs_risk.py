"""The page about assessing a file runs from top to bottom."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

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
