"""Overnight and same-day visits outside the usual environment, by the pair of home and visited cell.

Tourism begins where the usual environment ends (International Recommendations for Tourism Statistics 2008,
chapter 2), and what is usual is left to who measures. Here it is, in cells of resolution 6, the home (as
in `measures.residents`) and every cell that is visited "on average once a week or more often", the criterion
of Commission Decision 1999/35/EC: one in which the device was seen on at least as many days as the question
has weeks, and in more than half of these weeks, so that one long holiday does not become usual.

- A night (19:00 to 06:59) that began in the question is spent in the cell of most of its hours, ties to the
  lowest cell. Outside the usual environment it is an overnight visit of that cell.
- A day with hours outside the usual environment, that neither follows nor precedes a night of the first kind,
  is a same-day visit of the cell of most of these hours.

So a device makes at most one visit a day of each kind; all may be of one pair, above all at coarse levels: C2
is the square of the number of days. Nothing is clipped. Both ends must lie in the area.

Limits: the vicinity of the home is usual too, wherever it ends; cells know no distance. The diagonal at
resolution 5 or 4 holds visits within the home's own coarse cell: leave it out where they are not meant. Who
stays away for more than half of the weeks makes it usual. Hours on the way count as visits.
"""

from __future__ import annotations

from passersby.measures._homes import (
    at_night_sql,
    homes_sql,
    most_days_sql,
    night_sql,
    one_a_day,
    pairs_sql,
)
from passersby.measures.base import HOME_RESOLUTION, Measure, Scope
from passersby.model.cells import parent_sql
from passersby.model.period import DAY
from passersby.model.question import WHOLE

_SQL = """
WITH {homes},
seen AS (
  SELECT device, hour, {cell} AS cell, {day} AS day, {night} AS night, {week} AS week
  FROM presence
  WHERE {where}
),
usual AS (
  SELECT device, cell FROM homes
  UNION
  SELECT device, cell
  FROM seen
  GROUP BY device, cell
  HAVING COUNT(DISTINCT day) >= {weeks} AND 2 * COUNT(DISTINCT week) > {weeks}
),
{nights},
overnight AS (
  SELECT nights.device AS device, nights.night AS night, nights.cell AS cell
  FROM nights
  ANTI JOIN usual ON nights.device = usual.device AND nights.cell = usual.cell
)"""

_NIGHT_HOURS = """
SELECT device, night, cell, hour AS day
FROM seen
WHERE night >= {first} AND {at_night}
"""

_SAME_DAY_SQL = """,
outside AS (
  SELECT seen.device AS device, seen.day AS day, seen.cell AS cell, seen.hour AS hour
  FROM seen
  ANTI JOIN usual ON seen.device = usual.device AND seen.cell = usual.cell
),
{outings},
travelled AS (
  SELECT device, night AS date FROM overnight
  UNION
  SELECT device, night + {a_day} AS date FROM overnight
),
same_day AS (
  SELECT outings.device AS device, outings.cell AS cell
  FROM outings
  ANTI JOIN travelled ON outings.device = travelled.device AND outings.date = travelled.date
)"""


def _environment(scope: Scope) -> str:
    """Return the expressions `usual(device, cell)` and `overnight(device, night, cell)`."""
    hours = _NIGHT_HOURS.format(first=scope.span.start, at_night=at_night_sql(scope, "hour"))
    return _SQL.format(
        homes=homes_sql(scope),
        cell=parent_sql("cell", HOME_RESOLUTION),
        day=scope.day_sql("hour"),
        night=night_sql(scope, "hour"),
        week=scope.period_sql("hour"),
        where=scope.where_sql("hour"),
        weeks=len(scope.span.periods(scope.offset)),
        nights=most_days_sql("nights", hours, "device, night"),
    ).strip()


def _overnight(scope: Scope, resolution: int) -> str:
    return f"{_environment(scope)}\n{pairs_sql(scope, resolution, 'homes', 'overnight')}"


def _same_day(scope: Scope, resolution: int) -> str:
    hours = "SELECT device, day AS date, cell, hour AS day FROM outside"
    outings = most_days_sql("outings", hours, "device, date")
    visits = _SAME_DAY_SQL.format(outings=outings, a_day=DAY)
    return f"{_environment(scope)}{visits}\n{pairs_sql(scope, resolution, 'homes', 'same_day')}"


_SOURCE = (
    "UN & UNWTO, International Recommendations for Tourism Statistics 2008, chapter 2: usual environment, "
    "overnight and same-day visitors; Commission Decision 1999/35/EC, annex I, 2.1: places visited on "
    "average once a week or more often are usual"
)

OVERNIGHT_VISITS = Measure(
    name="overnight-visits",
    unit="device-nights",
    definition="Number of (device, night) pairs of devices whose home (as for `residents`) lies in the "
    "origin and that spent most hours of the night in the destination, outside their usual environment.",
    source=_SOURCE,
    version=1,
    additive=False,
    grains=(WHOLE,),
    tables=("presence",),
    rows=_overnight,
    bound=one_a_day,
    pairs=True,
    joint=True,
    finest=HOME_RESOLUTION,
    filtered=False,
    least_weeks=2,
)

SAME_DAY_VISITS = Measure(
    name="same-day-visits",
    unit="device-days",
    definition="Number of (device, day) pairs of devices whose home (as for `residents`) lies in the origin "
    "and whose hours outside their usual environment were mostly in the destination, on days without an "
    "overnight visit before or after.",
    source=_SOURCE,
    version=1,
    additive=False,
    grains=(WHOLE,),
    tables=("presence",),
    rows=_same_day,
    bound=one_a_day,
    pairs=True,
    joint=True,
    finest=HOME_RESOLUTION,
    filtered=False,
    least_weeks=2,
)
