"""A deployment with a week of data, for its custodian."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import worlds


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> worlds.World:
    return worlds.build(tmp_path_factory.mktemp("custody"), suppliers=("veraset",), devices=60, dirt=False)


@pytest.fixture
def world(built: worlds.World, tmp_path: Path) -> worlds.World:
    return built.copied(tmp_path / "world")


@pytest.fixture
def asker(world: worlds.World) -> Iterator[worlds.Asker]:
    with world.open() as d:
        yield worlds.Asker(d)
