"""Step 1 of the gate: a checked request, allowed by policy, with its cost and its noise fixed.

Nothing here reads a lake. What a plan says about errors comes from the noise alone, which is public,
and from public figures or earlier releases (`gate.worth`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from sqlalchemy.orm import Session

from passersby.errors import Refusal, UsageError
from passersby.gate import weighting
from passersby.gate.parts import Parts
from passersby.gate.request import Checked, Request, check, require_closed, revision
from passersby.keys.signed import Actor
from passersby.measures.base import Measure, Scope
from passersby.model.cells import parent, resolution_of
from passersby.model.cost import MechanismEvent, MicroRho
from passersby.model.period import day_of
from passersby.model.place import Area
from passersby.model.question import Question
from passersby.model.record import NAME
from passersby.model.zones import Zones
from passersby.people import accounts
from passersby.policy import cases, freeze, impact, reviews
from passersby.policy import licence as licences
from passersby.policy.licence import Grant, Licence
from passersby.policy.refusals import refusal
from passersby.policy.request import AskRequest
from passersby.privacy.accounting import micro_rho_for
from passersby.privacy.bound import MAX_SQUARED_BOUND
from passersby.privacy.hierarchy.plan import Plan, make_plan
from passersby.suppliers import registry
from passersby.trustlog.entries import append

MECHANISMS = {"additive": "topdown-h3/1", "levels": "topdown-h3/2", "pairs": "topdown-h3/2"}
"""Name and version of what `privacy.hierarchy` does for each kind of measure: part of each question."""

LEAST_MICRO_RHO = 100
"""Least cost of a question (epsilon about 0.04): each of up to eight levels must get a part of it."""


@dataclass(frozen=True)
class Planned:
    """A question that may be asked, with everything that is fixed before data is read.

    `revises` tells whether an earlier data revision of the same question was answered: such a charge may
    use what the cap keeps for scheduled revisions. `sql` holds the unit rows of each measured resolution.
    """

    request: Request
    actor: Actor
    licence: Licence
    licence_cap: MicroRho
    measure: Measure
    scope: Scope
    question: Question
    plan: Plan
    policy_sha256: str
    revises: bool

    @property
    def events(self) -> tuple[MechanismEvent, ...]:
        """The noise that will be drawn."""
        return tuple(self.plan.events())


def plan(parts: Parts, request: Request, actor: Actor, *, now: int) -> Planned:
    """Return what a request comes to.

    Raises:
        Refusal: the deployment is frozen, a word is not valid, policy says no, or a period is open.
    """
    with parts.database.read() as session:
        freeze.require_running(session)
    checked = check(request, parts.config)
    with parts.database.read() as session:
        grant = _licence(session, request.licence)
        if grant is None:
            raise refusal("unknown-licence")
        if request.weighting is not None:
            checked = weighting.apply(parts, session, checked, request.weighting)
        area = _zoned(request.zones, request.resolution) if request.zones else _area(request, grant)
        policy_sha256 = _decide(parts, session, checked, (grant, area), actor, now=now)
        require_closed(checked.read, parts.config, now)
        if checked.measure.joint:
            _require_one_key(parts, checked)
        question = _question(parts, checked, area, now)
        scope = checked.scope(parts.config.offset)
        return Planned(
            request=request,
            actor=actor,
            licence=grant.licence,
            licence_cap=micro_rho_for(grant.licence.epsilon_per_period, parts.config.delta),
            measure=checked.measure,
            scope=scope,
            question=question,
            plan=_levels(checked.measure, scope, question),
            policy_sha256=policy_sha256,
            revises=_revises(parts, session, question),
        )


def _require_one_key(parts: Parts, checked: Checked) -> None:
    """Refuse a measure that joins periods across two pseudonym keys: a device has two names there.

    Raises:
        Refusal: the question's periods do not lie within one epoch.
    """
    periods = checked.read.periods(parts.config.offset)
    if len({parts.ring.epoch_of(period) for period in periods}) > 1:
        raise refusal("two-keys")


def keyed_periods(parts: Parts, session: Session, planned: Planned, *, now: int) -> list[tuple[str, str]]:
    """Return (name of the pseudonym key, name of the period) for each period of a question.

    A period without data gets its key here: whether there is data must not show.
    """
    found = []
    for period in planned.question.periods:
        epoch = parts.ring.epoch_of(period)
        name = parts.ring.epoch_id(session, epoch)
        if name is None:
            info = parts.ring.epoch_key(session, epoch, now=now)
            name = info.id
            first = parts.ring.first_period(epoch).name
            append(session, "epoch.opened", {"key": name, "first_period": first}, now=now)
        found.append((name, period.name))
    return found


def known_licence(session: Session, name: str) -> str:
    """Return `name` if a licence has it, else "unknown": the public log takes no caller's words."""
    return name if _licence(session, name) is not None else "unknown"


def _licence(session: Session, name: str) -> Grant | None:
    """Return a licence; no text that cannot be the name of one reaches the database."""
    return licences.find(session, name) if NAME.fullmatch(name) else None


def _area(request: Request, grant: Grant) -> Area:
    """Return the asked area, by default the licence's, in cells that the resolution can express."""
    try:
        area = request.area or _whole(grant.licence.cells, request.resolution)
        area.at(request.resolution)
    except UsageError:
        small = request.area is not None and request.area.finest > grant.licence.resolution
        raise refusal("area-too-small" if small else "bad-area") from None
    return area


def _zoned(zones: Zones, resolution: int) -> Area:
    """Return the cells of `--resolution` that hold all zones: what policy compares with the licence.

    Where the measure has reference locations, that resolution is theirs or a coarser one, so that no home is
    told of a smaller zone.

    Raises:
        Refusal: a zone is smaller than such a cell.
    """
    if resolution > zones.resolution or zones.least_cells() < 7 ** (zones.resolution - resolution):
        raise refusal("area-too-small")
    flat = np.array([cell for own in zones.cells for cell in own], dtype=np.int64)
    return Area.from_cells(np.unique(parent(flat, resolution, of=zones.resolution)))


def _whole(cells: tuple[int, ...], resolution: int) -> Area:
    """Return a licence's area in cells of at most `resolution`: coarse cells only where all of one is in it.

    Raises:
        UsageError: no cell of that resolution lies wholly in the licence.
    """
    area = Area.from_cells(np.array(cells, dtype=np.int64))
    own = resolution_of(np.array(area.compacted, dtype=np.int64))
    kept = [cell for cell, r in zip(area.compacted, own, strict=True) if r <= resolution]
    return Area.from_cells(np.array(kept, dtype=np.int64))


def _decide(
    parts: Parts, session: Session, checked: Checked, place: tuple[Grant, Area], actor: Actor, *, now: int
) -> str:
    """Ask policy; return the hash of the policies that allowed it."""
    request, config = checked.request, parts.config
    grant, area = place
    account = accounts.get(session, actor.id)
    decision = parts.decider.decide(
        AskRequest(
            person=account.id,
            roles=account.roles,
            active=account.active,
            grant=grant,
            purpose=request.purpose,
            noticed=_noticed(session, checked, config.offset),
            measure=checked.measure.name,
            area=area,
            resolution=request.resolution,
            finest_resolution=config.finest_resolution,
            date_from=day_of(checked.read.start, config.offset),
            date_to=day_of(checked.read.end - 1, config.offset),
            epsilon=request.epsilon,
            epsilon_cap=config.epsilon_question,
            case=request.case,
            case_open=cases.is_open(
                session, licence=grant.licence.id, name=request.case, purpose=request.purpose, now=now
            ),
            review_overdue=reviews.overdue(session, grant.licence.id, now=now),
            impact_in_force=impact.in_force(session, now=now),
            now=now,
        )
    )
    if not decision.allowed:
        raise refusal(decision.code)
    return decision.policy_sha256


def _noticed(session: Session, checked: Checked, offset: int) -> frozenset[str]:
    """Return purposes that the notices of every supplier name whose contract covers a day of the question.

    Which suppliers really delivered is not looked at: a refusal must not depend on data.
    """
    first, last = day_of(checked.read.start, offset), day_of(checked.read.end - 1, offset)
    numbers = [
        supplier.number
        for supplier in registry.list_all(session)
        if supplier.contract.dates_from <= last and supplier.contract.dates_to >= first
    ]
    return registry.noticed_purposes(session, numbers)


def _question(parts: Parts, checked: Checked, area: Area, now: int) -> Question:
    config, request = parts.config, checked.request
    try:
        cost = micro_rho_for(request.epsilon, config.delta)
    except UsageError:
        raise refusal("bad-epsilon") from None
    if cost.value < LEAST_MICRO_RHO:
        raise refusal("bad-epsilon")
    return Question(
        measure=checked.measure.name,
        definition=checked.measure.version,
        span=checked.span,
        area=request.zones.area if request.zones else Area.from_cells(area.at(request.resolution)),
        resolution=checked.resolution,
        every=request.every,
        filters=checked.filters,
        cost=cost,
        mechanism=MECHANISMS[checked.measure.kind],
        revisions=tuple(revision(p, config, now) for p in checked.read.periods(config.offset)),
        offset=config.offset,
        zones=request.zones,
        weights=checked.weights,
    )


def _levels(measure: Measure, scope: Scope, question: Question) -> Plan:
    if measure.bound(scope) > MAX_SQUARED_BOUND:
        raise refusal("question-too-large")
    try:
        return make_plan(
            question.ground,
            measure=measure.name,
            resolution=question.resolution,
            buckets=measure.columns(scope),
            squared_bound=partial(measure.squared_sensitivity, scope),
            cost=question.cost,
            kind=measure.kind,
            lost=measure.lost,
        )
    except UsageError:
        raise refusal("question-too-large") from None


def _revises(parts: Parts, session: Session, question: Question) -> bool:
    """Tell whether an earlier data revision of this question has an answer."""
    newest = max(question.revisions)
    earlier = (
        replace(question, revisions=tuple(min(r, limit) for r in question.revisions))
        for limit in range(1, newest)
    )
    for other in earlier:
        try:
            if other.sha256 != question.sha256 and parts.ledger.stored(session, other.sha256) is not None:
                return True
        except Refusal:
            return True
    return False
