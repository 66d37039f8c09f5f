"""Catchment: where the visitors of a cell live: devices by the pair of home and visited cell.

Home is as in `measures.residents`. A device is a visitor of each cell in which it was seen in at least one
hour of the question, once, its home among them: on the diagonal are those who live in the cell and were seen
there. Both ends must lie in the area.

A device has one home and one dominant cell an hour, so no more pairs than the question has hours: 672 in
four weeks. Noise for that would drown most pairs, and hardly anybody visits as many cells, each of some 36
square kilometres. C2 is 25 cells for each week instead, at every level; who visits more is clipped.
Coarser levels have fewer cells, and clip less.
"""

from __future__ import annotations

from passersby.measures._homes import CLIPS_CELLS, homes_sql, most_cells
from passersby.measures.base import HOME_RESOLUTION, Measure, Scope
from passersby.model.cells import parent_sql
from passersby.model.question import WHOLE

_SQL = """
WITH {homes}
SELECT DISTINCT device, {whole} AS period, origin, destination, {whole} AS start, CAST(1 AS BIGINT) AS value
FROM (
  SELECT homes.device AS device, {origin} AS origin, {destination} AS destination,
    {asked_origin} AS asked_origin, {asked_destination} AS asked_destination
  FROM homes
  JOIN presence ON homes.device = presence.device
  WHERE {where}
) AS visits
SEMI JOIN area AS here ON visits.asked_origin = here.cell
SEMI JOIN area AS there ON visits.asked_destination = there.cell
"""


def _rows(scope: Scope, resolution: int) -> str:
    return _SQL.format(
        homes=homes_sql(scope),
        whole=scope.whole_sql,
        origin=parent_sql("homes.cell", resolution, of=HOME_RESOLUTION),
        destination=parent_sql("presence.cell", resolution),
        asked_origin=parent_sql("homes.cell", scope.resolution, of=HOME_RESOLUTION),
        asked_destination=parent_sql("presence.cell", scope.resolution),
        where=scope.where_sql("hour"),
    ).strip()


CATCHMENT = Measure(
    name="catchment",
    unit="devices",
    definition="Number of distinct devices whose home (as for `residents`) lies in the origin and whose "
    "dominant cell lay in the destination in at least one hour of the question.",
    source="Flowminder (2020), CDR aggregates for COVID-19: count of visits at home and away",
    version=1,
    additive=False,
    grains=(WHOLE,),
    tables=("presence",),
    rows=_rows,
    bound=most_cells,
    pairs=True,
    joint=True,
    clips=CLIPS_CELLS,
    finest=HOME_RESOLUTION,
    filtered=False,
)
