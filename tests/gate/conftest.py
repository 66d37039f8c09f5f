"""Whole deployments with and without data for tests of the gate, and a clock without ticks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import worlds
from passersby.gate import gate


@pytest.fixture(autouse=True)
def without_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers need not wait here for the tick that hides how long they took."""
    monkeypatch.setattr(gate, "TICK_S", 0.001)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> worlds.World:
    return worlds.build(tmp_path_factory.mktemp("built"), suppliers=("veraset",), dirt=False)


@pytest.fixture(scope="session")
def built_empty(tmp_path_factory: pytest.TempPathFactory) -> worlds.World:
    """The same records, and no delivery."""
    return worlds.build(
        tmp_path_factory.mktemp("built-empty"), suppliers=("veraset",), dirt=False, ingest=False
    )


@pytest.fixture
def world(built: worlds.World, tmp_path: Path) -> worlds.World:
    return built.copied(tmp_path / "world")


@pytest.fixture
def full(world: worlds.World) -> Iterator[worlds.Asker]:
    """A deployment with a week of data."""
    with world.open() as d:
        yield worlds.Asker(d)


@pytest.fixture
def empty(built_empty: worlds.World, tmp_path: Path) -> Iterator[worlds.Asker]:
    """A deployment without data."""
    with built_empty.copied(tmp_path / "empty").open() as d:
        yield worlds.Asker(d)
