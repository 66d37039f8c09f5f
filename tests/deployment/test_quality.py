"""The quality report: facts of the release and of public records, and nothing that is not held."""

from __future__ import annotations

import dataclasses
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import h3.api.numpy_int as h3i
import numpy as np
import pyarrow as pa
import pytest

import worlds
from passersby.cli import main
from passersby.deployment import quality
from passersby.deployment.studied import Studied, classes
from passersby.errors import UsageError
from passersby.lake.lake import Lake
from passersby.model.cells import to_text
from passersby.model.period import DAY, parse_day
from passersby.model.release import COARSE, LOW_PRECISION, SUPPRESSED, Release
from passersby.model.schema import PAIR, PLACE, rows_of
from passersby.render import report as reports
from passersby.render.report import Fact, Report, renderer
from passersby.suppliers import contract as contracts

pytestmark = pytest.mark.slow

HEADINGS = [
    "Statistical presentation",
    "Relevance",
    "Accuracy and reliability",
    "Timeliness and punctuality",
    "Accessibility and clarity",
    "Comparability",
    "Coherence",
    "Cost and burden",
    "Confidentiality",
]


@pytest.fixture
def release(asker: worlds.Asker) -> Release:
    """An answer about the seven children of a cell, a row of each flag among them."""
    made = asker.ask(every="week", resolution=4).release
    root = h3i.latlng_to_cell(47.37, 8.54, 4)
    values: list[tuple[Any, ...]] = [
        (1000.0, 980.4, 1019.6, 1000, ""),
        (1000.0, 902.0, 1098.0, 1010, ""),
        (100.0, 60.8, 139.2, 90, ""),
        (10.0, 0.0, 49.2, 10, LOW_PRECISION),
        (-5.0, 0.0, 34.2, 0, LOW_PRECISION),
        (100.0, 90.2, 109.8, 110, COARSE),
        (None, None, None, None, SUPPRESSED),
    ]
    start = made.question["from"]
    cells = sorted(int(c) for c in h3i.cell_to_children(root, 5))
    rows = pa.Table.from_pylist(
        [
            {
                "cell": c,
                "start": start,
                **dict(zip(("estimate", "low", "high", "count", "flag"), v, strict=True)),
            }
            for c, v in zip(cells, values, strict=True)
        ],
        schema=rows_of(PLACE, binned=False),
    )
    question = {**made.question, "area": [to_text(int(root))], "resolution": 5}
    return dataclasses.replace(made, rows=rows, question=question)


def facts(found: Report) -> dict[str, Fact]:
    return {fact.name: fact for section in found.sections for fact in section.facts}


def test_headings_are_those_of_the_handbook(asker: worlds.Asker, release: Release) -> None:
    assert [section.title for section in quality.report(asker.d, release).sections] == HEADINGS


def test_accuracy_counts_rows_and_their_errors(asker: worlds.Asker, release: Release) -> None:
    found = quality.report(asker.d, release)
    by = facts(found)
    assert by["Rows and area"].text == "cover the area, each part once"
    assert by["Suppressed"].value == pytest.approx(1 / 7)
    assert by["Low precision"].value == pytest.approx(2 / 7)
    assert by["Coarser than asked for"].value == pytest.approx(1 / 7)
    errors = [0.01, 0.05, 0.2, 2.0, 0.05]
    assert by["Relative standard error"].value == pytest.approx(np.median(errors))
    assert Studied(asker.d, release).errors == pytest.approx(errors)
    assert by["Between views"].value == pytest.approx(2220 / 2205)
    assert by["Completeness: places"].value == pytest.approx(6 / 7)
    assert "nothing is clipped" in by["Clipping"].text


def test_classes_share_out_all_rows() -> None:
    found = classes(np.array([0.01, 0.05, 0.06, 0.3, 0.99, 1.0, 7.0, 0.2]))
    assert found[0][0] == "below 5%"
    assert [round(8 * share) for _, share in found] == [1, 2, 0, 2, 0, 1, 2]
    assert sum(share for _, share in found) == pytest.approx(1)


def test_rows_that_do_not_cover_the_area_once_are_told(asker: worlds.Asker, release: Release) -> None:
    assert Studied(asker.d, release).covers_once()
    twice = pa.concat_tables([release.rows, release.rows.slice(0, 1)])
    assert Studied(asker.d, dataclasses.replace(release, rows=twice)).covers_once()  # another bucket of time
    missing = dataclasses.replace(release, rows=release.rows.slice(1))
    assert not Studied(asker.d, missing).covers_once()
    assert facts(quality.report(asker.d, missing))["Rows and area"].value is False


def test_timeliness_counts_days_from_the_end_of_the_period(asker: worlds.Asker, release: Release) -> None:
    end = release.question["to"]
    early = dataclasses.replace(
        release, created=end + 10 * DAY, question={**release.question, "revisions": [1]}
    )
    by = facts(quality.report(asker.d, early))
    assert (by["Timeliness"].value, by["End of the reference time"].text) == (10, "2026-05-17")
    assert by["Open to questions from"].text == "2026-05-21"
    assert by["Next data revision"].text == "from 2026-06-18 on"
    assert "provisional" in by["Reliability"].text
    late = dataclasses.replace(
        release, created=end + 200 * DAY, question={**release.question, "revisions": [3]}
    )
    by = facts(quality.report(asker.d, late))
    assert by["Next data revision"].text.startswith("none")
    assert "final" in by["Reliability"].text


def test_suppliers_that_join_or_leave_within_the_period_are_named(
    asker: worlds.Asker, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    (contract,) = Studied(asker.d, release).contracts
    assert isinstance(contract, contracts.Contract)
    late = dataclasses.replace(contract, id="late", dates_from=parse_day("2026-05-13"))
    short = dataclasses.replace(contract, id="short", dates_to=parse_day("2026-05-15"))
    monkeypatch.setattr(Studied, "contracts", [contract, late, short])
    by = facts(quality.report(asker.d, release))
    assert by["Suppliers that joined in the reference time"].value == ["late (2026-05-13)"]
    assert by["Suppliers that left in it"].value == ["short (2026-05-15)"]


def test_other_releases_of_the_same_weeks_and_free_repeats_are_counted(asker: worlds.Asker) -> None:
    mine = asker.ask(every="week", resolution=4).release
    other = asker.ask(every="day", resolution=4, epsilon=0.5).release
    asker.ask(every="week", resolution=4)
    by = facts(quality.report(asker.d, mine))
    assert by["Between releases"].value == [other.id]
    assert by["Over time"].value == []
    assert by["Handed out again"].value == 1


def test_a_fact_without_a_value_says_that_it_was_not_measured(asker: worlds.Asker, release: Release) -> None:
    for fact in facts(quality.report(asker.d, release)).values():
        assert (fact.value is None) == fact.text.startswith(reports.NOT_MEASURED), fact
        assert fact.text.strip()


def test_nothing_of_the_lake_is_read(
    asker: worlds.Asker, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(Lake, "snapshot", fail)
    before = asker.entries()
    quality.report(asker.d, release)
    assert asker.entries() == before


def test_pairs_bins_and_answers_without_a_shown_row_have_a_report_too(
    asker: worlds.Asker, release: Release
) -> None:
    hidden = release.rows.filter(pa.array([flag == SUPPRESSED for flag in release.rows["flag"].to_pylist()]))
    assert "Relative standard error" not in facts(
        quality.report(asker.d, dataclasses.replace(release, rows=hidden))
    )
    cell = int(h3i.latlng_to_cell(47.37, 8.54, 5))
    row = {"origin": cell, "destination": cell, "start": 0, "bin": "0-1 km", "estimate": 5.0, "low": 4.0}
    pairs = pa.Table.from_pylist(
        [{**row, "high": 6.0, "count": 5, "flag": ""}], schema=rows_of(PAIR, binned=True)
    )
    question = {**release.question, "measure": "flows"}
    by = facts(quality.report(asker.d, dataclasses.replace(release, rows=pairs, question=question)))
    assert "pairs" in by["Rows and area"].text
    assert "Between views" not in by


class Texts(HTMLParser):
    """Collects the texts of a page, and every address that it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"} and tag != "a"]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_html_holds_every_fact_and_loads_nothing(asker: worlds.Asker, release: Release) -> None:
    label = {**release.label, "intended_use": "<script>alert(1)</script>"}
    found = quality.report(asker.d, dataclasses.replace(release, label=label))
    text = reports.html(found)
    page = Texts()
    page.feed(text)
    assert {fact.text for fact in facts(found).values()} <= set(page.texts)
    assert page.addresses == []
    assert "<script" not in text
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_markdown_and_json_hold_every_fact(asker: worlds.Asker, release: Release) -> None:
    label = {**release.label, "intended_use": "a | b"}
    found = quality.report(asker.d, dataclasses.replace(release, label=label))
    text = reports.markdown(found)
    assert "a \\| b" in text
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == HEADINGS
    parsed = json.loads(reports.as_json(found))
    assert [section["title"] for section in parsed["sections"]] == HEADINGS
    rows = {fact["name"]: fact["value"] for section in parsed["sections"] for fact in section["facts"]}
    assert rows["Suppressed"] == pytest.approx(1 / 7)
    assert rows["Sampling error"] is None


def test_an_unknown_ending_is_refused() -> None:
    with pytest.raises(UsageError, match="format"):
        renderer(Path("report.pdf"))


@pytest.mark.parametrize("ending", ["md", "html", "json"])
def test_the_command_writes_and_prints(
    asker: worlds.Asker, tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    made = asker.ask(every="week", resolution=4).release
    at = ["-d", str(asker.d.layout.root)]
    path = tmp_path / f"q.{ending}"
    assert main.call(["release", "quality", made.id, "--out", str(path), *at]) == 0
    assert "Accuracy and reliability" in path.read_text(encoding="utf-8")
    capsys.readouterr()
    assert main.call(["release", "quality", made.id, *at]) == 0
    assert all(heading in capsys.readouterr().out for heading in HEADINGS[:1])
    assert main.call(["release", "quality", made.id, "--json", *at]) == 0
    assert len(json.loads(capsys.readouterr().out)["sections"]) == len(HEADINGS)
