"""Transactions of the control database, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event, func, insert, select, text, update
from sqlalchemy.exc import OperationalError

from passersby.errors import BudgetSpent, Busy, DiskFull, OperationError, UsageError
from passersby.store import database as module
from passersby.store.database import Database
from passersby.store.tables import Delivery, Setting

pytestmark = pytest.mark.slow


def _names(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(Setting.name).order_by(Setting.name)))


@pytest.fixture
def impatient(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The same database, opened by somebody who waits a tenth of a second for a lock."""
    monkeypatch.setattr(module, "_WAIT_S", 0.1)
    other = Database(database.url)
    yield other
    other.dispose()


@pytest.mark.parametrize("url", ["mysql://x", "sqlite+aiosqlite:///x", "postgresql://x", ""])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match="SQLite or PostgreSQL"):
        Database(url)


def test_a_path_may_hold_any_character(tmp_path: Path) -> None:
    path = tmp_path / "a?b %41 #" / "control.db"
    path.parent.mkdir()
    Database.in_file(path).migrate()
    assert path.exists()
    assert _names(Database.in_file(path)) == []


def test_a_write_commits(database: Database) -> None:
    with database.write() as session:
        session.add(Setting(name="a", value="1"))
    assert _names(database) == ["a"]


def test_a_failed_write_leaves_nothing(database: Database) -> None:
    def fail() -> None:
        with database.write() as session:
            session.execute(insert(Setting).values(name="a", value="1"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert _names(database) == []


def test_our_own_errors_pass_through(database: Database) -> None:
    spent = BudgetSpent()
    with pytest.raises(BudgetSpent) as raised, database.write():
        raise spent
    assert raised.value is spent


def test_a_driver_error_tells_neither_sql_nor_values(database: Database) -> None:
    with database.write() as session:
        session.execute(insert(Setting).values(name="secret-name", value="1"))
    with pytest.raises(OperationError) as raised, database.write() as session:
        session.execute(insert(Setting).values(name="secret-name", value="2"))
    assert type(raised.value) is OperationError
    assert "secret" not in str(raised.value)
    assert "INSERT" not in str(raised.value)


def test_foreign_keys_are_enforced(database: Database) -> None:
    row = {
        "supplier": 5,
        "sha256": "",
        "files": "",
        "report": "",
        "created": 0,
        "raw_until": 0,
        "derived_until": 0,
    }
    with pytest.raises(OperationError), database.write() as session:
        session.execute(insert(Delivery).values(**row))


def test_a_read_refuses_to_write(database: Database) -> None:
    with pytest.raises(OperationError), database.read() as session:
        session.execute(insert(Setting).values(name="a", value="1"))
    with database.write() as session:
        session.add(Setting(name="b", value="1"))
    assert _names(database) == ["b"]


def test_a_read_sees_one_snapshot(database: Database) -> None:
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Setting)) == 0
        with database.write() as writer:
            writer.add(Setting(name="a", value="1"))
        assert session.scalar(select(func.count()).select_from(Setting)) == 0
    assert _names(database) == ["a"]


def test_a_lock_that_stays_is_busy(database: Database, impatient: Database) -> None:
    with database.write() as session:
        session.add(Setting(name="a", value="0"))
    with database.write() as session:
        session.execute(update(Setting).values(value="1"))
        with pytest.raises(Busy), impatient.write() as other:
            other.execute(update(Setting).values(value="2"))
    with database.read() as session:
        assert session.scalar(select(Setting.value)) == "1"


def test_an_exhausted_pool_is_busy(postgresql_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WAIT_S", 0.1)
    database = Database(postgresql_database.url)
    held = [database.engine.connect() for _ in range(12)]
    with pytest.raises(Busy), database.read() as session:
        session.execute(text("SELECT 1"))
    for connection in held:
        connection.close()
    database.dispose()


def test_a_deadlock_is_busy(postgresql_database: Database) -> None:
    with postgresql_database.write() as session:
        session.add_all([Setting(name="a", value=""), Setting(name="b", value="")])
    both = threading.Barrier(2)
    outcomes: list[type[Exception] | None] = []

    def run(first: str, second: str) -> None:
        try:
            with postgresql_database.write() as session:
                session.execute(update(Setting).where(Setting.name == first).values(value="x"))
                both.wait()
                session.execute(update(Setting).where(Setting.name == second).values(value="x"))
            outcomes.append(None)
        except Busy:
            outcomes.append(Busy)

    threads = [threading.Thread(target=run, args=names) for names in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, outcomes)) == sorted([str(Busy), "None"])


def test_a_full_disk_is_told(sqlite_database: Database) -> None:
    @event.listens_for(sqlite_database.engine, "connect")
    def _shrink(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")

    with pytest.raises(DiskFull), sqlite_database.write() as session:
        session.execute(insert(Setting).values(name="a", value="x" * 1_000_000))
    assert _names(sqlite_database) == []


def test_a_full_disk_of_postgresql_is_told() -> None:
    class Full(Exception):
        sqlstate = "53100"

    assert type(module._translated(OperationalError("INSERT", {}, Full()))) is DiskFull


def test_concurrent_writers_lose_no_update(database: Database) -> None:
    with database.write() as session:
        session.add(Setting(name="count", value="0"))

    def work() -> None:
        for _ in range(10):
            with database.write() as session:
                seen = session.execute(select(Setting.value).with_for_update()).scalar_one()
                session.execute(update(Setting).values(value=str(int(seen) + 1)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert session.scalar(select(Setting.value)) == "40"


def test_insert_if_absent_tells_who_was_first(database: Database) -> None:
    with database.write() as session:
        assert database.insert_if_absent(session, Setting, {"name": "a", "value": "1"})
        assert not database.insert_if_absent(session, Setting, {"name": "a", "value": "2"})
    with database.read() as session:
        assert session.scalar(select(Setting.value)) == "1"


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("secure_delete", 1)],
)
def test_sqlite_is_durable_and_forgets(sqlite_database: Database, pragma: str, value: object) -> None:
    with sqlite_database.read() as session:
        assert session.scalar(text(f"PRAGMA {pragma}")) == value


def test_deleted_text_is_gone_from_the_file(sqlite_database: Database, tmp_path: Path) -> None:
    with sqlite_database.write() as session:
        session.add(Setting(name="a", value="to be forgotten"))
    with sqlite_database.write() as session:
        session.execute(text("DELETE FROM setting"))
    connection = sqlite3.connect(tmp_path / "control.db")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    assert b"to be forgotten" not in (tmp_path / "control.db").read_bytes()


def test_a_damaged_database_is_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "control.db").write_bytes(b"no database " * 1000)
    with pytest.raises(OperationError, match="damaged") as caught:
        Database.in_file(tmp_path / "control.db").migrate()
    assert "backup" in caught.value.next_step
