"""A measure in which each device counts for the people of its home zone: one template around any rows.

The home is found as in `residents`, over the span of the release that the weights come from, and exists in
this statement only. A device that has no home, or one without a weight, does not count.

A device has one weight w for all of its rows, and w is at most W, the largest weight, a public number.
Weeks are joined by it: where one week of the device is left out, its home may move, and all of its rows have
another weight. So the bound is on all rows of the question together. Of its k periods each is within the
measure's own C2. Where no key is in two of them, the sum of squares is at most k C2 W^2; where all of them
share one bucket k^2 C2 W^2, since (v1 + .. + vk)^2 is at most k times the sum of squares.

A home that moves does not move what the device did: with v the sums by key of all of its periods and v' those
without one of them, w v becomes w' v' with 0 <= v' <= v. Each key stays between 0 and W v, so that the vector
changes by no more than W |v|, once and not sqrt(2) times. That holds where the measure's own bound clips
nothing; where it does, the part that counts changes too, and the vector may turn from one set of keys to
another. Nothing but the cap of the weights cuts what a device contributes beside that.
"""

from __future__ import annotations

from dataclasses import replace

from passersby.measures._homes import homes_sql
from passersby.measures.base import HOME_RESOLUTION, Measure, Scope
from passersby.measures.zoned import in_zones
from passersby.model.cells import parent_sql
from passersby.model.weights import Weights

_SQL = """
WITH {homes}
SELECT contribution.device AS device, {whole} AS period, {keys},
  contribution.value * weights.weight AS value
FROM (
{rows}
) AS contribution
JOIN homes ON contribution.device = homes.device
JOIN weights ON {home} = weights.home
"""


def can_be_weighted(measure: Measure) -> bool:
    """Tell whether a measure counts devices, or what they do, in cells: with one number for each."""
    return not (measure.bins or measure.pairs or measure.joint)


def weighted(measure: Measure, weights: Weights, held: int | None = None) -> Measure:
    """Return the measure in people: what it counts of each device, times the device's weight.

    Args:
        measure: one that can be weighted.
        weights: of the cells of homes.
        held: resolution of the cells that zones are held in, where the scope is zoned: homes are cells even
            then, so that only what is counted has zones in place of cells.
    """

    def rows(scope: Scope, resolution: int) -> str:
        window = replace(scope, span=weights.window, filters=(), zoned=False)
        counted = measure.rows(scope, resolution)
        return _SQL.format(
            homes=homes_sql(window),
            whole=scope.whole_sql,
            keys=", ".join(f"contribution.{key} AS {key}" for key in measure.keys),
            rows=counted if held is None else in_zones(counted, measure.tables, held),
            home=parent_sql("homes.cell", weights.resolution, of=HOME_RESOLUTION),
        ).strip()

    def bound(scope: Scope) -> int:
        periods = len(scope.span.periods(scope.offset))
        return weights.heaviest**2 * measure.bound(scope) * periods * scope.sharing

    def floor(minimum_devices: int, buckets: int) -> int:
        return measure.floor(minimum_devices, buckets) * weights.largest

    return replace(
        measure,
        unit=unit_of(measure),
        definition=f"{measure.definition} Each device counts for the people of its home zone whom it stands "
        "for.",
        rows=rows,
        bound=bound,
        floor=floor,
        tables=(*measure.tables, *({"presence"} - set(measure.tables))),
        joint=True,
        moves=bool(measure.clips),
        parts=weights.unit,
    )


def unit_of(measure: Measure) -> str:
    """Return the unit of a measure where it is weighted."""
    return f"{measure.unit}, weighted to people"
