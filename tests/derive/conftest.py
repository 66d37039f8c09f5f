"""Pings of a few devices in a few cells, an exact reference in plain Python, and a lake."""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import h3.api.numpy_int as h3i
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from passersby.lake.lake import Lake
from passersby.model.period import DAY, HOUR
from passersby.model.schema import PINGS, TABLES
from passersby.store.database import Database
from passersby.store.tables import Delivery, Supplier

DAY_0 = 20_600
OFFSET = 5 * HOUR + 1800  # hours do not start where UTC's do
NOW = (DAY_0 + 5) * DAY


class Ping(NamedTuple):
    """A ping in the reference's terms."""

    device: int
    t: int
    cell: int
    delivery: int


def dominant(cells: list[int]) -> int:
    """Return the hierarchically dominant cell, by h3's own parents."""
    for resolution in range(4, 11):
        counts = Counter(int(h3i.cell_to_parent(cell, resolution)) for cell in cells)
        best = min(counts, key=lambda cell: (-counts[cell], cell))
        cells = [cell for cell in cells if int(h3i.cell_to_parent(cell, resolution)) == best]
    return cells[0]


def reference(pings: Iterable[Ping], offset: int, excluded: Iterable[int] = ()) -> list[tuple[int, ...]]:
    """Return presence rows (device, hour, cell, pings), sorted."""
    kept: dict[tuple[int, int], Ping] = {}
    for ping in sorted(pings, key=lambda ping: (ping.delivery, ping.cell)):
        kept.setdefault((ping.device, ping.t), ping)
    hours: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for ping in kept.values():
        if ping.device not in set(excluded):
            hours[ping.device, ping.t - (ping.t + offset) % HOUR].append(ping.cell)
    return sorted((*key, dominant(cells), cells.count(dominant(cells))) for key, cells in hours.items())


def ping_table(
    pings: Iterable[Ping], place: Callable[[Ping], tuple[int, int]] = lambda _: (0, 0)
) -> pa.Table:
    """Return pings as the lake holds them; `place` gives latitude and longitude in 1e-5 degrees."""
    rows = sorted(pings)
    columns: dict[str, list[int]] = {name: [0] * len(rows) for name in PINGS.names}
    for name in Ping._fields:
        columns[name] = [getattr(ping, name) for ping in rows]
    columns["lat_e5"], columns["lon_e5"] = ([place(ping)[axis] for ping in rows] for axis in (0, 1))
    return pa.table([pa.array(columns[f.name], f.type) for f in PINGS], schema=PINGS)


@dataclass
class World:
    """A lake with one bucket, and what tests put into it."""

    lake: Lake
    now: int = NOW
    day: int = DAY_0

    def delivery(self, *, derived_until: int = NOW + 90 * DAY) -> int:
        """Record a delivery and return its id."""
        with self.lake.database.write() as session:
            if session.get(Supplier, 1) is None:
                session.add(Supplier(id="s", contract="{}", contract_sha256="", created=0, suspended=None))
                session.flush()
            made = Delivery(
                supplier=1,
                sha256=secrets.token_hex(32),
                files="[]",
                report="{}",
                created=self.now,
                raw_until=self.now + 30 * DAY,
                derived_until=derived_until,
            )
            session.add(made)
            session.flush()
            return made.id

    def store(self, pings: list[Ping], *, until: int = NOW + 30 * DAY, day: int = DAY_0) -> None:
        """Store one file for each delivery and bucket of `pings`, all of one day."""
        with self.lake.begin("ingest", {}, now=self.now) as work:
            for delivery in sorted({ping.delivery for ping in pings}):
                for bucket in range(self.lake.buckets):
                    own = [
                        p for p in pings if p.delivery == delivery and p.device % self.lake.buckets == bucket
                    ]
                    if own:
                        work.write("pings", day, bucket, ping_table(own), sources=[delivery], until=until)
            with self.lake.database.write() as session:
                work.commit(session, now=self.now)

    def store_at(self, pings: list[Ping], place: Callable[[Ping], tuple[int, int]]) -> None:
        """Store one delivery's pings of one day and bucket, at places."""
        bucket = pings[0].device % self.lake.buckets
        with self.lake.begin("ingest", {}, now=self.now) as work:
            table = ping_table(pings, place)
            work.write("pings", self.day, bucket, table, sources=[pings[0].delivery], until=NOW + 30 * DAY)
            with self.lake.database.write() as session:
                work.commit(session, now=self.now)

    def files(self, table: str = "presence") -> list[Any]:
        """Return what a new reader sees."""
        with self.lake.snapshot(self.now) as snapshot:
            return snapshot.files(table)

    def rows(self, table: str = "presence") -> list[tuple[int, ...]]:
        """Return all rows of a derived table, sorted."""
        tables = [pq.read_table(file.path) for file in self.files(table)]
        assert all(found.schema.equals(TABLES[table]) for found in tables)
        return sorted(tuple(row.values()) for found in tables for row in found.to_pylist())


@pytest.fixture(scope="session")
def ping() -> type[Ping]:
    """The reference's ping."""
    return Ping


@pytest.fixture(scope="session")
def expected() -> Callable[..., list[tuple[int, ...]]]:
    """The reference: presence rows of pings."""
    return reference


@pytest.fixture(scope="session")
def as_table() -> Callable[[Iterable[Ping]], pa.Table]:
    """Pings as the lake holds them."""
    return ping_table


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    """An empty lake; the test runs on both databases."""
    return World(Lake(tmp_path / "lake", database, buckets=2, offset=OFFSET))


@pytest.fixture
def sqlite_world(sqlite_database: Database, tmp_path: Path) -> World:
    """An empty lake on SQLite, for what does not depend on the database."""
    return World(Lake(tmp_path / "lake", sqlite_database, buckets=2, offset=OFFSET))
