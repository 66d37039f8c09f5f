"""Calendar activity: device-weeks by the number of days on which the device was seen, and of what kind.

Of the 127 patterns of days that a week can have, too many for counts that mean something, two things are
kept: how many days there were, and whether a Saturday or Sunday was among them. A panel that is seen on
working days only looks like one that sleeps elsewhere; one that is seen on one day a week shows no homes.

A device-week is one row, in the device's modal cell of the week (`measures._modal`) and in one bin: the sum
of squares is at most 1, whatever is asked. Nothing is clipped. Of a week that the question cuts, the days
that it reads are counted.
"""

from __future__ import annotations

from passersby.measures._modal import one_row
from passersby.measures.base import HOME_RESOLUTION, Measure, Scope, each_bucket
from passersby.model.bins import Bin, Ratio
from passersby.model.period import DAY
from passersby.model.question import WHOLE

_WORKING_DAYS = 5
_BINS = (
    *(Bin(f"{days} d without weekend", days, days + 1) for days in range(1, _WORKING_DAYS + 1)),
    *(Bin(f"{days} d with weekend", days, days + 1) for days in range(1, 8)),
)
_LABELS = tuple(each.label for each in _BINS)


def _rows(scope: Scope, resolution: int) -> str:
    day = f"({scope.day_sql('hour')} - part)"
    weekend = f"MAX(CASE WHEN {day} >= {_WORKING_DAYS * DAY} THEN {_WORKING_DAYS} ELSE 0 END)"
    return one_row(
        scope,
        resolution,
        part=scope.period_sql("hour"),
        number=f"CAST(COUNT(DISTINCT {day}) - 1 + {weekend} AS BIGINT)",
    )


CALENDAR_ACTIVITY = Measure(
    name="calendar-activity",
    unit="device-weeks",
    definition="Number of (device, week) pairs by the number of local days on which the device was seen and "
    "by whether a Saturday or Sunday was among them, in the cell where it was in most hours.",
    source="FlowKit 1.34: calendar activity",
    version=1,
    additive=True,
    grains=("week", WHOLE),
    tables=("presence",),
    rows=_rows,
    bound=lambda _scope: 1,
    floor=each_bucket,
    bins=_BINS,
    derived=(
        Ratio("share of 5+ d", (_LABELS[4], *_LABELS[9:]), _LABELS),
        Ratio("share with weekend", _LABELS[_WORKING_DAYS:], _LABELS),
    ),
    finest=HOME_RESOLUTION,
    filtered=False,
)
