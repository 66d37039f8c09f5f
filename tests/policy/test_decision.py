"""The decision: each thing that is wrong denies, with its own code, and Cedar is the one who decides."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any

import cedarpy
import h3
import numpy as np
import pytest

from passersby.model.place import Area
from passersby.model.purposes import BROADER, is_prohibited
from passersby.policy import decision
from passersby.policy.decision import Decider
from passersby.policy.licence import Grant, Licence
from passersby.policy.refusals import DECISION
from passersby.policy.request import AskRequest

NOT_BEFORE, EXPIRES = 1_770_000_000, 1_790_000_000
ROOT = h3.latlng_to_cell(47.37, 8.54, 4)
LICENSED = sorted(h3.str_to_int(cell) for cell in h3.cell_to_children(ROOT, 5))
COARSER = h3.str_to_int(h3.cell_to_parent(ROOT, 3))
OUTSIDE = h3.str_to_int(h3.latlng_to_cell(52.5, 13.4, 5))
ANNA, BEN, CARA = "anna", "ben", "cara"
TRANSPORT, RESEARCH = "dpv:ImproveTransportMobility", "dpv:AcademicResearch"

LICENCE = Licence(
    id="city-2026",
    holder="City",
    contact="c@city.example",
    government=True,
    reason="Tram lines.",
    people=(ANNA, BEN),
    purposes=(RESEARCH, TRANSPORT),
    measures=("presence", "visitors"),
    cells=tuple(LICENSED),
    dates_from=20_000,
    dates_to=20_100,
    not_before=NOT_BEFORE,
    expires=EXPIRES,
    resolution=7,
    resolution_reason="",
    epsilon_per_period=2.0,
    seed_id="0123456789abcdef",
)
GRANT = Grant(LICENCE, CARA, NOT_BEFORE - 100, None)


def area(*cells: int) -> Area:
    return Area.from_cells(np.array(cells, dtype=np.int64))


def child(cell: int, resolution: int, which: int = 0) -> int:
    return int(h3.str_to_int(sorted(h3.cell_to_children(h3.int_to_str(cell), resolution))[which]))


GOOD = AskRequest(
    person=ANNA,
    roles=frozenset({"analyst"}),
    active=True,
    grant=GRANT,
    purpose=TRANSPORT,
    noticed=frozenset({TRANSPORT, RESEARCH}),
    measure="presence",
    area=area(LICENSED[0], LICENSED[1]),
    resolution=7,
    finest_resolution=7,
    date_from=20_010,
    date_to=20_016,
    epsilon=1.0,
    epsilon_cap=1.0,
    case="tram-7",
    case_open=True,
    review_overdue=False,
    impact_in_force=True,
    now=NOT_BEFORE + 1000,
)


def licensed(**change: Any) -> Grant:
    return replace(GRANT, licence=replace(LICENCE, **change))


@pytest.fixture(scope="module")
def decider() -> Decider:
    return Decider()


ALLOWED: dict[str, dict[str, Any]] = {
    "as it stands": {},
    "the first second": {"now": NOT_BEFORE},
    "the last second": {"now": EXPIRES - 1},
    "a custodian who is not named": {"person": CARA, "roles": frozenset({"custodian"})},
    "a named analyst with another role": {"roles": frozenset({"analyst", "legal"})},
    "the whole area": {"area": area(*LICENSED)},
    "a coarser cell that is all licensed": {"area": area(h3.str_to_int(ROOT))},
    "one finest cell": {"area": area(child(LICENSED[3], 7))},
    "a coarser answer": {"resolution": 5},
    "all days": {"date_from": 20_000, "date_to": 20_100},
    "one day": {"date_from": 20_050, "date_to": 20_050},
    "a millionth": {"epsilon": 1e-6},
    "a cap that is no round number": {"epsilon": 0.29, "epsilon_cap": 0.29},
    "resolution 8 where both allow it": {
        "finest_resolution": 8,
        "resolution": 8,
        "area": area(child(LICENSED[0], 8)),
        "grant": licensed(resolution=8, resolution_reason="generated"),
    },
}

DENIED: dict[str, tuple[str, dict[str, Any]]] = {
    "no impact assessment": ("impact-missing", {"impact_in_force": False}),
    "a case that is not open": ("case-not-open", {"case_open": False}),
    "a review that is overdue": ("review-overdue", {"review_overdue": True}),
    "no licence": ("unknown-licence", {"grant": None}),
    "revoked": ("licence-revoked", {"grant": replace(GRANT, revoked=NOT_BEFORE)}),
    "revoked at second 0": ("licence-revoked", {"grant": replace(GRANT, revoked=0)}),
    "a second too early": ("licence-not-yet-valid", {"now": NOT_BEFORE - 1}),
    "at the second it expires": ("licence-expired", {"now": EXPIRES}),
    "another analyst": ("not-on-licence", {"person": "eve"}),
    "named, but no analyst": ("not-on-licence", {"roles": frozenset({"legal"})}),
    "an inactive analyst": ("not-on-licence", {"active": False}),
    "an inactive custodian": ("not-on-licence", {"roles": frozenset({"custodian"}), "active": False}),
    "a name that differs in case": ("not-on-licence", {"person": "Anna"}),
    "another purpose": ("purpose-not-licensed", {"purpose": "dpv:ServiceProvision"}),
    "a narrower purpose": (
        "purpose-not-licensed",
        {"grant": licensed(purposes=("dpv:ResearchAndDevelopment",)), "purpose": RESEARCH},
    ),
    "a broader purpose": ("purpose-not-licensed", {"purpose": "dpv:ResearchAndDevelopment"}),
    "a purpose that no notice named": ("purpose-not-in-notice", {"noticed": frozenset({RESEARCH})}),
    "no notice at all": ("purpose-not-in-notice", {"noticed": frozenset()}),
    "another measure": ("measure-not-licensed", {"measure": "flows"}),
    "a measure that differs in case": ("measure-not-licensed", {"measure": "Presence"}),
    "one cell outside": ("area-outside-licence", {"area": area(LICENSED[0], OUTSIDE)}),
    "a small cell outside": ("area-outside-licence", {"area": area(child(OUTSIDE, 7))}),
    "a coarser cell that sticks out": ("area-outside-licence", {"area": area(COARSER)}),
    "a cell below the floor": ("area-too-small", {"area": area(child(LICENSED[0], 8))}),
    "one below it beside a large one": (
        "area-too-small",
        {"area": area(LICENSED[1], child(LICENSED[0], 10))},
    ),
    "no area": ("area-too-small", {"area": Area(())}),
    "too fine for the licence": ("resolution-too-fine", {"resolution": 8, "finest_resolution": 8}),
    "too fine for the deployment": (
        "resolution-too-fine",
        {"resolution": 8, "grant": licensed(resolution=8, resolution_reason="generated")},
    ),
    "a day too early": ("dates-outside-licence", {"date_from": 19_999}),
    "a day too late": ("dates-outside-licence", {"date_to": 20_101}),
    "backwards": ("dates-outside-licence", {"date_from": 20_017}),
    "no epsilon": ("bad-epsilon", {"epsilon": 0.0}),
    "negative epsilon": ("bad-epsilon", {"epsilon": -1.0}),
    "epsilon that is no number": ("bad-epsilon", {"epsilon": float("nan")}),
    "endless epsilon": ("epsilon-over-question-cap", {"epsilon": float("inf")}),
    "a little too much": ("epsilon-over-question-cap", {"epsilon": 1.0000001}),
    "over a cap below a millionth": ("epsilon-over-question-cap", {"epsilon": 1e-7, "epsilon_cap": 1e-8}),
    "no case": ("case-missing", {"case": ""}),
    "a blank case": ("case-missing", {"case": " \t"}),
    "a role that does not exist": ("denied", {"roles": frozenset({"analyst", "root"})}),
    "a number that no machine holds": ("denied", {"resolution": -(2**70)}),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_allowed(decider: Decider, name: str) -> None:
    made = decider.decide(replace(GOOD, **ALLOWED[name]))
    assert (made.allowed, made.code) == (True, "")


@pytest.mark.parametrize("name", DENIED)
def test_what_is_denied(decider: Decider, name: str) -> None:
    code, change = DENIED[name]
    made = decider.decide(replace(GOOD, **change))
    assert (made.allowed, made.code) == (False, code)


def test_every_code_of_the_decision_is_in_the_matrix() -> None:
    prohibited = {"purpose-prohibited"}  # has a matrix of its own below
    assert {code for code, _ in DENIED.values()} | prohibited == set(DECISION)


@pytest.mark.parametrize("purpose", [term for term in BROADER if is_prohibited(term)])
@pytest.mark.parametrize("roles", [frozenset({"analyst"}), frozenset({"custodian"})])
def test_no_licence_can_lift_a_prohibition(decider: Decider, purpose: str, roles: frozenset[str]) -> None:
    grant = licensed(purposes=tuple(BROADER))
    request = replace(GOOD, grant=grant, purpose=purpose, noticed=frozenset(BROADER), roles=roles)
    assert decider.decide(request).code == "purpose-prohibited"


@pytest.mark.parametrize("purpose", [term for term in BROADER if not is_prohibited(term)])
def test_every_other_purpose_can_be_licensed(decider: Decider, purpose: str) -> None:
    grant = licensed(purposes=(purpose,))
    assert decider.decide(replace(GOOD, grant=grant, purpose=purpose, noticed=frozenset({purpose}))).allowed


def test_a_denial_gives_the_first_reason_in_the_documented_order(decider: Decider) -> None:
    tangled = {"licence-not-yet-valid", "area-too-small", "bad-epsilon"}  # they change what others change
    wrong = {code: made for code, made in DENIED.values() if code not in tangled and "grant" not in made}
    request = GOOD
    for code in [code for code in reversed(DECISION) if code in wrong.keys() - {"denied"}]:
        request = replace(request, **wrong[code])
        assert decider.decide(request).code == code


def test_a_decision_names_the_texts_that_decided(decider: Decider) -> None:
    made = decider.decide(GOOD)
    assert (made.policy_sha256, made.schema_sha256) == (decider.policy_sha256, decider.schema_sha256)
    other = Decider(policies=decision.policy_text() + "\n// another line\n")
    assert other.decide(GOOD).policy_sha256 != made.policy_sha256
    assert other.decide(GOOD).schema_sha256 == made.schema_sha256


CONDITIONS = (
    "!resource.revoked",
    "context.now >= resource.notBefore",
    "context.now < resource.expires",
    "principal.active",
    'principal.roles.contains(Passersby::Role::"analyst")',
    "resource.people.contains(principal)",
    "resource.purposes.contains(context.purpose)",
    "context.noticed.contains(context.purpose)",
    "resource.measures.contains(context.measure)",
    "!context.area.isEmpty()",
    "resource.area.containsAll(context.area)",
    "context.areaResolution <= resource.resolution",
    "context.resolution <= resource.resolution",
    "context.resolution <= context.finestResolution",
    "context.dateFrom >= resource.datesFrom",
    "context.dateTo <= resource.datesTo",
    "context.dateFrom <= context.dateTo",
    "context.microEpsilon > 0",
    "context.microEpsilon <= context.microEpsilonCap",
    'context.case != ""',
    "context.caseOpen",
    "!context.reviewOverdue",
    "context.impactInForce",
)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_each_condition_is_needed(condition: str) -> None:
    assert decision.policy_text().count(condition) == 1
    without = Decider(policies=decision.policy_text().replace(condition, "true"))
    leaks = [name for name, (_, change) in DENIED.items() if without.decide(replace(GOOD, **change)).allowed]
    # an empty area has no smallest cell, so that two conditions deny it
    assert leaks or condition == "!context.area.isEmpty()"


def test_no_condition_is_left_out_above() -> None:
    permit = decision.policy_text().partition('@id("never')[0]
    attributes = re.findall(r"(?:context|resource|principal)\.\w+", re.sub(r"//.*", "", permit))
    custodian = 'principal.roles.contains(Passersby::Role::"custodian")'
    listed = re.findall(r"(?:context|resource|principal)\.\w+", " ".join((*CONDITIONS, custodian)))
    assert sorted(attributes) == sorted(listed)


@pytest.mark.parametrize("action", ["ListDevices", "ReadDevice", "ReverseGeofence", "Export", ""])
def test_an_unknown_action_cannot_be_formed(decider: Decider, action: str) -> None:
    request = {
        "principal": {"type": "Passersby::Person", "id": ANNA},
        "action": {"type": "Passersby::Action", "id": action},
        "resource": {"type": "Passersby::Licence", "id": LICENCE.id},
        "context": decision._context(GOOD),
    }
    entities = decider._entities(GOOD, GRANT)
    result = cedarpy.is_authorized(request, decider._policies, entities, decider._schema)
    assert result.decision is cedarpy.Decision.NoDecision
    request["action"] = {"type": "Passersby::Action", "id": "RunAggregate"}
    assert cedarpy.is_authorized(request, decider._policies, entities, decider._schema).allowed


@pytest.mark.parametrize("outcome", [cedarpy.Decision.Deny, cedarpy.Decision.NoDecision])
def test_anything_but_allow_denies(decider: Decider, monkeypatch: pytest.MonkeyPatch, outcome: Any) -> None:
    result = cedarpy.AuthzResult({"decision": outcome.value, "diagnostics": {}})
    monkeypatch.setattr(cedarpy, "is_authorized", lambda *_: result)
    made = decider.decide(GOOD)
    assert (made.allowed, made.code) == (False, "denied")


def test_an_allow_with_an_error_denies(decider: Decider, monkeypatch: pytest.MonkeyPatch) -> None:
    diagnostics = {"errors": ["a forbid could not be evaluated"]}
    result = cedarpy.AuthzResult({"decision": "Allow", "diagnostics": diagnostics})
    monkeypatch.setattr(cedarpy, "is_authorized", lambda *_: result)
    assert not decider.decide(GOOD).allowed


def test_a_licence_that_changes_is_not_decided_from_memory(decider: Decider) -> None:
    for _ in range(2):
        assert decider.decide(GOOD).allowed
        assert not decider.decide(replace(GOOD, grant=replace(GRANT, revoked=NOT_BEFORE))).allowed
        assert not decider.decide(replace(GOOD, grant=licensed(measures=("visitors",)))).allowed
        assert not decider.decide(replace(GOOD, roles=frozenset({"legal"}))).allowed
        assert not decider.decide(replace(GOOD, active=False)).allowed


def test_memory_of_licences_is_bounded() -> None:
    decider = Decider()
    for i in range(decision._MOST_HANDLES + 5):
        assert decider.decide(replace(GOOD, grant=licensed(reason=f"Case {i}."))).allowed
    assert len(decider._handles) <= decision._MOST_HANDLES


def test_a_thousand_decisions_take_less_than_a_second(decider: Decider) -> None:
    def seconds(count: int) -> float:
        begun = time.process_time()
        for _ in range(count):
            decider.decide(GOOD)
        return time.process_time() - begun

    assert min(seconds(200) for _ in range(4)) < 0.2
