"""A small lake with suppliers' deliveries, on both control databases."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from passersby.lake.lake import Lake
from passersby.model.period import DAY, HOUR, day_start
from passersby.model.schema import PINGS, PRESENCE
from passersby.store.database import Database
from passersby.store.tables import Delivery, Supplier

BUCKETS = 4
OFFSET = 2 * HOUR
FIRST_DAY = 20_600
CELL = 0x8A1F8D5A0007FFF


@dataclass
class World:
    """A lake, and what tests put into it."""

    lake: Lake
    now: int = (FIRST_DAY + 5) * DAY
    day: int = FIRST_DAY
    buckets: int = BUCKETS
    offset: int = OFFSET
    _seeds: itertools.count[int] = field(default_factory=itertools.count)

    def delivery(self, *, derived_until: int | None = None) -> int:
        """Record a delivery of the only supplier and return its id."""
        with self.lake.database.write() as session:
            if session.get(Supplier, 1) is None:
                session.add(Supplier(id="s", contract="{}", contract_sha256="", created=0, suspended=None))
                session.flush()
            made = Delivery(
                supplier=1,
                sha256=str(next(self._seeds)),
                files="[]",
                report="{}",
                created=self.now,
                raw_until=self.now + 30 * DAY,
                derived_until=derived_until or self.now + 90 * DAY,
            )
            session.add(made)
            session.flush()
            return made.id

    def pings(self, day: int, bucket: int, rows: int = 20, delivery: int = 1, seed: int = 0) -> pa.Table:
        """Return sorted pings of one day and bucket."""
        rng = np.random.default_rng([seed, day, bucket, delivery])
        device = rng.integers(-5, 5, rows) * self.buckets + bucket
        t = day_start(day, self.offset) + rng.integers(0, DAY, rows)
        order = np.lexsort((t, device))
        columns = {
            "device": device[order],
            "t": t[order],
            "lat_e5": rng.integers(-9_000_000, 9_000_000, rows),
            "lon_e5": rng.integers(-18_000_000, 18_000_000, rows),
            "cell": np.full(rows, CELL),
            "accuracy_m": rng.integers(1, 100, rows),
            "supplier": np.full(rows, 1),
            "delivery": np.full(rows, delivery),
        }
        return pa.table([pa.array(columns[f.name], f.type) for f in PINGS], schema=PINGS)

    def presence(self, day: int, bucket: int, rows: int = 5) -> pa.Table:
        """Return sorted presence of one day and bucket."""
        columns = {
            "device": np.full(rows, bucket),
            "hour": day_start(day, self.offset) + np.arange(rows) * HOUR,
            "cell": np.full(rows, CELL),
            "pings": np.full(rows, 2),
        }
        return pa.table([pa.array(columns[f.name], f.type) for f in PRESENCE], schema=PRESENCE)

    def ingest(self, parts: Sequence[tuple[int, int]], *, delivery: int = 1, until: int | None = None) -> int:
        """Store pings of some (day, bucket) parts and return the snapshot number."""
        with self.lake.begin("ingest", {"delivery": delivery}, now=self.now) as work:
            for day, bucket in parts:
                table = self.pings(day, bucket, delivery=delivery)
                work.write("pings", day, bucket, table, sources=[delivery], until=until or self.now + DAY)
            with self.lake.database.write() as session:
                return work.commit(session, now=self.now)

    def files(self, table: str = "pings", **given: Any) -> list[Any]:
        """Return what a new reader sees."""
        with self.lake.snapshot(self.now) as snapshot:
            return snapshot.files(table, **given)

    def on_disk(self) -> set[str]:
        """Return the paths of all files in the lake's folder, relative to it."""
        root = self.lake.root
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}

    def listed(self) -> set[str]:
        """Return the paths of the ping files that a new reader sees, relative to the lake."""
        return {str(file.path.relative_to(self.lake.root)) for file in self.files()}


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    """An empty lake; the test runs on both databases."""
    return World(Lake(tmp_path / "lake", database, buckets=BUCKETS, offset=OFFSET))


@pytest.fixture
def sqlite_world(sqlite_database: Database, tmp_path: Path) -> World:
    """An empty lake on SQLite, for what does not depend on the database."""
    return World(Lake(tmp_path / "lake", sqlite_database, buckets=BUCKETS, offset=OFFSET))


@pytest.fixture
def new_world(sqlite_template: Path, tmp_path: Path) -> Callable[[], World]:
    """A function that makes lakes on SQLite."""
    numbers = itertools.count()

    def make() -> World:
        folder = tmp_path / f"world-{next(numbers)}"
        folder.mkdir()
        shutil.copyfile(sqlite_template, folder / "control.db")
        database = Database.in_file(folder / "control.db")
        return World(Lake(folder / "lake", database, buckets=BUCKETS, offset=OFFSET))

    return make
