"""Residents: devices by the cell of their home.

Home is the cell, at resolution 6, in which a device was seen on most nights of the question's span. A night
is 19:00 to 06:59 and belongs to the day on which it began; ties go to the cell with more night hours, then
to the lowest one. Four weeks are usual. The home is found from all nights, also from those outside the area:
a device counts in the area if its home lies in it.

A device has one home at most, and that of a coarser cell is the one of its child: homes add up. One row a
device has a sum of squares of 1, at every level. Nothing is clipped.

Limits: a phone that was seen in one night has a home too; who works at night, or is seen by day only, has a
wrong one or none.
"""

from __future__ import annotations

from passersby.measures._homes import homes_sql
from passersby.measures.base import HOME_RESOLUTION, Measure, Scope
from passersby.model.cells import parent_sql
from passersby.model.question import WHOLE

_SQL = """
WITH {homes}
SELECT device, {whole} AS period, cell, {whole} AS start, CAST(1 AS BIGINT) AS value
FROM (SELECT device, {parent} AS cell FROM homes) AS residents
SEMI JOIN area ON residents.cell = area.cell
"""


def _rows(scope: Scope, resolution: int) -> str:
    return _SQL.format(
        homes=homes_sql(scope),
        whole=scope.whole_sql,
        parent=parent_sql("cell", resolution, of=HOME_RESOLUTION),
    ).strip()


RESIDENTS = Measure(
    name="residents",
    unit="devices",
    definition="Number of devices whose home, the cell of resolution 6 in which they were seen on most "
    "nights (19:00 to 06:59) of the question, lies in the cell.",
    source="Flowminder (2020), CDR aggregates for COVID-19: residents, by the location visited on most days "
    "of the past four weeks; here on most nights",
    version=1,
    additive=True,
    grains=(WHOLE,),
    tables=("presence",),
    rows=_rows,
    expected="once",
    bound=lambda _scope: 1,
    joint=True,
    finest=HOME_RESOLUTION,
    filtered=False,
)
