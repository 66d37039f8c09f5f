"""Notices when one person's key is in use by two processes at once.

Each process holds a lock on a file of its own for as long as it uses a key; the system lets go of it when the
process ends, however it ends. Processes on other machines are not seen.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from passersby.errors import PassersbyError
from passersby.policy import alerts
from passersby.store.database import Database


class Uses:
    """The keys that this process uses in one deployment.

    Args:
        folder: where the lock files of all processes lie; made on first use.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}
        self._elsewhere: dict[str, int] = {}

    def begin(self, person: str, now: int) -> None:
        """Take note that a person's key is used, and whether another process uses it, too.

        Nothing is written to the database: the caller may be in the middle of a transaction. A disk that is
        full stops no command here.
        """
        with suppress(OSError):
            if person not in self._held:
                self._held[person] = self._opened(person)
            if any(_is_locked(path) for path in self._others(person)):
                self._elsewhere.setdefault(person, now)

    def end(self, database: Database) -> None:
        """Let go of the keys, and raise the alerts that were found."""
        with suppress(PassersbyError):  # a database that is away has raised its own error before
            for person, at in self._elsewhere.items():
                with database.write() as session:
                    alerts.raise_alert(session, alerts.TWO_PLACES, person, now=at)
        self._elsewhere.clear()
        for person, held in self._held.items():
            (self._folder / f"{person}.{os.getpid()}").unlink(missing_ok=True)
            os.close(held)
        self._held.clear()

    def _opened(self, person: str) -> int:
        """Return this process's file of a person, locked."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / f"{person}.{os.getpid()}"
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with suppress(OSError):  # this process may have opened the deployment twice
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return held

    def _others(self, person: str) -> list[Path]:
        """Return the files of other processes. An account's name may hold dots, a process's number none."""
        mine = f"{person}.{os.getpid()}"
        found = (path for path in self._folder.iterdir() if path.name.rpartition(".")[0] == person)
        return [path for path in found if path.name != mine]


def _is_locked(path: Path) -> bool:
    """Tell whether a living process holds a file; remove one that a killed process left."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        path.unlink(missing_ok=True)
        return False
    finally:
        os.close(handle)
