"""The lake is assessed by two people, once for each approval, without those who withdrew, for nobody else."""

from __future__ import annotations

import hashlib
import json
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import worlds
from cli.shell import Shell
from passersby.demo import records, story
from passersby.deployment import acts, assessing, holders
from passersby.deployment.assessing import VALID_S, Assessed
from passersby.errors import NotReady, OperationError, Refusal, UnknownName, UsageError
from passersby.model.period import DAY
from passersby.risk import report, words
from passersby.risk.assess import Assessment, Options, assess
from passersby.risk.traces import Points, Traces, points_of
from passersby.suppliers import lineage
from risk.given import people

PEOPLE, SEED = 40, 5
IDS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(PEOPLE)]
OWN = {"lake", "file", "publication", "verdict", "warnings", "reproduce"}
"""Parts of a report that say where its rows come from."""


@pytest.fixture(scope="module")
def full(built: worlds.World, tmp_path_factory: pytest.TempPathFactory) -> worlds.World:
    """A lake that holds three days of forty made-up people."""
    folder = tmp_path_factory.mktemp("full")
    world = built.copied(folder / "d")
    rows = [(IDS[int(name[-6:])], t, lat, lon) for name, t, lat, lon in people(PEOPLE, 3, seed=1)]
    with world.open() as d:
        records.add_supplier(d, records.known(d), "simple", story.DATES, 100, "0" * 64, now=worlds.now())
        (path := folder / "pings.csv").write_text(
            "id,time,latitude,longitude\n"
            + "".join(f"{name},{t},{lat:.6f},{lon:.6f}\n" for name, t, lat, lon in rows)
        )
        d.ingest([path], "simple", now=worlds.now())
    return world


@pytest.fixture(scope="module")
def known(full: worlds.World, tmp_path_factory: pytest.TempPathFactory) -> Assessment:
    """What `risk FILE` says of the lake's own rows."""
    with full.open() as d, d.lake.snapshot(worlds.now()) as snapshot:
        rows = pl.concat([pl.read_parquet(file.path) for file in snapshot.files("pings")])
    path = tmp_path_factory.mktemp("known") / "rows.parquet"
    rows.select(
        device_id=_texts(rows["device"].to_numpy()),
        timestamp=pl.col("t"),
        latitude=pl.col("lat_e5") / 1e5,
        longitude=pl.col("lon_e5") / 1e5,
    ).write_parquet(path)
    return assess([path], Options(seed=SEED, offset=7200, threads=1), now=worlds.now())


@pytest.fixture
def asker(full: worlds.World, tmp_path: Path) -> Iterator[worlds.Asker]:
    with full.copied(tmp_path / "d").open() as d:
        yield worlds.Asker(d)


@pytest.fixture
def quick(known: Assessment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the lake, and compute nothing."""

    def read(fill: Any, options: Options, *, folder: Path, **_: Any) -> Assessment:
        with Traces(1, options.sample, 1, folder) as traces:
            return replace(known, facts=fill(traces, 1))

    monkeypatch.setattr(assessing, "examine", read)


def _texts(pseudonyms: Any) -> pl.Series:
    return pl.Series([f"{number:016x}" for number in np.asarray(pseudonyms).view(np.uint64).tolist()])


def _points(ids: pl.Series, *columns: Any, key: int) -> Points:
    return points_of(_texts(ids.to_numpy()), *columns, key=key)


def propose(asker: worlds.Asker, weeks: str = story.PERIOD, person: str = "custodian") -> int:
    return assessing.propose(asker.d, weeks, reason="yearly", actor=asker.actor(person), now=worlds.now()).id


def agree(asker: worlds.Asker, weeks: str = story.PERIOD) -> int:
    number = propose(asker, weeks)
    acts.approve(asker.d, number, actor=asker.actor("paula"), now=worlds.now())
    return number


def run(asker: worlds.Asker, number: int, *, person: str = "custodian", later: int = 0) -> Assessed:
    return assessing.run(asker.d, number, actor=asker.actor(person), now=worlds.now() + later)


def refused(asker: worlds.Asker, number: int, **how: Any) -> str:
    """Run, and return the code of the refusal, which is in the log."""
    with pytest.raises(Refusal) as caught:
        run(asker, number, **how)
    entry = asker.entries("act.refused")[-1]
    assert (entry["act"], entry["code"]) == ("lake.assess", caught.value.code)
    return caught.value.code


def test_the_figures_are_those_of_the_same_rows_in_a_file(
    asker: worlds.Asker, known: Assessment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "randbits", lambda _: SEED)
    monkeypatch.setattr(assessing, "points_of", _points)  # the same numbers of devices, so the same draws
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")  # what is put aside stays in the deployment
    made = run(asker, agree(asker))
    ours, theirs = report.to_json(made.found), report.to_json(known)
    assert ours["lake"]["rows"] == theirs["file"]["rows"]
    assert ours["lake"]["devices"] == theirs["file"]["devices"] == PEOPLE
    assert {name: ours[name] for name in ours.keys() - OWN} == {
        name: theirs[name] for name in theirs.keys() - OWN
    }
    assert ours["reproduce"] is None
    assert json.loads(made.json) == ours
    assert ours["publication"] == words.BANNER.lower()
    assert made.html.decode().count(words.BANNER) == 5  # title, head, note, head and foot in print
    assert words.BANNER not in report.html(known)
    assert list(asker.d.layout.spill.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_whoever_withdrew_is_not_in_it(asker: worlds.Asker) -> None:
    before = run(asker, agree(asker)).found.facts
    holders.withdraw(asker.d, IDS[:7], actor=asker.actor("custodian"), now=worlds.now())
    facts = run(asker, agree(asker)).found.facts
    assert (before.devices, facts.devices) == (PEOPLE, PEOPLE - 7)
    assert facts.rows < before.rows


@pytest.mark.usefixtures("quick")
def test_what_reached_its_deletion_date_is_not_read(
    asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assessing, "VALID_S", 1000 * DAY)
    number = agree(asker)
    with pytest.raises(NotReady, match="fewer than 20 devices"):
        run(asker, number, later=400 * DAY)


@pytest.mark.usefixtures("quick")
def test_two_people_agree_and_each_approval_is_for_one_run(asker: worlds.Asker) -> None:
    with pytest.raises(Refusal):
        propose(asker, person="paula")
    number = propose(asker)
    assert refused(asker, number) == "no-second-person"
    for person in ("custodian", "anna"):
        with pytest.raises(Refusal) as caught:
            acts.approve(asker.d, number, actor=asker.actor(person), now=worlds.now())
        assert caught.value.code == "role-missing"
    acts.approve(asker.d, number, actor=asker.actor("paula"), now=worlds.now())
    for person in ("anna", "paula"):
        assert refused(asker, number, person=person) == "role-missing"
    assert refused(asker, number, later=VALID_S + 60) == "no-second-person"
    assert asker.entries("risk.assessed") == []
    made = run(asker, number)
    (entry,) = asker.entries("risk.assessed")
    assert entry["report_sha256"] == hashlib.sha256(made.json).hexdigest()
    assert (entry["proposal"], entry["weeks"], entry["by"]) == (number, story.PERIOD, "custodian")
    assert refused(asker, number) == "no-second-person"
    with pytest.raises(UnknownName):
        run(asker, 99)


@pytest.mark.usefixtures("quick")
def test_nobody_approves_what_they_proposed(asker: worlds.Asker) -> None:
    with asker.d.writing() as session:
        session.connection().exec_driver_sql(
            """UPDATE person SET roles = '["custodian", "privacy"]' WHERE id = 'custodian'"""
        )
    with pytest.raises(Refusal) as caught:
        acts.approve(asker.d, propose(asker), actor=asker.actor("custodian"), now=worlds.now())
    assert caught.value.code == "same-person"


@pytest.mark.usefixtures("quick")
def test_an_approval_of_something_else_is_none(asker: worlds.Asker) -> None:
    made = acts.propose(asker.d, "person.rekey", "anna", {}, actor=asker.actor("custodian"), now=worlds.now())
    assert refused(asker, made.id) == "no-second-person"


@pytest.mark.usefixtures("quick")
def test_who_withdraws_meanwhile_is_not_told_of(asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    number, page = agree(asker), report.html

    def withdrawn(found: Assessment) -> str:
        holders.withdraw(asker.d, IDS[:1], actor=asker.actor("custodian"), now=worlds.now())
        return page(found)

    with monkeypatch.context() as patch:
        patch.setattr(report, "html", withdrawn)
        with pytest.raises(OperationError, match="withdrew"):
            run(asker, number)
    assert asker.entries("risk.assessed") == []
    assert run(asker, number).found.facts.devices == PEOPLE - 1


@pytest.mark.usefixtures("quick")
def test_a_delivery_that_proves_bad_meanwhile_ends_it(
    asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = agree(asker)
    monkeypatch.setattr(lineage, "marked", lambda _: frozenset({1}))
    with pytest.raises(OperationError, match="proved bad"):
        run(asker, number)


@pytest.mark.parametrize(
    "weeks", ["2026-05-11", "2026-W20..2026-W19", "2026-W20..2028-W20", "7.4,46.9,7.5,47.0", ""]
)
def test_only_whole_weeks_under_one_pseudonym_can_be_chosen(asker: worlds.Asker, weeks: str) -> None:
    with pytest.raises(UsageError):
        propose(asker, weeks)
    assert asker.entries("proposal.made") == []


def test_a_week_of_few_people_is_not_spoken_of(asker: worlds.Asker) -> None:
    number = agree(asker, "2026-W21")
    with pytest.raises(NotReady, match="fewer than 20 devices"):
        run(asker, number)
    assert asker.entries("risk.assessed") == []


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_each_form_says_that_it_is_not_for_publication(
    full: worlds.World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with full.copied(tmp_path / "d").open() as d:
        numbers = [str(agree(worlds.Asker(d))) for _ in range(2)]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PASSERSBY_DEPLOYMENT", "d")
    monkeypatch.setenv("PASSERSBY_KEY", "d/people/custodian.key")
    shell = Shell(capsys)
    assert "ends with .html" in shell.run("lake", "report", numbers[0], "--out", "lake.txt", code=2)
    printed = shell.run("lake", "report", numbers[0], "--out", "lake.html")
    assert printed.count("NOT FOR PUBLICATION") == 2
    assert "already" in shell.run("lake", "report", numbers[1], "--out", "lake.html", code=2)
    told = shell.json("lake", "report", numbers[1], "--out", "second.html")
    assert told["publication"] == words.BANNER.lower()
    assert json.loads(Path("second.json").read_text()) == told
    page = Path("lake.html").read_text()
    assert "<title>Not for publication" in page
    assert '<header class="banner">Not for publication</header>' in page
    assert page.count('content:"Not for publication') == 2  # head and foot of each printed sheet
    for name in ("lake.html", "lake.json"):
        assert Path(name).stat().st_mode & 0o077 == 0
    sha256 = hashlib.sha256(Path("second.json").read_bytes()).hexdigest()
    assert sha256 in shell.run("log", "show", "--kind", "risk.assessed")
