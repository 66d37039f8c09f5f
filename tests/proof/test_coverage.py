"""Do 95% intervals of what is shown hold the truth, whatever the size of the panel?"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "accuracy.py"


@pytest.fixture(scope="module")
def accuracy() -> Any:
    """The benchmark's own code, with its panel and its scores."""
    spec = importlib.util.spec_from_file_location("accuracy", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["accuracy"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def panel(accuracy: Any) -> Any:
    return accuracy.make_panel(20_000, seed=3)


@pytest.mark.slow
def test_the_bounded_sql_counts_the_generators_truth(accuracy: Any, panel: Any, tmp_path: Path) -> None:
    leaf = accuracy.bounded(panel, 7, tmp_path)
    cells, counts = panel.truth[7]
    found = np.zeros_like(counts)
    hour = (leaf["start"].to_numpy() - panel.starts[0]) // 3600
    found[np.searchsorted(cells, leaf["cell"].to_numpy()), hour] = leaf["count"].to_numpy()
    np.testing.assert_array_equal(found, 1000 * counts)


@pytest.mark.slow
@pytest.mark.parametrize("factor", [1, 10, 100, 600])
@pytest.mark.parametrize("resolution", [6, 7])
def test_intervals_of_shown_rows_cover(
    accuracy: Any, panel: Any, tmp_path: Path, resolution: int, factor: int
) -> None:
    leaf = accuracy.bounded(panel, resolution, tmp_path)
    scores = [
        accuracy.score(
            panel, leaf, resolution, epsilon=1.0, factor=factor, sampler=accuracy.NumPySampler(seed)
        )
        for seed in range(4)
    ]
    rows = sum(score.rows for score in scores)
    assert rows > 4 * 168  # the check is about something
    assert 0.93 <= sum(score.covered * score.rows for score in scores) / rows <= 0.97
