"""Steps 5 to 7 of the gate: the label, and what of an answer is stored and logged."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import rfc8785
from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.gate.parts import Parts
from passersby.gate.planning import Planned
from passersby.model.cost import MicroRho
from passersby.model.period import day_name, day_of
from passersby.model.question import Question
from passersby.model.release import Release
from passersby.model.weights import Weights
from passersby.policy import audits
from passersby.privacy import answers
from passersby.privacy.accounting import epsilon_for, micro_rho_for
from passersby.privacy.hierarchy.release import Measured
from passersby.privacy.label import Facts, build
from passersby.store.tables import Budget
from passersby.suppliers import lineage, registry

_NAME_DIGITS = 12


@dataclass(frozen=True)
class Draft:
    """An answer before it has its place in the log."""

    planned: Planned
    measured: Measured
    label: dict[str, Any]
    delta: float
    created: int

    @property
    def name(self) -> str:
        """Short name: the first digits of the question's hash."""
        return self.planned.question.sha256[:_NAME_DIGITS]

    def public(self) -> dict[str, Any]:
        """Return the public fields of its log entry."""
        question = self.planned.question
        return {
            "release": self.name,
            "question": question.sha256,
            "measure": question.measure,
            "licence": self.planned.licence.id,
            "periods": [period.name for period in question.periods],
            "micro_rho": question.cost.value,
            "epsilon": f"{epsilon_for(question.cost, self.delta):.6f}",
            "delta": f"{self.delta:g}",
            "rows_sha256": hashlib.sha256(answers.rows_parquet(self.measured.rows)).hexdigest(),
            "label_sha256": hashlib.sha256(rfc8785.dumps(self.label)).hexdigest(),
        }

    def private(self) -> dict[str, Any]:
        """Return the fields that the log commits to without showing them."""
        planned = self.planned
        return {
            "person": planned.actor.id,
            "purpose": planned.request.purpose,
            "case": planned.request.case,
            "policy_sha256": planned.policy_sha256,
            "licence_seed": planned.licence.seed_id,
            "canonical_question": planned.question.canonical(),
        }

    def lineage(self, session: Session, read: Collection[int]) -> frozenset[int]:
        """Return the deliveries it was made from: those read, and those that its weights come from."""
        weights = self.planned.question.weights
        return frozenset(read) | (lineage.of(session, weights.residents) if weights else frozenset())

    def release(self, log_index: int) -> Release:
        """Return the release, once its log entry has its index."""
        question = self.planned.question
        return Release(
            id=self.name,
            question_sha256=question.sha256,
            question=question.canonical(),
            rows=self.measured.rows,
            label=self.label,
            micro_rho=question.cost.value,
            created=self.created,
            log_index=log_index,
            sampler=self.measured.sampler,
        )


def draft(parts: Parts, planned: Planned, measured: Measured, *, now: int) -> Draft:
    """Return the answer with its label."""
    return Draft(planned, measured, build(_facts(parts, planned, measured, now)), parts.config.delta, now)


def _facts(parts: Parts, planned: Planned, measured: Measured, now: int) -> Facts:
    question, measure, config = planned.question, planned.measure, parts.config
    with parts.database.read() as session:
        audit = audits.for_label(session, measure.name, config.offset)
    periods = tuple(period.name for period in question.periods)
    first, last = (day_name(day_of(t, config.offset)) for t in (question.span.start, question.span.end - 1))
    return Facts(
        name=f"{measure.name} every {question.every}, {first} to {last}, {_where(question)}",
        curators=(config.name,),
        purpose=f"{planned.request.purpose} under licence {planned.licence.id} of {planned.licence.holder}",
        region=f"{question.area.size_km2():,.0f} km2 in {len(question.area.compacted):,} compacted H3 cells",
        published=day_name(day_of(now, config.offset)),
        definition=f"{measure.definition} Unit: {measure.unit}. Source: {measure.source}.",
        plan=planned.plan,
        periods=periods,
        delta=config.delta,
        spent=_spent(parts, periods),
        cap=micro_rho_for(config.epsilon_cap, config.delta),
        log_origin=parts.publisher.origin,
        revision=max(question.revisions),
        sample=_sample(parts, question),
        clips=measure.clips,
        joint=measure.joint and measure.moves and len(periods) > 1,
        border=_border(question),
        witnesses=parts.publisher.limit(),
        sharing=1 if measure.joint else measure.sharing(planned.scope),
        sampler=measured.sampler,
        shown_mass=measured.shown_mass,
        weights=question.weights.facts() if question.weights else None,
        audit=audit,
        filters="; ".join(f"{name} {', '.join(values)}" for name, values in question.filters),
    )


def _where(question: Question) -> str:
    if question.zones is None:
        return f"H3 resolution {question.resolution}"
    return f"{len(question.zones):,} zones in cells of H3 resolution {question.resolution}"


def _border(question: Question) -> str:
    """Say what zones lose at their borders: public, from their outlines alone."""
    zones = question.zones
    if zones is None:
        return ""
    shares = sorted(zones.border)
    middle, largest = shares[len(shares) // 2], shares[-1]
    return (
        f"Zones are held in cells of H3 resolution {zones.resolution}, each in the zone of its centre. A "
        f"zone's border crosses {middle:.0%} of its cells (median; largest {largest:.0%}): devices there may "
        "count in the zone next to theirs."
    )


def _covered(weights: Weights | None) -> str:
    """Say what is known of coverage and bias where a census was used; "" without one."""
    if weights is None:
        return ""
    return (
        "devices weighted by a census to the people of their home: in its strata one device is seen for "
        f"{1 / weights.coverage:,.0f} people; the number of residents has a bias of {weights.bias:+.1%} from "
        f"cap, rounding and the {weights.left_out:.1%} of people who live where too few devices were counted"
    )


def _spent(parts: Parts, periods: tuple[str, ...]) -> dict[str, MicroRho]:
    """Return what each period has cost so far, over all keys it ever had, this question included."""
    with parts.database.read() as session:
        rows = session.execute(select(Budget.period, Budget.spent).where(Budget.period.in_(periods)))
        total: dict[str, int] = dict.fromkeys(periods, 0)
        for period, spent in rows:
            total[period] += spent
    return {period: MicroRho(spent) for period, spent in total.items()}


def _sample(parts: Parts, question: Question) -> str:
    """Return how the devices relate to the population: from contracts and weights alone, which are public."""
    with parts.database.read() as session:
        contracts = [supplier.contract for supplier in registry.list_all(session)]
    declared = [c.expected_devices for c in contracts if c.expected_devices is not None]
    kinds = f"{len(contracts)} supplier(s) of app location data; "
    kinds += _covered(question.weights) or "coverage was not measured and is not uniform"
    if len(declared) == len(contracts) and declared:
        return f"{kinds}; contracts declare {sum(declared):,} devices in all, overlaps not removed"
    return kinds
