"""A control database with a first custodian."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from passersby.keys.signed import Actor
from passersby.people import accounts, keys
from passersby.people.actor import actor_from
from passersby.store.database import Database

NOW = 1_780_000_000


def enrol(session: Session, person_id: str, *roles: str, by: Actor | None, folder: Path) -> Actor:
    """Make a key file, add its person, and come back as that person."""
    path = folder / f"{person_id}.pem"
    public = keys.generate(path)
    accounts.add(
        session, person_id=person_id, name=person_id.title(), roles=roles, public_key=public, by=by, now=NOW
    )
    return actor_from(path, session)


@pytest.fixture(name="enrol")
def _enrol() -> Callable[..., Actor]:
    return enrol


@pytest.fixture
def custodian(sqlite_database: Database, tmp_path: Path) -> Actor:
    with sqlite_database.write() as session:
        return enrol(session, "cara", "custodian", by=None, folder=tmp_path)


@pytest.fixture
def stranger() -> Actor:
    """Somebody who says that they are Cara, with a key of their own."""
    return Actor("cara", frozenset({"custodian", "privacy"}), Ed25519PrivateKey.generate())
