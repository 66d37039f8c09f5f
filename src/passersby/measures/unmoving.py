"""Unmoving: device-days on which the device was seen in one place only, beside those on which it moved.

One place is one cell of resolution 8 (edge about 0.5 km), whatever resolution is asked: were it a cell of the
answer, a device could move at one level and not at the next, and levels would not add up. A device that lives
at the border of two cells moves by this definition.

A day counts if the device was seen in at least three hours of it. After one hour there is nothing that could
show a move, and after two little; with more than three, the devices that send rarely would be missing: often
those that lie still. The share still rises where devices are seen less: compare `coverage`.

A device-day is one row at most, in the device's modal cell of the day (`measures._modal`) and in one bin,
so that the bound is that of `measures.coverage`. Nothing is clipped.
"""

from __future__ import annotations

from passersby.measures._modal import one_row
from passersby.measures.base import HOME_RESOLUTION, Measure, Scope, device_days, each_bucket
from passersby.model.bins import Bin, Ratio
from passersby.model.cells import parent_sql
from passersby.model.question import WHOLE

_ONE_PLACE = 8
_LEAST_HOURS = 3


def _rows(scope: Scope, resolution: int) -> str:
    places = f"COUNT(DISTINCT {parent_sql('spot', _ONE_PLACE)})"
    return one_row(
        scope,
        resolution,
        part=scope.day_sql("hour"),
        number=f"CAST(CASE WHEN {places} = 1 THEN 0 ELSE 1 END AS BIGINT)",
        least_hours=_LEAST_HOURS,
    )


UNMOVING = Measure(
    name="unmoving",
    unit="device-days",
    definition="Number of (device, local day) pairs with at least three hours in which the device was seen, "
    "by whether all of them lie in one cell of resolution 8, in the cell where it was in most of them.",
    source="FlowKit 1.34: unmoving",
    version=1,
    additive=True,
    grains=("day", "week", WHOLE),
    tables=("presence",),
    rows=_rows,
    bound=device_days,
    floor=each_bucket,
    bins=(Bin("unmoving"), Bin("moving")),
    derived=(Ratio("share unmoving", ("unmoving",), ("unmoving", "moving")),),
    finest=HOME_RESOLUTION,
    filtered=False,
)
