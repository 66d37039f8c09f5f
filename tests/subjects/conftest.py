"""A deployment with known phones of two suppliers, copied for each test, and a clock that goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import worlds
from passersby.demo import records, story
from passersby.deployment import subjects
from passersby.deployment.opened import Deployment
from passersby.keys.pseudonym import pseudonyms
from passersby.keys.signed import Actor
from passersby.model.period import Period
from passersby.model.schema import TABLES
from passersby.subjects.parts import Parts
from passersby.suppliers import registry

MONDAY = 1_778_450_400  # 2026-05-11T00:00:00+02:00
ANA = "3f9d2c71-5b8e-4a06-9d13-7e21c04ab95f"
BEA = "77aa2c71-5b8e-4a06-9d13-7e21c04ab001"
BERN, THUN = (46.948, 7.4474), (46.758, 7.628)
SUPPLIERS = ("simple", "other")


@dataclass
class Scene:
    """An open deployment, and short ways to look into it. `now` is the time of the next act."""

    d: Deployment
    folder: Path
    now: int = field(default_factory=lambda: worlds.now() + 5)

    @property
    def parts(self) -> Parts:
        return subjects.parts(self.d)

    def actor(self, person: str = "custodian") -> Actor:
        return self.d.actor(self.d.layout.people / f"{person}.key")

    def device(self, name: str) -> int:
        """Return a phone's pseudonym in the week of the data."""
        with self.d.database.read() as session:
            keys = dict(self.d.ring.living(session))
        key = keys[self.d.ring.epoch_of(Period.parse(story.PERIOD))]
        return int(pseudonyms([name], key)[0])

    def rows(self, name: str) -> dict[str, int]:
        """Return how many rows of each table there are of a phone, whoever may read them."""
        return {table: len(self._column(table, name)) for table in TABLES}

    def _column(self, table: str, name: str) -> Any:
        with self.d.lake.snapshot(self.now) as snapshot:
            paths = [str(file.path) for file in snapshot.files(table)]
        if not paths:
            return []
        found = pa.concat_tables([pq.read_table(path, columns=["device"]) for path in paths])["device"]
        return np.flatnonzero(found.to_numpy() == self.device(name))

    def seen(self, name: str) -> int:
        """Return how many presence rows of a phone a question would read."""
        with self.d.lake.snapshot(self.now) as snapshot:
            files = {"presence": [file.path for file in snapshot.files("presence")]}
            sql = "SELECT count(*) AS n FROM presence WHERE device = " + str(self.device(name))
            return int(self.d.engine.query(sql, files, without=snapshot.withdrawn)["n"][0].as_py())

    def entries(self, kind: str = "") -> list[dict[str, Any]]:
        return worlds.Asker(self.d).entries(kind)

    def file(self, names: tuple[str, ...], *, first: int = 0, hours: int = 100, name: str = "more") -> Path:
        return written(self.folder / f"{name}.csv", names, first=first, hours=hours)

    def take(self, path: Path, supplier: str = "simple", **options: Any) -> Any:
        return self.d.ingest([path], supplier, now=self.now, **options)

    def reopened(self) -> Scene:
        """Close the deployment and open it again, as the next command does."""
        root = self.d.layout.root
        self.d.close()
        return Scene(Deployment.open(root, now=self.now), self.folder, self.now)


def written(path: Path, names: tuple[str, ...], *, first: int = 0, hours: int = 100) -> Path:
    """Write pings of phones that are in Bern and Thun, an hour each."""
    rows = ["id,time,latitude,longitude,accuracy"]
    for hour in range(first, first + hours):
        lat, lon = BERN if hour % 2 else THUN
        for number, name in enumerate(names):
            rows += [f"{name},{MONDAY + hour * 3600 + 60 * k + number},{lat},{lon},10" for k in (1, 20, 40)]
    path.write_text("\n".join(rows) + "\n")
    return path


def _second_supplier(d: Deployment, actor: Actor) -> None:
    """Record another supplier of the same schema."""
    now = worlds.now()
    with d.writing() as session:
        first = registry.list_all(session)[-1]
        assert first.latest is not None
        registry.add(session, replace(first.contract, id="other"), actor=actor, now=now, config=d.config)
        registry.assess(session, "other", replace(first.latest, supplier="other"), actor=actor, now=now)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> worlds.World:
    return build(tmp_path_factory.mktemp("subjects"))


def build(folder: Path, *, database: str = "") -> worlds.World:
    """Make a deployment with two known phones among others."""
    world = worlds.build(folder, devices=20, suppliers=("veraset",), dirt=False, database=database)
    with world.open() as d:
        people = records.known(d)
        records.add_supplier(d, people, "simple", story.DATES, 100, "0" * 64, now=worlds.now())
        _second_supplier(d, people.custodian)
        d.ingest([written(folder / "a.csv", (ANA, BEA))], "simple", now=worlds.now())
        d.ingest([written(folder / "b.csv", (ANA,), first=1, hours=30)], "other", now=worlds.now())
    return world


@pytest.fixture
def scene(filled: worlds.World, tmp_path: Path) -> Iterator[Scene]:
    """A deployment that holds two known phones among others; Ana's came from two suppliers."""
    world = filled.copied(tmp_path / "d")
    with world.open() as d:
        yield Scene(d, tmp_path)
