"""The matcher finds what is planted, and nothing where there is nothing."""

from __future__ import annotations

import numpy as np

from passersby.risk import linking
from risk.given import Row, trace

START = 29_640_960


def _rows(devices: int, weeks: int, choose: dict[int, list[int]], seed: int) -> list[Row]:
    rng = np.random.default_rng(seed)
    return [
        (device, START + week * 10_080 + int(rng.integers(10_080)), int(rng.choice(choose[device])))
        for device in range(devices)
        for week in range(weeks)
        for _ in range(12)
    ]


def test_devices_with_places_of_their_own_are_found_again() -> None:
    rng = np.random.default_rng(3)
    own = {device: rng.choice(343, 3, replace=False).tolist() for device in range(1200)}
    one, other = linking.halves(trace(_rows(1200, 2, own, 1)))
    found = linking.link(one, other, offset=0, resolution=11)
    assert found.devices == 1200
    assert found.rate is not None
    assert found.rate > 0.8


def test_devices_that_move_alike_are_not() -> None:
    everywhere = {device: list(range(343)) for device in range(1200)}
    one, other = linking.halves(trace(_rows(1200, 2, everywhere, 2)))
    found = linking.link(one, other, offset=0, resolution=11)
    assert found.devices == 1200
    assert found.rate is None  # one of 1,200 by chance
    assert found.masked


def test_ties_are_shared_out() -> None:
    assert linking._right(np.ones((30, 30))) == 1
    assert linking._right(np.zeros((30, 30))) == 0
    assert linking._right(np.eye(30)) == 30


def test_too_few_devices_are_no_game() -> None:
    rows = _rows(999, 2, {device: [device % 343] for device in range(999)}, 4)
    found = linking.link(*linking.halves(trace(rows)), offset=0)
    assert found == linking.Linked(0, None)


def test_a_rate_is_whole_percent_of_few_enough_pairs() -> None:
    rng = np.random.default_rng(5)
    own = {device: rng.choice(343, 2, replace=False).tolist() for device in range(2300)}
    one, other = linking.halves(trace(_rows(2300, 2, own, 6)))
    found = linking.link(one, other, offset=0, resolution=11)
    assert found.devices == linking.MOST
    assert found.rate is not None
    assert found.rate == round(found.rate, 2)
