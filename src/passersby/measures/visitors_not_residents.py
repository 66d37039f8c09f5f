"""Visitors who are not residents: distinct devices that were seen in a cell and live in another one.

Home is as in `measures.residents`, from all of the question's nights; a device without a home is not counted.
Whether a cell is another one than the home is decided at the question's resolution. At coarser levels those
are counted who are such a visitor of at least one cell within: who lives in the next cell is one of a parent
that holds both. Were they left out there, most visitors of a town would be in no parent, nothing would tell
where they are, and no child could be larger than its parent.

Not additive. A device has one dominant cell an hour, so no more keys than the question has hours; as for
`measures.catchment`, C2 is 25 cells for each week instead, and who visits more is clipped.
"""

from __future__ import annotations

from passersby.measures._homes import CLIPS_CELLS, homes_sql, most_cells
from passersby.measures.base import HOME_RESOLUTION, Measure, Scope, each_bucket
from passersby.model.cells import parent_sql
from passersby.model.question import WHOLE

_SQL = """
WITH {homes}
SELECT DISTINCT device, {whole} AS period, cell, {bucket} AS start, CAST(1 AS BIGINT) AS value
FROM (
  SELECT homes.device AS device, presence.hour AS hour, {cell} AS cell,
    {home} AS home, {asked} AS asked
  FROM homes
  JOIN presence ON homes.device = presence.device
  WHERE {where}
) AS visits
SEMI JOIN area ON visits.asked = area.cell
WHERE asked <> home
"""


def _rows(scope: Scope, resolution: int) -> str:
    return _SQL.format(
        homes=homes_sql(scope),
        whole=scope.whole_sql,
        bucket=scope.bucket_sql("hour"),
        home=parent_sql("homes.cell", scope.resolution, of=HOME_RESOLUTION),
        cell=parent_sql("presence.cell", resolution),
        asked=parent_sql("presence.cell", scope.resolution),
        where=scope.where_sql("hour"),
    ).strip()


VISITORS_NOT_RESIDENTS = Measure(
    name="visitors-not-residents",
    unit="devices",
    definition="Number of distinct devices whose dominant cell lay in the cell in at least one hour of the "
    "bucket of time, and whose home (as for `residents`) lies in another cell.",
    source="Flowminder (2020), CDR aggregates for COVID-19: count of visits at home and away",
    version=1,
    additive=False,
    grains=(WHOLE, "week"),
    tables=("presence",),
    rows=_rows,
    bound=most_cells,
    floor=each_bucket,
    joint=True,
    clips=CLIPS_CELLS,
    finest=HOME_RESOLUTION,
    filtered=False,
)
