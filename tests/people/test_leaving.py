"""Accounts that end, and keys that two others replace: what was signed before stays valid."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.errors import IntegrityError, Refusal, UnknownName, UsageError
from passersby.keys.signed import Actor, digest, require, verify_person
from passersby.people import accounts, keys, leaving, proposals, rekeying
from passersby.people.actor import actor_from
from passersby.people.proposals import REKEY, Proposal, Rule
from passersby.store.database import Database
from passersby.store.tables import LogEntry

NOW = 1_780_000_000
ROLES = {
    "otto": ("overseer",),
    "pia": ("privacy",),
    "lea": ("legal",),
    "ann": ("analyst",),
    "cleo": ("custodian",),
}


@pytest.fixture
def people(database: Database, tmp_path: Path, enrol: Callable[..., Actor]) -> dict[str, Actor]:
    with database.write() as session:
        cara = enrol(session, "cara", "custodian", by=None, folder=tmp_path)
        return {
            "cara": cara,
            **{who: enrol(session, who, *r, by=cara, folder=tmp_path) for who, r in ROLES.items()},
        }


def last_entry(session: Session) -> dict[str, Any]:
    body = session.scalars(select(LogEntry.body).order_by(LogEntry.index.desc()).limit(1)).one()
    found: dict[str, Any] = json.loads(body)
    return found


@pytest.mark.parametrize("who", ["cara", "otto"])
def test_an_ended_account_acts_no_more(
    database: Database, people: dict[str, Actor], tmp_path: Path, who: str
) -> None:
    with database.write() as session:
        leaving.end(session, "cleo", reason="left us", actor=people[who], now=NOW)
        entry = last_entry(session)
        assert (entry["kind"], entry["person"], entry["by"]) == ("person.ended", "cleo", who)
        assert "left us" not in json.dumps(entry)
        with pytest.raises(Refusal):
            require(session, people["cleo"], "custodian")
        with pytest.raises(UnknownName, match="no active person"):
            actor_from(tmp_path / "cleo.pem", session)
        with pytest.raises(UsageError, match="ended already"):
            leaving.end(session, "cleo", reason="x", actor=people[who], now=NOW)


def test_who_may_not_end_an_account(database: Database, people: dict[str, Actor]) -> None:
    for who in ("pia", "lea", "ann"):
        with database.write() as session, pytest.raises(Refusal) as caught:
            leaving.end(session, "cleo", reason="x", actor=people[who], now=NOW)
        assert caught.value.code == "role-missing"
    with database.write() as session, pytest.raises(UsageError, match="reason"):
        leaving.end(session, "cleo", reason=" ", actor=people["cara"], now=NOW)
    with database.write() as session, pytest.raises(UnknownName):
        leaving.end(session, "nobody", reason="x", actor=people["cara"], now=NOW)


def test_the_last_custodian_and_the_last_overseer_stay(database: Database, people: dict[str, Actor]) -> None:
    with database.write() as session:
        leaving.end(session, "cara", reason="x", actor=people["cara"], now=NOW)
        for last in ("cleo", "otto"):
            with pytest.raises(UsageError, match="last account with the role") as caught:
                leaving.end(session, last, reason="x", actor=people["otto"], now=NOW)
            assert "person rekey" in caught.value.next_step


def test_what_they_proposed_is_refused(
    database: Database, people: dict[str, Actor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(proposals.RULES, "stone.move", Rule("Move", ("custodian",), ("custodian",)))
    with database.write() as session:
        made = [
            proposals.propose(session, "stone.move", who, {"a": 1}, actor=people[who], now=NOW).id
            for who in ("cleo", "cara")
        ]
        leaving.end(session, "cleo", reason="a stolen key", actor=people["otto"], now=NOW)
        states = [proposals.get(session, number).state for number in made]
        assert states == ["refused", "open"]
        with pytest.raises(UnknownName):
            proposals.approve(session, made[0], actor=people["cara"], now=NOW)


def rekeyed(
    session: Session, people: dict[str, Actor], new_key: str, *, by: tuple[str, str] = ("cara", "pia")
) -> Proposal:
    record = rekeying.record(session, "lea", new_key)
    made = proposals.propose(session, REKEY, "lea", record, actor=people[by[0]], now=NOW)
    done = proposals.approve(session, made.id, actor=people[by[1]], now=NOW)
    rekeying.enact(session, done, now=NOW)
    return done


def test_two_others_replace_a_key(database: Database, people: dict[str, Actor], tmp_path: Path) -> None:
    new_key = keys.generate(tmp_path / "new.pem")
    signed = digest({"a": 1})
    signature = people["lea"].sign(signed, "before")
    with database.write() as session:
        old_key = accounts.get(session, "lea").public_key
        rekeyed(session, people, new_key)
        entry = last_entry(session)
        assert (entry["kind"], entry["old_key"], entry["new_key"]) == ("person.rekeyed", old_key, new_key)
        with pytest.raises(UnknownName):
            actor_from(tmp_path / "lea.pem", session)
        with pytest.raises(IntegrityError):
            require(session, people["lea"], "legal")  # the thief's copy
        require(session, actor_from(tmp_path / "new.pem", session), "legal")
        assert verify_person(session, "lea", signed, "before", signature) == old_key
        with pytest.raises(IntegrityError):
            verify_person(session, "pia", signed, "before", signature)
        with pytest.raises(IntegrityError):
            verify_person(session, "lea", signed, "another purpose", signature)
        for taken in (old_key, new_key, accounts.get(session, "pia").public_key):
            with pytest.raises(UsageError, match="belongs to another account"):
                rekeying.record(session, "lea", taken)


def test_nobody_replaces_their_own_key(database: Database, people: dict[str, Actor], tmp_path: Path) -> None:
    new_key = keys.generate(tmp_path / "new.pem")
    with pytest.raises(Refusal) as caught, database.write() as session:
        rekeyed(session, people, new_key, by=("cara", "lea"))
    assert caught.value.code == "own-key"
    with database.read() as session:
        assert accounts.by_key(session, new_key) is None


def test_one_person_alone_does_not(database: Database, people: dict[str, Actor], tmp_path: Path) -> None:
    new_key = keys.generate(tmp_path / "new.pem")
    for by, code in (
        (("cara", "cara"), "same-person"),
        (("ann", "cara"), "role-missing"),
        (("cara", "ann"), "role-missing"),
    ):
        with pytest.raises(Refusal) as caught, database.write() as session:
            rekeyed(session, people, new_key, by=by)
        assert caught.value.code == code


def test_what_changed_meanwhile_is_not_put_in_force(
    database: Database, people: dict[str, Actor], tmp_path: Path
) -> None:
    first, second = (keys.generate(tmp_path / f"{n}.pem") for n in (1, 2))
    with database.write() as session:
        record = rekeying.record(session, "lea", first)
        late = proposals.propose(session, REKEY, "other subject", record, actor=people["cara"], now=NOW)
        rekeyed(session, people, second)
        done = proposals.approve(session, late.id, actor=people["pia"], now=NOW)
        with pytest.raises(UsageError, match="changed meanwhile"):
            rekeying.enact(session, done, now=NOW)
        assert accounts.get(session, "lea").public_key == second


def test_an_ended_account_gets_no_key(database: Database, people: dict[str, Actor], tmp_path: Path) -> None:
    new_key = keys.generate(tmp_path / "new.pem")
    with database.write() as session:
        leaving.end(session, "lea", reason="x", actor=people["cara"], now=NOW)
        with pytest.raises(UsageError, match="has ended"):
            rekeying.record(session, "lea", new_key)
