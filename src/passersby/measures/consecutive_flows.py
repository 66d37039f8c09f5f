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

There is at most one move an hour, and a second move from A to B needs one that leaves B in between. So a
device contributes most where it goes to and fro between two cells in each hour: of the moves in hours of a
bucket that follow each other half, rounded up, are from A to B, the others from B to A. C2 is the sum of
squares of that device: at the resolution of the question no device can exceed it. At coarser levels, where
both directions may be one pair, only a device that moves in most hours could; there it is clipped.
"""

from __future__ import annotations

from collections import Counter

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


def _bound(scope: Scope) -> int:
    """Return the sum of squares of a device that goes to and fro in every selected hour of a period."""
    moves: Counter[tuple[Period, int, bool]] = Counter()
    last, before, to = -1, -1, False
    for hour in scope.selected:
        start = scope.bucket_of(hour)
        to = not (to and hour == last + HOUR and start == before)
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
    bound=_bound,
    pairs=True,
    clips="at resolutions coarser than the one asked for, a device that moves in most hours counts in part",
    whole_periods=True,
)
