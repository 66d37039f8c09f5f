"""The pages about people's duties are followed from top to bottom."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import worlds
from cli.test_docs import DOCS, Reader
from passersby.gate import gate
from passersby.policy import freeze

HOW_TO = DOCS / "how-to"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> worlds.World:
    world = worlds.build(tmp_path_factory.mktemp("world"), devices=40, suppliers=("veraset",))
    with world.open() as d:
        for name, role in (("otto", "overseer"), ("lea", "legal")):
            worlds.Asker(d).person(name, role)
    return world


@pytest.fixture
def world(built: worlds.World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> worlds.World:
    """A deployment beside the current folder, in which its people's keys lie."""
    world = built.copied(tmp_path / "d")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PASSERSBY_DEPLOYMENT", str(world.root))
    monkeypatch.setenv("PASSERSBY_KEY", "me.pem")
    monkeypatch.setattr(gate, "TICK_S", 0.001)
    for person in ("custodian", "paula", "anna", "otto", "lea"):
        shutil.copy(world.key(person), "me.pem" if person == "custodian" else f"{person}.key")
    return world


@pytest.mark.slow
def test_freeze_runs(world: worlds.World, tmp_path: Path) -> None:
    assert Reader(tmp_path).follow(HOW_TO / "freeze.md") == 3
    with world.open() as d, d.database.read() as session:
        assert freeze.current(session) is None
