"""A deployment's people and its approved impact assessment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from passersby.keys.signed import Actor
from passersby.model.period import DAY
from passersby.people import accounts, keys
from passersby.people.actor import actor_from
from passersby.policy import impact
from passersby.store.database import Database

NOW = 1_770_000_000  # 2026-02-02 02:40 UTC

Enrol = Callable[..., Actor]

IMPACT = impact.Impact(
    description="Pings of app users in Germany; noisy statistics leave.",
    necessity="Counts of traffic do not show where people stay.",
    risks=("single people are found",),
    measures=("differential privacy, floors",),
    approved_by="pia",
    next_due=NOW // DAY + 300,
)


@pytest.fixture
def person(tmp_path: Path) -> Enrol:
    """Enrols a person with the given roles in a database and returns them."""

    def enrol(database: Database, person_id: str, *roles: str, by: Actor | None = None) -> Actor:
        path = tmp_path / f"{person_id}.pem"
        public = keys.generate(path)
        with database.write() as session:
            accounts.add(
                session, person_id=person_id, name=person_id, roles=roles, public_key=public, by=by, now=NOW
            )
            return actor_from(path, session)

    return enrol


@pytest.fixture
def staff(person: Enrol) -> Callable[[Database], dict[str, Actor]]:
    """Enrols Cara (custodian), Pia (privacy) and Ben (analyst); Pia approves the impact assessment."""

    def enrol(database: Database) -> dict[str, Actor]:
        cara = person(database, "cara", "custodian")
        pia = person(database, "pia", "privacy", by=cara)
        ben = person(database, "ben", "analyst", by=cara)
        with database.write() as session:
            impact.draft(session, IMPACT, actor=cara, now=NOW)
            impact.approve(session, IMPACT, actor=pia, now=NOW)
        return {"cara": cara, "pia": pia, "ben": ben}

    return enrol
