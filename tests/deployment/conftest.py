"""Deployments: one with all records and no delivery, and one whose keys may be changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import worlds
from deployment import keyed as keyed_deployments
from passersby.gate import gate


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> worlds.World:
    """Records, and no delivery: nothing writes to it."""
    return worlds.build(tmp_path_factory.mktemp("built"), suppliers=("veraset",), dirt=False, ingest=False)


@pytest.fixture
def asker(built: worlds.World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[worlds.Asker]:
    """Who asks a copy of it, and waits for no answer's time."""
    monkeypatch.setattr(gate, "TICK_S", 0.001)
    with built.copied(tmp_path / "d").open() as d:
        yield worlds.Asker(d)


@pytest.fixture(scope="session")
def keyed_once(tmp_path_factory: pytest.TempPathFactory) -> keyed_deployments.Keyed:
    return keyed_deployments.make(tmp_path_factory.mktemp("keyed") / "d")


@pytest.fixture
def keyed(keyed_once: keyed_deployments.Keyed, tmp_path: Path) -> keyed_deployments.Keyed:
    return keyed_once.copied(tmp_path / "d")
