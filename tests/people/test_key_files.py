"""Key files: who may read them, and what they are worth."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from passersby.errors import UnknownName, UnreadableFile, UsageError
from passersby.keys.signed import Actor
from passersby.people import keys
from passersby.people.actor import actor_from
from passersby.store.database import Database
from passersby.store.tables import Person


def pem(key: object, password: bytes | None = None) -> bytes:
    cipher = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(  # type: ignore[attr-defined, no-any-return]  # any kind of key
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, cipher
    )


def write(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_new_key_is_pkcs8_in_pem_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        public = keys.generate(tmp_path / "me.pem")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "me.pem").stat().st_mode) == 0o600
    assert (tmp_path / "me.pem").read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert keys.public_half(keys.load(tmp_path / "me.pem")) == public
    assert len(bytes.fromhex(public)) == 32


def test_two_keys_differ(tmp_path: Path) -> None:
    assert keys.generate(tmp_path / "a.pem") != keys.generate(tmp_path / "b.pem")


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    keys.generate(tmp_path / "me.pem")
    before = (tmp_path / "me.pem").read_bytes()
    with pytest.raises(UsageError, match="already"):
        keys.generate(tmp_path / "me.pem")
    assert (tmp_path / "me.pem").read_bytes() == before


def test_a_key_needs_a_folder_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No key can be written"):
        keys.generate(tmp_path / "nowhere" / "me.pem")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601])
def test_a_key_that_others_can_reach_is_not_used(tmp_path: Path, mode: int) -> None:
    keys.generate(tmp_path / "me.pem")
    (tmp_path / "me.pem").chmod(mode)
    with pytest.raises(UsageError, match="by others") as caught:
        keys.load(tmp_path / "me.pem")
    assert "chmod 600" in caught.value.next_step


def test_a_key_of_another_account_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys.generate(tmp_path / "me.pem")
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    with pytest.raises(UsageError, match="another account"):
        keys.load(tmp_path / "me.pem")


def test_a_missing_key(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no key file"):
        keys.load(tmp_path / "me.pem")


def test_a_link_to_a_key_is_not_followed(tmp_path: Path) -> None:
    keys.generate(tmp_path / "me.pem")
    (tmp_path / "link.pem").symlink_to(tmp_path / "me.pem")
    with pytest.raises(UsageError, match="no key file"):
        keys.load(tmp_path / "link.pem")


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a file"):
        keys.load(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        pem(generate_private_key(SECP256R1())),
        pem(Ed25519PrivateKey.generate(), b"secret"),
        Ed25519PrivateKey.generate()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
    ],
    ids=["empty", "damaged", "another kind", "with a password", "public half"],
)
def test_what_is_no_key(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UnreadableFile, match="not an Ed25519 private key"):
        keys.load(write(tmp_path / "me.pem", content))


def test_a_person_is_who_holds_the_key(sqlite_database: Database, custodian: Actor, tmp_path: Path) -> None:
    with sqlite_database.read() as session:
        actor = actor_from(tmp_path / "cara.pem", session)
    assert (actor.id, actor.roles) == ("cara", frozenset({"custodian"}))
    assert actor == custodian


def test_a_key_that_nobody_enrolled_is_nobody(sqlite_database: Database, tmp_path: Path) -> None:
    keys.generate(tmp_path / "cara.pem")
    with sqlite_database.read() as session, pytest.raises(UnknownName, match="no active person"):
        actor_from(tmp_path / "cara.pem", session)


def test_an_inactive_person_is_nobody(sqlite_database: Database, custodian: Actor, tmp_path: Path) -> None:
    with sqlite_database.write() as session:
        session.get_one(Person, custodian.id).active = False
    with sqlite_database.read() as session, pytest.raises(UnknownName, match="no active person"):
        actor_from(tmp_path / "cara.pem", session)


def test_an_actor_shows_no_key(custodian: Actor) -> None:
    assert "key" not in repr(custodian).lower()
