"""When a cell is used: device-hours by hour of the day, by day of the week, by day and night.

Contributions are those of `measures.presence`, one for each device and hour in its one dominant cell, with a
bin that the clock gives: they add up over cells. At most one contribution an hour means that a device-period
is largest if it is in one cell in every hour that is read. The bound is that sum of squares, bin by bin and
bucket by bucket: nothing is clipped, and a device that stays reaches it.

Hours and days are local ones at the deployment's one offset; there is no daylight saving in them.

Day and night are 07:00-18:59 and 19:00-06:59, both of 12 hours, so that the ratio of device-hours is that of
average presence; a filter that leaves out hours of one of them undoes this. With every day, a night is the
early and the late hours of one date.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from passersby.measures.base import Measure, Scope
from passersby.measures.presence import device_hours
from passersby.model.bins import Bin, Ratio
from passersby.model.period import DAY, HOUR, Period
from passersby.model.question import FILTERS, WHOLE

_DAY_BEGINS, _DAY_ENDS = 7 * HOUR, 19 * HOUR
_GUIDE = "UN-CEBD, Methodological Guide on the Use of Mobile Phone Data: Dynamic Population Mapping"


def of_one_who_stays(scope: Scope, number: Callable[[int], int]) -> int:
    """Return the sum of squares of a device that is in one cell in every hour read, in the fullest period.

    Args:
        scope: of the question.
        number: gives the bin of an hour (epoch s).
    """
    keys = Counter(
        (Period.containing(t, scope.offset), scope.bucket_of(t), number(t)) for t in scope.selected
    )
    squares: Counter[Period] = Counter()
    for (period, *_), hours in keys.items():
        squares[period] += hours * hours
    return max(squares.values(), default=0)


def _hour_sql(scope: Scope) -> str:
    return f"CAST(FLOOR((hour - {scope.day_sql('hour')}) / {HOUR}) AS BIGINT)"


def _weekday_sql(scope: Scope) -> str:
    return f"CAST(FLOOR((hour - {scope.period_sql('hour')}) / {DAY}) AS BIGINT)"


def _night_sql(scope: Scope) -> str:
    time = f"hour - {scope.day_sql('hour')}"
    by_day = f"{time} >= {_DAY_BEGINS} AND {time} < {_DAY_ENDS}"
    return f"CAST(CASE WHEN {by_day} THEN 0 ELSE 1 END AS BIGINT)"


def _time_of_day(scope: Scope, hour: int) -> int:
    return (hour + scope.offset) % DAY


def _weekday(scope: Scope, hour: int) -> int:
    return (hour - Period.containing(hour, scope.offset).span(scope.offset).start) // DAY


HOUR_PROFILE = Measure(
    name="hour-profile",
    unit="device-hours",
    definition="Number of (device, hour) pairs whose dominant cell lies in the cell, by hour of the day.",
    source=_GUIDE,
    version=1,
    additive=True,
    grains=("week", WHOLE),
    tables=("presence",),
    rows=lambda scope, resolution: device_hours(scope, resolution, number=_hour_sql(scope)),
    bound=lambda scope: of_one_who_stays(scope, lambda hour: _time_of_day(scope, hour) // HOUR),
    bins=tuple(Bin(f"{hour:02d}:00", hour, hour + 1) for hour in range(24)),
)

WEEKDAY_PROFILE = Measure(
    name="weekday-profile",
    unit="device-hours",
    definition="Number of (device, hour) pairs whose dominant cell lies in the cell, by day of the week.",
    source=_GUIDE,
    version=1,
    additive=True,
    grains=("week", WHOLE),
    tables=("presence",),
    rows=lambda scope, resolution: device_hours(scope, resolution, number=_weekday_sql(scope)),
    bound=lambda scope: of_one_who_stays(scope, lambda hour: _weekday(scope, hour)),
    bins=tuple(Bin(name, day, day + 1) for day, name in enumerate(FILTERS["weekday"])),
)

DAY_NIGHT_RATIO = Measure(
    name="day-night-ratio",
    unit="device-hours",
    definition="Number of (device, hour) pairs whose dominant cell lies in the cell, by day (07:00-18:59) "
    "and by night (19:00-06:59), and the first over the second.",
    source="Flowminder (2020), CDR mobility indicators for COVID-19: ratio of day to night presence; there "
    "of subscribers, here of device-hours",
    version=1,
    additive=True,
    grains=("day", "week", WHOLE),
    tables=("presence",),
    rows=lambda scope, resolution: device_hours(scope, resolution, number=_night_sql(scope)),
    bound=lambda scope: of_one_who_stays(
        scope, lambda hour: int(_DAY_BEGINS <= _time_of_day(scope, hour) < _DAY_ENDS)
    ),
    bins=(Bin("day"), Bin("night")),
    derived=(Ratio("day-night", ("day",), ("night",)),),
)
