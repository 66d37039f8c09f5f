"""Displacement: of the devices that lived in a cell before, how many spend the nights of a week elsewhere.

The baseline is the first half of the question's weeks, split as for `measures.relocation`. Each device that
has a home then, found as in `measures.residents`, has one row for each week of the question, in the cell of
that home: "home" if the cell of most nights of that week is the same one at the question's resolution,
"elsewhere" if it is another one, in the area or not, and "unseen" if the week has no night hour of it. Nights
are cut at the ends of weeks.

The ratio "displaced" is the share elsewhere among those seen, week by week: it falls as people return. Weeks
of the baseline are given too: what is usual there is no displacement. "unseen" tells how many were lost from
sight, as phones are after a disaster; they are in neither part of the ratio.

A baseline home and a status are one each, so rows add up over cells, and C2 is the number of weeks. Nothing
is clipped.
"""

from __future__ import annotations

from passersby.measures._homes import halves, homes_sql
from passersby.measures.base import HOME_RESOLUTION, Measure, Scope, each_bucket
from passersby.model.bins import Bin, Ratio
from passersby.model.cells import parent_sql

_SQL = """
WITH {baseline},
{weekly},
weeks AS (
  SELECT DISTINCT {bucket} AS start FROM hours
)
SELECT device, {whole} AS period, cell, start, bin, CAST(1 AS BIGINT) AS value
FROM (
  SELECT baseline.device AS device, {cell} AS cell, weeks.start AS start,
    CAST(CASE WHEN weekly.cell IS NULL THEN 2 WHEN {now} = {before} THEN 0 ELSE 1 END AS BIGINT) AS bin
  FROM baseline
  CROSS JOIN weeks
  LEFT JOIN weekly ON baseline.device = weekly.device AND weeks.start = weekly.start
) AS followed
SEMI JOIN area ON followed.cell = area.cell
"""


def _rows(scope: Scope, resolution: int) -> str:
    first, _ = halves(scope)
    return _SQL.format(
        baseline=homes_sql(first, "baseline"),
        weekly=homes_sql(scope, "weekly", by_bucket=True),
        bucket=scope.bucket_sql("hour"),
        whole=scope.whole_sql,
        cell=parent_sql("baseline.cell", resolution, of=HOME_RESOLUTION),
        before=parent_sql("baseline.cell", scope.resolution, of=HOME_RESOLUTION),
        now=parent_sql("weekly.cell", scope.resolution, of=HOME_RESOLUTION),
    ).strip()


DISPLACEMENT = Measure(
    name="displacement",
    unit="devices",
    definition="Number of devices whose home (as for `residents`) in the first half of the question's weeks "
    "lies in the cell, by where they spent most nights of each week: at home, elsewhere, or unseen.",
    source="Bengtsson et al. (2011), Improved Response to Disasters and Outbreaks by Tracking Population "
    "Movements with Mobile Phone Network Data, PLoS Medicine 8; UN-CEBD, Methodological Guide on the Use "
    "of Mobile Phone Data: Displacement and Disaster Statistics (2022)",
    version=1,
    additive=True,
    grains=("week",),
    tables=("presence",),
    rows=_rows,
    bound=lambda scope: len(scope.starts),
    floor=each_bucket,
    bins=(Bin("home"), Bin("elsewhere"), Bin("unseen")),
    derived=(Ratio("displaced", ("elsewhere",), ("home", "elsewhere")),),
    joint=True,
    finest=HOME_RESOLUTION,
    least_weeks=2,
    filtered=False,
)
