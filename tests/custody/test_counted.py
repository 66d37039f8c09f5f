"""Each kind of entry is in a figure of the transparency report, or it is said why it is in none."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from custody import logged
from custody.logged import AFTER, BEFORE, DAYS, FIRST, LAST, Logged
from passersby.custody.reports import transparency, transparency_page
from passersby.custody.reports.counted import NOT_COUNTED
from passersby.custody.reports.reading import Entry
from passersby.custody.reports.transparency import Figures
from passersby.model.period import DAY
from passersby.render.report import markdown
from passersby.store.database import Database
from passersby.subjects import requests
from passersby.trustlog.kinds import KINDS

FLAGS = {"government", "passed", "notice_delayed", "delayed", "test", "demo"}
LISTS = {"purposes", "measures", "periods", "witnesses", "roles", "tables"}
WHOLE = {"micro_rho", "quorum", "expires", "resolution"}


def _field(name: str) -> Any:
    if name in FLAGS:
        return True
    if name in LISTS:
        return ["one"]
    return 7 if name in WHOLE else "1e-07"


def _figures(*kinds: str) -> dict[str, Any]:
    figures = Figures(DAYS)
    for index, kind in enumerate(kinds):
        fields = {name: _field(name) for name in KINDS[kind]}
        if kind == "licence.granted":
            fields["expires"] = AFTER
        figures(Entry(index, kind, FIRST, fields))
    return copy.deepcopy(figures.public())


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_in_a_figure_or_it_is_said_why_not(kind: str) -> None:
    nothing, one, two = _figures(), _figures(kind), _figures(kind, kind)
    for found in (nothing, one, two):
        assert found["log"].pop("unknown_kinds") == {}
        del found["log"]["entries"]
    assert (nothing == one) == (kind in NOT_COUNTED)
    if kind != "witnesses.changed":  # says what holds, and not how often it changed
        assert (one == two) == (kind in NOT_COUNTED)


def test_nothing_is_left_out_that_is_no_kind() -> None:
    assert set(NOT_COUNTED) < set(KINDS)
    assert all(NOT_COUNTED.values())


@pytest.fixture
def log(sqlite_database: Database, tmp_path: Any) -> Logged:
    return logged.new(sqlite_database, tmp_path)


def test_holders_incidents_and_oversight(log: Logged) -> None:
    log.add(
        ("subject.withdrawn", {"withdrawal": 1, "cause": "holder"}, FIRST),
        ("subject.withdrawn", {"withdrawal": 2, "cause": "consent"}, LAST),
        ("subject.withdrawn", {"withdrawal": 3, "cause": "holder"}, BEFORE),
        ("subject.rewritten", {"erasure": 1}, FIRST),
        ("subject.erased", {"erasure": 1}, FIRST),
        ("subject.shown", {"request": 1, "how": "app"}, FIRST),
        ("deployment.frozen", {"freeze": 1, "by": "otto"}, FIRST),
        ("alert.raised", {"alert": 1, "about": "no-case"}, FIRST),
        ("alert.raised", {"alert": 2, "about": "no-case"}, LAST),
        ("delivery.tainted", {"delivery": 1, "supplier": "acme", "proposal": 1}, FIRST),
        ("consent.rechecked", {"supplier": "acme", "result": "fail", "next_due": AFTER}, FIRST),
        ("review.done", {"review": 1, "entry": 0, "result": "concern", "by": "otto"}, FIRST),
        ("proposal.made", {"proposal": 1, "act": "deployment.thaw", "subject": "1", "by": "otto"}, FIRST),
    )
    made, _ = transparency.report(log.source, log.vkey, DAYS)
    public = made["public"]
    assert public["holders"]["withdrawals"] == {"consent": 1, "holder": 1}
    assert (public["holders"]["erasures_proven"], public["holders"]["shown"]) == (1, {"app": 1})
    assert public["incidents"] == {"freezes": 1, "thaws": 0, "alerts": {"no-case": 2}}
    assert public["suppliers"]["deliveries_found_bad"] == 1
    assert public["suppliers"]["consent_checks"] == {"fail": 1}
    assert public["oversight"]["reviews"] == {"concern": 1}
    assert public["oversight"]["proposals_made"] == {"deployment.thaw": 1}
    page = markdown(transparency_page.page(made))
    assert "no entry tells when a request of a holder arrived" in page


def test_how_long_holders_waited_is_the_operators_word(log: Logged) -> None:
    log.add(("deployment.frozen", {"freeze": 1, "by": "otto"}, FIRST))
    with log.database.write() as session:
        for days, at in ((2, FIRST), (5, LAST), (40, FIRST), (1, AFTER), (1, BEFORE)):
            requests.add(session, requests.ERASE, received=at - days * DAY, now=at, done=True)
        requests.add(session, requests.WITHDRAW, received=FIRST, now=FIRST, done=False)
        for proof in ("subject.check 1", "subject.check 1 show"):
            requests.add(session, requests.SHOW, received=None, now=FIRST, done=True, proof=proof)
        requests.add(session, requests.NOTICES, received=None, now=FIRST, done=True)
    made, figures = transparency.report(log.source, log.vkey, DAYS)
    with log.database.read() as session:
        told = transparency.hidden(session, figures)
    assert told["requests"] == {
        "erase": {"answered": 3, "median_days": 5.0, "late": 1},
        "show": {"answered": 1, "median_days": 0.0, "late": 0},
    }
    assert "Requests answered" not in markdown(transparency_page.page(made))
    assert "| erase | 3 | 5.0 | 1 |" in markdown(transparency_page.page({**made, "operator": told}))
