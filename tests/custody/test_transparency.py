"""The transparency report: right figures of the right days, and the same ones for an outsider."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from custody import logged
from custody.logged import AFTER, BEFORE, DAYS, FIRST, LAST, Logged
from passersby.custody.reports import checking, licences, reading, transparency, transparency_page
from passersby.errors import IntegrityError, PassersbyError, UnreadableFile, UsageError
from passersby.model.cost import MicroRho
from passersby.privacy.accounting import epsilon_for
from passersby.render.report import Fact, Report, as_csv, html
from passersby.store.database import Database


@pytest.fixture
def log(sqlite_database: Database, tmp_path: Path) -> Logged:
    return logged.new(sqlite_database, tmp_path)


def _order(kind: str, number: int, at: int = FIRST, **public: Any) -> logged.Event:
    return f"order.{kind}", {"order": number, **public}, at


def _no(code: str, stage: str, at: int = FIRST) -> logged.Event:
    return "order.refused", {"code": code, "stage": stage, "order": None}, at


def _public(log: Logged) -> dict[str, Any]:
    made, _ = transparency.report(log.source, log.vkey, DAYS)
    public: dict[str, Any] = made["public"]
    return public


def _counted(part: dict[str, Any]) -> dict[str, Any]:
    """Leave out what did not happen."""
    return {name: number for name, number in part.items() if number}


def _facts(page: Report) -> dict[str, Fact]:
    return {fact.name: fact for section in page.sections for fact in section.facts}


def test_orders_are_counted_by_what_became_of_them(log: Logged) -> None:
    log.add(
        _no("ReverseSearchRefused", "submission"),
        _no("NotJudicial", "submission"),
        _no("NotJudicial", "submission", LAST),
        _no("ConflictOfLaw", "person"),
        _no("SamePersonTwice", "approval"),
        _no("role-missing", "submission"),
        _order("verified", 1, court="cantonal", jurisdiction="CH", form="pdf"),
        _order("verified", 2, court="cantonal", jurisdiction="CH", form="pdf"),
        _order("disclosed", 1, notice_delayed=True),
        _order("lapsed", 2),
        _no("NotJudicial", "submission", BEFORE),
        _no("NotJudicial", "submission", AFTER),
        _order("disclosed", 3, AFTER, notice_delayed=True),
    )
    public = _public(log)
    assert public["orders"] == {
        "received": 5,  # three refused at the door, two that passed
        "verified": 2,
        "refused": {"ConflictOfLaw": 1, "NotJudicial": 2, "ReverseSearchRefused": 1},
        "fulfilled": 1,
        "lapsed": 1,
        "authorities_added": 0,
        "authorities_retired": 0,
        "verified_by_court": {"cantonal": 2},
        "acts_refused": {"SamePersonTwice": 1, "role-missing": 1},
    }
    assert public["reverse_searches"] == {"received": 1, "refused": 1, "questions_for_devices_refused": 0}
    assert public["notices"] == {"delayed": 1}


def test_licences_are_those_in_force_on_the_last_day(log: Logged) -> None:
    old = logged.granted("old", BEFORE, purposes=["dpv:ScientificResearch"])
    del old[1]["government"]  # as early versions wrote it
    log.add(
        old,
        logged.granted("city", FIRST, government=True),
        logged.granted("spent", FIRST, expires=LAST),
        logged.granted("gone", FIRST),
        ("licence.revoked", {"licence": "gone", "by": "custodian"}, LAST),
        logged.granted("later", AFTER, government=True),
        ("licence.revoked", {"licence": "city", "by": "custodian"}, AFTER),
    )
    assert _public(log)["licences"] == {
        "granted": 3,
        "revoked": 1,
        "in_force": 2,
        "in_force_by_purpose": {"dpv:ImproveTransportMobility": 1, "dpv:ScientificResearch": 1},
        "in_force_government": 1,
        "in_force_of_unknown_kind": 1,
    }
    made, _ = transparency.report(log.source, log.vkey, DAYS)
    assert _facts(transparency_page.page(made))["Public body or not"].value is None


def test_privacy_adds_up_by_week_lost_answers_too(log: Logged) -> None:
    lost = (
        "question.reserved",
        {"licence": "city", "periods": ["2026-W20", "2026-W21"], "micro_rho": 500},
        LAST,
    )
    log.add(*logged.answered("r1", "city", FIRST), *logged.answered("r2", "city", LAST), lost)
    privacy = _public(log)["privacy"]
    assert privacy["delta"] == 1e-7
    assert {week: cost["micro_rho"] for week, cost in privacy["weeks"].items()} == {
        "2026-W20": 2500,
        "2026-W21": 500,
    }
    assert privacy["weeks"]["2026-W20"]["epsilon"] == round(epsilon_for(MicroRho(2500), 1e-7), 4)


def test_refusals_suppliers_places_and_keys(log: Logged) -> None:
    log.add(
        logged.refused("area-too-small", "city", FIRST),
        logged.refused("device-level-request", "city", FIRST, "device-level"),
        ("delivery.refused", {"supplier": "s", "code": "bidstream"}, FIRST),
        ("supplier.suspended", {"supplier": "s", "reason": "assessment-fail"}, FIRST),
        ("supplier.assessed", {"supplier": "s", "result": "fail", "next_due": AFTER}, FIRST),
        ("sensitive.purged", {"purge": 1}, FIRST),
        ("sensitive.tested", {"passed": True, "next_due": AFTER}, FIRST),
        ("sensitive.tested", {"passed": False, "next_due": AFTER}, FIRST),
        ("release.withdrawn", {"release": "r1"}, FIRST),
        ("epoch.destroyed", {"key": "k"}, FIRST),
        ("act.refused", {"act": "list", "code": "same-person"}, FIRST),
        ("witnesses.changed", {"witnesses": ["w1", "w2"], "quorum": 1}, BEFORE),
    )
    public = _public(log)
    assert public["questions"]["refused"] == {"area-too-small": 1, "device-level-request": 1}
    assert public["reverse_searches"]["questions_for_devices_refused"] == 1
    assert _counted(public["suppliers"]) == {
        "deliveries_refused": {"bidstream": 1},
        "assessments": {"fail": 1},
        "suspended": {"assessment-fail": 1},
    }
    assert _counted(public["sensitive_places"]) == {
        "deletions": 1,
        "tests": {"failed": 1, "passed": 1},
        "releases_withdrawn": 1,
    }
    assert public["keys"]["pseudonym_keys_destroyed"] == 1
    assert public["acts_refused"] == {"same-person": 1}
    assert (public["log"]["witness_quorum"], public["log"]["witnesses"]) == (1, 2)


def test_what_the_log_does_not_tell_is_never_a_nought(log: Logged) -> None:
    log.add(_order("verified", 1, court="c", jurisdiction="CH", form="jws"))
    made, _ = transparency.report(log.source, log.vkey, DAYS)
    page = transparency_page.page(made)
    for name in ("Narrowed", "Devices disclosed", "How long requests took", "Other incidents", "Delta"):
        assert _facts(page)[name].value is None
        assert _facts(page)[name].text.startswith("not told by the log: ")
    cells = {line.split('","')[1]: line.split('","')[2] for line in as_csv(page).splitlines()[1:]}
    assert cells["Other incidents"] == ""
    assert cells["Received"] == "1"
    assert "not told by the log" in html(page)
    assert "the operator could rewrite it" in html(page)


def test_hidden_figures_are_the_operators_and_no_outsiders(log: Logged) -> None:
    log.add(_order("disclosed", 1, notice_delayed=False), devices=3)
    log.add(_order("disclosed", 2, notice_delayed=False), devices=2)
    made, figures = transparency.report(log.source, log.vkey, DAYS)
    assert made["operator"] is None
    assert "devices" not in json.dumps(made["public"]["orders"])
    with log.database.read() as session:
        hidden = transparency.hidden(session, figures)
    assert hidden == {"devices_named": 5, "entries": [0, 1], "erased": 0, "requests": {}}
    page = transparency_page.page({**made, "operator": hidden})
    assert _facts(page)["Devices named in fulfilled orders"].value == 5


def test_an_outsider_makes_the_same_figures_when_the_log_has_grown(log: Logged) -> None:
    log.add(_no("NotJudicial", "submission"), *logged.answered("r1", "city", FIRST))
    made, _ = transparency.report(log.source, log.vkey, DAYS)
    log.add(_no("NotJudicial", "submission"))  # of the same days, after the report
    document = json.dumps(made).encode()
    assert checking.check(document, log.vkey, log.source).format == transparency.FORMAT
    made["public"]["orders"]["refused"]["NotJudicial"] = 0
    with pytest.raises(IntegrityError, match="'public'"):
        checking.check(json.dumps(made).encode(), log.vkey, log.source)


def test_a_report_of_another_history_is_found(log: Logged) -> None:
    log.add(_no("NotJudicial", "submission"))
    made, _ = transparency.report(log.source, log.vkey, DAYS)
    made["log"]["root"] = "00" * 32
    with pytest.raises(IntegrityError, match="rewritten"):
        checking.check(json.dumps(made).encode(), log.vkey, log.source)
    made["log"]["origin"] = "example.org/other"
    with pytest.raises(IntegrityError, match="another log"):
        checking.check(json.dumps(made).encode(), log.vkey, log.source)


def test_figures_need_the_log(log: Logged) -> None:
    log.add(_no("NotJudicial", "submission"))
    made, _ = transparency.report(log.source, log.vkey, DAYS)
    with pytest.raises(UsageError, match="from the log"):
        checking.check(json.dumps(made).encode(), log.vkey)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"format": "passersby-transparency-v1"}',
        b'{"format": [], "log": {"origin": "x", "size": 1, "root": ""}}',
    ],
)
def test_what_is_no_report_is_said_to_be_none(log: Logged, document: bytes) -> None:
    with pytest.raises(UnreadableFile):
        checking.check(document, log.vkey, log.source)


@pytest.mark.parametrize("part", ["format", "from", "to", "log", "public", "not_told", "operator"])
@pytest.mark.parametrize("value", [None, True, -1, 10**30, "", "\ud800", [], {"a": 1}, "9999-12-31"])
def test_a_spoiled_report_ends_in_an_error_or_is_checked(log: Logged, part: str, value: Any) -> None:
    log.add(_no("NotJudicial", "submission"), *logged.answered("r1", "city", FIRST))
    made, _ = transparency.report(log.source, log.vkey, DAYS)
    spoiled = [{**made, part: value}, {**made, "log": {**made["log"], "size": value, "root": value}}]
    for each in spoiled:
        with suppress(PassersbyError):
            checking.check(json.dumps(each).encode(), log.vkey, log.source)


def test_entries_of_another_program_end_in_an_error(log: Logged) -> None:
    log.add(("question.refused", {"code": 7, "measure": "presence", "licence": "city"}, FIRST))
    with pytest.raises(IntegrityError, match="Entry 0 "):
        _public(log)


@pytest.mark.parametrize("delta", ["nan", "0", "-1", "0.5", "x", "inf"])
def test_a_delta_that_is_none_ends_in_an_error(log: Logged, delta: str) -> None:
    reserved, made = logged.answered("r1", "city", FIRST)
    log.add(reserved, (made[0], {**made[1], "delta": delta}, FIRST))
    with pytest.raises(IntegrityError, match="delta"):
        _public(log)


def test_a_kind_of_a_later_version_is_counted_as_unknown(
    log: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.add(("deployment.created", {"origin": "x", "demo": True, "verifier_key": "k"}, FIRST))
    monkeypatch.setattr(transparency, "KINDS", {})
    assert _public(log)["log"]["unknown_kinds"] == {"deployment.created": 1}


def test_the_register_tells_what_came_of_each_licence(log: Logged) -> None:
    log.add(
        logged.granted("city", FIRST, government=True, contract="B-17"),
        logged.granted("firm", FIRST, expires=FIRST + 10),
        *logged.answered("r1", "city", FIRST),
        ("release.repeated", {"release": "r1", "licence": "city"}, FIRST),
        logged.refused("area-too-small", "city", FIRST),
        logged.refused("area-too-small", "city", FIRST),
        logged.refused("unknown-licence", "", LAST),
    )
    made = licences.report(log.source, log.vkey)
    city, firm = made["licences"]
    assert (city["government"], city["contract"], city["state"]) == (True, "B-17", "in force")
    assert (city["releases"], city["repeated"], city["refused"]) == (1, 1, {"area-too-small": 2})
    assert (firm["state"], firm["releases"]) == ("expired", 0)
    page = licences.page(made)
    assert [row[0] for row in page.sections[0].tables[0].rows] == ["city"]
    assert [row[0] for row in page.sections[0].tables[1].rows] == ["firm"]
    assert checking.check(json.dumps(made).encode(), log.vkey, log.source).format == licences.FORMAT
    made["licences"][0]["government"] = False
    with pytest.raises(IntegrityError, match="'licences'"):
        checking.check(json.dumps(made).encode(), log.vkey, log.source)


def test_days_are_checked() -> None:
    with pytest.raises(UsageError, match="before the first"):
        reading.Days.parse("2026-02-01", "2026-01-31")
    one = reading.Days.parse("2026-01-01", "2026-01-01")
    assert (one.hold(FIRST), one.hold(FIRST + 86_399), one.hold(FIRST + 86_400)) == (True, True, False)
