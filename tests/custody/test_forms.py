"""Article 30 record, DPIA draft, incident form: the known is filled in, the rest is left to a person."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import worlds
from cli.shell import Shell
from passersby.custody.reports import controls, processing
from passersby.render.report import TO_WRITE, Report, Section, Table, as_csv, html, known, markdown

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> worlds.World:
    """Records, and no delivery: nothing writes to it."""
    folder = tmp_path_factory.mktemp("bare")
    return worlds.build(folder, suppliers=("veraset",), devices=20, dirt=False, ingest=False)


def _made(world: worlds.World) -> tuple[Report, Report]:
    with world.open() as d, d.database.read() as session:
        return (
            processing.record(session, d.config, now=worlds.now()),
            processing.assessment(session, d.config, now=worlds.now()),
        )


def test_the_record_of_processing_has_all_that_article_30_lists(bare: worlds.World) -> None:
    record, _ = _made(bare)
    assert [section.title[:3] for section in record.sections] == [f"({letter})" for letter in "abcdefg"]
    facts = {fact.name: fact for section in record.sections for fact in section.facts}
    assert facts["Controller"].value is None
    assert facts["Raw pings"].value == 30
    assert facts["Purposes in the notices to the people"].value == [worlds.PURPOSE]
    tables = {table.title: table for section in record.sections for table in section.tables}
    assert tables["Suppliers"].rows[0][0] == "veraset"
    assert tables["By contract"].rows == (("veraset", "30", "90"),)
    assert worlds.LICENCE in [row[0] for row in tables["Licences in force or revoked"].rows]


def test_the_draft_follows_article_35_and_names_every_control(bare: worlds.World) -> None:
    _, draft = _made(bare)
    titles = [section.title for section in draft.sections]
    assert [title[:3] for title in titles[1:]] == ["(a)", "(b)", "(c)", "(d)"]
    by_id = {each.id: each for each in controls.catalogue()[1]}
    measures = {row[0] for table in draft.sections[-1].tables for row in table.rows}
    assert measures == set(by_id)
    for _, against in draft.sections[3].tables[0].rows:
        for part in against.split("; "):
            name, said = part.split(" ", 1)
            assert said == f"({by_id[name].kind})"
    assert any(fact.name.startswith("Risk: ") for fact in draft.sections[0].facts)


def test_what_a_person_must_write_is_marked_in_every_format(bare: worlds.World) -> None:
    record, draft = _made(bare)
    for made in (record, draft):
        assert "not legal advice" in made.note
        for render in (html, markdown, as_csv):
            assert TO_WRITE in render(made)
        assert "compl" not in html(made).lower()


def test_words_of_a_record_are_neither_a_formula_nor_markup() -> None:
    evil = "=1+1<script>`x`"
    table = Table("T", ("a", "b"), ((evil, evil),))
    made = Report(evil, "s", "n", (Section("one", (known(evil, evil),), tables=(table,)),))
    cells = [cell for row in csv.reader(as_csv(made).splitlines()) for cell in row]
    assert not [cell for cell in cells if cell.startswith("=")]
    assert "<script>" not in html(made)
    assert "<code>x</code>" in html(made)


def test_a_deployment_without_records_has_forms_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell, root = Shell(capsys), tmp_path / "new"
    shell.run("init", str(root))
    for name in ("processing", "dpia", "incident"):
        found = shell.json("report", name, "-d", str(root))
        assert found["sections"]
        page = tmp_path / f"{name}.html"
        assert page.name in shell.run("report", name, "--out", str(page), "-d", str(root))
        assert "default-src 'none'" in page.read_text()
        shell.run("report", name, "--out", str(tmp_path / "x.doc"), "-d", str(root), code=2)
    size = next(f for f in found["sections"][0]["facts"] if f["name"] == "Entries verified")["value"]
    assert size >= 2
    assert json.dumps(found).count(TO_WRITE) > 10
