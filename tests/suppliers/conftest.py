"""People who look after suppliers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from passersby.keys.signed import Actor
from passersby.people import accounts, keys
from passersby.people.actor import actor_from
from passersby.store.database import Database

NOW = 1_770_000_000  # 2026-02-02 02:40 UTC


@pytest.fixture
def person(tmp_path: Path) -> Callable[..., Actor]:
    """Enrols a person with the given roles in a database and returns them."""

    def enrol(database: Database, person_id: str, *roles: str, by: Actor | None = None) -> Actor:
        path = tmp_path / f"{person_id}.pem"
        public = keys.generate(path)
        with database.write() as session:
            accounts.add(
                session,
                person_id=person_id,
                name=json.dumps(roles),
                roles=roles,
                public_key=public,
                by=by,
                now=NOW,
            )
            return actor_from(path, session)

    return enrol
