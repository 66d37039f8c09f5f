"""Opens the control database and runs transactions that write, on SQLite or PostgreSQL.

Writers take the database's write lock first (`BEGIN IMMEDIATE` on SQLite; row locks with
`SELECT ... FOR UPDATE` on PostgreSQL): SERIALIZABLE was measured to cost thousands of retries on the
ledger's hot row (docs/decisions/0004).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, literal
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from passersby.errors import Busy, DiskFull, OperationError, UsageError
from passersby.store.tables import Base

_WAIT_S = 60
_MIGRATION_LOCK = 0x7061737365727362
"""Key of the advisory lock that migrating processes take on PostgreSQL ("passersb" in ASCII)."""

# PostgreSQL error codes (manual, appendix A)
_DISK_FULL_STATE = "53100"
_BUSY_STATES = {"55P03", "40P01", "40001"}
"""lock_not_available, deadlock_detected, serialization_failure."""


class Database:
    """The control database of one deployment.

    Args:
        url: SQLAlchemy URL, `sqlite:///...` or `postgresql+psycopg://...`.

    Raises:
        UsageError: the URL is of another database, or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        if url.startswith("sqlite:///"):
            self.engine = _sqlite(url)
        elif url.startswith("postgresql+psycopg://"):
            self.engine = _postgresql(url)
        else:
            msg = "The control database must be SQLite or PostgreSQL."
            raise UsageError(msg, "Write sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME.")

    @classmethod
    def in_file(cls, path: Path) -> Database:
        """Return the embedded SQLite database at `path`."""
        return cls(URL.create("sqlite", database=str(path)).render_as_string())

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database."""
        return self.engine.dialect.name == "sqlite"

    def migrate(self) -> None:
        """Bring the schema to the newest version, in one transaction; processes take turns.

        Raises:
            Busy: another process kept the database locked.
            OperationError: the database was made by a newer Passersby, or failed; it is left alone.
        """
        config = _alembic_config()
        script = ScriptDirectory.from_config(config)
        with _as_operation_error():
            with self.engine.connect().execution_options(passersby_read=True) as connection:
                current = _current_revision(connection, script)
            if current == script.get_current_head():
                return
            with self.engine.connect() as connection, connection.begin():
                if not self.is_sqlite:
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
                _current_revision(connection, script)
                config.attributes["connection"] = connection
                command.upgrade(config, "head")

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Run one transaction that may write; it commits at the end or leaves nothing.

        On SQLite it holds the only write lock from its first statement on.

        Raises:
            Busy: the database stayed locked.
            DiskFull: there is no room to write.
            OperationError: the database failed otherwise.
        """
        with _as_operation_error(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Run one read in a consistent snapshot; the database refuses writes in it.

        Raises:
            OperationError: the database failed, or the block tried to write.
        """
        options: dict[str, Any] = {"passersby_read": True}
        if not self.is_sqlite:
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with (
            _as_operation_error(),
            self.engine.connect().execution_options(**options) as connection,
            Session(connection, expire_on_commit=False) as session,
        ):
            yield session

    def insert_if_absent(self, session: Session, table: type[Base], values: Mapping[str, object]) -> bool:
        """Insert a row unless one with its primary or unique key is there; return whether it was inserted.

        On PostgreSQL it waits for a transaction that is just inserting the same row; a later SELECT sees
        that row.
        """
        dialect = sqlite if self.is_sqlite else postgresql
        row = dialect.insert(cast("Table", table.__table__)).values(**values).on_conflict_do_nothing()
        return session.scalar(row.returning(literal(1))) is not None

    def compact(self) -> None:
        """Rewrite the database without what was deleted from it, its write-ahead log included.

        On PostgreSQL, VACUUM frees the space of deleted rows; its own logs are its administrator's.

        Raises:
            Busy: another process uses the database.
            DiskFull: there is no room for a second copy.
        """
        if not self.is_sqlite:
            with _as_operation_error(), self.engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM")
            return
        with _as_operation_error(), self.engine.connect() as connection:
            raw = cast("sqlite3.Connection", connection.connection.driver_connection)
            try:
                raw.execute("VACUUM")
                blocked, *_ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.OperationalError as error:
                raise _translated(OperationalError("VACUUM", None, error)) from error
        if blocked:  # a reader still looks at the pages from before
            raise _busy()

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _alembic_config() -> AlembicConfig:
    folder = Path(__file__).parent / "migrations"
    config = AlembicConfig()
    # a per cent sign would be read as an interpolation
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config


def _current_revision(connection: Connection, script: ScriptDirectory) -> str | None:
    """Return the schema's revision, None for an empty database.

    Raises:
        OperationError: this version of Passersby does not know the revision.
    """
    current = MigrationContext.configure(connection).get_current_revision()
    known = {revision.revision for revision in script.walk_revisions()}
    if current is not None and current not in known:
        msg = "The control database was made by a newer version of Passersby."
        raise OperationError(msg, "Install that version or a later one; the database was left as it is.")
    return current


@contextmanager
def _as_operation_error() -> Iterator[None]:
    """Turn a driver's failure into one of ours, without its text: SQL and values can carry data.

    Errors of Passersby that are raised inside pass through as they are.
    """
    try:
        yield
    except PoolTimeoutError as error:
        raise _busy() from error
    except DBAPIError as error:
        raise _translated(error) from error


def _translated(error: DBAPIError) -> OperationError:
    state = getattr(error.orig, "sqlstate", None)
    text = str(error.orig).lower()
    if "disk is full" in text or "no space" in text or state == _DISK_FULL_STATE:
        msg = "The control database cannot grow: the disk is full."
        return DiskFull(msg, "Free some space and run the command again; nothing was half written.")
    if isinstance(error, OperationalError) and ("locked" in text or state in _BUSY_STATES):
        return _busy()
    if "not a database" in text or "malformed" in text:
        msg = "The control database is damaged."
        return OperationError(msg, "Keep a copy of it as evidence, and put back its newest backup.")
    msg = f"The control database failed ({type(error.orig).__name__})."
    return OperationError(msg, "Run `passersby doctor`; the transaction left nothing behind.")


def _busy() -> Busy:
    msg = "The control database is in use by another process."
    return Busy(msg, "Run the command again in a minute.")


def _sqlite(url: str) -> Engine:
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": _WAIT_S})

    @event.listens_for(engine, "connect")
    def _pragmas(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        _use_wal(connection)
        for pragma in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("passersby_read", False)
        # connections are not pooled, so that this lasts as long as the read
        connection.exec_driver_sql(f"PRAGMA query_only={'ON' if reading else 'OFF'}")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; SQLite does not wait by itself for this one lock."""
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _postgresql(url: str) -> Engine:
    try:
        engine = create_engine(url, pool_size=4, max_overflow=8, pool_timeout=_WAIT_S, pool_pre_ping=True)
    except ModuleNotFoundError:
        msg = "PostgreSQL needs the driver psycopg."
        raise UsageError(msg, "Install it with `pip install 'passersby[postgresql]'`.") from None

    @event.listens_for(engine, "connect")
    def _wait(connection: Any, _record: object) -> None:  # noqa: ANN401  (psycopg is an optional dependency)
        connection.autocommit = True
        connection.execute(f"SET lock_timeout = '{_WAIT_S}s'")
        connection.autocommit = False

    return engine
