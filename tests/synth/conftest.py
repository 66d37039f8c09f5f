"""One small generated world for all tests of the generator."""

from __future__ import annotations

from pathlib import Path

import pytest

from passersby.synth import dice
from passersby.synth.country import Country, Places, found_places
from passersby.synth.formats import FORMATS
from passersby.synth.write import Summary, generate

SEED = 20260511
OFFSET = 7200


@pytest.fixture(scope="session")
def country() -> Country:
    return Country.load("CH")


@pytest.fixture(scope="session")
def places(country: Country) -> Places:
    return found_places(country, SEED)


@pytest.fixture(scope="session")
def root() -> int:
    return int(dice.root(SEED))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """Every supplier, 1,500 devices, two days, with dirt; batches of about a third of the devices."""
    patch = pytest.MonkeyPatch()
    patch.setattr("passersby.synth.write.BATCH_PINGS", 30_000)
    with patch.context():
        return generate(
            tmp_path_factory.mktemp("world") / "out",
            seed=SEED,
            devices=1_500,
            days=2,
            suppliers=tuple(FORMATS),
            offset=OFFSET,
        )


@pytest.fixture(scope="session")
def clean_world(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """The same without dirt, one day, the three usual suppliers."""
    out: Path = tmp_path_factory.mktemp("clean") / "out"
    return generate(out, seed=SEED, devices=1_500, days=1, offset=OFFSET, dirt=False)
