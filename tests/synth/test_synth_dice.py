from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from passersby.synth import dice


def test_splitmix64_gives_the_published_sequence() -> None:
    # reference values of the generator for seed 1234567 (Vigna, splitmix64.c; as used by Rosetta Code)
    state = np.array([1234567], dtype=np.uint64)
    got = [int(dice.word(state)) for _ in range(5)]
    assert got == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_traits_are_uniform_and_uncorrelated_between_purposes() -> None:
    root = dice.root(1)
    one, two = dice.traits(root, 1, 0, 50_000), dice.traits(root, 2, 0, 50_000)
    counts = np.histogram(one, bins=20, range=(0, 1))[0]
    assert np.all(np.abs(counts - 2_500) < 5 * np.sqrt(2_500))
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.02
    assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < 0.02


@given(first=st.integers(0, 10**9), count=st.integers(1, 50), skip=st.integers(0, 49))
def test_a_trait_belongs_to_the_device_not_to_the_batch(first: int, count: int, skip: int) -> None:
    root, skip = dice.root(2), min(skip, count - 1)
    whole = dice.traits(root, 3, first, count)
    part = dice.traits(root, 3, first + skip, count - skip)
    np.testing.assert_array_equal(whole[skip:], part)


@given(
    weights=st.lists(st.floats(0.01, 10), min_size=1, max_size=30),
    chance=st.floats(0, 1, exclude_max=True, width=32),
)
def test_pick_is_a_search_in_cumulated_chances(weights: list[float], chance: float) -> None:
    edges = np.cumsum(weights)
    edges = (edges / edges[-1]).astype(np.float32)
    expected = min(int(np.searchsorted(edges, chance, side="right")), len(edges) - 1)
    assert dice.pick(edges, chance) == expected


def test_streams_of_devices_and_days_differ() -> None:
    state, seen = np.zeros(1, dtype=np.uint64), set()
    for device in range(50):
        for day in range(50):
            dice.begin(state, dice.root(3), device, day)
            seen.add(int(dice.word(state)))
    assert len(seen) == 2_500


def test_normal_has_the_mean_and_deviation_asked_for() -> None:
    state = np.zeros(1, dtype=np.uint64)
    dice.begin(state, dice.root(4), 0, 0)
    drawn = np.array([dice.normal(state, 5.0, 2.0) for _ in range(20_000)])
    assert abs(drawn.mean() - 5) < 0.06
    assert abs(drawn.std() - 2) < 0.05


def test_seeds_of_any_size_give_different_roots() -> None:
    assert len({int(dice.root(seed)) for seed in (0, 1, 2**64, 2**64 + 1, 2**200)}) == 5
