"""One deployment with data, people, a licence and a court; each actor gets a copy."""

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
from passersby.gate import gate


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (gate, release):
        monkeypatch.setattr(module, "TICK_S", 0.001)


@pytest.fixture(scope="session")
def court() -> Court:
    return testcourt.generate("Court", now=worlds.now(), marked=True)


@pytest.fixture(scope="session")
def rogue() -> Court:
    """Somebody who gave themselves the court's names."""
    return testcourt.generate("Court", now=worlds.now(), marked=True)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, court: Court) -> Path:
    return scene.with_pings(tmp_path_factory.mktemp("redteam"), court).root


@pytest.fixture
def bench(filled: Path, court: Court, tmp_path: Path) -> Iterator[Bench]:
    with Deployment.open(scene.copied(filled, tmp_path / "d"), now=worlds.now()) as d:
        yield Bench(d, court, worlds.now())


@pytest.fixture
def asker(bench: Bench) -> worlds.Asker:
    return worlds.Asker(bench.d)
