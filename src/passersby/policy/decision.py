"""Decides with Cedar whether a question may be asked. Anything but a clean Allow is a denial.

The schema is always passed: without it Cedar skips a `forbid` that cannot be evaluated, and so allows.
Policies, schema and vocabulary are parsed once; a licence with its asker once each.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import cedarpy

from passersby.errors import IntegrityError
from passersby.model.purposes import BROADER, PROHIBITED
from passersby.policy import area as areas
from passersby.policy.explain import reason
from passersby.policy.licence import Grant
from passersby.policy.request import AskRequest, micro_ceiling, micro_floor

_PURPOSE = re.compile(r'Purpose::"([^"]*)"')
_MOST_HANDLES = 64
_NO_AREA = 15


@dataclass(frozen=True)
class Decision:
    """The outcome. `code` is "" if it is allowed; the hashes name the policy texts that decided."""

    allowed: bool
    code: str
    policy_sha256: str
    schema_sha256: str


class Decider:
    """Holds the parsed policies and decides requests; one is enough for a process.

    Args:
        policies: Cedar policies; None for those of the package.
        schema: Cedar schema; None for that of the package.

    Raises:
        IntegrityError: the policies do not fit the schema, name a purpose that does not exist, or
            prohibit other purposes than `model.purposes` lists. Nothing may be decided then.
    """

    def __init__(self, policies: str | None = None, schema: str | None = None) -> None:
        policies = policy_text() if policies is None else policies
        schema = schema_text() if schema is None else schema
        _check(policies, schema)
        self.policy_sha256 = hashlib.sha256(policies.encode()).hexdigest()
        self.schema_sha256 = hashlib.sha256(schema.encode()).hexdigest()
        self._policies = cedarpy.PolicySet.from_str(policies)
        self._schema = cedarpy.Schema.from_str(schema)
        self._purposes = cedarpy.Entities.from_json_str(json.dumps(_purposes()), self._schema)
        self._handles: dict[tuple[object, ...], cedarpy.Entities] = {}

    def decide(self, request: AskRequest) -> Decision:
        """Return whether the question may be asked, and if not, the code of the reason."""
        allowed = request.grant is not None and self._allows(request, request.grant)
        code = "" if allowed else reason(request)
        return Decision(allowed, code, self.policy_sha256, self.schema_sha256)

    def _allows(self, request: AskRequest, grant: Grant) -> bool:
        question = {
            "principal": {"type": "Passersby::Person", "id": request.person},
            "action": {"type": "Passersby::Action", "id": "RunAggregate"},
            "resource": {"type": "Passersby::Licence", "id": grant.licence.id},
            "context": _context(request),
        }
        try:
            entities = self._entities(request, grant)
        except ValueError:  # the schema knows no such role
            return False
        result = cedarpy.is_authorized(question, self._policies, entities, self._schema)
        return result.decision is cedarpy.Decision.Allow and not result.diagnostics.errors

    def _entities(self, request: AskRequest, grant: Grant) -> cedarpy.Entities:
        revoked = grant.revoked is not None
        key = (grant.licence.sha256, revoked, request.person, request.roles, request.active)
        handle = self._handles.get(key)
        if handle is None:
            delta = json.dumps([_person(request), _licence(grant)])
            handle = self._purposes.with_added_json_str(delta, self._schema)
            if len(self._handles) >= _MOST_HANDLES:
                self._handles.clear()
            self._handles[key] = handle
        return handle


def policy_text() -> str:
    """Return the Cedar policies of the package."""
    return files("passersby.policy").joinpath("policies.cedar").read_text(encoding="utf-8")


def schema_text() -> str:
    """Return the Cedar schema of the package."""
    return files("passersby.policy").joinpath("schema.cedarschema").read_text(encoding="utf-8")


def _check(policies: str, schema: str) -> None:
    try:
        fits = cedarpy.validate_policies(policies, schema).validation_passed
    except ValueError:
        fits = False
    if not fits or set(_PURPOSE.findall(policies)) != PROHIBITED:
        msg = "The policies do not fit their schema or the vocabulary of purposes: nothing is decided."
        raise IntegrityError(msg, "Install the package again; its policy files were changed.")


def _ref(kind: str, name: str) -> dict[str, Any]:
    return {"__entity": {"type": f"Passersby::{kind}", "id": name}}


def _entity(
    kind: str, name: str, attributes: dict[str, Any], parents: tuple[str, ...] = ()
) -> dict[str, Any]:
    over = [{"type": f"Passersby::{kind}", "id": parent} for parent in parents]
    return {"uid": {"type": f"Passersby::{kind}", "id": name}, "attrs": attributes, "parents": over}


def _purposes() -> list[dict[str, Any]]:
    return [_entity("Purpose", term, {}, broader) for term, broader in BROADER.items()]


def _person(request: AskRequest) -> dict[str, Any]:
    roles = [_ref("Role", role) for role in sorted(request.roles)]
    return _entity("Person", request.person, {"active": request.active, "roles": roles})


def _licence(grant: Grant) -> dict[str, Any]:
    licence = grant.licence
    attributes = {
        "revoked": grant.revoked is not None,
        "notBefore": licence.not_before,
        "expires": licence.expires,
        "people": [_ref("Person", person) for person in licence.people],
        "purposes": [_ref("Purpose", purpose) for purpose in licence.purposes],
        "measures": list(licence.measures),
        "area": list(licence.cells),
        "resolution": licence.resolution,
        "datesFrom": licence.dates_from,
        "datesTo": licence.dates_to,
    }
    return _entity("Licence", licence.id, attributes)


def _context(request: AskRequest) -> dict[str, Any]:
    return {
        "now": request.now,
        "purpose": _ref("Purpose", request.purpose),
        "noticed": [_ref("Purpose", purpose) for purpose in sorted(request.noticed)],
        "measure": request.measure,
        "area": list(areas.coarse(request.area)),
        "areaResolution": request.area.finest if request.area.compacted else _NO_AREA,
        "resolution": request.resolution,
        "finestResolution": request.finest_resolution,
        "dateFrom": request.date_from,
        "dateTo": request.date_to,
        "microEpsilon": micro_ceiling(request.epsilon),
        "microEpsilonCap": micro_floor(request.epsilon_cap),
        "case": request.case.strip(),
        "caseOpen": request.case_open,
        "reviewOverdue": request.review_overdue,
        "impactInForce": request.impact_in_force,
    }
