"""A plan as the tests of releases ask for it: device-hours or visitors of a week, for epsilon 1."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from passersby.model.cost import MicroRho
from passersby.model.place import Area
from passersby.privacy.accounting import micro_rho_for
from passersby.privacy.hierarchy.plan import Plan, make_plan

ONE = micro_rho_for(1.0, 1e-7)


def plan_for(
    area: Area,
    starts: npt.NDArray[np.int64],
    *,
    cost: MicroRho = ONE,
    additive: bool = True,
    resolution: int = 7,
) -> Plan:
    return make_plan(
        area,
        measure="presence" if additive else "visitors",
        resolution=resolution,
        buckets=len(starts),
        squared_bound=168,
        cost=cost,
        kind="additive" if additive else "levels",
    )
