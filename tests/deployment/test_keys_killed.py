"""Whoever changes keys may be killed at any step: the next command finds every key, and nothing left over."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from deployment.keyed import Keyed, actor, now
from passersby.deployment import keeping
from passersby.deployment.recovering import closed
from passersby.keys.file_keeper import FileKeeper
from passersby.store import durable
from passersby.store.database import Database
from passersby.trustlog.publish import Publisher
from passersby.trustlog.verify import verify_folder


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@contextmanager
def dying(at: int) -> Iterator[list[str]]:
    """Die at the `at`-th step that leaves a trace: before a commit, or after it, or at a keeper or a file."""
    done: list[str] = []

    def step(name: str) -> None:
        done.append(name)
        if len(done) == at:
            raise Killed

    def around(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def call(*args: Any, **more: Any) -> Any:
            step(f"before {name}")
            found = real(*args, **more)
            step(f"after {name}")
            return found

        patch.setattr(owner, name, call)

    real_write = Database.write

    @contextmanager
    def write(self: Database) -> Iterator[Any]:
        with real_write(self) as session:
            yield session
            step("before commit")
        step("after commit")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "write", write)
        for owner, name in ((FileKeeper, "create"), (FileKeeper, "destroy"), (durable, "write")):
            around(owner, name)
        around(Publisher, "publish")
        with suppress(Killed):
            yield done


def _rotate(keyed: Keyed) -> None:
    with keyed.open() as d:
        keeping.rotate(d, actor(d), now=now())


def _log(keyed: Keyed) -> None:
    with keyed.open() as d:
        keeping.replace_log_key(d, actor(d), now=now())


def _recover(keyed: Keyed) -> None:
    with closed(keyed.root) as house:
        if not house.status().answers:
            house.recover(keyed.texts(), keyed.key, to="", now=now())
    with keyed.open():
        pass


@pytest.mark.slow
@pytest.mark.parametrize("act", [_rotate, _log, _recover])
def test_a_change_that_is_killed_at_any_step(
    keyed: Keyed, tmp_path: Path, act: Callable[[Keyed], None]
) -> None:
    keyed.share()
    vkey = (keyed.root / "log.vkey").read_text().strip()
    if act is _recover:
        (keyed.root / "keys" / "kek").unlink()
    seen: set[str] = set()
    for at in range(1, 200):
        run = keyed.copied(tmp_path / f"run-{at}")
        for mine, copy in zip(keyed.papers, run.papers, strict=True):
            copy.write_bytes(mine.read_bytes())
            copy.chmod(0o600)
        with dying(at) as done:
            act(run)
        if len(done) < at:
            break
        seen.add(done[-1])
        if act is _recover and not run.status().answers:
            act(run)  # it was killed before anything was back
        run.check(log_key_changes=act is _log)
        assert verify_folder(run.root / "log", vkey).size > 0
        act(run)
        with run.open() as d:
            assert keeping.try_shares(d, run.texts(), actor(d), now=now()) == 5
    assert {"before commit", "after commit", "before publish"} <= seen
    if act is not _log:
        assert {"after create", "before create"} <= seen
    assert at > 10


@pytest.mark.slow
@pytest.mark.parametrize("what", ["rotate", "log", "share"])
def test_a_process_that_is_killed_anywhere(keyed: Keyed, what: str) -> None:
    chance = random.Random(what)
    vkey = (keyed.root / "log.vkey").read_text().strip()
    child = Path(__file__).with_name("keeping_child.py")
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, child, keyed.root, what], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0.0, 0.5))
            process.kill()  # SIGKILL
        keyed.check(log_key_changes=what == "log")
        verify_folder(keyed.root / "log", vkey)
