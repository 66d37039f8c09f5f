"""Plain objects that commands print before anything is paid: what a question costs, and what it is worth.

Nothing is spent and nothing of the lake is read: errors are those of the noise, and counts are those of
earlier releases or of public figures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import h3.api.numpy_int as h3i

from passersby.deployment.opened import Deployment
from passersby.deployment.views import cost, span_text
from passersby.gate import prior, running, worth
from passersby.gate.planning import Planned
from passersby.gate.request import Request
from passersby.gate.worth import Known, Price, Target
from passersby.keys.signed import Actor
from passersby.measures.catalogue import CATALOGUE
from passersby.model.cells import COARSEST
from passersby.model.period import day_of
from passersby.model.release import Release
from passersby.privacy.accounting import micro_rho_for
from passersby.privacy.hierarchy.zones import EACH
from passersby.suppliers import registry


def plan(d: Deployment, planned: Planned) -> dict[str, Any]:
    """Return what a question would cost and be worth, and the SQL that would run."""
    question, known = planned.question, _known(d, planned)
    return {
        "measure": question.measure,
        "period": span_text(question.span, question.offset),
        "every": question.every,
        "resolution": question.resolution,
        **_size(planned),
        "buckets": len(planned.scope.starts),
        "cost": cost(d, question.cost, [period.name for period in question.periods]),
        "weights": question.weights.facts() if question.weights else None,
        "resolutions": [
            {
                "resolution": level_name(w.resolution),
                "edge_km": _edge_km(w.resolution),
                "standard_error": w.standard_error,
                "typical": w.typical,
                "skill": w.skill,
            }
            for w in worth.of(planned, finest=d.config.finest_resolution, known=known)
        ],
        "basis": f"{_basis(planned, known, earlier=known.earlier is not None)} Skill below 0: zeros are "
        "better.",
        "sql": {str(level_name(level)): text for level, text in running.sql(planned).items()},
    }


def _size(planned: Planned) -> dict[str, int]:
    """Return the number of the question's cells, and of its zones if it has some."""
    question, zones = planned.question, planned.question.zones
    cells = {"cells": len(question.area.at(question.resolution))}
    return cells if zones is None else {**cells, "zones": len(zones)}


def level_name(level: int) -> int | str:
    """Return a resolution, or "zones"."""
    return "zones" if level == EACH else level


@dataclass(frozen=True)
class Wish:
    """A question whose cost is to be found, and its resolution and grain where they are left open.

    Args:
        measure: name of what is counted.
        resolution: None to try all; of zones it says how small they may be.
        every: None to try all.
        target: the largest error that will do.
        request: makes the request of a resolution, a grain and an epsilon.
        zones: whether it is about zones, so that other resolutions are no other forms of it.
    """

    measure: str
    resolution: int | None
    every: str | None
    target: Target
    request: Callable[[int, str, float], Request]
    zones: bool = False

    def fits(self, resolution: int, every: str) -> bool:
        """Tell whether a resolution and a grain are those that were asked for."""
        return self.resolution in {None, resolution} and self.every in {None, every}


def choose(d: Deployment, wish: Wish, actor: Actor, *, now: int) -> dict[str, Any]:
    """Return what a target costs in each form of a question, and the cheapest form that reaches it.

    Where no form that was asked for reaches it, all others are tried too.

    Raises:
        Refusal: see `Gate.plan_forms`.
    """
    most = d.config.epsilon_question

    def priced(forms: list[tuple[int, str]]) -> list[dict[str, Any]]:
        requests = [wish.request(*form, most) for form in forms]
        return [_row(d, wish, planned) for planned in d.plan_forms(requests, actor, now=now)]

    asked, others = _forms(d, wish)
    rows = priced(asked)
    if others and all(row["reached"] is False for row in rows):
        rows = sorted(priced(asked + others), key=lambda row: (row["resolution"], row["buckets"]))
    reached = [row for row in rows if row["reached"] and row["asked"]]
    return {
        "measure": wish.measure,
        "target": {"error": wish.target.value, "relative": wish.target.relative},
        "question_cap": most,
        "forms": rows,
        "cheapest": min(reached, key=lambda row: (row["micro_rho"], -row["buckets"]), default=None),
        "missing": next((row["missing"] for row in rows if row["missing"]), ""),
    }


def _forms(d: Deployment, wish: Wish) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Return resolutions and grains that were asked for, and the others that there are, coarse ones first."""
    measure = CATALOGUE.get(wish.measure)
    if measure is None:
        return [(wish.resolution or COARSEST, wish.every or "day")], []  # the gate says that there is none
    finest = min(d.config.finest_resolution, measure.finest)
    resolutions = range(COARSEST, finest + 1)
    if wish.zones and wish.resolution is not None:
        resolutions = range(wish.resolution, wish.resolution + 1)  # zones have no other resolutions
    known = [(r, every) for r in resolutions for every in reversed(measure.grains)]
    asked = [form for form in known if wish.fits(*form)]
    if wish.resolution is not None and wish.every is not None:
        asked = [(wish.resolution, wish.every)]  # a wrong one too, so that the gate refuses it
    elif not asked:
        asked = [(r, wish.every) for r in resolutions] if wish.every else []
        asked = asked or [(wish.resolution or COARSEST, every) for every in measure.grains]
    return asked, [form for form in known if form not in asked]


def _row(d: Deployment, wish: Wish, planned: Planned) -> dict[str, Any]:
    config, question, known = d.config, planned.question, _known(d, planned)
    price = worth.price(planned, wish.target, delta=config.delta, most=config.epsilon_question, known=known)
    relative = price.standard_error / price.typical if price.typical else None
    return {
        "resolution": level_name(planned.plan.finest),
        "edge_km": _edge_km(planned.plan.finest),
        "every": question.every,
        "asked": wish.fits(planned.request.resolution, question.every),
        **_size(planned),
        "buckets": len(planned.scope.starts),
        "standard_error": price.standard_error,
        "typical": price.typical,
        "error": relative if wish.target.relative else price.standard_error,
        "reached": price.reached,
        "epsilon": price.epsilon,
        "micro_rho": price.cost.value,
        "share_of_cap": price.cost.value / micro_rho_for(config.epsilon_cap, config.delta).value,
        "payable": _payable(d, planned, price),
        "basis": _basis(planned, known, earlier=price.earlier),
        "missing": _missing(planned, known) if price.reached is None else "",
    }


def _payable(d: Deployment, planned: Planned, price: Price) -> bool:
    """Tell whether what is left of the budget pays for it, of everybody and of the licence."""
    names, charge = {period.name for period in planned.question.periods}, price.cost
    everyone = all(
        row.spent + charge <= (row.cap if planned.revises else row.first_answers)
        for row in d.balances()
        if row.period in names
    )
    own = all(
        row.spent + charge <= planned.licence_cap
        for row in d.licence_balances(planned.licence.id)
        if row.period in names
    )
    return everyone and own and charge <= planned.licence_cap


def _missing(planned: Planned, known: Known) -> str:
    """Return why nothing public says how large counts are."""
    measure = planned.measure
    if measure.pairs or measure.bins:
        one = "cells" if planned.question.zones is None else "zones"
        kind = f"pairs of {one}" if measure.pairs else "bins"
        return f"nothing public says how `{measure.name}` is spread over its {kind}"
    if not measure.expected:
        return (
            f"nothing public says how large counts of `{measure.name}` are, and there is no earlier release "
            "of it with this grain and these filters"
        )
    if known.devices is None:
        return (
            "a contract over these days does not declare its panel (`expected_devices`), and there is no "
            f"earlier release of `{measure.name}` with this grain and these filters"
        )
    return "GeoNames knows no town of 5,000 people in the area"


def _edge_km(level: int) -> float | None:
    return None if level == EACH else round(float(h3i.average_hexagon_edge_length(level, "km")), 1)


def _known(d: Deployment, planned: Planned) -> Known:
    return Known(declared_devices(d, planned), _earlier(d, planned))


def declared_devices(d: Deployment, planned: Planned) -> int | None:
    """Return the devices that contracts over the question's days declare, None where one declares none."""
    span, offset = planned.question.span, planned.question.offset
    first, last = day_of(span.start, offset), day_of(span.end - 1, offset)
    with d.database.read() as session:
        declared = [
            supplier.contract.expected_devices
            for supplier in registry.list_all(session)
            if supplier.contract.dates_from <= last and supplier.contract.dates_to >= first
        ]
    known = [devices for devices in declared if devices is not None]
    return sum(known) if known and len(known) == len(declared) else None


def _earlier(d: Deployment, planned: Planned) -> Release | None:
    """Return the newest release of the same measure, grain and filters: of the same zones, or of cells."""
    wanted = planned.question.canonical()
    form = ("measure", "every", "filters", "zones", "weights")
    for entry in reversed(list(d.releases())):
        same = all(entry.question.get(name) == wanted.get(name) for name in form)
        if same and entry.withdrawn is None:
            return d.release(entry.id)
    return None


def _basis(planned: Planned, known: Known, *, earlier: bool) -> str:
    weights = planned.question.weights
    error = f" Errors are those of the noise; weights add {weights.error:.1%}." if weights else ""
    return _typical(known, earlier=earlier) + error


def _typical(known: Known, *, earlier: bool) -> str:
    if earlier and known.earlier is not None:
        return f"Typical counts are those of release {known.earlier.id}."
    if known.devices is None:
        return "No contract declares its panel size (expected_devices), so that typical counts are unknown."
    return (
        f"Typical counts assume the {known.devices:,} devices that contracts declare, spread by the "
        f"population of towns (GeoNames), seen in {prior.OBSERVED_SHARE:.0%} of hours."
    )
