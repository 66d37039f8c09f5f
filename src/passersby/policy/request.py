"""What a decision is asked about: one person's question under one licence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from passersby.model.place import Area
from passersby.policy.licence import Grant

_LARGEST = 10**12


@dataclass(frozen=True)
class AskRequest:
    """A question as policy sees it. Every field must be given: what is not asked about is not allowed.

    Args:
        person: account of the person who asks, proven by their key or their session.
        roles: roles of that account.
        active: whether the account is active.
        grant: from `licence.find`; None if there is no licence of that name.
        purpose: a term of `model.purposes`.
        noticed: purposes that the notices of all suppliers that are read name
            (`suppliers.registry.noticed_purposes`).
        measure: name of the measure.
        area: area of the question.
        resolution: H3 resolution of the answer.
        finest_resolution: of the deployment (`Config.finest_resolution`).
        date_from: first local day that is read, since 1970-01-01.
        date_to: last local day that is read.
        epsilon: what the question costs each period.
        epsilon_cap: most that one question may cost (`Config.epsilon_question`).
        case: case that the question belongs to.
        case_open: whether that case is open for the licence and purpose (`policy.cases.is_open`).
        review_overdue: whether a question of the licence waits for an overdue review (`policy.reviews`).
        impact_in_force: whether the impact assessment is approved and not overdue (`policy.impact`).
        now: epoch s.
    """

    person: str
    roles: frozenset[str]
    active: bool
    grant: Grant | None
    purpose: str
    noticed: frozenset[str]
    measure: str
    area: Area
    resolution: int
    finest_resolution: int
    date_from: int
    date_to: int
    epsilon: float
    epsilon_cap: float
    case: str
    case_open: bool
    review_overdue: bool
    impact_in_force: bool
    now: int


def micro_ceiling(epsilon: float) -> int:
    """Return an epsilon in millionths, rounded up; 0 if it is no number above 0."""
    return _micro(epsilon, ROUND_CEILING)


def micro_floor(epsilon: float) -> int:
    """Return an epsilon in millionths, rounded down; 0 if it is no number above 0."""
    return _micro(epsilon, ROUND_FLOOR)


def _micro(epsilon: float, rounding: str) -> int:
    """Use the shortest decimal that reads back as `epsilon`, so that 0.29 is 290,000 millionths."""
    if math.isnan(epsilon) or epsilon <= 0:
        return 0
    if epsilon > _LARGEST:
        return _LARGEST * 1_000_000
    return int((Decimal(repr(float(epsilon))) * 1_000_000).to_integral_value(rounding))
