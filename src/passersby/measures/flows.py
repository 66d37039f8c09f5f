"""Flows, outflows and inflows: trips by pair of cells, by their origin, by their destination.

A trip is a move from one stay to the device's next one in another cell of resolution 10, within one period
(`derive.stays`). It counts where both ends lie in the area, in the bucket of the hour in which it departed.
Departure and arrival are when the phone was seen last at one place and first at the next, and either could
tell; travel surveys and the files of trips have the departure, and one rule for all three measures makes
them agree. A trip whose ends lie in one cell of the question's resolution is an internal flow, on the
diagonal of the matrix of origins and destinations. It begins and ends in that cell: outflows are the sums of
the matrix's rows and inflows those of its columns, each trip counts in exactly one cell of either, and their
cells add up.

No definition says how many trips a device can make: stays last ten minutes or more, so that six could depart
in an hour. Surveys find three to four trips a day for a person (McGuckin & Fucci 2018, Summary of Travel
Trends: 2017 National Household Travel Survey). Nearly twice that is counted in full: in some hours of a day
two trips and one more for each four of the hours, so eight on a whole day, and 42 in a week. C2 is the
product of this number for a week and the most trips of one key, since a sum of squares is at most its largest
value times the sum of all. For outflows and inflows, whose bound is taken over the whole area, a key may hold
all trips of a bucket. For flows it may hold one trip, and one more for each day of the bucket: a way that is
gone twice on a day, or eight times in a week, counts in full, as that of a commuter does. A device that does
more is clipped: all its trips weigh less.

All levels of flows have the same C2. At coarse levels most trips are of one pair, a cell and itself, so that
what is clipped, is clipped there first. But coarse levels mostly tell which pairs are looked at more closely:
where they stay the answer, trips are few.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

from passersby.measures.base import Measure, Scope
from passersby.model.cells import parent_sql
from passersby.model.period import Period, day_of

MOST_IN_A_WEEK = 42
"""Trips of a device in a week that are counted in full: six a day."""

_GRAINS = ("hour", "daypart", "day", "week")
_SOURCE = (
    "scikit-mobility 1.3 (Pappalardo et al. 2019): flows between the tiles of a tessellation; "
    "Hariharan & Toyama (2004), Project Lachesis: stays"
)
_CLIPS = (
    f"a device that makes more than about eight trips a day, or {MOST_IN_A_WEEK} in a week, counts in part"
)

_SQL = """
SELECT device, {period} AS period, {place}, {bucket} AS start, CAST(1 AS BIGINT) AS value
FROM (
  SELECT device, {hour} AS hour, {origin} AS origin, {destination} AS destination,
    {asked_origin} AS asked_origin, {asked_destination} AS asked_destination
  FROM trips
  WHERE {where}
) AS departed
SEMI JOIN area AS origins ON departed.asked_origin = origins.cell
SEMI JOIN area AS destinations ON departed.asked_destination = destinations.cell
"""


def _sql(scope: Scope, resolution: int, asked: int, place: str) -> str:
    return _SQL.format(
        period=scope.period_sql("hour"),
        place=place,
        bucket=scope.bucket_sql("hour"),
        hour=scope.hour_sql("departure"),
        origin=parent_sql("origin", resolution),
        destination=parent_sql("destination", resolution),
        asked_origin=parent_sql("origin", asked),
        asked_destination=parent_sql("destination", asked),
        where=scope.where_sql("departure"),
    ).strip()


def _pairs(scope: Scope, resolution: int) -> str:
    return _sql(scope, resolution, scope.resolution, "origin, destination")


def _cells(end: str) -> Callable[[Scope, int], str]:
    return lambda scope, resolution: _sql(scope, resolution, resolution, f"{end} AS cell")


def _bound(scope: Scope) -> int:
    return _in_a_week(scope) * max(_most(hours, scope.offset) for hours in _buckets(scope))


def _bound_of_pairs(scope: Scope) -> int:
    days = max(len({day_of(hour, scope.offset) for hour in hours}) for hours in _buckets(scope))
    return _in_a_week(scope) * (1 + days)


def _in_a_week(scope: Scope) -> int:
    weeks: defaultdict[Period, list[int]] = defaultdict(list)
    for hour in scope.selected:
        weeks[Period.containing(hour, scope.offset)].append(hour)
    return max(_most(hours, scope.offset) for hours in weeks.values())


def _buckets(scope: Scope) -> list[list[int]]:
    """Return the hours that the question reads, by bucket."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    for hour in scope.selected:
        found[scope.bucket_of(hour)].append(hour)
    return list(found.values())


def _most(hours: Iterable[int], offset: int) -> int:
    """Return how many trips that depart in some hours of one week are counted in full."""
    days = Counter(day_of(hour, offset) for hour in hours)
    return min(MOST_IN_A_WEEK, sum(2 + number // 4 for number in days.values()))


FLOWS = Measure(
    name="flows",
    unit="trips",
    definition="Number of trips from a stay in the origin to the device's next stay in the destination, "
    "which may be the same cell, in the bucket of time in which they departed.",
    source=_SOURCE,
    version=1,
    additive=False,
    grains=_GRAINS,
    tables=("trips",),
    rows=_pairs,
    bound=_bound_of_pairs,
    pairs=True,
    clips=f"{_CLIPS}, as does one that goes one way more than twice on a day or eight times in a week",
)

OUTFLOWS = Measure(
    name="outflows",
    unit="trips",
    definition="Number of trips within the area that began in the cell, wherever in the area they ended, in "
    "the bucket of time in which they departed.",
    source=_SOURCE,
    version=1,
    additive=True,
    grains=_GRAINS,
    tables=("trips",),
    rows=_cells("origin"),
    bound=_bound,
    clips=_CLIPS,
)

INFLOWS = Measure(
    name="inflows",
    unit="trips",
    definition="Number of trips within the area that ended in the cell, wherever in the area they began, in "
    "the bucket of time in which they departed.",
    source=_SOURCE,
    version=1,
    additive=True,
    grains=_GRAINS,
    tables=("trips",),
    rows=_cells("destination"),
    bound=_bound,
    clips=_CLIPS,
)
