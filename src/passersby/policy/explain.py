"""Names the reason of a denial: Cedar says yes or no, people need one code.

This decides nothing. The order is fixed and documented (docs/reference/refusals.md), and the reason
depends on the request and the licence alone, never on data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from passersby.model.purposes import is_prohibited
from passersby.policy import area as areas
from passersby.policy.licence import Licence
from passersby.policy.request import AskRequest, micro_ceiling, micro_floor

Rule = Callable[[AskRequest, Licence], bool]


def reason(request: AskRequest) -> str:
    """Return the code of the first rule that the request breaks; `denied` if it breaks none of them."""
    if request.grant is None:
        return "unknown-licence"
    if request.grant.revoked is not None:
        return "licence-revoked"
    licence = request.grant.licence
    return next((code for code, holds in RULES.items() if not holds(request, licence)), "denied")


def _may_use(request: AskRequest, licence: Licence) -> bool:
    named = "analyst" in request.roles and request.person in licence.people
    return request.active and (named or "custodian" in request.roles)


RULES: Mapping[str, Rule] = {
    "impact-missing": lambda r, _: r.impact_in_force,
    "licence-not-yet-valid": lambda r, x: r.now >= x.not_before,
    "licence-expired": lambda r, x: r.now < x.expires,
    "not-on-licence": _may_use,
    "purpose-prohibited": lambda r, _: not is_prohibited(r.purpose),
    "purpose-not-licensed": lambda r, x: r.purpose in x.purposes,
    "purpose-not-in-notice": lambda r, _: r.purpose in r.noticed,
    "measure-not-licensed": lambda r, x: r.measure in x.measures,
    "area-outside-licence": lambda r, x: set(areas.coarse(r.area)) <= set(x.cells),
    "area-too-small": lambda r, x: bool(r.area.compacted) and r.area.finest <= x.resolution,
    "resolution-too-fine": lambda r, x: r.resolution <= min(x.resolution, r.finest_resolution),
    "dates-outside-licence": lambda r, x: x.dates_from <= r.date_from <= r.date_to <= x.dates_to,
    "bad-epsilon": lambda r, _: micro_ceiling(r.epsilon) > 0,
    "epsilon-over-question-cap": lambda r, _: micro_ceiling(r.epsilon) <= micro_floor(r.epsilon_cap),
    "case-missing": lambda r, _: bool(r.case.strip()),
    "case-not-open": lambda r, _: r.case_open,
    "review-overdue": lambda r, _: not r.review_overdue,
}
"""Code -> whether the request keeps the rule, in the documented order."""
