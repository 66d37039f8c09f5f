"""Flows, outflows and inflows: trips by pair of cells, by their origin, by their destination.

A trip is a move from one stay to the device's next one in another cell of resolution 10, within one period
(`derive.stays`). It counts where both ends lie in the area, in the bucket of the hour in which it departed.
Departure and arrival are when the phone was seen last at one place and first at the next, and either could
tell; travel surveys and the files of trips have the departure, and one rule for all three measures makes
them agree. A trip whose ends lie in one cell of the question's resolution is an internal flow, on the
diagonal of the matrix of origins and destinations. It begins and ends in that cell: outflows are the sums of
the matrix's rows and inflows those of its columns, each trip counts in exactly one cell of either, and their
cells add up.

How many trips of a device count in full is a public choice (`measures._ways`): 42 in a week. For outflows and
inflows, whose bound is taken over the whole area, a key may hold all trips of a bucket.

For flows the most trips of one key depend on the level. Merging cells merges pairs: in cells of 250 square
kilometres (resolution 5) most trips of a device begin and end in the same one, in cells of five (resolution
7) few do. At resolution 7 and finer one way counts once a day, or four times a week, and two ways a second
time; fewer trips leave room for more of one way, such as a commuter's five there and five back beside all
others that a week may hold. At resolution 6 it counts twice as often, and at 5, at coarser ones and between
zones four times. So about as much is cut at each level. A device that does more is clipped: all its trips
weigh less, and intervals allow for it.
"""

from __future__ import annotations

from collections.abc import Callable

from passersby.measures import _ways
from passersby.measures.base import Measure, Scope
from passersby.model.cells import parent_sql

_COARSE, _FINE = 5, 7
"""Resolutions between which the most trips of one pair double with each step to larger cells."""

_GRAINS = ("hour", "daypart", "day", "week")
_SOURCE = (
    "scikit-mobility 1.3 (Pappalardo et al. 2019): flows between the tiles of a tessellation; "
    "Hariharan & Toyama (2004), Project Lachesis: stays"
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


def _bound_of_pairs(scope: Scope, resolution: int) -> int:
    return _ways.of_pairs(scope, _FINE - min(max(resolution, _COARSE), _FINE))


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
    bound=lambda scope: _bound_of_pairs(scope, _COARSE if scope.zoned else scope.resolution),
    coarser=_bound_of_pairs,
    pairs=True,
    clips=f"{_ways.CLIPS}, as does one that goes one way more than once on a day or four times in a week at "
    "resolution 7, twice and eight times at 6, four and sixteen times at coarser ones and between zones",
    lost=_ways.LOST,
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
    bound=_ways.of_ends,
    clips=_ways.CLIPS,
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
    bound=_ways.of_ends,
    clips=_ways.CLIPS,
)
