"""Commuting: devices by the pair of the cells of their home and their place of work.

Home is as in `measures.residents`. Work is the cell, at resolution 6, in which the device was seen on most
working days: Monday to Friday, 09:00 to 16:59, ties as for homes. Both are found from all hours of the
question; a device counts if both lie in the area. Who works or stays at home by day counts on the diagonal.

A device has one home and one place of work, so one pair at every level: a sum of squares of 1. Nothing is
clipped. Pairs of coarser cells hold those of their children, yet each level is measured by itself, as for
all pairs.

Limits: work is where a phone mostly is during office hours, be it a school or a flat; shift work is missed.
"""

from __future__ import annotations

from passersby.measures._homes import homes_sql, pairs_sql, works_sql
from passersby.measures.base import HOME_RESOLUTION, Measure, Scope
from passersby.model.question import WHOLE


def _rows(scope: Scope, resolution: int) -> str:
    pairs = pairs_sql(scope, resolution, "homes", "works")
    return f"WITH {homes_sql(scope)},\n{works_sql(scope)}\n{pairs}"


COMMUTING = Measure(
    name="commuting",
    unit="devices",
    definition="Number of devices whose home (as for `residents`) lies in the origin and whose place of "
    "work, the cell of resolution 6 in which they were seen on most working days (Monday to Friday, 09:00 to "
    "16:59) of the question, in the destination.",
    source="UN-CEBD, Methodological Guide on the Use of Mobile Phone Data: Migration Statistics (2022), "
    "5.2.1: home and work-time anchor points; here found as for `residents`",
    version=1,
    additive=False,
    grains=(WHOLE,),
    tables=("presence",),
    rows=_rows,
    bound=lambda _scope: 1,
    pairs=True,
    joint=True,
    finest=HOME_RESOLUTION,
    filtered=False,
)
