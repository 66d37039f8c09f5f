"""Versions of lists: who owns them, which is in force, what the log says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h3.api.numpy_int as h3i
import numpy as np
import pytest
from sqlalchemy import select

from passersby.errors import BadRecord, Refusal, UnknownName, UsageError
from passersby.keys.signed import Actor
from passersby.sensitive.lists import SensitiveLists
from passersby.store.database import Database
from passersby.store.tables import LogEntry

pytestmark = pytest.mark.slow

NOW = 1_780_000_000


@pytest.fixture
def lists(tmp_path: Path, database: Database) -> SensitiveLists:
    return SensitiveLists(tmp_path, database, buffer_m=100)


def csv(tmp_path: Path, *lonlat: tuple[float, float], name: str = "list.csv") -> Path:
    rows = "".join(f"{lat},{lon},A,clinic\n" for lon, lat in lonlat)
    (tmp_path / name).write_text(f"lat,lon,name,category\n{rows}")
    return tmp_path / name


def is_hit(lists: SensitiveLists, lon: float, lat: float) -> bool:
    cell = np.array([h3i.latlng_to_cell(lat, lon, 10)], dtype=np.int64)
    lat_e5, lon_e5 = (np.array([round(v * 1e5)], dtype=np.int32) for v in (lat, lon))
    zero = np.zeros(1, dtype=np.int32)
    return bool(lists.cover().hits(lat_e5, lon_e5, cell, zero, zero)[0])


def test_a_new_version_replaces_the_one_before(lists: SensitiveLists, ada: Actor, tmp_path: Path) -> None:
    first = lists.load(csv(tmp_path, (8, 47), (9, 47)), name="health", actor=ada, now=NOW)
    assert (first.version, first.places, first.owner, first.fresh) == (1, 2, "ada", True)
    assert is_hit(lists, 9, 47)
    second = lists.load(csv(tmp_path, (8, 47)), name="health", actor=ada, now=NOW + 1)
    assert (second.version, second.places) == (2, 1)
    assert not is_hit(lists, 9, 47)
    assert is_hit(lists, 8, 47)
    assert [(found.name, found.version) for found in lists.current()] == [("health", 2)]


def test_the_same_file_again_is_no_new_version(lists: SensitiveLists, ada: Actor, tmp_path: Path) -> None:
    lists.load(csv(tmp_path, (8, 47)), name="health", actor=ada, now=NOW)
    again = lists.load(csv(tmp_path, (8, 47)), name="health", actor=ada, now=NOW)
    assert (again.version, again.fresh) == (1, False)


def test_another_owner_makes_a_new_version(
    lists: SensitiveLists, ada: Actor, person: Callable[..., Actor], tmp_path: Path
) -> None:
    bea = person("bea", "privacy", ada)
    lists.load(csv(tmp_path, (8, 47)), name="health", actor=ada, now=NOW)
    assert lists.load(csv(tmp_path, (8, 47)), name="health", actor=bea, now=NOW).version == 2


def test_all_lists_are_in_force_together(lists: SensitiveLists, ada: Actor, tmp_path: Path) -> None:
    lists.load(csv(tmp_path, (8, 47)), name="health", actor=ada, now=NOW)
    lists.load(csv(tmp_path, (9, 47)), name="shelters", actor=ada, now=NOW)
    assert is_hit(lists, 8, 47)
    assert is_hit(lists, 9, 47)
    assert len(lists.cover("health").places) == 1


def test_a_larger_buffer_is_heeded_without_loading_again(
    lists: SensitiveLists, ada: Actor, tmp_path: Path, database: Database
) -> None:
    lists.load(csv(tmp_path, (8, 47)), name="health", actor=ada, now=NOW)
    wider = SensitiveLists(tmp_path, database, buffer_m=2000)
    assert not is_hit(lists, 8.02, 47)
    assert is_hit(wider, 8.02, 47)


def test_an_analyst_cannot_load_a_list(
    lists: SensitiveLists, ada: Actor, person: Callable[..., Actor], tmp_path: Path
) -> None:
    eve = person("eve", "analyst", ada)
    with pytest.raises(Refusal, match="role"):
        lists.load(csv(tmp_path, (8, 47)), name="health", actor=eve, now=NOW)
    assert lists.current() == []


@pytest.mark.parametrize("name", ["", "Health", "../x", "a b", "x" * 64])
def test_a_list_has_a_plain_name(lists: SensitiveLists, ada: Actor, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        lists.load(csv(tmp_path, (8, 47)), name=name, actor=ada, now=NOW)


def test_a_bad_list_leaves_the_one_in_force(lists: SensitiveLists, ada: Actor, tmp_path: Path) -> None:
    lists.load(csv(tmp_path, (8, 47)), name="health", actor=ada, now=NOW)
    with pytest.raises(BadRecord):
        lists.load(csv(tmp_path, (8, 147)), name="health", actor=ada, now=NOW)
    assert is_hit(lists, 8, 47)


def test_an_unknown_list_is_an_error(lists: SensitiveLists, ada: Actor) -> None:
    assert ada
    with pytest.raises(UnknownName):
        lists.cover("health")


def test_the_log_names_list_version_and_owner_and_no_place(
    lists: SensitiveLists, ada: Actor, tmp_path: Path, database: Database
) -> None:
    lists.load(csv(tmp_path, (8, 47)), name="health", actor=ada, now=NOW)
    with database.read() as session:
        entry = json.loads(
            session.scalars(select(LogEntry.body).order_by(LogEntry.index.desc())).first() or b"{}"
        )
    assert entry.pop("_sd")
    assert entry == {"kind": "sensitive.loaded", "time": NOW, "list": "health", "version": 1, "owner": "ada"}


def test_stored_lists_are_for_the_owner_alone(lists: SensitiveLists, ada: Actor, tmp_path: Path) -> None:
    lists.load(csv(tmp_path, (8, 47)), name="health", actor=ada, now=NOW)
    folder = tmp_path / "sensitive"
    assert folder.stat().st_mode & 0o077 == 0
    assert [path.stat().st_mode & 0o077 for path in folder.iterdir()] == [0, 0]
