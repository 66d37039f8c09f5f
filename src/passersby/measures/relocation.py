"""Relocation: devices by the pair of the cells of their home before and after.

The question's weeks are split in the middle, at the start of a week; of an odd number the first half has
one less. The home of each half is found as in `measures.residents`, from that half's nights alone. A device
counts if it has both and both lie in the area. Those that stayed are on the diagonal.

A device has one home in each half, so one pair at every level: a sum of squares of 1. Nothing is clipped.

Limits: a long journey looks like a move; several weeks on each side tell them apart better than one. A device
that was seen in one half only is in no pair.
"""

from __future__ import annotations

from passersby.measures._homes import halves, homes_sql, pairs_sql
from passersby.measures.base import HOME_RESOLUTION, Measure, Scope
from passersby.model.question import WHOLE


def _rows(scope: Scope, resolution: int) -> str:
    first, second = halves(scope)
    pairs = pairs_sql(scope, resolution, "before", "after")
    return f"WITH {homes_sql(first, 'before')},\n{homes_sql(second, 'after')}\n{pairs}"


RELOCATION = Measure(
    name="relocation",
    unit="devices",
    definition="Number of devices whose home (as for `residents`) in the first half of the question's weeks "
    "lies in the origin, and that in the second half in the destination.",
    source="Flowminder (2020), CDR aggregates for COVID-19: count of home relocations; UN-CEBD, "
    "Methodological Guide on the Use of Mobile Phone Data: Migration Statistics (2022), 5.2.1: change "
    "of residence",
    version=1,
    additive=False,
    grains=(WHOLE,),
    tables=("presence",),
    rows=_rows,
    bound=lambda _scope: 1,
    pairs=True,
    joint=True,
    finest=HOME_RESOLUTION,
    least_weeks=2,
    filtered=False,
)
