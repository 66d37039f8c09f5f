"""A log in a temporary SQLite database, with its publisher."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from passersby.store.all_tables import Base
from passersby.store.database import Database
from passersby.trustlog.entries import append
from passersby.trustlog.publish import Publisher
from trustlog.rekeyed import Rekeyed

ORIGIN = "example.org/passersby"
HIDDEN = "held back"


@dataclass
class Log:
    """A database with a log and the folder that it is published to."""

    database: Database
    publisher: Publisher

    @property
    def folder(self) -> Path:
        return self.publisher.folder

    @property
    def vkey(self) -> str:
        return self.publisher.vkey

    def add(self, count: int, **private: Any) -> None:
        """Append entries in one transaction; each has one private field at least."""
        with self.database.write() as session:
            for i in range(count):
                hidden = {"rows": i, "note": HIDDEN, **private}
                append(
                    session,
                    "delivery.stored",
                    {"delivery": i, "supplier": "s"},
                    hidden,
                    now=1_700_000_000 + i,
                )

    def publish(self) -> None:
        self.publisher.publish(self.database)

    def grown(self, *counts: int) -> Log:
        """Append and publish, several times."""
        for count in counts:
            self.add(count)
            self.publish()
        return self


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "control.db"
    database = Database.in_file(path)
    Base.metadata.create_all(database.engine)
    database.dispose()
    return path


def _log(folder: Path) -> Log:
    key = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    return Log(Database.in_file(folder / "control.db"), Publisher(folder / "log", ORIGIN, key))


@pytest.fixture(scope="session")
def make_log(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Callable[[], Log]:
    """Make logs that share key and origin."""

    def make() -> Log:
        folder = tmp_path_factory.mktemp("deployment")
        shutil.copy(empty_database, folder)
        return _log(folder)

    return make


@pytest.fixture(scope="session")
def published_once(make_log: Callable[[], Log]) -> Log:
    return make_log().grown(590, 10)


@pytest.fixture(scope="session")
def fork(make_log: Callable[[], Log]) -> Log:
    """Another history of 600 entries under the same key; not to be changed."""
    return make_log().grown(600)


@pytest.fixture
def published(tmp_path: Path, published_once: Log) -> Log:
    """600 entries: two full tiles and a partial one, under a partial level 1, after an earlier checkpoint."""
    folder = tmp_path / "published"
    shutil.copytree(published_once.folder.parent, folder)
    return _log(folder)


@pytest.fixture
def log(make_log: Callable[[], Log]) -> Log:
    return make_log()


@pytest.fixture
def rekeyed(make_log: Callable[[], Log]) -> Rekeyed:
    """A log that had one key for 10 entries, to be replaced."""
    return Rekeyed(make_log().grown(10))
