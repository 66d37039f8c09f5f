"""Fields that are shown to an auditor: only by whom, only what was chosen, and only what was logged."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete

from passersby.errors import IntegrityError, PassersbyError, Refusal, UnknownName, UnreadableFile, UsageError
from passersby.keys.signed import Actor
from passersby.store.tables import LogSalt, Person
from passersby.trustlog import disclosure
from passersby.trustlog.entries import stored
from passersby.trustlog.verify import reveal

NOW = 1_800_000_000


@pytest.fixture
def shown_by(log: Any) -> Any:
    """Make a person with a role; the log has 20 entries."""
    log.grown(20)

    def make(role: str) -> Actor:
        key = Ed25519PrivateKey.generate()
        with log.database.write() as session:
            person = Person(
                id=role,
                name=role,
                roles=json.dumps([role]),
                public_key=key.public_key().public_bytes_raw().hex(),
                created=0,
                active=True,
            )
            session.add(person)
        return Actor(role, frozenset({role}), key)

    return make


def disclose(log: Any, actor: Actor, index: int = 7, *names: str, to: str = "Court of Audit") -> bytes:
    return disclosure.disclose(log.database, log.publisher, index, names, to=to, actor=actor, now=NOW)


@pytest.mark.parametrize("role", ["custodian", "overseer"])
def test_an_auditor_checks_what_is_shown_with_the_key_alone(log: Any, shown_by: Any, role: str) -> None:
    document = disclose(log, shown_by(role), 7, "rows")
    found = disclosure.check(document, log.vkey)
    assert found.proven.index == 7
    assert [(field.name, field.value) for field in found.fields] == [("rows", 7)]
    assert found.unshown == 1
    assert found.entry == {"kind": "delivery.stored", "delivery": 7, "supplier": "s", "time": 1_700_000_007}
    assert b"held back" not in document


def test_the_parts_are_those_of_sd_jwt(log: Any, shown_by: Any) -> None:
    document = json.loads(disclose(log, shown_by("custodian"), 7, "rows", "note"))
    entry = json.loads(document["entry"])
    for part in document["disclosures"]:
        salt, name, value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        assert {"rows": 7, "note": "held back"}[name] == value
        assert len(salt) == 22
        digest = base64.urlsafe_b64encode(hashlib.sha256(part.encode()).digest()).rstrip(b"=").decode()
        assert digest in entry["_sd"]


def test_the_act_is_logged_before_anything_is_shown(log: Any, shown_by: Any) -> None:
    actor = shown_by("overseer")
    document = disclose(log, actor, 7, "rows")
    with log.database.read() as session:
        entry = json.loads(stored(session, 20, 21)[0])
        hidden = {field.name: field.value for field in reveal(session, 20)}
    assert (entry["kind"], entry["entry"], entry["by"]) == ("log.disclosed", 7, "overseer")
    assert (hidden["fields"], hidden["to"]) == (["rows"], "Court of Audit")
    assert disclosure.check(document, log.vkey).proven.checkpoint.size == 21  # published with the act in it


@pytest.mark.parametrize("role", ["analyst", "legal", "privacy", "releaser"])
def test_nobody_else_may_show(log: Any, shown_by: Any, role: str) -> None:
    with pytest.raises(Refusal) as caught:
        disclose(log, shown_by(role), 7, "rows")
    assert caught.value.code == "role-missing"
    with log.database.read() as session, pytest.raises(IntegrityError):
        stored(session, 20, 21)


def test_what_is_not_there_is_said_and_not_logged(log: Any, shown_by: Any) -> None:
    actor = shown_by("custodian")
    with pytest.raises(UnknownName, match="no entry 20"):
        disclose(log, actor, 20, "rows")
    with pytest.raises(UnknownName, match="no hidden field 'row'") as caught:
        disclose(log, actor, 7, "row")
    assert "note, rows" in caught.value.next_step
    with pytest.raises(UsageError, match="hidden in this entry are: note, rows"):
        disclose(log, actor, 7)
    with pytest.raises(UsageError, match="who is shown"):
        disclose(log, actor, 7, "rows", to=" ")
    log.publish()
    assert log.publisher.standing().size == 20


def change(document: bytes, **values: Any) -> bytes:
    return json.dumps({**json.loads(document), **values}).encode()


def part(*values: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).rstrip(b"=").decode()


def test_nothing_in_it_can_be_changed(log: Any, shown_by: Any) -> None:
    document = disclose(log, shown_by("custodian"), 7, "rows")
    whole = json.loads(document)
    other = json.loads(disclose(log, shown_by("overseer"), 8, "rows"))
    salt, name, value = json.loads(base64.urlsafe_b64decode(whole["disclosures"][0] + "=="))
    forged = {
        "another entry": {"entry": other["entry"]},
        "a changed entry": {"entry": whole["entry"].replace('"delivery":7', '"delivery":8')},
        "another proof": {"proof": other["proof"]},
        "another value": {"disclosures": [part(salt, name, value + 1)]},
        "another name": {"disclosures": [part(salt, "note", value)]},
        "another entry's field": {"disclosures": other["disclosures"]},
    }
    for what, values in forged.items():
        with pytest.raises(IntegrityError):
            disclosure.check(change(document, **values), log.vkey)
        assert what
    twice = change(document, disclosures=whole["disclosures"] * 2)
    with pytest.raises(UnreadableFile):
        disclosure.check(twice, log.vkey)


@pytest.mark.parametrize(
    "values",
    [
        {"format": "x"},
        {"entry": 1},
        {"entry": "\ud800"},
        {"proof": None},
        {"proof": "\udfff"},
        {"disclosures": "x"},
        {"disclosures": [1]},
        {"disclosures": ["\ud800"]},
    ],
)
def test_what_is_no_disclosure_is_said(log: Any, shown_by: Any, values: dict[str, Any]) -> None:
    document = disclose(log, shown_by("custodian"), 7, "rows")
    with pytest.raises(UnreadableFile, match="no disclosure"):
        disclosure.check(change(document, **values), log.vkey)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"[" * 200_000, b" " * (1 << 23), b"1" * 5000])
def test_other_bytes_are_said(data: bytes) -> None:
    with pytest.raises(PassersbyError):
        disclosure.check(data, "x")


def test_an_erased_field_cannot_be_shown(log: Any, shown_by: Any, tmp_path: Path) -> None:
    assert tmp_path.exists()
    with log.database.write() as session:
        session.execute(delete(LogSalt).where(LogSalt.name == "rows"))
    with pytest.raises(UnknownName, match="or it was erased"):
        disclose(log, shown_by("custodian"), 7, "rows")
