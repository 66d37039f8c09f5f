"""Each attack on the log that the design names, from the attacker's side, and who catches it.

What a folder alone shows is caught by `verify_folder`; what the database shows, by `verify_database` and
by publishing; the rest takes what the operator does not hold: a kept checkpoint, or witnesses.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from sqlalchemy import text

from passersby.errors import IntegrityError
from passersby.store.database import Database
from passersby.trustlog.entries import append
from passersby.trustlog.hashing import frontier_root, grow, leaf_hash
from passersby.trustlog.publish import Publisher
from passersby.trustlog.tiles import Place, decode_bundle, encode_bundle
from passersby.trustlog.verify import verify_database, verify_folder
from trustlog.witnessed import BOTH, LOG_KEY, NAMES, ORIGIN, cosign_published

pytestmark = pytest.mark.slow

Store: TypeAlias = tuple[Database, Publisher]


def flip_entry(folder: Path) -> None:
    path = folder / "tile/entries/001"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def flip_tile(folder: Path) -> None:
    path = folder / "tile/0/001"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(folder: Path) -> None:
    """Drop the last entry from its bundle and its tile, under the same signed checkpoint."""
    for level in ("entries", "0"):
        (folder / f"tile/{level}/002.p/87").write_bytes((folder / f"tile/{level}/002.p/88").read_bytes())
        (folder / f"tile/{level}/002.p/88").unlink()


def truncate_in_place(folder: Path) -> None:
    place = Place(-1, 2, 88)
    bodies = decode_bundle((folder / place.path).read_bytes(), place)
    (folder / place.path).write_bytes(encode_bundle(bodies[:-1]))


def reorder(folder: Path) -> None:
    """Swap two entries, and their hashes in the tile as well."""
    place = Place(-1, 0)
    bodies = decode_bundle((folder / place.path).read_bytes(), place)
    bodies[3], bodies[200] = bodies[200], bodies[3]
    (folder / place.path).write_bytes(encode_bundle(bodies))
    (folder / "tile/0/000").write_bytes(b"".join(leaf_hash(body) for body in bodies))


def forge_size(folder: Path) -> None:
    path = folder / "checkpoint"
    path.write_bytes(path.read_bytes().replace(b"\n600\n", b"\n599\n"))


def drop_bundle(folder: Path) -> None:
    (folder / "tile/entries/001").unlink()


def drop_witness(folder: Path) -> None:
    for name in ("checkpoint", "checkpoint.witnessed"):
        path = folder / name
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


OUTSIDERS: list[Callable[[Path], None]] = [
    flip_entry, flip_tile, truncate, truncate_in_place, reorder, forge_size, drop_bundle, drop_witness,
]  # fmt: skip


@pytest.mark.parametrize("attack", OUTSIDERS, ids=lambda attack: attack.__name__)
def test_whoever_changes_the_folder_is_caught(published: Any, attack: Callable[[Path], None]) -> None:
    cosign_published(published, *NAMES)
    verify_folder(published.folder, published.vkey, quorum=BOTH)
    attack(published.folder)
    with pytest.raises(IntegrityError):
        verify_folder(published.folder, published.vkey, quorum=BOTH)


def test_an_operator_who_rewrites_everything_is_caught_by_witnesses_alone(
    published: Any, fork: Any, tmp_path: Path
) -> None:
    """Same key, same size, all files consistent: only what others hold tells the two histories apart."""
    cosign_published(published, *NAMES)
    forged = tmp_path / "forged"
    shutil.copytree(fork.folder, forged)
    assert verify_folder(forged, fork.vkey).size == 600
    with pytest.raises(IntegrityError, match="Too few witnesses"):
        verify_folder(forged, fork.vkey, quorum=BOTH)
    with pytest.raises(IntegrityError, match="was rewritten"):
        verify_folder(forged, fork.vkey, older=(published.folder / "checkpoint").read_bytes())
    # with the signatures of the true history beside it, old or new, it is worse off
    shutil.copy(published.folder / "checkpoint.witnessed", forged)
    with pytest.raises(IntegrityError, match="was rewritten"):
        verify_folder(forged, fork.vkey, quorum=BOTH)
    lines = (published.folder / "checkpoint").read_bytes().splitlines(keepends=True)[-2:]
    with (forged / "checkpoint").open("ab") as note:
        note.write(b"".join(lines))
    with pytest.raises(IntegrityError, match="wrong cosignature"):
        verify_folder(forged, fork.vkey, quorum=BOTH)


def test_a_database_from_a_backup_is_caught(log: Any, tmp_path: Path) -> None:
    log.grown(10)
    with sqlite3.connect(log.folder.parent / "control.db") as source:
        with sqlite3.connect(tmp_path / "backup.db") as target:
            source.backup(target)
        target.close()
    source.close()
    log.grown(10)
    restored = Database.in_file(tmp_path / "backup.db")
    with pytest.raises(IntegrityError, match="old backup was restored"):
        verify_database(restored, log.folder, log.vkey)
    with pytest.raises(IntegrityError, match="ahead of the database"):
        log.publisher.publish(restored)
    with restored.write() as session:  # it goes on, past the published size
        for i in range(20):
            append(session, "files.expired", {"tables": ["pings"]}, {"rows": i}, now=i)
    with pytest.raises(IntegrityError, match="not the published one"):
        verify_database(restored, log.folder, log.vkey)
    with pytest.raises(IntegrityError, match=r"not the published one|does not continue"):
        log.publisher.publish(restored)


@pytest.fixture
def postgresql(postgresql_database: Database, tmp_path: Path) -> Store:
    """A published log of 300 entries whose database is PostgreSQL, and whose tests are its superuser."""
    publisher = Publisher(tmp_path / "log", ORIGIN, LOG_KEY)
    with postgresql_database.write() as session:
        for i in range(300):
            append(session, "delivery.stored", {"delivery": i, "supplier": "s"}, {"rows": i}, now=i)
    publisher.publish(postgresql_database)
    verify_database(postgresql_database, publisher.folder, publisher.vkey)
    with postgresql_database.read() as session:
        assert session.execute(text("SELECT usesuper FROM pg_user WHERE usename = current_user")).scalar_one()
    return postgresql_database, publisher


def recomputed(database: Database) -> bytes:
    """Return the frontier that fits the entries as they are: what a careful forger puts into the state."""
    frontier: list[bytes] = []
    with database.read() as session:
        bodies = session.execute(text("SELECT body FROM log_entry ORDER BY index")).scalars()
        for index, body in enumerate(bodies):
            grow(frontier, index, leaf_hash(bytes(body)))
    assert frontier_root(frontier)
    return b"".join(frontier)


EDITS = {
    "an entry's text": "UPDATE log_entry SET body = convert_to(replace(convert_from(body, 'UTF8'), "
    '\'"supplier":"s"\', \'"supplier":"x"\'), \'UTF8\') WHERE index = 17',
    "an entry is deleted": "DELETE FROM log_entry WHERE index = 299",
    "two entries change places": "UPDATE log_entry SET index = CASE index WHEN 3 THEN -1 ELSE index END; "
    "UPDATE log_entry SET index = 3 WHERE index = 4; UPDATE log_entry SET index = 4 WHERE index = -1",
    "an entry is put in": "INSERT INTO log_entry SELECT 300, body, leaf FROM log_entry WHERE index = 0",
    "a hidden value": "UPDATE log_salt SET value = '1000000' WHERE index = 42",
}


@pytest.mark.parametrize("careful", [False, True], ids=["plain", "with hashes and state made to fit"])
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_a_superuser_s_edit_is_caught(postgresql: Store, edit: str, *, careful: bool) -> None:
    """Straight SQL past every rule of ours, as the owner of the server can run it."""
    database, publisher = postgresql
    with database.write() as session:
        session.execute(text("SET session_replication_role = replica"))  # no trigger, no constraint stops it
        for statement in edit.split("; "):
            session.execute(text(statement))
        if careful:
            session.execute(text("UPDATE log_entry SET leaf = sha256('\\x00'::bytea || body)"))
    if careful:
        frontier = recomputed(database)
        with database.write() as session:
            size = session.execute(text("SELECT count(*) FROM log_entry")).scalar_one()
            session.execute(
                text("UPDATE log_state SET size = :size, frontier = :frontier"),
                {"size": size, "frontier": frontier},
            )
    appended = careful and "INSERT INTO log_entry" in edit
    if appended:  # an entry more is a longer log: true to its past, and soon in public
        assert verify_database(database, publisher.folder, publisher.vkey).unpublished == 1
        return
    with pytest.raises(IntegrityError):
        verify_database(database, publisher.folder, publisher.vkey)
    assert verify_folder(publisher.folder, publisher.vkey).size == 300  # the published log stands
