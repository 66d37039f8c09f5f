"""Small counts, differences and means, held against plain Python; planted leaks are found."""

from __future__ import annotations

import itertools
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from passersby.risk.releases.overlaps import BANDS, averaged, both, differences, populations, small
from risk.releases.given import CHILDREN, Row, release

GRID = [(child, hour) for child in CHILDREN for hour in range(60)]

counts = st.dictionaries(
    st.sampled_from(GRID[:30]), st.one_of(st.none(), st.integers(0, 30)), min_size=1, max_size=20
)


def _rows(found: dict[tuple[int, int], int | None]) -> list[Row]:
    return [(place, hour, value) for (place, hour), value in found.items()]


@settings(max_examples=50, deadline=None)
@given(st.lists(counts, min_size=2, max_size=3))
def test_differences_are_those_of_all_pairs(worlds: list[dict[tuple[int, int], int | None]]) -> None:
    releases = [release(_rows(world)) for world in worlds]
    plain = [
        abs(a - b)
        for one, other in itertools.combinations(worlds, 2)
        for key in one.keys() & other.keys()
        if (a := one[key]) is not None and (b := other[key]) is not None
    ]
    found = differences(releases)
    assert (found.common if found else 0) == len(plain)
    told = [a for r, s in itertools.combinations(releases, 2) for a in np.abs(np.subtract(*both(r, s)))]
    assert sorted(told) == sorted(plain)
    if found:
        some = sum(1 <= far < 20 for far in plain)
        assert found.few.rate == (some / len(plain) if some >= 20 else None)


def test_small_counts_are_shares_and_fewer_than_twenty_are_not_told() -> None:
    values = [0] * 100 + [1] * 50 + [3] * 19 + [7] * 25 + [12] * 20 + [500] * 106 + [None] * 100
    found = small(release((place, hour, value) for (place, hour), value in zip(GRID, values, strict=True)))
    assert found.counts == 320
    rates = [band.rate for band in found.bands]
    assert rates == [100 / 320, 50 / 320, None, 25 / 320, 20 / 320, 106 / 320]
    assert found.untold.rate == 100 / 420
    assert len(BANDS) == len(rates)


def test_a_group_is_the_difference_of_two_releases() -> None:
    everybody = release((place, hour, 50) for place, hour in GRID)
    others = release((place, hour, 48) for place, hour in GRID)
    found = differences([everybody, others])
    assert found is not None
    assert found.few.rate == found.bands[2].rate == 1
    assert len(populations([everybody, others])) == 2
    assert len(populations([everybody, everybody])) == 1


def test_noise_is_no_difference_and_averaging_is_told() -> None:
    rng = np.random.default_rng(5)
    noisy = [
        release(((place, hour, 50 + rng.normal(0, 8)) for place, hour in GRID), noisy=True) for _ in range(4)
    ]
    assert differences(noisy) is None
    found = averaged(noisy)
    assert found is not None
    assert (found.releases, found.common) == (4, len(GRID))
    # 1,260 degrees of freedom: the standard error is 2%, and 7 of them are past 1e-11
    assert abs(found.noise - 8) < 8 * 7 * 0.02
    assert found.low < found.noise < found.high
    assert math.isclose(found.left, found.noise / 2)


def test_the_same_noise_again_tells_nothing_new() -> None:
    noisy = release(((place, hour, 0.5) for place, hour in GRID), noisy=True)
    assert averaged([noisy, noisy]) is None
    assert averaged([noisy]) is None
