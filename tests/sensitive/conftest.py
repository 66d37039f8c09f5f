"""People who may load lists, and one who may not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from passersby.keys.signed import Actor
from passersby.people import accounts, keys
from passersby.people.actor import actor_from
from passersby.store.database import Database

NOW = 1_780_000_000


@pytest.fixture
def person(tmp_path: Path, database: Database) -> Callable[..., Actor]:
    """Enrols a person; the first one is a custodian."""

    def enrol(person_id: str, role: str, by: Actor | None = None) -> Actor:
        path = tmp_path / f"{person_id}.pem"
        public = keys.generate(path)
        with database.write() as session:
            accounts.add(
                session, person_id=person_id, name=person_id, roles=[role], public_key=public, by=by, now=NOW
            )
            return actor_from(path, session)

    return enrol


@pytest.fixture
def ada(person: Callable[..., Actor]) -> Actor:
    return person("ada", "custodian")
