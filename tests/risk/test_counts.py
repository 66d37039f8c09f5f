"""Membership in counts: planted leaks are found, and where there is no signal guessing stays guessing."""

from __future__ import annotations

import numpy as np
import pytest

from passersby.risk import counts, guessing
from passersby.risk.grid import Step
from risk.given import Row, trace

MONDAY = 29_640_960


def _places(devices: int, hours: int, seed: int, own: int) -> list[Row]:
    """Return hourly rows: of each device the first `own` hours in a cell of few, the rest anywhere."""
    rng = np.random.default_rng(seed)
    return [
        (device, MONDAY + 60 * hour, device % 343 if hour < own else int(rng.integers(343)))
        for device in range(devices)
        for hour in range(hours)
    ]


@pytest.fixture(autouse=True)
def finer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "GRAINS", (Step("hour", 11),))  # the tests' cells lie within one of 7


def test_exact_counts_of_rare_places_tell_who_was_counted() -> None:
    found = {g.way: g for g in counts.guess(trace(_places(1500, 40, 1, 0)), offset=0, seed=1)}
    assert found[counts.EXACT].auc > 0.8
    assert found[counts.EXACT].error == 0
    assert found[counts.NOISY].auc < 0.6
    assert found[counts.NOISY].error > 1


def test_devices_that_do_the_same_cannot_be_told_apart() -> None:
    rows = [(device, MONDAY + 60 * hour, hour % 7) for device in range(1200) for hour in range(30)]
    for guessed in counts.guess(trace(rows), offset=0, seed=2):
        assert guessed.auc == 0.5
        assert guessed.low < 0.5 < guessed.high


def test_scores_without_signal_stay_within_the_interval() -> None:
    rng = np.random.default_rng(3)
    outside = 0
    for _ in range(400):
        auc = guessing.auc(rng.normal(size=400), rng.normal(size=400))
        outside += abs(auc - 0.5) > guessing.reach(400, 400)
    assert outside < 60  # 20 of 400 on average: more than 60 has a chance below 1e-12


def test_the_area_is_that_of_all_pairs() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.integers(0, 6, 50).astype(float), rng.integers(0, 5, 70).astype(float)
    pairs = (a[:, None] > b).mean() + (a[:, None] == b).mean() / 2
    assert guessing.auc(a, b) == pytest.approx(pairs)


def test_few_devices_are_no_game() -> None:
    assert counts.guess(trace(_places(999, 3, 5, 0)), offset=0, seed=1) == ()


def test_rho_gives_back_epsilon() -> None:
    rho = counts._rho(1.0, 1e-7)
    assert rho + 2 * np.sqrt(rho * np.log(1e7)) == pytest.approx(1.0)
