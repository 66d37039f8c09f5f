"""Two releases compared: intervals that cover, what is left out, what growth of a panel does."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from passersby.model.bins import ONE_BIN, Bin
from passersby.model.release import SUPPRESSED
from passersby.model.schema import PAIR, PLACE, rows_of
from passersby.privacy.hierarchy.compare import (
    DISTINGUISHABLE,
    NOT_COMPARABLE,
    NOT_DISTINGUISHABLE,
    Comparison,
    compare,
)

Floats = npt.NDArray[np.float64]
BUCKETS = 7
ERROR = 30.0
SUM = (Bin("sum", factor=0.01, counted=False), Bin("count"))


def release(
    truth: Floats,
    rng: np.random.Generator,
    *,
    bins: tuple[Bin, ...] = ONE_BIN,
    buckets: int = BUCKETS,
    hidden: tuple[int, ...] = (),
    error: float = ERROR,
) -> pa.Table:
    """Return rows with noise of one error for truths of shape (cells, bins), the same in each bucket."""
    cells, own = truth.shape
    factors = np.array([each.factor for each in bins])
    estimate = truth[:, None, :] + error * factors * rng.standard_normal((cells, buckets, own))
    reach = 1.96 * error * factors + np.zeros_like(estimate)
    mask = np.zeros(estimate.shape, dtype=bool)
    mask[list(hidden)] = True
    columns: dict[str, Any] = {
        "cell": np.repeat(np.arange(cells), buckets * own),
        "start": np.tile(np.repeat(np.arange(buckets) * 86_400, own), cells),
    }
    if bins != ONE_BIN:
        columns["bin"] = [each.label for each in bins] * (cells * buckets)
    for name, values in (
        ("estimate", estimate),
        ("low", np.maximum(0, estimate - reach)),
        ("high", np.maximum(0, estimate + reach)),
    ):
        columns[name] = pa.array(values.reshape(-1), mask=mask.reshape(-1))
    columns["count"] = pa.nulls(estimate.size, pa.int64())
    columns["flag"] = np.where(mask, SUPPRESSED, "").reshape(-1).tolist()
    return pa.table(columns, schema=rows_of(PLACE, binned=bins != ONE_BIN))


def column(found: Comparison, name: str) -> Floats:
    values: Floats = found.rows[name].to_numpy(zero_copy_only=False)
    return values


def covered(found: Comparison, prefix: str, truth: Floats) -> float:
    low, high = column(found, f"{prefix}low"), column(found, f"{prefix}high")
    return float(np.mean((low <= truth) & (truth <= high)))


@pytest.mark.parametrize("buckets", [1, BUCKETS])
def test_intervals_cover(buckets: int) -> None:
    rng = np.random.default_rng(5)
    before = rng.uniform(200, 5_000, (4_000, 1))
    after = before * rng.uniform(0.5, 1.5, before.shape)
    found = compare(release(before, rng, buckets=buckets), release(after, rng, buckets=buckets), ONE_BIN)
    one, other = before[:, 0] * buckets, after[:, 0] * buckets
    shares = one / one.sum(), other / other.sum()
    for prefix, truth in (
        ("", other - one),
        ("ratio_", other / one),
        ("share_", shares[1] - shares[0]),
        ("share_ratio_", shares[1] / shares[0]),
    ):
        assert 0.935 < covered(found, prefix, truth) < 0.965
    assert found.before == pytest.approx(one.sum(), rel=1e-2)
    assert found.total.low[0] < other.sum() / one.sum() < found.total.high[0]


@pytest.mark.slow
def test_a_large_part_of_the_total_is_covered_too() -> None:
    """A share of 40% and its total have much of their noise in common."""
    rng = np.random.default_rng(6)
    truth = np.array([[4_000.0], [3_000.0], [3_000.0]])
    grown = truth * [[2.0], [1.0], [1.0]]
    inside = np.zeros(3)
    for _ in range(1_500):
        found = compare(release(truth, rng), release(grown, rng), ONE_BIN)
        wanted = (grown / grown.sum() - truth / truth.sum())[:, 0]
        inside += (column(found, "share_low") <= wanted) & (wanted <= column(found, "share_high"))
    assert np.all(np.abs(inside / 1_500 - 0.95) < 0.02)


def test_noise_alone_is_called_distinguishable_one_time_in_twenty() -> None:
    rng = np.random.default_rng(7)
    truth = rng.uniform(200, 5_000, (4_000, 1))
    found = compare(release(truth, rng), release(truth, rng), ONE_BIN)
    for name in ("verdict", "share_verdict"):
        assert found.verdicts(name)[DISTINGUISHABLE] / 4_000 == pytest.approx(0.05, abs=0.012)


def test_growth_of_the_panel_is_no_change_of_shares() -> None:
    rng = np.random.default_rng(8)
    truth = rng.uniform(2_000, 5_000, (2_000, 1))
    found = compare(release(truth, rng), release(truth * 1.3, rng), ONE_BIN)
    assert found.verdicts()[NOT_DISTINGUISHABLE] < 20
    assert found.verdicts("share_verdict")[DISTINGUISHABLE] < 140
    assert found.total.estimate[0] == pytest.approx(1.3, rel=1e-3)


def test_what_one_release_does_not_show_is_not_compared() -> None:
    rng = np.random.default_rng(9)
    truth = np.full((4, 1), 1_000.0)
    found = compare(release(truth, rng, hidden=(1,)), release(truth[:3], rng, hidden=(2,)), ONE_BIN)
    assert found.rows["cell"].to_pylist() == [0, 1, 2, 3]
    assert [v != NOT_COMPARABLE for v in found.rows["verdict"].to_pylist()] == [True, False, False, False]
    assert found.rows["after"].is_null().to_pylist() == [False, False, True, True]
    assert found.rows["difference"].null_count == found.rows["share_ratio"].null_count == 3
    assert found.before == found.rows["before"][0].as_py()


def test_bins_have_the_error_of_their_factor_and_derived_rows_are_left_out() -> None:
    rng = np.random.default_rng(10)
    truth = np.tile([[50.0, 1_000.0]], (3_000, 1))
    one, other = release(truth, rng, bins=SUM), release(truth, rng, bins=SUM)
    derived = one.slice(0, 1).set_column(2, one.schema.field("bin"), pa.array(["mean"]))
    found = compare(pa.concat_tables([one, derived]), other, SUM)
    assert found.rows["bin"].to_pylist() == ["sum", "count"] * 3_000
    assert covered(found, "", np.zeros(6_000)) == pytest.approx(0.95, abs=0.012)
    width = column(found, "high") - column(found, "low")
    assert width[0] == pytest.approx(2 * 1.96 * ERROR * 0.01 * np.sqrt(2 * BUCKETS))
    assert found.before == pytest.approx(3_000 * 1_000 * BUCKETS, rel=1e-2)


def test_an_interval_that_is_cut_at_zero_does_not_change_the_error() -> None:
    """An estimate below minus its own reach: its upper end is cut, the other buckets tell the error."""
    rows = release(np.array([[500.0]]), np.random.default_rng(1), error=10.0)
    low, cut = rows["estimate"].to_pylist(), rows["high"].to_pylist()
    low[0], cut[0] = -100.0, 0.0
    rows = rows.set_column(2, "estimate", pa.array(low)).set_column(4, "high", pa.array(cut))
    found = compare(rows, rows, ONE_BIN)
    assert column(found, "high")[0] == pytest.approx(1.96 * 10 * np.sqrt(2 * BUCKETS))


def test_pairs_are_compared_by_both_ends() -> None:
    rows = release(np.full((4, 1), 1_000.0), np.random.default_rng(2))
    pairs = pa.table(
        {
            "origin": [i // BUCKETS // 2 for i in range(28)],
            "destination": [i // BUCKETS % 2 for i in range(28)],
        }
    )
    for name in rows.schema.names[1:]:
        pairs = pairs.append_column(name, rows[name])
    pairs = pairs.cast(rows_of(PAIR, binned=False))
    found = compare(pairs, pairs, ONE_BIN)
    assert found.rows.select(["origin", "destination"]).to_pylist() == [
        {"origin": i, "destination": j} for i in (0, 1) for j in (0, 1)
    ]
    assert np.all(column(found, "ratio") == 1)


def test_nothing_in_common_is_said_and_no_error() -> None:
    rng = np.random.default_rng(3)
    truth = np.full((1, 1), 1_000.0)
    found = compare(release(truth, rng, hidden=(0,)), release(truth, rng, hidden=(0,)), ONE_BIN)
    assert found.verdicts() == {DISTINGUISHABLE: 0, NOT_DISTINGUISHABLE: 0, NOT_COMPARABLE: 1}
    assert np.isnan(found.total.estimate[0])
