"""Random requests: Cedar decides as the rule does when it is written once more by other means."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import h3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passersby.model.place import Area
from passersby.model.purposes import BROADER, PROHIBITED
from passersby.policy import explain
from passersby.policy.decision import Decider
from passersby.policy.licence import Grant
from passersby.policy.refusals import DECISION
from passersby.policy.request import AskRequest
from policy.test_decision import (
    ANNA,
    BEN,
    CARA,
    EXPIRES,
    LICENCE,
    LICENSED,
    NOT_BEFORE,
    OUTSIDE,
    RESEARCH,
    TRANSPORT,
    area,
    child,
)


@pytest.fixture(scope="module")
def decider() -> Decider:
    return Decider()


def choose(good: Any, *bad: Any) -> st.SearchStrategy[Any]:
    """Mostly the good value, so that requests with few things wrong are common."""
    return st.sampled_from([good] * 12 + list(bad))


@st.composite
def requests(draw: st.DrawFn) -> AskRequest:
    purposes = st.sampled_from([TRANSPORT] * 30 + sorted(BROADER))
    licence = replace(
        LICENCE,
        people=draw(choose((ANNA, BEN), (BEN,), ())),
        purposes=draw(choose((RESEARCH, TRANSPORT), tuple(BROADER), ("dpv:PublicBenefit",))),
        measures=draw(choose(("presence",), ("visitors",))),
        cells=draw(choose(tuple(LICENSED), tuple(LICENSED[:2]), (OUTSIDE,))),
        resolution=draw(choose(7, 8, 6)),
    )
    parts = st.lists(st.sampled_from([*LICENSED] * 4 + [OUTSIDE]), max_size=3, unique=True)
    cells = [
        child(c, draw(st.sampled_from([5, 5, 6, 7, 7, 8])), draw(st.integers(0, 0))) for c in draw(parts)
    ]
    start = draw(choose(20_010, 19_999, 20_000, 20_101))
    return AskRequest(
        person=draw(choose(ANNA, BEN, CARA, "eve")),
        roles=draw(
            choose(frozenset({"analyst"}), frozenset({"custodian"}), frozenset({"legal"}), frozenset())
        ),
        active=draw(choose(True, False)),
        grant=draw(choose(Grant(licence, CARA, 0, None), Grant(licence, CARA, 0, NOT_BEFORE), None)),
        purpose=draw(purposes),
        noticed=draw(choose(frozenset(BROADER), frozenset({RESEARCH}), frozenset())),
        measure=draw(choose("presence", "visitors", "flows")),
        area=area(*cells) if cells else Area(()),
        resolution=draw(choose(6, 7, 8, 5)),
        finest_resolution=draw(choose(7, 8, 6)),
        date_from=start,
        date_to=start + draw(choose(6, 0, -1, 90)),
        epsilon=draw(choose(0.5, 1.0, 1.5, 0.0, -1.0, float("nan"), float("inf")) | st.floats(0, 2)),
        epsilon_cap=draw(choose(1.0, 0.5)),
        case=draw(choose("tram-7", "", "  ")),
        case_open=draw(choose(True, False)),
        review_overdue=draw(choose(False, True)),
        impact_in_force=draw(choose(True, False)),
        now=draw(choose(NOT_BEFORE + 5, NOT_BEFORE, NOT_BEFORE - 1, EXPIRES - 1, EXPIRES)),
    )


def rule(r: AskRequest) -> bool:
    """The licence rule once more, from the specification, with other means than the product's."""
    if r.grant is None or r.grant.revoked is not None or not r.active or not r.area.compacted:
        return False
    x = r.grant.licence
    forbidden, terms = set(PROHIBITED), [r.purpose]
    while terms:
        term = terms.pop()
        if term in forbidden:
            return False
        terms += BROADER.get(term, ())
    if "custodian" not in r.roles and not ("analyst" in r.roles and r.person in x.people):
        return False
    for cell in map(h3.int_to_str, r.area.compacted):
        fine = h3.get_resolution(cell)
        if fine > x.resolution:
            return False
        needed = [h3.cell_to_parent(cell, 5)] if fine >= 5 else h3.cell_to_children(cell, 5)
        if not all(h3.str_to_int(part) in x.cells for part in needed):
            return False
    return (
        x.not_before <= r.now < x.expires
        and r.purpose in x.purposes
        and r.purpose in r.noticed
        and r.measure in x.measures
        and r.resolution <= x.resolution
        and r.resolution <= r.finest_resolution
        and x.dates_from <= r.date_from <= r.date_to <= x.dates_to
        and 0 < r.epsilon <= r.epsilon_cap
        and r.case.strip() != ""
        and (r.case_open, r.review_overdue, r.impact_in_force) == (True, False, True)
    )


@pytest.mark.slow
@settings(max_examples=200)
@given(request=requests())
def test_cedar_decides_as_the_rule_does(decider: Decider, request: AskRequest) -> None:
    made = decider.decide(request)
    assert made.allowed is rule(request)
    assert (made.code == "") is made.allowed
    if not made.allowed:
        assert made.code in set(DECISION) - {"denied"}


@settings(max_examples=100)
@given(request=requests())
def test_a_reason_is_found_exactly_where_the_rule_is_broken(request: AskRequest) -> None:
    assert (explain.reason(request) == "denied") is rule(request)
