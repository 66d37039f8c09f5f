"""Several questions about the same weeks that share one epsilon: a file, its split, and what comes of it.

The budget is split so that the sum of squared relative errors is least. A question's relative error falls as
one over the root of its cost, e / sqrt(rho): of a total R, each gets R times e over the sum of all e. Where
nothing public says how large a count is, the parts are equal. A weight multiplies e.

The split follows from the file, contracts and public figures, never from an answer: the same file asks the
same questions, which are free the second time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from passersby.deployment.opened import Deployment
from passersby.deployment.plans import declared_devices, level_name
from passersby.errors import UsageError
from passersby.gate import worth
from passersby.gate.planning import LEAST_MICRO_RHO, Planned
from passersby.gate.request import Request
from passersby.gate.worth import Known
from passersby.keys.signed import Actor
from passersby.model.census import MOST_CAP, Census, Weighting
from passersby.model.cost import MicroRho
from passersby.model.place import Area
from passersby.model.record import Fields
from passersby.model.zones import Zones
from passersby.privacy.accounting import epsilon_for, epsilon_within, micro_rho_for

_HEAVIEST = 1000.0


@dataclass(frozen=True)
class Part:
    """One question of a bundle: its weight, where its rows go, and how its request is made for an epsilon."""

    weight: float
    out: Path | None
    request: Request


@dataclass(frozen=True)
class Bundle:
    """What a file asks for: questions of the same weeks and licence, and the epsilon that they share."""

    epsilon: float
    parts: tuple[Part, ...]


def parse(
    text: str,
    area: Callable[[str, int], Area | None],
    zones: Callable[[Path | None, str], Zones | None],
    census: Callable[[Path], Census] | None = None,
) -> Bundle:
    """Return the bundle of a TOML document.

    Args:
        text: the document.
        area: makes an area of what somebody wrote, in cells of a resolution.
        zones: reads a file of zones, whose names are in a column.
        census: reads a census table; without it a bundle cannot be weighted.

    Raises:
        BadRecord: a field is missing, unknown or not valid; the message names it.
        UsageError: a question has both an area and zones.
    """
    fields = Fields.from_toml(text, "Bundle")
    epsilon = fields.number("epsilon", 0, 20)
    period, licence, purpose, case = (fields.text(name) for name in ("period", "licence", "purpose", "case"))
    where, polygons = fields.text("area", default=""), fields.text("zones", default="")
    column = fields.text("zone_name", default="name")
    read = cache(zones)
    every, resolution = fields.text("every", default="day"), fields.whole("resolution", 0, 15, default=6)
    weighting = _weighting(fields, census) if census and fields.peek("weights") is not None else None
    parts = []
    for own in fields.tables("question"):
        finest = own.whole("resolution", 0, 15, default=resolution)
        out = own.text("out", default="")
        place, given = own.text("area", default=""), own.text("zones", default="")
        if not place and not given:
            place, given = where, polygons
        if place and given:
            raise UsageError("A question has both `area` and `zones`.", "Zones are their own area: give one.")
        request = Request(
            measure=own.text("measure"),
            every=own.text("every", default=every),
            resolution=finest,
            area=None if given else area(place, finest),
            zones=read(Path(given) if given else None, own.text("zone_name", default=column)),
            epsilon=epsilon,
            filters=own.texts("filters", default=()),
            period=period,
            licence=licence,
            purpose=purpose,
            case=case,
            weighting=weighting,
        )
        weight = 1.0 if own.peek("weight") is None else own.number("weight", 0, _HEAVIEST)
        own.done()
        parts.append(Part(weight, Path(out) if out else None, request))
    fields.done()
    return Bundle(epsilon, tuple(parts))


def _weighting(fields: Fields, census: Callable[[Path], Census]) -> Weighting:
    own = fields.table("weights")
    found = Weighting(census(Path(own.text("census"))), own.text("residents"), own.whole("cap", 1, MOST_CAP))
    own.done()
    return found


def split(d: Deployment, bundle: Bundle, actor: Actor, *, now: int) -> list[Planned]:
    """Return the questions with their parts of the epsilon, each allowed and none paid for.

    Raises:
        Refusal: see `Gate.plan_together`.
        UsageError: a question would get less than any question must cost.
    """
    total = micro_rho_for(bundle.epsilon, d.config.delta).value
    equal = d.plan_together(_shared(d, bundle, [1.0] * len(bundle.parts), total), actor, now=now)
    errors = [_relative_error(d, planned, planned.question.cost) for planned in equal]
    needs = [part.weight * (error or 1.0) for part, error in zip(bundle.parts, errors, strict=True)]
    if None in errors:
        needs = [part.weight for part in bundle.parts]
    return d.plan_together(_shared(d, bundle, needs, total), actor, now=now)


def view(d: Deployment, bundle: Bundle, planned: Sequence[Planned]) -> dict[str, Any]:
    """Return what the questions of a bundle cost and are worth, together and one by one."""
    alone = micro_rho_for(bundle.epsilon / len(planned), d.config.delta)
    rows = [_row(d, each, alone) for each in planned]
    spent = sum(row["micro_rho"] for row in rows)
    return {
        "epsilon": round(epsilon_for(MicroRho(spent), d.config.delta), 4),
        "micro_rho": spent,
        "delta": d.config.delta,
        "periods": [period.name for period in planned[0].question.periods],
        "by_error": all(row["error"] is not None for row in rows),
        "epsilon_alone": round(bundle.epsilon / len(planned), 4),
        "questions": rows,
    }


def _shared(d: Deployment, bundle: Bundle, needs: Sequence[float], total: int) -> list[Request]:
    """Return the requests with the total split in proportion to `needs`."""
    found = []
    for part, need in zip(bundle.parts, needs, strict=True):
        cost = int(total * need / sum(needs))
        if cost < LEAST_MICRO_RHO:
            raise UsageError(
                f"`{part.request.measure}` would get too little of the epsilon.",
                "Give the bundle a larger epsilon, the question a larger weight, or bundle fewer.",
            )
        epsilon = epsilon_within(MicroRho(cost), d.config.delta)
        found.append(replace(part.request, epsilon=epsilon))
    return found


def _relative_error(d: Deployment, planned: Planned, cost: MicroRho) -> float | None:
    level = planned.plan.finest
    typical, _ = worth.typical_count(planned, level, Known(declared_devices(d, planned), None))
    error = worth.expected_error(planned, level, cost)
    return error / typical if typical and error is not None else None


def _row(d: Deployment, planned: Planned, alone: MicroRho) -> dict[str, Any]:
    question = planned.question
    return {
        "measure": question.measure,
        "every": question.every,
        "resolution": level_name(planned.plan.finest),
        "epsilon": planned.request.epsilon,
        "micro_rho": question.cost.value,
        "standard_error": worth.expected_error(planned, planned.plan.finest, question.cost),
        "standard_error_alone": worth.expected_error(planned, planned.plan.finest, alone),
        "error": _relative_error(d, planned, question.cost),
        "error_alone": _relative_error(d, planned, alone),
    }
