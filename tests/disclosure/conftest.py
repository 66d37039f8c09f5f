"""Deployments with a registered court, copied for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import worlds
from disclosure import scene
from disclosure.scene import Bench
from passersby.deployment.opened import Deployment
from passersby.disclosure import release, testcourt
from passersby.disclosure.testcourt import Court

NOW = worlds.now()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "TICK_S", 0.001)


@pytest.fixture(scope="session")
def court() -> Court:
    """The court that the deployments of these tests know."""
    return testcourt.generate("Court", now=NOW, marked=True)


@pytest.fixture(scope="session")
def rogue() -> Court:
    """Somebody who gave themselves the same names."""
    return testcourt.generate("Court", now=NOW, marked=True)


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory, court: Court) -> Path:
    root = tmp_path_factory.mktemp("bench") / "d"
    scene.bench(root, court, now=NOW).close()
    return root


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, court: Court) -> Path:
    return scene.with_pings(tmp_path_factory.mktemp("filled"), court).root


@pytest.fixture
def bench(empty: Path, court: Court, tmp_path: Path) -> Iterator[Bench]:
    """A deployment without data."""
    with Deployment.open(scene.copied(empty, tmp_path / "d"), now=NOW) as d:
        yield Bench(d, court, NOW)


@pytest.fixture
def full(filled: Path, court: Court, tmp_path: Path) -> Iterator[Bench]:
    """A deployment that holds two known phones among others."""
    with Deployment.open(scene.copied(filled, tmp_path / "d"), now=worlds.now()) as d:
        yield Bench(d, court, worlds.now())
