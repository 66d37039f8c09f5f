"""Cases: opened by who may ask, for a purpose of the licence, and named by no device."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from passersby.errors import IntegrityError, Refusal, UnknownName, UsageError
from passersby.keys.signed import Actor
from passersby.policy import cases, licence
from passersby.store.database import Database
from passersby.store.duty_tables import Case as Row
from passersby.store.tables import LogEntry, LogSalt
from policy.conftest import NOW, Enrol
from policy.test_grants import LICENCE

PURPOSE = LICENCE.purposes[0]


@pytest.fixture
def people(
    database: Database, staff: Callable[[Database], dict[str, Actor]], person: Enrol
) -> dict[str, Actor]:
    """Those of `staff`, an overseer, and an analyst whom no licence names; the licence is granted."""
    found = staff(database)
    for name, role in (("otto", "overseer"), ("eve", "analyst")):
        found[name] = person(database, name, role, by=found["cara"])
    with database.write() as session:
        licence.grant(session, LICENCE, actor=found["cara"], now=NOW)
    return found


def opened(database: Database, actor: Actor, **changed: Any) -> cases.Case:
    given: dict[str, Any] = {
        "licence": LICENCE.id,
        "name": "tram-7",
        "title": "Where does line 7 need more trams?",
        "purpose": PURPOSE,
        "until": None,
        "now": NOW,
    }
    with database.write() as session:
        return cases.open_case(session, actor=actor, **(given | changed))


def is_open(database: Database, **changed: Any) -> bool:
    given: dict[str, Any] = {"licence": LICENCE.id, "name": "tram-7", "purpose": PURPOSE, "now": NOW}
    with database.read() as session:
        return cases.is_open(session, **(given | changed))


def test_a_case_is_open_for_its_licence_and_purpose(database: Database, people: dict[str, Actor]) -> None:
    assert not is_open(database)
    made = opened(database, people["ben"])
    assert (made.owner, made.until, made.is_open(NOW)) == ("ben", LICENCE.expires, True)
    assert is_open(database, now=LICENCE.expires - 1)
    for wrong in (
        {"now": LICENCE.expires},
        {"name": "tram-8"},
        {"name": ""},
        {"name": "x" * 100},
        {"licence": "another"},
        {"purpose": "dpv:PublicBenefit"},
    ):
        assert not is_open(database, **wrong), wrong
    with database.read() as session:
        assert cases.list_all(session) == [made]
        entry = json.loads(session.scalars(select(LogEntry.body).order_by(LogEntry.index)).all()[-1])
    assert entry["kind"] == "case.opened"
    assert "tram" not in json.dumps(entry)


@pytest.mark.parametrize("who", ["ben", "cara", "otto"])
def test_owner_custodian_and_overseer_close_it(
    database: Database, people: dict[str, Actor], who: str
) -> None:
    opened(database, people["ben"])
    with database.write() as session:
        cases.close(session, licence=LICENCE.id, name="tram-7", actor=people[who], now=NOW + 5)
    assert not is_open(database, now=NOW + 5)
    with database.write() as session, pytest.raises(UnknownName):
        cases.close(session, licence=LICENCE.id, name="tram-7", actor=people[who], now=NOW + 6)
    with pytest.raises(UsageError, match="of that name"):
        opened(database, people["ben"])


def test_others_do_not_close_it(database: Database, people: dict[str, Actor]) -> None:
    opened(database, people["cara"])
    for who in ("ben", "pia"):
        with database.write() as session, pytest.raises(Refusal) as caught:
            cases.close(session, licence=LICENCE.id, name="tram-7", actor=people[who], now=NOW)
        assert caught.value.code == "role-missing"
    assert is_open(database)


@pytest.mark.parametrize(
    ("who", "change", "code"),
    [
        ("pia", {}, "role-missing"),
        ("otto", {}, "role-missing"),
        ("eve", {}, "not-on-licence"),
        ("ben", {"purpose": "dpv:PublicBenefit"}, "purpose-not-licensed"),
    ],
)
def test_who_may_not_ask_opens_none(
    database: Database, people: dict[str, Actor], who: str, change: dict[str, Any], code: str
) -> None:
    with pytest.raises(Refusal) as caught:
        opened(database, people[who], **change)
    assert caught.value.code == code


def test_no_case_of_a_revoked_licence(database: Database, people: dict[str, Actor]) -> None:
    with database.write() as session:
        licence.revoke(session, LICENCE.id, actor=people["cara"], now=NOW)
    with pytest.raises(Refusal) as caught:
        opened(database, people["ben"])
    assert caught.value.code == "licence-revoked"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "two words"}, "name must be"),
        ({"name": ""}, "name must be"),
        ({"title": " "}, "needs a title"),
        ({"title": "x" * 201}, "needs a title"),
        ({"title": "a\nb"}, "needs a title"),
        ({"name": "3f9d2c71-5b8e-4a06-9d13-7e21c04ab95f"}, "device's id"),
        ({"name": "p1234567890123456789"}, "device's id"),
        ({"title": "About 3F9D2C715B8E4A069D137E21C04AB95F"}, "device's id"),
        ({"until": NOW}, "ends in the future"),
        ({"until": LICENCE.expires + 1}, "no later than its licence"),
    ],
)
def test_what_is_no_case(
    database: Database, people: dict[str, Actor], change: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        opened(database, people["ben"], **change)
    with database.read() as session:
        assert session.scalars(select(Row.name)).all() == []
        assert not [v for v in session.scalars(select(LogSalt.value)) if "3f9d2c71" in v.lower()]


def test_an_edited_case_is_found(database: Database, people: dict[str, Actor]) -> None:
    opened(database, people["ben"])
    with database.write() as session:
        row = session.get_one(Row, (LICENCE.id, "tram-7"))
        row.record = row.record.replace("more trams", "no trams")
        session.flush()
        with pytest.raises(IntegrityError):
            cases.list_all(session)
