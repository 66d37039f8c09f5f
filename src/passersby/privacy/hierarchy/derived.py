"""Ratios and quantiles of a node's released bins: functions of noisy numbers only.

The noise of the bins of one node and bucket of time is independent and of one variance (before a bin's
factor), so that intervals follow from it alone:

- a ratio a / b has Fieller's interval (Fieller 1954, "Some Problems in Interval Estimation"): all t for which
  a - t * b is within 1.96 of its standard errors of 0. Estimate and interval are cut at 0 and, where a is a
  part of b, at 1, which the true ratio does not pass: that lowers no interval's coverage;
- a quantile q of a histogram has Woodruff's (1952): from the first to the last x for which the noisy number
  below x is within 1.96 standard errors of q times the total. Noise can make the cumulated histogram fall:
  the estimate is read from the mean of its running maximum from below and its running minimum from above.
  What lies in an open last bin counts as the bin's edge, in the interval too.

Where b, or the total, is less than 3.92 of its standard errors (narrower than its own interval), nothing can
be said and the row is suppressed. That is decided by the row's own noise: intervals of rows near this limit
cover less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from passersby.model.bins import Bin, Derived, Quantile, Ratio

Floats = npt.NDArray[np.float64]

Z95 = 1.96
"""Half width of a 95% interval in standard errors."""

_FINER = 4
"""Parts of a bin at which a quantile's standard error is taken: it is smallest within bins."""


class Interval(NamedTuple):
    """Estimates with 95% intervals, shape (nodes, buckets); NaN where nothing can be said."""

    estimate: Floats
    low: Floats
    high: Floats


def derive(what: Derived, values: Floats, error: Floats, bins: Sequence[Bin]) -> Interval:
    """Return a derived statistic of each node and bucket of time.

    Args:
        what: a ratio or a quantile.
        values: released estimates, shape (nodes, buckets, bins), in units of the quantity.
        error: standard error of each node's counted integers, shape (nodes,).
        bins: as the measure defines them.

    Raises:
        KeyError: a ratio names a bin that is not there (a mistake in a measure).
    """
    if isinstance(what, Ratio):
        return _ratio(what, values, error, bins)
    return _quantile(what, values, error, bins)


def _ratio(what: Ratio, values: Floats, error: Floats, bins: Sequence[Bin]) -> Interval:
    place = {each.label: i for i, each in enumerate(bins)}
    above, below = np.zeros(len(bins)), np.zeros(len(bins))
    above[[place[label] for label in what.numerators]] = 1
    below[[place[label] for label in what.denominators]] = 1
    factors = np.array([each.factor for each in bins])
    spread = (error**2)[:, None] * (factors**2)  # variance of each bin, shape (nodes, bins)
    var_a, var_b, both = ((spread @ weight)[:, None] for weight in (above, below, above * below))
    found = fieller(values @ above, values @ below, var_a, var_b, both)
    share = set(what.numerators) <= set(what.denominators)
    return Interval(*(np.minimum(part, 1) for part in found)) if share else found


def fieller(a: Floats, b: Floats, var_a: Floats, var_b: Floats, both: Floats | float = 0.0) -> Interval:
    """Return the ratio a / b, at least 0; NaN where b is not clearly above 0.

    Args:
        a: numerators.
        b: denominators.
        var_a: their variances.
        var_b: those of the denominators.
        both: covariances.
    """
    square = b**2 - Z95**2 * var_b
    middle = a * b - Z95**2 * both
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.sqrt(np.maximum(0, middle**2 - square * (a**2 - Z95**2 * var_a)))
        found = (a / b, (middle - reach) / square, (middle + reach) / square)
    known = b > 2 * Z95 * np.sqrt(var_b)
    return Interval(*(np.where(known, np.maximum(0, part), np.nan) for part in found))


def _quantile(what: Quantile, values: Floats, error: Floats, bins: Sequence[Bin]) -> Interval:
    count = values.shape[2]
    total = values.sum(axis=2, keepdims=True)
    edges = np.array([each.low for each in bins] + [bins[-1].high])
    if math.isinf(edges[-1]):
        edges[-1] = edges[-2]
    step = np.arange(_FINER * count + 1) / _FINER
    whole = np.minimum(step.astype(np.intp), count - 1)
    share = step - whole
    below = np.concatenate([np.zeros_like(total), np.cumsum(values, axis=2)], axis=2)[:, :, whole]
    excess = below + share * values[:, :, whole] - what.q * total
    # (1 - q) times the whole bins below, a share of one bin less q, and -q times the bins above
    spread = (1 - what.q) ** 2 * whole + (share - what.q) ** 2 + what.q**2 * (count - 1 - whole)
    reach = Z95 * error[:, None, None] * np.sqrt(spread)
    curves = (
        (_from_below(excess) + _from_above(excess)) / 2,
        _from_below(excess + reach),
        _from_above(excess - reach),
    )
    where = edges[whole] + share * np.diff(edges)[whole]
    known = total[:, :, 0] > 2 * Z95 * error[:, None] * math.sqrt(count)
    return Interval(*(np.where(known, _crossing(where, curve), np.nan) for curve in curves))


def _from_below(curve: Floats) -> Floats:
    rising: Floats = np.maximum.accumulate(curve, axis=2)
    return rising


def _from_above(curve: Floats) -> Floats:
    rising: Floats = np.minimum.accumulate(curve[:, :, ::-1], axis=2)[:, :, ::-1]
    return rising


def _crossing(where: Floats, rising: Floats) -> Floats:
    """Return where a rising curve (nodes, buckets, places) first reaches 0, linear between places."""
    reached = rising >= 0
    last = np.where(reached.any(axis=2), reached.argmax(axis=2), len(where) - 1)
    first = np.maximum(last - 1, 0)
    here, there = (np.take_along_axis(rising, i[:, :, None], axis=2)[:, :, 0] for i in (first, last))
    step = there - here
    share = np.where(step > 0, np.clip(-here / np.where(step > 0, step, 1), 0, 1), 1)
    found: Floats = where[first] + np.where(last == 0, 0, share) * (where[last] - where[first])
    return found
