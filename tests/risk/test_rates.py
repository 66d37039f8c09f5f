"""Masks and intervals."""

from __future__ import annotations

import numpy as np
import pytest

from passersby.errors import InputError
from passersby.risk.rates import percent, require_enough, rounded, share, spread


@pytest.mark.parametrize("count", [0, 1, 19])
def test_fewer_than_twenty_are_never_told(count: int) -> None:
    assert share(count, 1000) == share(0, 1000)
    assert share(count, 1000).to_json() == {"rate": None, "low": 0.0, "high": 0.02}
    assert share(count, 1000, exact=True) == share(0, 1000)


def test_the_interval_covers() -> None:
    rng = np.random.default_rng(1)
    for part in (0.05, 0.3, 0.9, 0.99):
        drawn = [share(int(n), 2000) for n in rng.binomial(2000, part, 4000)]
        covered = np.mean([rate.low <= part <= rate.high for rate in drawn])
        assert 0.925 < covered < 0.975


def test_all_is_not_certain() -> None:
    every = share(100, 100)
    assert every.rate == 1
    assert 0.95 < every.low < 0.98
    assert every.high > 0.999


def test_an_exact_share_has_no_interval() -> None:
    assert share(50, 200, exact=True).to_json() == {"rate": 0.25, "low": 0.25, "high": 0.25}


def test_one_more_on_a_list_does_not_show() -> None:
    told = {rounded(count, 1000).rate for count in range(91, 110)}
    assert told == {0.1}
    assert rounded(19, 1000).rate is not None
    assert rounded(9, 1000).rate is None
    assert rounded(1000, 1000).rate == 1


def test_groups_are_shares_of_one_whole() -> None:
    sizes = np.array([1] * 30 + [2] * 30 + [4] * 10 + [5] * 5 + [200] * 25)
    rates = [rate.rate for rate in spread(sizes, (1, 2, 5, 20, 100))]
    assert rates == [0.3, 0.4, None, None, 0.25]


def test_percent_is_never_rounded_up_to_all() -> None:
    assert [percent(x) for x in (0, 0.0004, 0.012, 0.5, 0.987, 0.99996, 1)] == [
        "0%", "0.0%", "1.2%", "50%", "98.7%", "99.9%", "100%",
    ]  # fmt: skip


def test_few_devices_are_refused() -> None:
    require_enough(20)
    with pytest.raises(InputError, match="fewer than 20"):
        require_enough(19)
