"""The engine of the proofs: the deployment's own, with each statement's check done once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from passersby.engines import dialect
from passersby.engines.duckdb import DuckDB


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDB]:
    """DuckDB as a deployment opens it."""
    with pytest.MonkeyPatch.context() as patch:
        # a statement's verdict depends on its text alone; parsing takes as long as running a small world
        patch.setattr(dialect, "check", functools.cache(dialect.check))
        engine = DuckDB(tmp_path_factory.mktemp("spill"), threads=1, memory_mb=512)
        yield engine
        engine.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Path]:
    """Return a maker of new folders: Hypothesis runs a test's body many times."""
    return lambda: Path(mkdtemp(dir=tmp_path))
