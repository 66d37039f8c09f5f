"""Individual accounts: one person, one key, and a log entry for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.errors import IntegrityError, Refusal, UnknownName, UsageError
from passersby.keys.signed import Actor, digest, verify
from passersby.people import accounts, keys
from passersby.people.actor import actor_from
from passersby.store.database import Database
from passersby.store.tables import LogEntry, LogSalt, Person

NOW = 1_780_000_000


def entries(session: Session) -> list[dict[str, Any]]:
    bodies = session.scalars(select(LogEntry.body).order_by(LogEntry.index))
    return [json.loads(body) for body in bodies]


def add(session: Session, folder: Path, by: Actor | None, **change: Any) -> accounts.Account:
    path = folder / f"key-{len(list(folder.iterdir()))}.pem"
    given = {"person_id": "ben", "name": "Ben Bell", "roles": ["analyst"], "public_key": keys.generate(path)}
    return accounts.add(session, **(given | change), by=by, now=NOW)


def test_the_first_person_is_a_custodian_and_adds_the_others(database: Database, tmp_path: Path) -> None:
    with database.write() as session:
        first = add(session, tmp_path, None, person_id="cara", roles=["custodian", "analyst"])
        cara = actor_from(next(tmp_path.glob("key-*.pem")), session)
        add(session, tmp_path, cara)
    with database.read() as session:
        assert [account.id for account in accounts.list_all(session)] == ["ben", "cara"]
        assert accounts.get(session, "cara") == first
        assert first.roles == {"custodian", "analyst"}


def test_a_person_is_logged_without_their_name(
    sqlite_database: Database, custodian: Actor, tmp_path: Path
) -> None:
    with sqlite_database.write() as session:
        ben = add(session, tmp_path, custodian, roles=["releaser", "analyst"])
        entry = entries(session)[-1]
        salts = {
            row.name: json.loads(row.value)
            for row in session.scalars(select(LogSalt).where(LogSalt.index == 1))
        }
    public = {"person": "ben", "roles": ["analyst", "releaser"], "public_key": ben.public_key}
    assert entry | {"kind": "person.added", "time": NOW} | public == entry
    assert "Ben Bell" not in json.dumps(entry)
    assert (salts["name"], salts["added_by"]) == ("Ben Bell", "cara")
    own = custodian.key.public_key().public_bytes_raw().hex()
    verify(own, digest(public), "person.added", salts["signature"])


def test_the_first_person_cannot_be_an_analyst(sqlite_database: Database, tmp_path: Path) -> None:
    with sqlite_database.write() as session, pytest.raises(UsageError, match="must be a custodian"):
        add(session, tmp_path, None)


def test_nobody_adds_a_second_person(sqlite_database: Database, custodian: Actor, tmp_path: Path) -> None:
    assert custodian.id == "cara"
    with sqlite_database.write() as session, pytest.raises(UsageError, match="Only a custodian"):
        add(session, tmp_path, None, roles=["custodian"])


def test_an_analyst_adds_nobody(sqlite_database: Database, custodian: Actor, tmp_path: Path) -> None:
    with sqlite_database.write() as session:
        public = keys.generate(tmp_path / "ben.pem")
        add(session, tmp_path, custodian, public_key=public)
        ben = actor_from(tmp_path / "ben.pem", session)
        with pytest.raises(Refusal) as caught:
            add(session, tmp_path, ben, person_id="dora")
    assert caught.value.code == "role-missing"


def test_a_stranger_under_a_custodians_name_adds_nobody(
    sqlite_database: Database, custodian: Actor, stranger: Actor, tmp_path: Path
) -> None:
    assert stranger.id == custodian.id
    with sqlite_database.write() as session, pytest.raises(IntegrityError):
        add(session, tmp_path, stranger)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"roles": []}, "at least one role"),
        ({"roles": ["root"]}, "at least one role"),
        ({"person_id": ""}, "account's name"),
        ({"person_id": "../ben"}, "account's name"),
        ({"person_id": "b" * 64}, "account's name"),
        ({"person_id": "ben\n"}, "account's name"),
        ({"name": " "}, "full name"),
        ({"public_key": "ab"}, "64 hexadecimal"),
        ({"public_key": "AB" * 32}, "64 hexadecimal"),
        ({"person_id": "cara"}, "already"),
    ],
)
def test_what_is_no_account(
    sqlite_database: Database, custodian: Actor, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with sqlite_database.write() as session:
        with pytest.raises(UsageError, match=words):
            add(session, tmp_path, custodian, **change)
        assert len(session.scalars(select(Person)).all()) == 1


def test_one_key_belongs_to_one_account(sqlite_database: Database, custodian: Actor, tmp_path: Path) -> None:
    own = custodian.key.public_key().public_bytes_raw().hex()
    with sqlite_database.write() as session, pytest.raises(UsageError, match="another account"):
        add(session, tmp_path, custodian, public_key=own)


def test_an_unknown_account(sqlite_database: Database) -> None:
    with sqlite_database.read() as session, pytest.raises(UnknownName):
        accounts.get(session, "ben")
