"""Records of one licence: whole, provable, without staff; and handing them out is logged."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import worlds
from cli.shell import Shell
from custody.logged import Logged
from passersby.custody.reports import checking, records
from passersby.custody.reports.reading import Days
from passersby.errors import IntegrityError, Refusal, UnknownName, UnreadableFile, UsageError
from passersby.gate import gate
from passersby.model.period import DAY, day_name
from passersby.render.report import html

pytestmark = pytest.mark.slow

TODAY = day_name(worlds.now() // DAY)
DAYS = Days(Days.parse(TODAY, TODAY).first - 1, Days.parse(TODAY, TODAY).first + 1)


@pytest.fixture(scope="module")
def asked_once(tmp_path_factory: pytest.TempPathFactory) -> worlds.World:
    """A deployment without data in which one licence asked and was refused, and another too."""
    folder = tmp_path_factory.mktemp("asked")
    world = worlds.build(folder, suppliers=("veraset",), devices=20, dirt=False, ingest=False)
    with pytest.MonkeyPatch.context() as patch, world.open() as d:
        patch.setattr(gate, "TICK_S", 0.001)
        asker = worlds.Asker(d)
        asker.licence("firm", contract="B-17", government=True)
        asker.ask(licence="firm")
        asker.ask(licence="firm")  # the stored answer
        asker.refused(licence="firm", measure="devices")
        asker.refused(licence="firm", purpose="to find the man in the red coat")
        asker.refused(measure="devices")
    return world


@pytest.fixture
def asked(asked_once: worlds.World, tmp_path: Path) -> worlds.World:
    return asked_once.copied(tmp_path / "asked")


@pytest.fixture
def asker(asked: worlds.World) -> Iterator[worlds.Asker]:
    with asked.open() as d:
        yield worlds.Asker(d)


def _made(asker: worlds.Asker, days: Days = DAYS, *, who: str = "custodian", to: str = "x") -> dict[str, Any]:
    d = asker.d
    return records.make(
        d.database, d.publisher, "firm", days, to=to, actor=asker.actor(who), now=worlds.now()
    )


def _check(asker: worlds.Asker, made: dict[str, Any], *, log: bool = True) -> checking.Checked:
    source = Logged(asker.d.database, asker.d.publisher).source
    return checking.check(json.dumps(made).encode(), asker.d.vkey, source if log else None)


def test_every_question_refusal_and_release_is_in_the_file(asker: worlds.Asker) -> None:
    made = _made(asker)
    found = records.check(made, asker.d.vkey)
    kinds = [each.entry.kind for each in found]
    assert kinds == [
        "licence.granted",
        "question.reserved",
        "release.made",
        "release.repeated",
        "question.refused",
        "question.refused",
    ]
    assert found[0].entry.text("contract") == "B-17"
    assert [each.purpose for each in found if each.entry.kind == "release.made"] == [worlds.PURPOSE]
    assert "none is left out" in " ".join(_check(asker, made).holds)
    assert "not checked" in " ".join(_check(asker, made, log=False).holds)


def test_words_cases_and_people_stay_hidden(asker: worlds.Asker) -> None:
    made = _made(asker)
    text = json.dumps(made)
    for hidden in ("red coat", worlds.CASE, "anna"):
        assert hidden not in text
    shown = html(records.page(made, records.check(made, asker.d.vkey)))
    assert "B-17" in shown
    for name in ("custodian", "anna", "paula"):
        assert name not in shown


def test_handing_out_is_logged_before_and_takes_a_role(asker: worlds.Asker) -> None:
    before = len(asker.entries("records.disclosed"))
    _made(asker, to="the city council")
    entry = asker.entries("records.disclosed")[before]
    assert (entry["licence"], entry["by"], entry["entries"]) == ("firm", "custodian", 6)
    assert "council" not in json.dumps(entry)
    with pytest.raises(Refusal) as caught:
        _made(asker, who="anna")
    assert caught.value.code == "role-missing"
    assert len(asker.entries("records.disclosed")) == before + 1


def test_other_days_hold_the_licence_alone(asker: worlds.Asker) -> None:
    made = _made(asker, Days.parse("2020-01-01", "2020-01-31"))
    assert [each.entry.kind for each in records.check(made, asker.d.vkey)] == ["licence.granted"]
    assert "none is left out" in " ".join(_check(asker, made).holds)


def test_what_was_left_out_is_found_with_the_log(asker: worlds.Asker) -> None:
    made = _made(asker)
    del made["entries"][4]
    assert _check(asker, made, log=False).holds
    with pytest.raises(IntegrityError, match="not in the file"):
        _check(asker, made)


def test_what_was_changed_put_in_or_swapped_is_found(asker: worlds.Asker) -> None:
    made = _made(asker)
    changed = copy.deepcopy(made)
    changed["entries"][5]["entry"] = changed["entries"][5]["entry"].replace("refused", "refusal")
    swapped = copy.deepcopy(made)
    swapped["entries"][4:6] = swapped["entries"][5:3:-1]
    other = {**made, "licence": worlds.LICENCE}
    earlier = {**made, "to": day_name(DAYS.first - 1), "from": day_name(DAYS.first - 1)}
    for spoiled in (changed, swapped, other, earlier):
        with pytest.raises(IntegrityError):
            _check(asker, spoiled, log=False)


def test_a_purpose_that_was_not_logged_is_found(asker: worlds.Asker) -> None:
    made = _made(asker)
    place = next(i for i, part in enumerate(made["entries"]) if part["disclosures"])
    made["entries"][place]["disclosures"] = ["WyJhIiwgInB1cnBvc2UiLCAieCJd"]
    with pytest.raises(IntegrityError, match="did not commit"):
        _check(asker, made, log=False)


@pytest.mark.parametrize("entries", [None, [1], [{}], "x"])
def test_a_file_without_entries_is_none(asker: worlds.Asker, entries: object) -> None:
    made = {**_made(asker), "entries": entries}
    with pytest.raises(UnreadableFile):
        _check(asker, made, log=False)


def test_nobody_and_nothing(asker: worlds.Asker) -> None:
    with pytest.raises(UsageError, match="--for"):
        _made(asker, to=" ")
    with pytest.raises(UnknownName):
        records.make(
            asker.d.database,
            asker.d.publisher,
            "nobody",
            DAYS,
            to="x",
            actor=asker.actor("custodian"),
            now=worlds.now(),
        )


@pytest.mark.slow
def test_commands_of_the_operator_and_of_an_outsider(
    asked: worlds.World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell, at = Shell(capsys), ("-d", str(asked.root))
    days = ("--from", day_name(DAYS.first), "--to", day_name(DAYS.last))
    own = shell.json("report", "transparency", *days, *at)
    assert own["operator"] == {"devices_named": 0, "entries": [], "erased": 0, "requests": {}}
    for name in ("t.json", "t.html", "t.csv", "t.md"):
        assert name in shell.run("report", "transparency", *days, "--out", str(tmp_path / name), *at)
    shell.run("report", "licences", "--out", str(tmp_path / "l.json"), *at)
    key = ("--key", str(asked.key("custodian")))
    handed = ("--licence", "firm", "--for", "the council", "--out", str(tmp_path / "r.json"))
    shell.run("report", "records", *handed, *days, "--page", str(tmp_path / "r.html"), *key, *at)
    vkey = (asked.root / "log.vkey").read_text().strip()
    own = shell.json("report", "transparency", *days, *at)  # with what the commands since then wrote
    shutil.copytree(asked.root / "log", tmp_path / "published")
    shutil.rmtree(asked.root)
    outside = ("--log", str(tmp_path / "published"), "--vkey", vkey)
    again = shell.json("report", "transparency", *days, *outside)
    assert {**again["public"], "log": 0} == {**own["public"], "log": 0}
    assert again["public"]["questions"]["refused"] == {"device-level-request": 2, "purpose-not-licensed": 1}
    for name in ("t.json", "l.json", "r.json"):
        assert "verified" in shell.run("report", "verify", str(tmp_path / name), *outside)
    assert "verified" in shell.run("report", "verify", str(tmp_path / "r.json"), "--vkey", vkey)
    shell.run("report", "verify", str(tmp_path / "t.json"), "--vkey", vkey, code=2)
    shell.run("report", "verify", str(tmp_path / "t.html"), "--vkey", vkey, code=3)
    shell.run("report", "transparency", *days, "--log", str(tmp_path / "published"), code=2)
    for name in ("t.html", "r.html"):
        text = (tmp_path / name).read_text()
        assert "http" not in text.replace("http-equiv", "")
        assert "default-src 'none'" in text
