"""The registry: two people, seven days, in the log; a row that somebody wrote is worth nothing."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

import worlds
from disclosure import scene
from disclosure.scene import Bench
from passersby.deployment import acts, courts
from passersby.deployment.opened import Deployment
from passersby.disclosure import authorities, testcourt
from passersby.disclosure.testcourt import Court
from passersby.errors import BadRecord, IntegrityError, Refusal, UnknownName, UsageError
from passersby.model.period import DAY

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def genuine(bench_now: int) -> Court:
    """A court without the mark of test courts."""
    return testcourt.generate("Supreme", now=bench_now, marked=False)


@pytest.fixture(scope="module")
def bench_now() -> int:
    return worlds.now()


@pytest.fixture
def real(genuine: Court, bench_now: int, tmp_path: Path) -> Iterator[Bench]:
    """A deployment that is no demo, and a genuine court that was added today."""
    with scene.bench(tmp_path / "real", genuine, demo=False, now=bench_now) as d:
        yield Bench(d, genuine, bench_now)


def test_a_root_that_was_added_today_verifies_nothing_today(real: Bench) -> None:
    assert real.code() == "InvalidIssuingAuthority"
    assert real.code(at=real.now + 7 * DAY - 1) == "InvalidIssuingAuthority"
    real.submit(at=real.now + 7 * DAY)


@pytest.mark.parametrize("form", ["pdf", "json"])
def test_a_test_court_is_worth_nothing_in_a_real_deployment(real: Bench, court: Court, form: str) -> None:
    for record in scene.records_of(court, "mock"):
        with pytest.raises(Refusal) as caught:
            courts.propose(real.d, record, actor=real.actor("custodian"), now=real.now)
        assert caught.value.code == "InvalidIssuingAuthority"
    document = real.document(by=court, form=form)
    assert real.code(document, at=real.now + 7 * DAY) == "InvalidIssuingAuthority"


def test_a_mark_below_a_genuine_root_is_worth_nothing_either(real: Bench) -> None:
    """The mark is critical: it voids a certificate wherever it stands in the chain."""
    moment = dt.datetime.fromtimestamp(real.now, dt.UTC)
    judge = testcourt._certified("Supreme, judge 4", real.court.issuer, moment, marked=True)
    document = real.document(by=replace(real.court, judge=judge))
    assert real.code(document, at=real.now + 7 * DAY) == "InvalidIssuingAuthority"


def test_a_demo_is_a_demo_by_the_first_entry_of_its_log(real: Bench, court: Court) -> None:
    with real.d.database.write() as session:
        session.execute(text("UPDATE setting SET value = '1' WHERE name = 'demo'"))
    with Deployment.open(real.d.layout.root, now=real.now) as d:
        assert d.is_demo  # so says the row
        with pytest.raises(Refusal):
            courts.propose(d, scene.records_of(court, "mock")[0], actor=real.actor("custodian"), now=real.now)


def test_it_takes_two_people_and_is_public(bench: Bench, rogue: Court) -> None:
    record = scene.records_of(rogue, "second")[0]
    made = courts.propose(bench.d, record, actor=bench.actor("lea"), now=bench.now)
    with pytest.raises(Refusal) as caught:
        acts.approve(bench.d, made.id, actor=bench.actor("lea"), now=bench.now)
    assert caught.value.code == "same-person"
    asked = bench.order(court="second")
    assert bench.code(bench.document(asked, by=rogue)) == "InvalidIssuingAuthority"
    acts.approve(bench.d, made.id, actor=bench.actor("paul"), now=bench.now)
    entry = bench.entries("authority.added")[-1]
    assert entry["authority"] == "second"
    assert {"title", "jurisdiction", "source", "certificate_sha256", "revocation", "valid_until"} <= set(
        entry
    )
    bench.submit(bench.document(asked, by=rogue))
    with pytest.raises(UsageError, match="already"):
        courts.propose(bench.d, record, actor=bench.actor("lea"), now=bench.now)


@pytest.mark.parametrize("who", ["rolf", "olga"])
def test_not_everybody_can_propose_one(bench: Bench, rogue: Court, who: str) -> None:
    with pytest.raises(Refusal) as caught:
        courts.propose(bench.d, scene.records_of(rogue, "x")[0], actor=bench.actor(who), now=bench.now)
    assert caught.value.code == "role-missing"
    assert bench.entries("act.refused")[-1]["act"].startswith("authority.add")


def test_one_person_can_retire_it_at_once(bench: Bench) -> None:
    number = bench.approved()
    with pytest.raises(UsageError, match="reason"):
        courts.retire(bench.d, "court", reason=" ", actor=bench.actor("olga"), now=bench.now)
    courts.retire(bench.d, "court", reason="key lost", actor=bench.actor("olga"), now=bench.now)
    assert bench.code(bench.document(bench.order(reference="2"))) == "InvalidIssuingAuthority"
    with pytest.raises(Refusal) as caught:  # an order that waited is not carried out either
        bench.disclose(number)
    assert caught.value.code == "InvalidIssuingAuthority"
    with pytest.raises(UnknownName):
        courts.retire(bench.d, "court", reason="again", actor=bench.actor("olga"), now=bench.now)
    assert "key lost" not in json.dumps(bench.entries())


@pytest.mark.parametrize("which", [0, 1])
def test_a_record_holds_for_a_time(bench: Bench, rogue: Court, which: int) -> None:
    records = scene.records_of(rogue, "old")
    records[which] = records[which].replace("2040", "2021")
    for record in records:
        made = courts.propose(bench.d, record, actor=bench.actor("lea"), now=bench.now)
        acts.approve(bench.d, made.id, actor=bench.actor("paul"), now=bench.now)
    document = bench.document(bench.order(court="old"), by=rogue, form="pdf")
    assert bench.code(document) == ("SignatureInvalid" if which else "InvalidIssuingAuthority")


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE proposal SET acts_from = 0",
        "UPDATE proposal SET record = replace(record, 'XX', 'YY')",
        "UPDATE proposal SET kind = 'authority.add-test'",
        "UPDATE authority SET log_index = 0",
        "UPDATE authority SET proposal = 2 WHERE id = 'court'",
        "UPDATE authority SET id = 'court-2' WHERE id = 'court'",
    ],
)
def test_an_administrator_of_the_database_registers_nobody(real: Bench, edit: str) -> None:
    later = real.now + 8 * DAY
    asked = real.order(court="court-2") if "court-2" in edit else real.order()
    with real.d.database.write() as session:
        session.execute(text(edit))
    if "court-2" in edit:
        assert real.code(real.document(asked), at=later) == "InvalidIssuingAuthority"
        return
    with pytest.raises(IntegrityError):
        real.submit(real.document(asked), at=later if "acts_from" not in edit else real.now)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('use = "court"', 'use = "judge"'),
        ("BEGIN CERTIFICATE", "BEGIN KEY"),
        ("2040", "2019"),
        ('jurisdiction = "XX"', 'jurisdiction = ""'),
        ('title = "The court"', 'title = "The court"\nmore = 1'),
    ],
)
def test_a_record_must_be_whole(court: Court, old: str, new: str) -> None:
    record = scene.records_of(court)[0]
    assert old in record
    with pytest.raises(BadRecord):
        authorities.parse(record.replace(old, new))


def test_a_root_must_be_able_to_issue(court: Court) -> None:
    record = scene.records_of(court)[0]
    root, leaf = (testcourt._pem(each.certificate).decode() for each in (court.root, court.judge))
    with pytest.raises(BadRecord):
        authorities.parse(record.replace(root, leaf))
    with pytest.raises(BadRecord):
        authorities.parse(record.replace(root, root.replace("M", "N")))
