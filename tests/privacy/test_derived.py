"""Ratios and quantiles of noisy bins: intervals that cover, against brute force, and what is not known."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from passersby.model.bins import Bin, Derived, Quantile, Ratio, histogram
from passersby.privacy.hierarchy.derived import Z95, Interval, derive

Floats = npt.NDArray[np.float64]

KM = histogram(0, 1, 2, 5, 10, 20, 50, 100, 200, unit="km")
PARTS = (Bin("a"), Bin("b"), Bin("c"))
MEAN = (Bin("sum", factor=0.24, counted=False), Bin("number", factor=0.01))
DRAWS = 8000


def _drawn(what: Derived, truth: list[float], error: float, bins: tuple[Bin, ...]) -> Interval:
    """Return what is derived from many draws of the noise, one a node."""
    rng = np.random.default_rng(11)
    factors = np.array([each.factor for each in bins])
    values = np.array(truth) + factors * rng.normal(0, error, (DRAWS, 1, len(bins)))
    return derive(what, values, np.full(DRAWS, error), bins)


def _coverage(found: Interval, true: float) -> tuple[float, float]:
    """Return the share of draws of which something is said, and in how many of these the truth is inside."""
    known = ~np.isnan(found.estimate)
    inside = (found.low[known] <= true) & (true <= found.high[known])
    return float(known.mean()), float(inside.mean())


def _one(
    what: Derived, values: list[float], error: float, bins: tuple[Bin, ...]
) -> tuple[float, float, float]:
    found = derive(what, np.array(values, dtype=np.float64)[None, None, :], np.array([error]), bins)
    return float(found.estimate[0, 0]), float(found.low[0, 0]), float(found.high[0, 0])


def _true_quantile(counts: list[float], q: float) -> float:
    edges = [each.low for each in KM]
    edges.append(edges[-1])
    return float(np.interp(q * sum(counts), np.concatenate([[0], np.cumsum(counts)]), edges))


SHAPES = {
    "broad": [5, 8, 20, 30, 20, 10, 4, 2, 1],
    "short": [70, 20, 5, 3, 1, 1, 0, 0, 0],
    "apart": [40, 10, 0, 0, 0, 0, 0, 20, 30],
    "long": [0, 0, 0, 0, 5, 10, 20, 55, 10],
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("q", [0.25, 0.5, 0.6])
@pytest.mark.parametrize("size", [25, 100, 2000])
def test_intervals_of_quantiles_cover_95_percent(shape: str, q: float, size: int) -> None:
    counts = [size * each / 100 for each in SHAPES[shape]]
    found = _drawn(Quantile("q", q), counts, 1.0, KM)
    known, inside = _coverage(found, _true_quantile(counts, q))
    assert known > 0.99
    at_a_gap = shape == "apart" and q == 0.5  # every number of the gap has half below it
    assert 0.93 <= inside <= (1 if at_a_gap else 0.975)


@pytest.mark.parametrize("shape", SHAPES)
def test_estimates_of_quantiles_lie_in_their_intervals_and_in_order(shape: str) -> None:
    counts = [12 * each / 100 for each in SHAPES[shape]]
    quartiles = [_drawn(Quantile("q", q), counts, 1.0, KM) for q in (0.25, 0.5, 0.75)]
    known = ~np.isnan(quartiles[0].estimate)
    assert 0.2 < known.mean() < 0.9
    for found in quartiles:
        assert (found.low[known] <= found.estimate[known]).all()
        assert (found.estimate[known] <= found.high[known]).all()
    for one, other in ((0, 1), (1, 2)):
        assert (quartiles[one].estimate[known] <= quartiles[other].estimate[known]).all()


@pytest.mark.parametrize("q", [0.1, 0.25, 0.5, 0.75, 0.9])
def test_without_noise_a_quantile_is_that_of_the_histogram(q: float) -> None:
    for counts in SHAPES.values():
        estimate, low, high = _one(Quantile("q", q), [float(n) for n in counts], 1e-9, KM)
        if q * 100 not in np.cumsum(counts):  # within a gap, where any number is one
            assert estimate == pytest.approx(_true_quantile([float(n) for n in counts], q))
        assert low == pytest.approx(high, abs=1e-6) or q * 100 in np.cumsum(counts)


def test_the_interval_of_a_quantile_is_woodruff_s_by_brute_force() -> None:
    """All x at which the noisy number below x, less q of all, is within 1.96 of its own standard errors."""
    values, q, error = np.array([30.0, 80, 120, 60, 40, 20, 9, 5, 2]), 0.4, 3.0
    places = np.linspace(0, 8, 80_001)[:-1]
    whole, share = places.astype(int), places % 1
    weights = np.where(np.arange(9) < whole[:, None], 1.0, 0) - q
    weights[np.arange(len(places)), whole] += share
    inside = np.abs(weights @ values) <= Z95 * error * np.sqrt((weights**2).sum(axis=1))
    edges = np.array([each.low for each in KM])
    x = edges[whole] + share * np.diff(edges)[whole]
    estimate, low, high = _one(Quantile("q", q), values.tolist(), error, KM)
    assert (low, high) == pytest.approx((x[inside].min(), x[inside].max()), rel=0.01)
    assert low < estimate < high


def test_a_cumulated_histogram_that_falls_has_a_quantile_all_the_same() -> None:
    estimate, low, high = _one(Quantile("median", 0.5), [40, 12, -8, 6, 40, -3, 2, 1, -2], 3.0, KM)
    assert low <= estimate <= high
    assert 1 <= estimate <= 20
    # the fall makes the interval wider, never narrower: its ends are the first and the last crossing
    assert low <= 2
    assert high >= 10


def test_what_lies_in_an_open_last_bin_is_its_edge() -> None:
    assert _one(Quantile("p75", 0.75), [1, 0, 0, 0, 0, 0, 0, 0, 99], 0.01, KM) == (200, 200, 200)
    estimate, low, high = _one(Quantile("p25", 0.25), [0, 0, 0, 0, 0, 0, 0, 26, 74], 1.0, KM)
    assert 100 < low < estimate < high == 200
    closed = histogram(0, 10, 20, unit="min", closed=True)
    assert _one(Quantile("p75", 0.75), [0, 100], 1e-9, closed)[0] == pytest.approx(17.5)


@pytest.mark.parametrize(
    ("total", "known"), [(-50.0, False), (0.0, False), (3.9 * 3, False), (3.95 * 3, True)]
)
def test_a_total_that_may_be_noise_has_no_quantile(total: float, known: bool) -> None:
    """Nine bins, each with an error of 1: the total has one of 3."""
    found = _one(Quantile("median", 0.5), [total / 9] * 9, 1.0, KM)
    assert [math.isnan(each) for each in found] == [not known] * 3


@pytest.mark.parametrize("size", [10, 100, 3000])
@pytest.mark.parametrize(
    ("numerators", "denominators"),
    [(("a",), ("b",)), (("a",), ("a", "b", "c")), (("a", "c"), ("b", "c")), (("a", "b"), ("b",))],
)
def test_intervals_of_ratios_cover_95_percent(
    size: int, numerators: tuple[str, ...], denominators: tuple[str, ...]
) -> None:
    """Bins of their own, a share of all, and bins that stand above and below."""
    truth = {"a": 0.6 * size, "b": 0.8 * size, "c": 0.5 * size}
    found = _drawn(Ratio("r", numerators, denominators), list(truth.values()), 1.0, PARTS)
    true = sum(truth[n] for n in numerators) / sum(truth[n] for n in denominators)
    known, inside = _coverage(found, true)
    assert known > 0.99
    assert 0.93 <= inside <= 0.97
    assert float(np.nanmedian(found.estimate)) == pytest.approx(true, rel=0.03)


@pytest.mark.parametrize("number", [10.0, 400.0])
def test_means_of_stacked_vectors_cover_95_percent(number: float) -> None:
    """A sum in parts of 0.24 and a number in hundredths: each with the noise of its own unit."""
    found = _drawn(Ratio("mean", ("sum",), ("number",)), [5 * number, number], 100.0, MEAN)
    known, inside = _coverage(found, 5.0)
    assert known > 0.99
    assert 0.93 <= inside <= 0.97


def test_the_interval_of_a_ratio_is_fieller_s_by_brute_force() -> None:
    """All t with (a - t b)^2 <= 1.96^2 var(a - t b), from the weights of each bin."""
    values, error = [40.0, 70.0, 25.0], 4.0
    t = np.linspace(0, 4, 400_001)
    weights = np.stack([np.ones_like(t), -t, 1 - t], axis=1)  # (a + c) / (b + c)
    inside = (weights @ np.array(values)) ** 2 <= Z95**2 * error**2 * (weights**2).sum(axis=1)
    estimate, low, high = _one(Ratio("r", ("a", "c"), ("b", "c")), values, error, PARTS)
    assert estimate == pytest.approx(65 / 95)
    assert (low, high) == pytest.approx((t[inside].min(), t[inside].max()), abs=1e-4)


def test_a_share_of_itself_is_one_with_certainty() -> None:
    everything = ("a", "b", "c")
    assert _one(Ratio("r", everything, everything), [31.7, 20.3, 11.1], 1.3, PARTS) == pytest.approx(
        (1, 1, 1)
    )


@pytest.mark.parametrize(("below", "known"), [(-9.0, False), (0.0, False), (3.9, False), (3.95, True)])
def test_a_denominator_that_may_be_noise_has_no_ratio(below: float, known: bool) -> None:
    found = _one(Ratio("r", ("a",), ("b",)), [5.0, below, 0.0], 1.0, PARTS)
    assert [math.isnan(each) for each in found] == [not known] * 3


def test_ratios_are_not_negative() -> None:
    assert _one(Ratio("r", ("a",), ("b",)), [-20.0, 100.0, 0.0], 1.0, PARTS) == (0, 0, 0)


def test_shares_are_at_most_one_and_other_ratios_may_be_more() -> None:
    assert _one(Ratio("r", ("a",), ("a", "b")), [100.0, -20.0, 0.0], 1.0, PARTS) == (1, 1, 1)
    estimate, low, high = _one(Ratio("r", ("a",), ("a", "b")), [99.0, 1.0, 0.0], 1.0, PARTS)
    assert estimate == pytest.approx(0.99)
    assert low < estimate < high == 1
    assert _one(Ratio("r", ("a",), ("b",)), [100.0, 50.0, 0.0], 1.0, PARTS)[0] == 2


def test_a_ratio_of_bins_that_are_not_there_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        _one(Ratio("r", ("z",), ("b",)), [1.0, 1.0, 1.0], 1.0, PARTS)


def test_each_node_has_its_own_error() -> None:
    values = np.tile([50.0, 100.0, 0.0], (2, 3, 1))
    found = derive(Ratio("r", ("a",), ("b",)), values, np.array([1.0, 4.0]), PARTS)
    assert found.estimate.shape == (2, 3)
    width = found.high - found.low
    np.testing.assert_allclose(width[1] / width[0], 4, rtol=0.05)
