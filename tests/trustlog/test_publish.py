"""Publishing: layout, increments, restored backups, forks."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from passersby.errors import Busy, DiskFull, IntegrityError, OperationError, UsageError
from passersby.store.database import Database
from passersby.store.tables import LogEntry
from passersby.trustlog import entries, writing
from passersby.trustlog.hashing import leaf_hash
from passersby.trustlog.publish import Publisher, check_not_behind
from passersby.trustlog.verify import verify_database, verify_folder

ORIGIN = "example.org/passersby"


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def backup(database: Database, target: Path) -> None:
    with sqlite3.connect(database.url.removeprefix("sqlite:///")) as source, sqlite3.connect(target) as copy:
        source.backup(copy)
    source.close()
    copy.close()


def test_an_empty_log_has_a_checkpoint(log: Any) -> None:
    log.publish()
    assert set(files(log.folder)) == {"checkpoint"}
    assert verify_folder(log.folder, log.vkey).size == 0


def test_the_layout_is_that_of_tlog_tiles(log: Any) -> None:
    log.grown(515)
    assert set(files(log.folder)) == {
        "checkpoint",
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/3",
        "tile/1/000.p/2",
        "tile/entries/000",
        "tile/entries/001",
        "tile/entries/002.p/3",
    }


def test_a_log_of_exactly_one_full_tile(log: Any) -> None:
    log.grown(256)
    assert set(files(log.folder)) == {"checkpoint", "tile/0/000", "tile/1/000.p/1", "tile/entries/000"}


def test_partial_tiles_stay_until_their_full_tile_is_there(log: Any) -> None:
    log.grown(100, 50)
    assert {"tile/0/000.p/100", "tile/0/000.p/150", "tile/entries/000.p/100"} <= set(files(log.folder))
    log.grown(150)
    assert not [name for name in files(log.folder) if "/000.p/" in name and "tile/1/" not in name]


def test_publishing_again_changes_nothing(log: Any) -> None:
    log.grown(300)
    before = {path: path.stat().st_mtime_ns for path in log.folder.rglob("*")}
    log.publish()
    assert {path: path.stat().st_mtime_ns for path in log.folder.rglob("*")} == before


@pytest.mark.slow
@settings(max_examples=8)
@given(st.lists(st.integers(0, 300), min_size=1, max_size=4))
def test_steps_and_one_go_give_the_same_log(make_log: Callable[[], Any], counts: list[int]) -> None:
    log = make_log()
    for count in counts:
        log.grown(count)
        assert verify_database(log.database, log.folder, log.vkey).unpublished == 0
    whole = Publisher(log.folder.parent / "again", ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
    whole.publish(log.database)
    assert files(whole.folder).items() <= files(log.folder).items()


def test_an_increment_reads_only_the_last_bundle(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log.grown(400)
    log.add(1)
    read: list[int] = []
    real = entries.stored

    def counting(session: Any, first: int, end: int) -> list[bytes]:
        read.append(end - first)
        return real(session, first, end)

    monkeypatch.setattr(entries, "stored", counting)
    log.publish()
    assert sum(read) == 2 * (401 - 256)


def test_no_private_value_is_in_the_published_folder(log: Any) -> None:
    log.add(300, ids="38400000-8cf0-11bd-b23e-10b96e40000d")
    log.publish()
    for data in files(log.folder).values():
        for value in (
            b"38400000-8cf0-11bd-b23e-10b96e40000d",
            b'"38400000-8cf0-11bd-b23e-10b96e40000d"',
            b"held back",
        ):
            digest = hashlib.sha256(value)
            assert value not in data
            assert digest.digest() not in data
            assert digest.hexdigest().encode() not in data


@pytest.fixture
def restored(log: Any, tmp_path: Path) -> Any:
    """A log whose database was put back to 10 of 20 published entries."""
    log.grown(10)
    backup(log.database, tmp_path / "backup.db")
    log.grown(10)
    log.database = Database.in_file(tmp_path / "backup.db")
    return log


def test_a_restored_backup_is_not_published(restored: Any) -> None:
    before = files(restored.folder)
    with pytest.raises(IntegrityError, match="covers 20 log entries, the database holds 10") as caught:
        restored.publish()
    assert "Restore a newer backup" in caught.value.next_step
    assert files(restored.folder) == before


def test_a_restored_backup_is_seen_at_start(restored: Any) -> None:
    with pytest.raises(IntegrityError, match="ahead of the database"):
        restored.publisher.check_not_behind(restored.database)
    with pytest.raises(IntegrityError, match="ahead of the database"):
        check_not_behind(restored.database, restored.folder, restored.vkey)


@pytest.mark.parametrize("more", [10, 15, 500])
def test_a_restored_backup_that_grew_again_is_a_fork(restored: Any, more: int) -> None:
    restored.add(more, fork="yes")
    before = files(restored.folder)
    with pytest.raises(IntegrityError, match=r"not the published one|does not continue"):
        restored.publish()
    with pytest.raises(IntegrityError, match=r"not the published one|does not continue"):
        restored.publisher.check_not_behind(restored.database)
    assert files(restored.folder) == before


def test_another_database_is_refused(published: Any, fork: Any) -> None:
    log = published
    log.database = fork.database
    with pytest.raises(IntegrityError, match="does not continue the 600 published entries"):
        log.publish()


def test_a_database_in_step_passes_the_check(log: Any) -> None:
    log.publisher.check_not_behind(log.database)
    log.grown(10)
    log.publisher.check_not_behind(log.database)
    log.add(300)
    log.publisher.check_not_behind(log.database)


def test_a_published_entry_rewritten_in_the_last_bundle_is_not_published_again(log: Any) -> None:
    log.grown(10)
    log.add(5)
    forged = b'{"kind":"repair.done","time":0,"what":""}'
    with log.database.write() as session:
        change = update(LogEntry).where(LogEntry.index == 4)
        session.execute(change.values(body=forged, leaf=leaf_hash(forged)))
    with pytest.raises(IntegrityError, match="Log entry 4 in the database is not the published one"):
        log.publish()


def test_a_new_entry_edited_before_it_was_published_is_not_published(log: Any) -> None:
    log.grown(10)
    log.add(5)
    with log.database.write() as session:
        session.execute(update(LogEntry).where(LogEntry.index == 12).values(body=b"{}"))
    with pytest.raises(IntegrityError, match="Log entry 12 was changed"):
        log.publish()


def test_a_checkpoint_of_another_key_is_not_continued(log: Any) -> None:
    log.grown(10)
    stranger = Publisher(log.folder, ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\x07" * 32))
    with pytest.raises(IntegrityError, match="no signature of the log's key"):
        stranger.publish(log.database)


def test_a_damaged_partial_tile_is_not_continued(log: Any) -> None:
    log.grown(10)
    tile = log.folder / "tile/0/000.p/10"
    tile.write_bytes(b"\x00" + tile.read_bytes()[1:])
    log.add(1)
    with pytest.raises(IntegrityError, match="checkpoint does not fit the published tiles"):
        log.publish()


def test_a_missing_partial_tile_is_named(log: Any) -> None:
    log.grown(10)
    (log.folder / "tile/0/000.p/10").unlink()
    with pytest.raises(IntegrityError, match=r"tile/0/000\.p/10 is missing"):
        log.publisher.check_not_behind(log.database)


def test_a_folder_that_was_moved_away_is_published_anew(log: Any) -> None:
    log.grown(300)
    before = files(log.folder)
    shutil.rmtree(log.folder)
    log.publish()
    assert files(log.folder) == before


def test_a_full_disk_is_said_and_survived(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log.add(10)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DiskFull, match="disk is full"):
            log.publish()
    log.publish()
    assert verify_folder(log.folder, log.vkey).size == 10


def test_a_folder_that_cannot_be_made_is_said(log: Any) -> None:
    log.folder.write_bytes(b"")
    with pytest.raises(OperationError, match="EEXIST"):
        log.publish()


def test_publishers_wait_for_each_other(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log.grown(10)
    log.add(1)
    monkeypatch.setattr(writing, "_WAIT_S", 0)
    with writing.alone(log.folder), pytest.raises(Busy):
        log.publish()
    log.publish()
    assert verify_folder(log.folder, log.vkey).size == 11


def test_publishing_and_appending_at_once(log: Any) -> None:
    failed: list[BaseException] = []

    def guarded(action: Callable[[], None]) -> None:
        try:
            for _ in range(15):
                action()
        except BaseException as error:  # noqa: BLE001 (a thread's failure would be lost)
            failed.append(error)

    actions = [
        lambda: log.add(7),
        log.publish,
        log.publish,
        lambda: log.publisher.check_not_behind(log.database),
    ]
    threads = [threading.Thread(target=guarded, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    log.publish()
    assert verify_database(log.database, log.folder, log.vkey).size == 105


@pytest.mark.parametrize("origin", ["", "two words", "a+b"])
def test_a_log_needs_a_proper_origin(tmp_path: Path, origin: str) -> None:
    with pytest.raises(UsageError):
        Publisher(tmp_path, origin, Ed25519PrivateKey.generate())
