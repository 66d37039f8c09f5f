"""Coverage: device-days by the number of hours in which the device was seen, a mark of the sample's quality.

Measures of presence count a device only in hours in which it sends: where devices are seen in few hours of
a day, device-hours are far below the time that people spend, and homes, stays and "did not move" are weak.
The median and the share of days with twelve hours and more come from the released histogram.

A device-day is one row, in the device's modal cell of the day (`measures._modal`) and in one bin. Over the D
days of a period, of which g fall in one bucket of the answer, a device has at most D rows and g of them in
one key: the sum of squares is at most D * g, reached by a device whose days are all alike. Nothing is
clipped.

There is no mean beside the histogram: a sum of up to 24 hours would make the noise of all bins larger.
"""

from __future__ import annotations

from passersby.measures._modal import one_row
from passersby.measures.base import HOME_RESOLUTION, Measure, Scope, device_days, each_bucket
from passersby.model.bins import Bin, Quantile, Ratio, bin_sql
from passersby.model.question import WHOLE

_BINS = (
    Bin("1-2 h", 1, 3),
    Bin("3-5 h", 3, 6),
    Bin("6-11 h", 6, 12),
    Bin("12-17 h", 12, 18),
    Bin("18-23 h", 18, 24),
    Bin("24 h", 24, 25),
)
_LABELS = tuple(each.label for each in _BINS)


def _rows(scope: Scope, resolution: int) -> str:
    return one_row(scope, resolution, part=scope.day_sql("hour"), number=bin_sql("COUNT(*)", _BINS))


COVERAGE = Measure(
    name="coverage",
    unit="device-days",
    definition="Number of (device, local day) pairs by the number of hours in which the device was seen, in "
    "the cell where it was in most of them.",
    source="trackintel 1.4, temporal_tracking_quality: share of time in which a user was tracked, by day",
    version=1,
    additive=True,
    grains=("day", "week", WHOLE),
    tables=("presence",),
    rows=_rows,
    bound=device_days,
    floor=each_bucket,
    bins=_BINS,
    derived=(Quantile("median", 0.5), Ratio("share of 12+ h", _LABELS[3:], _LABELS)),
    finest=HOME_RESOLUTION,
    filtered=False,
)
