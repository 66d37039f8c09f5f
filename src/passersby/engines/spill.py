"""Folders for what an engine's memory does not hold: one for each process, swept when their owner is gone.

A folder's owner holds a lock on a file in it, which the system releases however the process ends. So a
sweep never takes the folder of another live process of the same deployment.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import secrets
import shutil
from pathlib import Path

_LOCK = "lock"
_FRESH = ".new-"


class Spill:
    """This process's folder below `root`, which is made; folders of processes that ended are removed.

    Args:
        root: the deployment's folder for spilled data.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(root)
        name = secrets.token_hex(8)
        fresh = root / f"{_FRESH}{name}"
        fresh.mkdir(mode=0o700)
        self._lock = _locked(fresh / _LOCK)
        self._folder = fresh.rename(root / name)  # locked before a sweep looks at it
        self._numbers = itertools.count()

    def next(self) -> Path:
        """Return a path below it that nobody used; it is not made."""
        return self._folder / str(next(self._numbers))

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _locked(path: Path) -> int | None:
    """Return a descriptor that holds the lock on `path`, or None where a live process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def clear(root: Path) -> None:
    """Remove what processes that ended left below `root`, if there is such a folder."""
    if root.is_dir():
        _sweep(root)


def _sweep(root: Path) -> None:
    for folder in root.iterdir():
        # another process may be sweeping the same folder
        with contextlib.suppress(FileNotFoundError):
            lock = None if folder.name.startswith(_FRESH) else _locked(folder / _LOCK)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)
