"""Signatures of persons and the records that carry them."""

from __future__ import annotations

import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from passersby.errors import IntegrityError, Refusal
from passersby.keys.signed import Actor, digest, require, seal, statement, unseal, verify
from passersby.store.database import Database
from passersby.store.tables import Person

KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
PUBLIC = KEY.public_key().public_bytes_raw().hex()
ANNA = Actor("anna", frozenset({"legal"}), KEY)
HASH = hashlib.sha256(b"object").digest()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)


def test_a_signature_verifies() -> None:
    verify(PUBLIC, HASH, "licence.granted", ANNA.sign(HASH, "licence.granted"))


@pytest.mark.parametrize(
    ("public", "obj", "purpose", "flip"),
    [
        (Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex(), HASH, "licence.granted", 0),
        (PUBLIC, hashlib.sha256(b"other").digest(), "licence.granted", 0),
        (PUBLIC, HASH, "licence.revoked", 0),
        (PUBLIC, HASH, "licence.granted", 1),
        ("not hexadecimal", HASH, "licence.granted", 0),
        ("00", HASH, "licence.granted", 0),
    ],
    ids=["another key", "another object", "another purpose", "a flipped bit", "no key", "a short key"],
)
def test_a_signature_is_worth_one_thing(public: str, obj: bytes, purpose: str, flip: int) -> None:
    signature = bytearray(bytes.fromhex(ANNA.sign(HASH, "licence.granted")))
    signature[5] ^= flip
    with pytest.raises(IntegrityError, match="does not belong"):
        verify(public, obj, purpose, signature.hex())


@pytest.mark.parametrize("signature", ["", "zz", "00"])
def test_what_is_no_signature(signature: str) -> None:
    with pytest.raises(IntegrityError):
        verify(PUBLIC, HASH, "licence.granted", signature)


@pytest.mark.parametrize(("obj", "purpose"), [(b"short", "p"), (HASH, ""), (HASH, "two\nlines")])
def test_what_cannot_be_signed(obj: bytes, purpose: str) -> None:
    with pytest.raises(ValueError, match="statement"):
        statement(obj, purpose)


def test_the_statement_is_as_documented() -> None:
    assert statement(HASH, "p") == b"passersby statement v1\np\n" + HASH.hex().encode() + b"\n"


def enrolled(database: Database, *roles: str, active: bool = True) -> None:
    row = Person(id="anna", name="Anna", roles=json.dumps(roles), public_key=PUBLIC, created=0, active=active)
    with database.write() as session:
        session.add(row)


@given(record=st.dictionaries(st.text(st.characters(codec="utf-8")), JSON, max_size=4))
def test_a_record_comes_back_as_it_was_signed(sqlite_database: Database, record: dict[str, object]) -> None:
    with sqlite_database.write() as session:
        session.merge(Person(id="anna", name="A", roles="[]", public_key=PUBLIC, created=0, active=True))
        sealed = seal(record, "p", ANNA)
        assert unseal(session, sealed.text, "p") == record
    assert sealed.sha256 == digest(record).hex()


def change(text: str, **fields: object) -> str:
    return json.dumps(json.loads(text) | fields)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: change(text, record={"a": 2}),
        lambda text: change(text, signed_by="bob"),
        lambda text: change(text, signed_by="nobody"),
        lambda text: change(text, signed_by=None),
        lambda text: change(text, signature="00" * 64),
        lambda text: text[:-1],
        lambda _: "[]",
        lambda _: "{}",
    ],
)
def test_a_changed_record_is_found(sqlite_database: Database, damage: object) -> None:
    enrolled(sqlite_database)
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    text = damage(seal({"a": 1}, "p", ANNA).text)  # type: ignore[operator]  # a lambda
    with sqlite_database.write() as session:
        session.add(Person(id="bob", name="B", roles="[]", public_key=other, created=0, active=True))
        with pytest.raises(IntegrityError):
            unseal(session, text, "p")


def test_a_record_for_another_purpose_is_found(sqlite_database: Database) -> None:
    enrolled(sqlite_database)
    with sqlite_database.read() as session, pytest.raises(IntegrityError):
        unseal(session, seal({"a": 1}, "p", ANNA).text, "q")


def test_one_of_the_roles_is_enough(sqlite_database: Database) -> None:
    enrolled(sqlite_database, "legal")
    with sqlite_database.read() as session:
        require(session, ANNA, "privacy", "legal")


def test_without_a_role_nothing_is_done(sqlite_database: Database) -> None:
    enrolled(sqlite_database, "legal")
    with sqlite_database.read() as session, pytest.raises(Refusal) as caught:
        require(session, ANNA, "privacy")
    assert caught.value.code == "role-missing"


def test_roles_are_read_again(sqlite_database: Database) -> None:
    enrolled(sqlite_database, "analyst")
    with sqlite_database.read() as session, pytest.raises(Refusal):
        require(session, ANNA, "legal")


def test_an_inactive_person_cannot_act(sqlite_database: Database) -> None:
    enrolled(sqlite_database, "legal", active=False)
    with sqlite_database.read() as session, pytest.raises(Refusal):
        require(session, ANNA, "legal")


@pytest.mark.parametrize("name", ["anna", "nobody"])
def test_a_name_is_not_identity(sqlite_database: Database, name: str) -> None:
    enrolled(sqlite_database, "legal")
    claimed = Actor(name, frozenset({"legal"}), Ed25519PrivateKey.generate())
    with sqlite_database.read() as session, pytest.raises(IntegrityError, match="not the one on record"):
        require(session, claimed, "legal")
