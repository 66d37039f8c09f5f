"""One key in two processes at once is noticed; a process that is gone is not."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import worlds
from passersby.deployment.uses import Uses
from passersby.policy import alerts
from passersby.store.database import Database

CHILD = """
import sys
from passersby.deployment.opened import Deployment
with Deployment.open(sys.argv[1]) as d:
    d.actor(sys.argv[2])
    print("in use", flush=True)
    sys.stdin.read()
"""


@contextmanager
def elsewhere(world: worlds.World, person: str) -> Iterator[subprocess.Popen[str]]:
    """Use a person's key in another process."""
    command = [sys.executable, "-c", CHILD, str(world.root), str(world.key(person))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "in use\n"
        yield child
        if child.poll() is None:
            child.communicate()


def used(world: worlds.World, *people: str) -> list[tuple[str, str]]:
    """Use keys here, and return all alerts."""
    with world.open() as d:
        for person in people:
            d.actor(world.key(person))
    with world.open() as d, d.database.read() as session:
        return [(each.kind, each.about) for each in alerts.open_alerts(session)]


@pytest.mark.slow
def test_a_key_in_two_processes(built: worlds.World, tmp_path: Path) -> None:
    world = built.copied(tmp_path / "d")
    with elsewhere(world, "anna"):
        assert used(world, "custodian", "paula") == []
        assert used(world, "anna", "anna") == [(alerts.TWO_PLACES, "anna")]
        assert used(world, "anna") == [(alerts.TWO_PLACES, "anna")]  # once a day
    with world.open() as d:
        assert len(worlds.Asker(d).entries("alert.raised")) == 1
        d.verify_log()


@pytest.mark.slow
def test_a_killed_process_uses_nothing(built: worlds.World, tmp_path: Path) -> None:
    world = built.copied(tmp_path / "d")
    with elsewhere(world, "anna") as child:
        child.kill()
        child.wait()
        assert len(list((world.root / "in-use").iterdir())) == 1
        assert used(world, "anna") == []
    assert list((world.root / "in-use").iterdir()) == []


def test_one_process_may_open_it_twice(built: worlds.World, tmp_path: Path) -> None:
    world = built.copied(tmp_path / "d")
    with world.open() as d:
        d.actor(world.key("anna"))
        assert used(world, "anna") == []


def test_a_file_that_another_process_holds_raises_an_alert(sqlite_database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "in-use"
    folder.mkdir()
    uses = Uses(folder)
    with (folder / "anna.1").open("w") as held, (folder / "paula.1").open("w"):
        fcntl.flock(held, fcntl.LOCK_EX)
        for person in ("anna", "paula"):
            uses.begin(person, worlds.now())
        uses.end(sqlite_database)
    with sqlite_database.read() as session:
        found = [(each.kind, each.about) for each in alerts.open_alerts(session)]
    assert found == [(alerts.TWO_PLACES, "anna")]
