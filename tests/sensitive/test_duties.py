"""Lists are read again and tested each quarter; what is late is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from passersby.errors import Refusal, UnknownName
from passersby.keys.signed import Actor
from passersby.model.period import DAY
from passersby.sensitive import duties
from passersby.sensitive.lists import SensitiveLists
from passersby.store.database import Database

NOW = 1_780_000_000
QUARTER = 91 * DAY


@pytest.fixture
def lists(tmp_path: Path, database: Database, ada: Actor) -> SensitiveLists:
    made = SensitiveLists(tmp_path, database, buffer_m=100)
    path = tmp_path / "list.csv"
    path.write_text("lat,lon,category\n47,8,clinic\n")
    made.load(path, name="health", actor=ada, now=NOW)
    return made


def words(database: Database, now: int) -> tuple[list[str], list[str]]:
    with database.read() as session:
        found = [(duty.due, duty.what.split(":")[0]) for duty in duties.duties(session)]
    late = [what for due, what in found if due <= now]
    return late, [what for due, what in found if now < due < now + 14 * DAY]


BOTH = ["list health", "sensitive places"]


@pytest.mark.usefixtures("lists")
def test_a_list_that_nobody_read_for_a_quarter_is_overdue_until_somebody_does(
    database: Database, ada: Actor
) -> None:
    assert words(database, NOW) == ([], [])
    assert words(database, NOW + QUARTER - DAY) == ([], BOTH)
    late = NOW + QUARTER
    assert words(database, late) == (BOTH, [])
    with database.write() as session:
        assert duties.review(session, "health", actor=ada, now=late) == late + QUARTER
    assert words(database, late) == (BOTH[1:], [])
    with database.write() as session:
        duties.tested(session, planted=9, surviving=0, now=late)
    assert words(database, late) == ([], [])
    assert words(database, late + QUARTER) == (BOTH, [])


@pytest.mark.usefixtures("lists")
def test_a_test_that_found_something_stays_overdue(database: Database) -> None:
    with database.write() as session:
        duties.tested(session, planted=9, surviving=1, now=NOW)
    assert words(database, NOW + 1) == (BOTH[1:], [])


def test_a_review_is_of_one_version(
    lists: SensitiveLists, database: Database, ada: Actor, tmp_path: Path
) -> None:
    with database.write() as session:
        duties.review(session, "health", actor=ada, now=NOW + QUARTER - 1)
    path = tmp_path / "list.csv"
    path.write_text("lat,lon,category\n47,8,clinic\n48,8,clinic\n")
    lists.load(path, name="health", actor=ada, now=NOW)
    assert "list health" in words(database, NOW + QUARTER)[0]


@pytest.mark.usefixtures("lists")
def test_who_may_not_load_a_list_may_not_review_it(
    database: Database, person: Callable[..., Actor], ada: Actor
) -> None:
    eve = person("eve", "analyst", ada)
    with database.write() as session, pytest.raises(Refusal):
        duties.review(session, "health", actor=eve, now=NOW)
    with database.write() as session, pytest.raises(UnknownName):
        duties.review(session, "shelters", actor=ada, now=NOW)


def test_without_a_list_nothing_is_due(database: Any) -> None:
    assert words(database, NOW + 9 * QUARTER) == ([], [])
