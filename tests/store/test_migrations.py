"""Migrations make exactly the schema of the models, once, whole, and on both databases."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from passersby.errors import OperationError
from passersby.store.all_tables import Base
from passersby.store.database import Database, _alembic_config

pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without any table."""
    if request.param == "sqlite":
        made = Database.in_file(tmp_path / "empty.db")
    else:
        new: Callable[[], str] = request.getfixturevalue("new_postgresql")
        made = Database(new())
    yield made
    made.dispose()


def _schema(engine: Engine) -> dict[str, Any]:
    """Everything that a database tells about its tables."""
    told = inspect(engine)
    return {
        name: {
            "columns": [{**column, "type": str(column["type"])} for column in told.get_columns(name)],
            "primary": told.get_pk_constraint(name),
            "foreign": sorted(map(str, told.get_foreign_keys(name))),
            "unique": sorted(map(str, told.get_unique_constraints(name))),
            "checks": sorted(map(str, told.get_check_constraints(name))),
            "indexes": sorted(
                str({**index, "dialect_options": {k: str(v) for k, v in index["dialect_options"].items()}})
                for index in told.get_indexes(name)
            ),
        }
        for name in told.get_table_names()
        if name != "alembic_version"
    }


def test_autogenerate_finds_no_difference(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


@pytest.mark.slow
def test_migrations_make_the_schema_of_the_models(database: Database, empty: Database) -> None:
    Base.metadata.create_all(empty.engine)
    if database.is_sqlite == empty.is_sqlite:
        assert _schema(database.engine) == _schema(empty.engine)
    assert set(_schema(database.engine)) == set(Base.metadata.tables)


def test_there_is_one_line_of_revisions() -> None:
    script = ScriptDirectory.from_config(_alembic_config())
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1


def test_migrating_again_changes_nothing(database: Database) -> None:
    before = _schema(database.engine)
    database.migrate()
    assert _schema(database.engine) == before


def test_a_migrated_database_is_not_locked_by_migrating(database: Database) -> None:
    with database.write() as session:
        session.execute(text("INSERT INTO setting VALUES ('a', 'b')"))
        database.migrate()


def test_a_newer_database_is_left_alone(database: Database) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(OperationError, match="newer version"):
        database.migrate()
    with database.read() as session:
        assert session.scalar(text("SELECT version_num FROM alembic_version")) == "9999"


def test_a_failed_migration_leaves_nothing(empty: Database) -> None:
    with empty.write() as session:
        session.execute(text("CREATE TABLE spend (x INTEGER)"))
    with pytest.raises(OperationError):
        empty.migrate()
    assert inspect(empty.engine).get_table_names() == ["spend"]


@pytest.mark.slow
def test_processes_that_migrate_at_once_take_turns(empty: Database) -> None:
    code = (
        "import sys; from passersby.store.database import Database; "
        "print('ready', flush=True); sys.stdin.read(); Database(sys.argv[1]).migrate()"
    )
    command = [sys.executable, "-c", code, empty.url]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
    for process in started:
        with process:
            assert process.stderr is not None
            assert process.stderr.read() == b""
        assert process.returncode == 0
    with empty.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
