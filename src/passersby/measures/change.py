"""Change: device-hours in the second half of a question's weeks, beside those in the first half.

Of n weeks the first n/2 are the baseline and the last n/2 are current, rounded down: the middle week of an
odd number is in neither. Both halves are whole weeks, so that weekdays and hours are the same; holidays and
seasons are not.

Contributions are those of `measures.presence`. All that a period contributes is in one bin, which depends on
the period alone: nothing is joined. The bound is that of a device in one cell in every hour of a week, H^2.
No number holds more than n/2 weeks, so that noise is made for as many.

The ratio compares device-hours of the panel. Where the panel grows or shrinks, or devices send more often, it
changes without anybody moving: divide it by the ratio of the totals over a larger area, as
`passersby release compare` does for two releases.
"""

from __future__ import annotations

from passersby.measures.base import Measure, Scope
from passersby.measures.presence import device_hours
from passersby.measures.profiles import of_one_who_stays
from passersby.model.bins import Bin, Ratio
from passersby.model.period import WEEK
from passersby.model.question import WHOLE


def _rows(scope: Scope, resolution: int) -> str:
    half = len(scope.span.periods(scope.offset)) // 2 * WEEK
    baseline, current = (
        f"hour < {scope.span.start + half}",
        f"hour >= {scope.span.end - half}",
    )
    return device_hours(
        scope,
        resolution,
        number=f"CAST(CASE WHEN {baseline} THEN 0 ELSE 1 END AS BIGINT)",
        where=f"({baseline} OR {current})",
    )


CHANGE = Measure(
    name="change",
    unit="device-hours",
    definition="Number of (device, hour) pairs whose dominant cell lies in the cell, in the first half of "
    "the weeks and in the second, and the second over the first.",
    source="Flowminder (2020), CDR mobility indicators for COVID-19: presence, as a change relative to a "
    "baseline",
    version=1,
    additive=True,
    grains=(WHOLE,),
    tables=("presence",),
    rows=_rows,
    bound=lambda scope: of_one_who_stays(scope, lambda _hour: 0),
    sharing=lambda scope: scope.sharing // 2,
    bins=(Bin("baseline"), Bin("current")),
    derived=(Ratio("change", ("current",), ("baseline",)),),
    least_weeks=2,
)
