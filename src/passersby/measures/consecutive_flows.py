"""Consecutive flows: moves between the cells of hours in which a device was seen one after the other.

For each device and period, the hours in which it was seen are put in order. Where the dominant cells of two
neighbours in that order differ at the question's resolution, there was one move, from the earlier cell to
the later one, filed at the later hour. Hours between them in which nothing was seen are skipped, however
many: a phone that is silent at night has moved by the morning. Filters choose later hours only; what came
before is known for the whole period. A move counts where both ends lie in the area. Unlike in `flows` there
is nothing on the diagonal at the question's resolution, cells on the way count as places, and what happens
within an hour is not seen; but pings need not be so dense that they show stays.

At coarser levels the same moves are counted by the ancestors of their ends, so that moves within a coarse
cell lie on its diagonal: otherwise nothing would tell where short moves are.

There is at most one move an hour, and a second move from A to B needs one that leaves B in between. So no
device contributes more than one that goes to and fro between two cells in each hour: of the moves in hours of
a bucket that follow each other half, rounded up, are from A to B, the others from B to A. At coarser levels
all moves of a bucket may be one pair. Noise for these devices, 84 moves from A to B in a week, would drown
all others. So moves are bounded as trips are in `flows`: 42 in a week, one way a day or four a week, twice as
many for each level above the question's resolution. Where the definition itself has a smaller bound, as for
one hour of each day, that holds, and nothing is clipped.
"""

from __future__ import annotations

from collections import Counter

from passersby.measures import _ways
from passersby.measures.base import Measure, Scope
from passersby.model.cells import parent_sql
from passersby.model.period import HOUR, Period

_SQL = """
WITH seen AS (
  SELECT device, {period} AS period, hour, cell
  FROM presence
  WHERE hour >= {since} AND hour < {until}
),
steps AS (
  SELECT device, period, hour, cell,
    LAG(cell) OVER (PARTITION BY device, period ORDER BY hour, cell) AS earlier
  FROM seen
),
moves AS (
  SELECT device, period, {bucket} AS start, {origin} AS origin, {destination} AS destination,
    {asked_origin} AS asked_origin, {asked_destination} AS asked_destination
  FROM steps
  WHERE {where} AND {asked_origin} <> {asked_destination}
)
SELECT device, period, origin, destination, start, CAST(1 AS BIGINT) AS value
FROM moves
SEMI JOIN area AS origins ON moves.asked_origin = origins.cell
SEMI JOIN area AS destinations ON moves.asked_destination = destinations.cell
"""


def _rows(scope: Scope, resolution: int) -> str:
    weeks = [period.span(scope.offset) for period in scope.span.periods(scope.offset)]
    return _SQL.format(
        period=scope.period_sql("hour"),
        since=weeks[0].start,
        until=weeks[-1].end,
        bucket=scope.bucket_sql("hour"),
        origin=parent_sql("earlier", resolution),
        destination=parent_sql("cell", resolution),
        asked_origin=parent_sql("earlier", scope.resolution),
        asked_destination=parent_sql("cell", scope.resolution),
        where=scope.where_sql("hour"),
    ).strip()


def _bound(scope: Scope, resolution: int) -> int:
    above = scope.resolution - resolution
    return min(_most(scope, to_and_fro=not above), _ways.of_pairs(scope, above))


def _most(scope: Scope, *, to_and_fro: bool) -> int:
    """Return the sum of squares of a device that moves in every selected hour of a period.

    It goes to and fro between two cells, or both directions are one pair.
    """
    moves: Counter[tuple[Period, int, bool]] = Counter()
    last, before, to = -1, -1, False
    for hour in scope.selected:
        start = scope.bucket_of(hour)
        to = not (to_and_fro and to and hour == last + HOUR and start == before)
        moves[Period.containing(hour, scope.offset), start, to] += 1
        last, before = hour, start
    squares: Counter[Period] = Counter()
    for (period, *_), number in moves.items():
        squares[period] += number**2
    return max(squares.values())


CONSECUTIVE_FLOWS = Measure(
    name="consecutive-flows",
    unit="moves",
    definition="Number of (device, hour) pairs whose dominant cell is the destination, while that of the "
    "last hour before it in which the device was seen in the period is the origin, another cell, in each "
    "bucket of time.",
    source="FlowKit 1.34: consecutive trips OD matrix; there subscribers of a pair, here their moves",
    version=1,
    additive=False,
    grains=("hour", "daypart", "day", "week"),
    tables=("presence",),
    rows=_rows,
    bound=lambda scope: _bound(scope, scope.resolution),
    coarser=_bound,
    pairs=True,
    clips=f"a device that moves more than {_ways.MOST_IN_A_WEEK} times in a week, or one way more than once "
    "on a day or four times in a week, counts in part",
    lost=_ways.LOST,
    whole_periods=True,
)
