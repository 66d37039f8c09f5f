"""A publish that is killed at any step leaves a log that verifies, and the next one completes it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from passersby.store.database import Database
from passersby.trustlog import checkpoint
from passersby.trustlog.verify import verify_database, verify_folder


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def backup(database: Database, target: Path) -> None:
    with sqlite3.connect(database.url.removeprefix("sqlite:///")) as source, sqlite3.connect(target) as copy:
        source.backup(copy)
    source.close()
    copy.close()


def steps(monkeypatch: pytest.MonkeyPatch, kill_at: int) -> list[str]:
    """Let the `kill_at`-th system call that changes the folder fail, after what it wrote was cut short."""
    done: list[str] = []

    def patched(module: Any, name: str) -> None:
        real = getattr(module, name)

        def call(*args: Any, **more: Any) -> Any:
            done.append(name)
            if len(done) == kill_at:
                raise Killed
            return real(*args, **more)

        monkeypatch.setattr(module, name, call)

    for module, name in ((os, "replace"), (os, "fsync"), (os, "unlink"), (os, "mkdir"), (shutil, "rmtree")):
        patched(module, name)
    return done


@pytest.mark.slow
def test_a_publish_killed_at_any_step_is_repaired_by_the_next(log: Any, tmp_path: Path) -> None:
    log.grown(250)
    start = tmp_path / "start"
    shutil.copytree(log.folder, start)
    log.add(10)
    seen: set[str] = set()
    sizes: set[int] = set()
    for kill_at in range(1, 200):
        shutil.rmtree(log.folder)
        shutil.copytree(start, log.folder)
        with pytest.MonkeyPatch.context() as patch:
            done = steps(patch, kill_at)
            try:
                log.publish()
            except Killed:
                seen.add(done[-1])
            else:
                break
        sizes.add(verify_folder(log.folder, log.vkey).size)
        log.publish()
        assert verify_database(log.database, log.folder, log.vkey).size == 260
    assert kill_at > 15
    assert seen == {"replace", "fsync", "mkdir", "rmtree", "unlink"}
    assert sizes == {250, 260}


@pytest.mark.slow
def test_a_first_publish_killed_at_any_step_is_repaired_by_the_next(log: Any) -> None:
    log.add(257)
    for kill_at in range(1, 200):
        shutil.rmtree(log.folder, ignore_errors=True)
        with pytest.MonkeyPatch.context() as patch:
            steps(patch, kill_at)
            try:
                log.publish()
            except Killed:
                pass
            else:
                break
        log.publish()
        assert verify_database(log.database, log.folder, log.vkey).size == 257
    assert kill_at > 10


def test_all_is_on_the_disk_before_the_checkpoint_is(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log.add(300)
    synced: list[int] = []
    waiting: set[Path] = set()
    real_sync, real_replace = os.fsync, os.replace

    def sync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        for folder in [folder for folder in waiting if folder.stat().st_ino == synced[-1]]:
            waiting.remove(folder)
        real_sync(descriptor)

    def replace(source: Path, target: Path) -> None:
        assert synced[-1] == source.stat().st_ino
        if target.name == "checkpoint":
            assert not waiting
        waiting.update(target.parents[: len(target.relative_to(log.folder).parts)])
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    log.publish()
    assert not waiting
    assert len(synced) > 6


def test_a_file_that_was_half_written_is_written_again(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    log.grown(10)
    log.add(10)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _descriptor: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            log.publish()
    (log.folder / ".writing").write_bytes(b"cut sh")
    log.publish()
    assert verify_folder(log.folder, log.vkey).size == 20
    assert ".writing" not in files(log.folder)


def test_what_a_killed_publish_left_gives_way_to_a_restored_database(log: Any, tmp_path: Path) -> None:
    log.grown(100)
    backup(log.database, tmp_path / "backup.db")
    log.add(20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "sign", lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            log.publish()
    assert "tile/0/000.p/120" in files(log.folder)
    log.database = Database.in_file(tmp_path / "backup.db")
    log.grown(40)
    assert "tile/0/000.p/120" not in files(log.folder)
    assert verify_database(log.database, log.folder, log.vkey).size == 140
