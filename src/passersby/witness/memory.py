"""What a witness remembers: the largest checkpoint that it signed for each log, and signed contradictions.

It is the whole worth of a witness. It is written and on the disk before a signature leaves, and a witness
whose memory was lost or put back from a backup could sign a second history: it must be retired instead.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from passersby.errors import OperationError, UsageError

EMPTY = hashlib.sha256(b"").digest()
"""Root hash of the log without entries: what every log continues."""

_WAIT_S = 30
_MOST_EVIDENCE = 100
_TABLES = """
CREATE TABLE head (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL,
    signed INTEGER NOT NULL) STRICT;
CREATE TABLE evidence (id INTEGER PRIMARY KEY, origin TEXT NOT NULL, received INTEGER NOT NULL,
    what TEXT NOT NULL, request BLOB NOT NULL) STRICT;
"""


@dataclass(frozen=True)
class Seen:
    """The largest checkpoint that was signed for a log; `size` is 0 if none was. `signed` is epoch s."""

    size: int = 0
    root: bytes = EMPTY
    note: bytes = b""
    signed: int = 0


@dataclass(frozen=True)
class Evidence:
    """A request that the log's key signed and that contradicts what was signed before. Times are epoch s."""

    origin: str
    received: int
    what: str
    request: bytes


class Memory:
    """The memory of one witness, in a file of its own.

    Args:
        path: the file; `create` makes it.

    Raises:
        UsageError: there is no such file.
        OperationError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.is_file():
            raise UsageError(
                f"The witness's memory {path} is not there.",
                "If it was lost, make a new witness with a new key: this one could sign a second history.",
            )
        with self._reading() as connection:
            connection.execute("SELECT count(*) FROM head, evidence").fetchone()

    @classmethod
    def create(cls, path: Path) -> Memory:
        """Make the memory of a new witness.

        Raises:
            OperationError: it is there already, or cannot be written.
        """
        with _errors():
            path.touch(mode=0o600, exist_ok=False)
            connection = sqlite3.connect(path)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(_TABLES)
            connection.close()
        return cls(path)

    def seen(self, origin: str) -> Seen:
        """Return what was signed for a log."""
        with self._reading() as connection:
            return _seen(connection, origin)

    def all_seen(self) -> dict[str, Seen]:
        """Return what was signed, by log."""
        with self._reading() as connection:
            origins = [row[0] for row in connection.execute("SELECT origin FROM head ORDER BY origin")]
            return {origin: _seen(connection, origin) for origin in origins}

    def evidence(self) -> list[Evidence]:
        """Return the signed contradictions, oldest first."""
        with self._reading() as connection:
            query = "SELECT origin, received, what, request FROM evidence ORDER BY id"
            return [Evidence(*row) for row in connection.execute(query)]

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """Run one transaction, alone; what it wrote is on the disk at its end.

        Raises:
            OperationError: it cannot be written.
        """
        with self._reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Writing(connection)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with _errors():
            connection = sqlite3.connect(self._path, timeout=_WAIT_S, isolation_level=None)
            try:
                connection.execute("PRAGMA synchronous=FULL")
                yield connection
            finally:
                connection.close()


@dataclass(frozen=True)
class Writing:
    """One transaction over a witness's memory."""

    _connection: sqlite3.Connection

    def seen(self, origin: str) -> Seen:
        """Return what was signed for a log."""
        return _seen(self._connection, origin)

    def sign(self, origin: str, seen: Seen) -> None:
        """Remember a checkpoint that is about to be signed."""
        row = (origin, seen.size, seen.root, seen.note, seen.signed)
        self._connection.execute("INSERT OR REPLACE INTO head VALUES (?, ?, ?, ?, ?)", row)

    def keep(self, evidence: Evidence) -> None:
        """Keep a contradiction; the first hundred of a log are enough."""
        values = (evidence.origin, evidence.received, evidence.what, evidence.request)
        query = "SELECT count(*) FROM evidence WHERE origin = ?"
        if self._connection.execute(query, (evidence.origin,)).fetchone()[0] < _MOST_EVIDENCE:
            insert = "INSERT INTO evidence (origin, received, what, request) VALUES (?, ?, ?, ?)"
            self._connection.execute(insert, values)


def _seen(connection: sqlite3.Connection, origin: str) -> Seen:
    query = "SELECT size, root, note, signed FROM head WHERE origin = ?"
    row = connection.execute(query, (origin,)).fetchone()
    return Seen(*row) if row else Seen()


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise OperationError(
            "The witness's memory cannot be read or written; nothing was signed.",
            "Check the disk and the rights of the witness's folder; never put back an old copy.",
        ) from error
