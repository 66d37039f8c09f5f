"""Reference locations as text: common table expressions that stand within one measure's statement.

Home is the cell in which a device was seen on most nights of a span, work the one in which it was seen on
most working days, both at `HOME_RESOLUTION`. Ties go to the cell with more of these hours, then to the lowest
one. One night or working day is enough: a device has a home if it was seen in any night hour.

The result of such an expression lives as long as its statement. No table, view, file, cache or function
holds one, and none may: a list of homes would follow people.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from passersby.measures.base import HOME_RESOLUTION, Scope
from passersby.model.cells import parent_sql
from passersby.model.period import DAY, HOUR, WEEK, Span, day_start

_MOST_CELLS = 25
"""Distinct cells that a device visits in a week and that are counted in full.

People have about 25 familiar places at any time (Alessandretti et al. 2018, "Evidence for a conserved
quantity in human mobility", Nature Human Behaviour 2). Here as many cells, of some 36 square kilometres each,
are allowed for every week.
"""

CLIPS_CELLS = f"a device that is seen in more than {_MOST_CELLS} distinct cells a week counts in part"

_MORNING = 7 * HOUR
"""A night ends at 07:00 and began at 19:00: local time less this has a day's second half for each night."""

_WORK = (9 * HOUR, 17 * HOUR)
_WORKING_DAYS = 5 * DAY
_MONDAY = 4 * DAY
"""1970-01-01 was a Thursday."""

_SEEN = """
SELECT {columns}, {cell} AS cell, {day} AS day
FROM presence
WHERE {where} AND {when}
"""

_MOST_DAYS = """
{name} AS (
  SELECT {of}, cell
  FROM (
    SELECT {of}, cell,
      ROW_NUMBER() OVER (PARTITION BY {of} ORDER BY days DESC, hours DESC, cell) AS place
    FROM (
      SELECT {of}, cell, COUNT(DISTINCT day) AS days, COUNT(*) AS hours
      FROM (
{seen}
      ) AS seen
      GROUP BY {of}, cell
    ) AS counted
  ) AS ranked
  WHERE place = 1
)
"""

_PAIRED = """
SELECT device, {whole} AS period, origin, destination, {whole} AS start, CAST(1 AS BIGINT) AS value
FROM (
  SELECT {origins}.device AS device, {origin} AS origin, {destination} AS destination,
    {asked_origin} AS asked_origin, {asked_destination} AS asked_destination
  FROM {origins}
  JOIN {destinations} ON {origins}.device = {destinations}.device
) AS paired
SEMI JOIN area AS here ON paired.asked_origin = here.cell
SEMI JOIN area AS there ON paired.asked_destination = there.cell
"""


def homes_sql(scope: Scope, name: str = "homes", *, by_bucket: bool = False) -> str:
    """Return the expression `name(device, cell)`: the home of each device over the scope's span.

    A night is the day on which it began; the span's first and last night may be cut by it. With `by_bucket`
    it is `name(device, start, cell)`: the home in each bucket of time, which cuts nights too.
    """
    return _most_days(
        scope, name, day=night_sql(scope, "hour"), when=at_night_sql(scope, "hour"), by_bucket=by_bucket
    )


def works_sql(scope: Scope, name: str = "works") -> str:
    """Return the expression `name(device, cell)`: the place of work of each device over the scope's span."""
    local = _local(scope, "hour")
    first, last = _WORK
    hours = f"{local} % {DAY} >= {first} AND {local} % {DAY} < {last}"
    working = f"({local} - {_MONDAY}) % {WEEK} < {_WORKING_DAYS}"
    return _most_days(scope, name, day=scope.day_sql("hour"), when=f"{working} AND {hours}")


def night_sql(scope: Scope, hour: str) -> str:
    """Return SQL for the first instant of the day on which the night of an hour began."""
    return scope.day_sql(f"({hour} - {_MORNING})")


def at_night_sql(scope: Scope, hour: str) -> str:
    """Return the SQL condition that an hour lies in a night."""
    return f"({_local(scope, hour)} - {_MORNING}) % {DAY} >= {DAY // 2}"


def halves(scope: Scope) -> tuple[Scope, Scope]:
    """Return the scope before and after the start of the week in the middle, the first half never the longer.

    In a question of one week the first half is empty.
    """
    span, weeks = scope.span, scope.span.periods(scope.offset)
    middle = max(span.start, weeks[len(weeks) // 2].span(scope.offset).start)
    first, second = Span(span.start, middle), Span(middle, span.end)
    return replace(scope, span=first), replace(scope, span=second)


def _most_days(scope: Scope, name: str, *, day: str, when: str, by_bucket: bool = False) -> str:
    start = f", {scope.bucket_sql('hour')} AS start" if by_bucket else ""
    seen = _SEEN.format(
        columns=f"device{start}",
        cell=parent_sql("cell", HOME_RESOLUTION),
        day=day,
        where=scope.where_sql("hour"),
        when=when,
    )
    return most_days_sql(name, seen, "device, start" if by_bucket else "device")


def most_days_sql(name: str, seen: str, of: str = "device") -> str:
    """Return the expression `name(of, cell)`: the cell with most days in rows (of, cell, day) of `seen`.

    Days may be other units of time too.
    """
    indented = "\n".join(f"        {line}" for line in seen.strip().splitlines())
    return _MOST_DAYS.format(name=name, of=of, seen=indented).strip()


def pairs_sql(scope: Scope, resolution: int, origins: str, destinations: str) -> str:
    """Return a row for each device that is in both expressions (device, cell): its pair of cells."""
    ends = {"origin": f"{origins}.cell", "destination": f"{destinations}.cell"}
    return _PAIRED.format(
        whole=scope.whole_sql,
        origins=origins,
        destinations=destinations,
        **{name: parent_sql(end, resolution, of=HOME_RESOLUTION) for name, end in ends.items()},
        **{
            f"asked_{name}": parent_sql(end, scope.resolution, of=HOME_RESOLUTION)
            for name, end in ends.items()
        },
    ).strip()


def most_cells(scope: Scope) -> int:
    """Return how many distinct cells of a device are counted in full, over all weeks of the question."""
    return min(len(scope.selected), _MOST_CELLS * len(scope.span.periods(scope.offset)))


def one_a_day(scope: Scope) -> int:
    """Return the bound on one row for each day of the question: all days of a bucket may be in one bin."""
    starts = (day_start(day, scope.offset) for day in scope.span.days(scope.offset))
    return sum(days * days for days in Counter(map(scope.bucket_of, starts)).values())


def _local(scope: Scope, hour: str) -> str:
    return f"(CAST({hour} AS BIGINT) + {scope.offset})"
