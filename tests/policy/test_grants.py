"""Granting and revoking licences: who does it, on which conditions, and what stands in the log."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import h3
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.config import Config
from passersby.errors import BadRecord, IntegrityError, NotReady, Refusal, UnknownName, UsageError
from passersby.keys.signed import Actor
from passersby.model.period import DAY
from passersby.policy import impact, licence
from passersby.policy.licence import Licence
from passersby.store import tables
from passersby.store.database import Database

NOW = 1_770_000_000
EXPIRES = NOW + 360 * DAY
LICENCE = Licence(
    id="city-2026",
    holder="City of Zurich",
    contact="mobility@city.example",
    government=True,
    reason="Where new tram lines are needed.",
    people=("ben",),
    purposes=("dpv:AcademicResearch", "dpv:ImproveTransportMobility"),
    measures=("presence", "visitors"),
    cells=(h3.str_to_int(h3.latlng_to_cell(47.37, 8.54, 5)),),
    dates_from=20_454,
    dates_to=20_634,
    not_before=NOW,
    expires=EXPIRES,
    resolution=7,
    resolution_reason="",
    epsilon_per_period=1.5,
)

Staff = Callable[[Database], dict[str, Actor]]


def logged(session: Session, kind: str) -> list[dict[str, Any]]:
    bodies = session.scalars(select(tables.LogEntry.body).order_by(tables.LogEntry.index))
    return [entry for entry in map(json.loads, bodies) if entry["kind"] == kind]


def test_a_licence_is_granted(database: Database, staff: Staff) -> None:
    cara = staff(database)["cara"]
    with database.write() as session:
        granted = licence.grant(session, LICENCE, actor=cara, now=NOW)
    with database.read() as session:
        found = licence.get(session, "city-2026")
        assert licence.list_all(session) == [found]
    assert replace(granted, seed_id="") == LICENCE
    assert len(bytes.fromhex(granted.seed_id)) == 8
    assert (found.licence, found.granted_by, found.created, found.revoked) == (granted, "cara", NOW, None)


def test_granting_is_logged(sqlite_database: Database, staff: Staff) -> None:
    cara = staff(sqlite_database)["cara"]
    with sqlite_database.write() as session:
        granted = licence.grant(session, LICENCE, actor=cara, now=NOW)
        (entry,) = logged(session, "licence.granted")
    del entry["_sd"]
    assert entry == {
        "kind": "licence.granted",
        "time": NOW,
        "licence": "city-2026",
        "holder": "City of Zurich",
        "government": True,
        "contract": "",
        "purposes": ["dpv:AcademicResearch", "dpv:ImproveTransportMobility"],
        "measures": ["presence", "visitors"],
        "resolution": 7,
        "expires": EXPIRES,
        "record_sha256": granted.sha256,
        "granted_by": "cara",
    }


def test_each_licence_has_its_own_seed(sqlite_database: Database, staff: Staff) -> None:
    cara = staff(sqlite_database)["cara"]
    with sqlite_database.write() as session:
        first = licence.grant(session, LICENCE, actor=cara, now=NOW)
        second = licence.grant(session, replace(LICENCE, id="second", seed_id="00" * 8), actor=cara, now=NOW)
    assert len({first.seed_id, second.seed_id, "00" * 8}) == 3


def test_no_licence_without_an_impact_assessment(
    sqlite_database: Database, person: Callable[..., Actor]
) -> None:
    cara = person(sqlite_database, "cara", "custodian")
    with sqlite_database.write() as session, pytest.raises(NotReady) as caught:
        licence.grant(session, LICENCE, actor=cara, now=NOW)
    assert "passersby impact approve" in caught.value.next_step


def test_no_licence_on_an_overdue_impact_assessment(sqlite_database: Database, staff: Staff) -> None:
    cara = staff(sqlite_database)["cara"]
    with sqlite_database.write() as session:
        due = impact.require(session, now=NOW).due
        late = replace(LICENCE, not_before=due, expires=due + DAY)
        with pytest.raises(NotReady, match="overdue"):
            licence.grant(session, late, actor=cara, now=due)


@pytest.mark.parametrize("who", ["ben", "pia"])
def test_only_a_custodian_grants(sqlite_database: Database, staff: Staff, who: str) -> None:
    actor = staff(sqlite_database)[who]
    with sqlite_database.write() as session, pytest.raises(Refusal) as caught:
        licence.grant(session, LICENCE, actor=actor, now=NOW)
    assert caught.value.code == "role-missing"


def test_a_name_is_not_identity(sqlite_database: Database, staff: Staff) -> None:
    cara = staff(sqlite_database)["cara"]
    claimed = Actor(cara.id, cara.roles, Ed25519PrivateKey.generate())
    with sqlite_database.write() as session, pytest.raises(IntegrityError):
        licence.grant(session, LICENCE, actor=claimed, now=NOW)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"not_before": NOW - DAY, "expires": NOW}, "`expires` has passed"),
        ({"not_before": NOW + 2 * DAY, "expires": NOW + 366 * DAY + 1}, "`expires` lies more than a year"),
        (
            {"resolution": 8, "resolution_reason": "generated data"},
            "`resolution` is finer than this deployment",
        ),
        ({"epsilon_per_period": 4.5}, "`epsilon_per_period` is more than the cap"),
        ({"people": ("ben", "nobody")}, "`people` names somebody who has no account"),
        ({"cells": ()}, "`cells` is not filled in"),
        ({"epsilon_per_period": float("nan")}, "`epsilon_per_period`"),
    ],
)
def test_what_cannot_be_granted(
    sqlite_database: Database, staff: Staff, change: dict[str, Any], words: str
) -> None:
    cara = staff(sqlite_database)["cara"]
    with sqlite_database.write() as session:
        with pytest.raises(BadRecord, match=words):
            licence.grant(session, replace(LICENCE, **change), actor=cara, now=NOW)
        assert not session.scalars(select(tables.Licence)).all()


def test_an_inactive_person_cannot_be_named(sqlite_database: Database, staff: Staff) -> None:
    cara = staff(sqlite_database)["cara"]
    with sqlite_database.write() as session:
        session.get_one(tables.Person, "ben").active = False
        session.flush()
        with pytest.raises(BadRecord, match="`people`"):
            licence.grant(session, LICENCE, actor=cara, now=NOW)


def test_a_prohibited_purpose_is_refused_even_if_nobody_parsed_it(
    sqlite_database: Database, staff: Staff
) -> None:
    cara = staff(sqlite_database)["cara"]
    bad = replace(LICENCE, purposes=("passersby:ImmigrationEnforcement",))
    with sqlite_database.write() as session, pytest.raises(Refusal) as caught:
        licence.grant(session, bad, actor=cara, now=NOW)
    assert caught.value.code == "purpose-prohibited"


def test_eight_needs_a_reason_and_a_deployment_that_allows_it(
    sqlite_database: Database, staff: Staff
) -> None:
    cara = staff(sqlite_database)["cara"]
    fine = replace(LICENCE, resolution=8, resolution_reason="generated data")
    with sqlite_database.write() as session:
        granted = licence.grant(session, fine, actor=cara, now=NOW, config=Config(finest_resolution=8))
    assert granted.resolution == 8


def test_a_name_is_used_once(sqlite_database: Database, staff: Staff) -> None:
    cara = staff(sqlite_database)["cara"]
    with sqlite_database.write() as session:
        licence.grant(session, LICENCE, actor=cara, now=NOW)
        with pytest.raises(UsageError, match="already"):
            licence.grant(session, LICENCE, actor=cara, now=NOW)


@pytest.mark.parametrize("role", ["custodian", "legal", "privacy", "overseer"])
def test_who_may_revoke(
    sqlite_database: Database, staff: Staff, person: Callable[..., Actor], role: str
) -> None:
    cara = staff(sqlite_database)["cara"]
    olga = person(sqlite_database, "olga", role, by=cara)
    with sqlite_database.write() as session:
        licence.grant(session, LICENCE, actor=cara, now=NOW)
        licence.revoke(session, "city-2026", actor=olga, now=NOW + 5)
        assert licence.get(session, "city-2026").revoked == NOW + 5
        (entry,) = logged(session, "licence.revoked")
        assert (entry["licence"], entry["by"]) == ("city-2026", "olga")
        with pytest.raises(UsageError, match="revoked already"):
            licence.revoke(session, "city-2026", actor=olga, now=NOW + 6)


def test_an_analyst_revokes_nothing(sqlite_database: Database, staff: Staff) -> None:
    people = staff(sqlite_database)
    with sqlite_database.write() as session:
        licence.grant(session, LICENCE, actor=people["cara"], now=NOW)
        with pytest.raises(Refusal):
            licence.revoke(session, "city-2026", actor=people["ben"], now=NOW)


def test_an_unknown_licence(sqlite_database: Database, staff: Staff) -> None:
    cara = staff(sqlite_database)["cara"]
    with sqlite_database.write() as session:
        assert licence.find(session, "none") is None
        with pytest.raises(UnknownName):
            licence.get(session, "none")
        with pytest.raises(UnknownName):
            licence.revoke(session, "none", actor=cara, now=NOW)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("resolution", 8),
        ("people", ["ben", "eve"]),
        ("expires", "2028-02-01T00:00:00+01:00"),
        ("seed_id", "00" * 8),
    ],
)
def test_an_edited_licence_is_found(sqlite_database: Database, staff: Staff, field: str, value: Any) -> None:
    cara = staff(sqlite_database)["cara"]
    with sqlite_database.write() as session:
        licence.grant(session, LICENCE, actor=cara, now=NOW)
        row = session.scalars(select(tables.Licence)).one()
        whole = json.loads(row.record)
        whole["record"][field] = value
        row.record = json.dumps(whole)
    with sqlite_database.read() as session, pytest.raises(IntegrityError):
        licence.find(session, "city-2026")
