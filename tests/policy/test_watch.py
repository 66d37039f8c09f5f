"""The sample that nobody chooses, and the alerts: each entry of the log is looked at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from passersby.config import Config
from passersby.errors import IntegrityError, Refusal, UnknownName, UsageError
from passersby.keys.signed import Actor
from passersby.model.period import DAY
from passersby.policy import alerts, licence, reviews
from passersby.policy.watch import watch
from passersby.store.database import Database
from passersby.store.duty_tables import Review
from passersby.store.tables import LogEntry
from passersby.trustlog.entries import JSON, append
from policy.conftest import NOW, Enrol
from policy.test_grants import LICENCE

pytestmark = pytest.mark.slow

ALL = Config(review_percent=100, alert_refusals=3)


@pytest.fixture(autouse=True)
def people(
    database: Database, staff: Callable[[Database], dict[str, Actor]], person: Enrol
) -> dict[str, Actor]:
    found = staff(database)
    for name, roles in (("otto", ["overseer"]), ("olga", ["overseer", "analyst"])):
        found[name] = person(database, name, *roles, by=found["cara"])
    with database.write() as session:
        licence.grant(session, LICENCE, actor=found["cara"], now=NOW)
    return found


def logged(
    database: Database, kind: str, public: dict[str, JSON], account: str = "ben", at: int = NOW
) -> int:
    with database.write() as session:
        return append(session, kind, public, {"person": account, "case": "tram-7"}, now=at)


def answered(database: Database, account: str = "ben", at: int = NOW) -> int:
    return logged(database, "release.repeated", {"release": "r", "licence": LICENCE.id}, account, at)


def refused(database: Database, code: str, account: str = "ben", at: int = NOW) -> int:
    public: dict[str, JSON] = {"code": code, "measure": "presence", "licence": LICENCE.id}
    return logged(database, "question.refused", public, account, at)


def entries(database: Database, *kinds: str) -> list[dict[str, Any]]:
    with database.read() as session:
        bodies = session.scalars(select(LogEntry.body).order_by(LogEntry.index)).all()
    return [entry for entry in map(json.loads, bodies) if entry["kind"] in kinds]


def waiting(database: Database) -> list[reviews.Review]:
    with database.read() as session:
        return reviews.waiting(session)


def raised(database: Database) -> list[tuple[str, str]]:
    with database.read() as session:
        return [(each.kind, each.about) for each in alerts.open_alerts(session)]


def test_each_answer_is_drawn_once(database: Database) -> None:
    first = answered(database)
    watch(database, ALL, now=NOW + 10)
    watch(database, ALL, now=NOW + 20)
    second = answered(database, "olga", NOW + 5)
    watch(database, ALL, now=NOW + 30)
    found = waiting(database)
    assert [(each.entry, each.asked_by) for each in found] == [(first, "ben"), (second, "olga")]
    assert [each.due for each in found] == [NOW + 14 * DAY, NOW + 5 + 14 * DAY]
    drawn = entries(database, "review.drawn")
    assert [each["entry"] for each in drawn] == [first, second]
    assert "ben" not in json.dumps(drawn)
    (sampling,) = entries(database, "review.sampling")
    assert sampling["percent"] == 100


def test_an_outsider_draws_the_same_sample(database: Database) -> None:
    """By the rule as the documentation has it, from nothing but the published entries."""
    for number in range(200):
        answered(database, at=NOW + number)
    watch(database, Config(review_percent=20), now=NOW + 500)
    with database.read() as session:
        rows = session.execute(select(LogEntry.index, LogEntry.body).order_by(LogEntry.index)).all()
    wanted = []
    for index, body in rows:
        leaf = hashlib.sha256(b"\0" + body).digest()
        number = int.from_bytes(hashlib.sha256(b"passersby review v1\n" + leaf).digest()[:8])
        if json.loads(body)["kind"] in {"release.made", "release.repeated"} and number / 2**64 < 0.2:
            wanted.append(index)
    assert [each["entry"] for each in entries(database, "review.drawn")] == wanted
    # binomial(200, 0.2): outside of this with a probability below 1e-9
    assert 5 < len(wanted) < 85


def test_a_part_of_nothing_and_of_all() -> None:
    leaves = [hashlib.sha256(bytes([n])).digest() for n in range(100)]
    assert not any(reviews.is_drawn(leaf, 0) for leaf in leaves)
    assert all(reviews.is_drawn(leaf, 100) for leaf in leaves)
    few, more = ({leaf for leaf in leaves if reviews.is_drawn(leaf, p)} for p in (10, 60))
    assert few < more


def test_a_change_of_the_rate_is_public(database: Database) -> None:
    answered(database)
    watch(database, Config(review_percent=0), now=NOW)
    assert entries(database, "review.sampling") == []
    second = answered(database)
    watch(database, ALL, now=NOW)
    answered(database)
    watch(database, Config(review_percent=0), now=NOW)
    said = [(each["percent"], each["first"] <= second) for each in entries(database, "review.sampling")]
    assert said == [(100, True), (0, False)]
    assert [each.entry for each in waiting(database)] == [second]


def test_an_overdue_review_locks_its_licence_until_it_is_done(
    database: Database, people: dict[str, Actor]
) -> None:
    answered(database)
    watch(database, ALL, now=NOW)
    (waits,) = waiting(database)
    with database.write() as session:
        assert not reviews.overdue(session, LICENCE.id, now=waits.due - 1)
        assert reviews.overdue(session, LICENCE.id, now=waits.due)
        assert not reviews.overdue(session, "another", now=waits.due)
        done = reviews.do(
            session, waits.number, result="in-order", note="fine", actor=people["otto"], now=waits.due
        )
        assert (done.result, done.reviewer, done.done) == ("in-order", "otto", waits.due)
        assert not reviews.overdue(session, LICENCE.id, now=waits.due + 1)
        assert reviews.list_all(session) == [done]
    (entry,) = entries(database, "review.done")
    assert (entry["by"], entry["result"]) == ("otto", "in-order")
    assert "fine" not in json.dumps(entry)


def test_who_may_not_review(database: Database, people: dict[str, Actor]) -> None:
    answered(database, "olga")
    watch(database, ALL, now=NOW)
    (waits,) = waiting(database)
    codes = {}
    for who in ("cara", "pia", "ben", "olga"):
        with database.write() as session, pytest.raises(Refusal) as caught:
            reviews.do(session, waits.number, result="in-order", note="x", actor=people[who], now=NOW)
        codes[who] = caught.value.code
    assert codes == {
        "cara": "role-missing",
        "pia": "role-missing",
        "ben": "role-missing",
        "olga": "own-question",
    }
    otto = people["otto"]
    for change in ({"result": "fine"}, {"note": " "}):
        with database.write() as session, pytest.raises(UsageError):
            reviews.do(
                session, waits.number, actor=otto, now=NOW, **({"result": "in-order", "note": "x"} | change)
            )
    with database.write() as session, pytest.raises(UnknownName):
        reviews.do(session, 99, result="in-order", note="x", actor=otto, now=NOW)
    assert waiting(database) == [waits]


def test_an_edited_review_is_found(database: Database, people: dict[str, Actor]) -> None:
    answered(database)
    watch(database, ALL, now=NOW)
    with database.write() as session:
        reviews.do(session, 1, result="concern", note="x", actor=people["otto"], now=NOW)
        row = session.get_one(Review, 1)
        row.record = (row.record or "").replace("concern", "in-order")
        session.flush()
        with pytest.raises(IntegrityError):
            reviews.list_all(session)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("case-missing", alerts.NO_CASE),
        ("case-not-open", alerts.NO_CASE),
        ("device-level-request", alerts.REVERSE),
        ("budget-spent", None),
    ],
)
def test_what_raises_an_alert(database: Database, code: str, kind: str | None) -> None:
    refused(database, code)
    refused(database, code)
    watch(database, ALL, now=NOW)
    assert raised(database) == ([(kind, "ben")] if kind else [])
    refused(database, code, at=NOW + DAY)
    watch(database, ALL, now=NOW)
    assert len(raised(database)) == (2 if kind else 0)  # once a day
    assert "ben" not in json.dumps(entries(database, "alert.raised"))


def test_reverse_searches_by_orders_raise_one(database: Database) -> None:
    with database.write() as session:
        public: dict[str, JSON] = {"code": "ReverseSearchRefused", "stage": "submission", "order": None}
        append(session, "order.refused", public, {"by": "pia"}, now=NOW)
    watch(database, ALL, now=NOW)
    assert raised(database) == [(alerts.REVERSE, "pia")]


def test_many_refusals_in_a_day(database: Database) -> None:
    day = NOW - NOW % DAY
    for at in (day + DAY - 1, day + DAY, day + DAY + 1):
        refused(database, "budget-spent", at=at)
        watch(database, ALL, now=at)
    refused(database, "budget-spent", "olga", day + DAY + 2)
    watch(database, ALL, now=at)
    assert raised(database) == []
    for at in (day + DAY + 3, day + DAY + 4):
        refused(database, "budget-spent", at=at)
    watch(database, ALL, now=at)
    assert raised(database) == [(alerts.MANY, "ben")]


def test_a_concern_raises_one_about_who_asked(database: Database, people: dict[str, Actor]) -> None:
    answered(database)
    watch(database, ALL, now=NOW)
    with database.write() as session:
        reviews.do(session, 1, result="concern", note="x", actor=people["otto"], now=NOW)
    watch(database, ALL, now=NOW)
    assert raised(database) == [(alerts.CONCERN, "ben")]


def test_overseers_close_alerts_that_are_not_about_them(database: Database, people: dict[str, Actor]) -> None:
    refused(database, "case-missing", "olga")
    watch(database, ALL, now=NOW)
    for who, code in (("cara", "role-missing"), ("ben", "role-missing"), ("olga", "own-alert")):
        with database.write() as session, pytest.raises(Refusal) as caught:
            alerts.close(session, 1, note="x", actor=people[who], now=NOW)
        assert caught.value.code == code
    with database.write() as session, pytest.raises(UsageError):
        alerts.close(session, 1, note=" ", actor=people["otto"], now=NOW)
    with database.write() as session:
        alerts.close(session, 1, note="asked her", actor=people["otto"], now=NOW)
    assert raised(database) == []
    assert entries(database, "alert.closed")[0]["by"] == "otto"
    with database.write() as session, pytest.raises(UnknownName):
        alerts.close(session, 1, note="again", actor=people["otto"], now=NOW)
