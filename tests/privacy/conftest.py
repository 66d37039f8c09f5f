"""Samplers and small worlds for tests of the mechanism. The store refuses releases from these samplers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import h3.api.numpy_int as h3i
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from passersby.model.cells import children
from passersby.model.period import HOUR, Period
from passersby.model.place import Area
from passersby.store.database import Database
from privacy.books import granted

Integers = npt.NDArray[np.int64]

MONDAY = Period.parse("2026-W20").span(0).start


@dataclass
class Seeded:
    """Rounded normal noise from a fixed seed: quick, and the same each time."""

    seed: int
    name: str = "seeded"
    seen: list[Integers] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    def gaussian(self, values: Integers, scale: float) -> Integers:
        self.seen.append(values.copy())
        noise: Integers = np.rint(self._rng.normal(0, scale, values.shape)).astype(np.int64)
        return values + noise


@dataclass
class Constant:
    """No noise but a fixed answer, whatever the counts: what it returns depends on no data."""

    answer: int
    name: str = "constant"

    def gaussian(self, values: Integers, scale: float) -> Integers:
        assert scale > 0
        return np.full_like(values, self.answer)


class Silent:
    """Adds nothing: shows the exact path from counts to rows."""

    name = "silent"

    def gaussian(self, values: Integers, scale: float) -> Integers:
        assert scale > 0
        return values.copy()


@pytest.fixture
def seeded() -> Callable[[int], Seeded]:
    return Seeded


@pytest.fixture
def constant() -> Callable[[int], Constant]:
    return Constant


@pytest.fixture
def silent() -> Silent:
    return Silent()


@pytest.fixture(scope="session")
def root() -> int:
    """A resolution-4 cell around London."""
    return int(h3i.latlng_to_cell(51.5, -0.1, 4))


@pytest.fixture(scope="session")
def area(root: int) -> Area:
    return Area.from_cells(np.array([root], dtype=np.int64))


@pytest.fixture(scope="session")
def week() -> Integers:
    """The 168 hours of a week at UTC."""
    return np.arange(MONDAY, MONDAY + 168 * HOUR, HOUR, dtype=np.int64)


@pytest.fixture(scope="session")
def city(root: int, week: Integers) -> Callable[[float], pa.Table]:
    """Return a maker of a table (cell at resolution 7, start, count in thousandths) of a small city.

    Its counts are those of 20,000 devices of a panel, times a factor: a few dense cells, many empty ones.
    """
    cells = children(np.array([root], dtype=np.int64), 7)

    def make(factor: float) -> pa.Table:
        rng = np.random.default_rng(11)
        places = np.array([h3i.cell_to_latlng(int(cell)) for cell in cells])
        distance = np.linalg.norm((places - places.mean(axis=0)) * (111, 69), axis=1)
        density = np.exp(-distance / 3) * rng.pareto(1.5, len(cells))
        day = 1 + 0.6 * np.sin((np.arange(168) % 24 - 9) / 24 * 2 * np.pi)
        mean = 937_000 / 168 * density[:, None] / density.sum() * day[None, :]
        counts = rng.poisson(factor * mean) * 1000
        at, hour = np.nonzero(counts)
        return pa.table({"cell": cells[at], "start": week[hour], "count": counts[at, hour]})

    return make


@pytest.fixture
def books(database: Database) -> Database:
    """A database in which the licences L and M are granted."""
    return granted(database)


@pytest.fixture
def sqlite_books(sqlite_database: Database) -> Database:
    """The same, for what does not depend on the database."""
    return granted(sqlite_database)
