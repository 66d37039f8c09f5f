"""The engines of the proofs: the deployment's own, with each statement's check done once, and Spark."""

from __future__ import annotations

import functools
import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from passersby.engines import dialect
from passersby.engines.duckdb import DuckDB
from passersby.engines.spark import Spark


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDB]:
    """DuckDB as a deployment opens it."""
    with pytest.MonkeyPatch.context() as patch:
        # a statement's verdict depends on its text alone; parsing takes as long as running a small world
        patch.setattr(dialect, "check", functools.cache(dialect.check))
        engine = DuckDB(tmp_path_factory.mktemp("spill"), threads=1, memory_mb=512)
        yield engine
        engine.close()


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    """Spark on this machine."""
    if importlib.util.find_spec("pyspark") is None or shutil.which("java") is None:
        pytest.skip("pyspark or Java is not installed: `pip install 'passersby[spark]'` and Java 17")
    small = {"spark.sql.shuffle.partitions": "1", "spark.driver.bindAddress": "127.0.0.1"}
    engine = Spark(
        "local[1]",
        spill=tmp_path_factory.mktemp("spark"),
        settings={**small, "spark.driver.host": "127.0.0.1"},
    )
    yield engine
    engine.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Path]:
    """Return a maker of new folders: Hypothesis runs a test's body many times."""
    return lambda: Path(mkdtemp(dir=tmp_path))
