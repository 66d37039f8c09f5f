"""The records that a deployment needs before it takes data or answers, filled in for made-up parties."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from passersby.deployment.opened import Deployment
from passersby.keys.signed import Actor
from passersby.measures.catalogue import CATALOGUE
from passersby.model.period import DAY, day_name, day_of, instant_text
from passersby.people import accounts
from passersby.people import keys as person_keys
from passersby.policy import cases
from passersby.policy import impact as impacts
from passersby.policy import licence as licences
from passersby.suppliers import assessment as assessments
from passersby.suppliers import contract as contracts
from passersby.suppliers import registry

PURPOSE = "dpv:ImproveTransportMobility"
WITH_CONSENT = ("sovrn", "adtech")
"""Suppliers whose rows need a consent record; generated data may try out that path."""

NOTICE = "We share your position with researchers who improve transport. You can withdraw at any time."

TRIAL_S = 2
"""Seconds that the trial licence is valid: long enough to be granted, over before anybody asks."""

_CONTRACT = """
id = "{supplier}"
name = "{supplier} (generated)"
jurisdiction = "CH"
schema = "{schema}"
collection_method = "synthetic"
original_source = "passersby synth"
upstream = []
basis = "{basis}"
purposes = ["{purpose}"]
notice_version = "{version}"
notice_sha256 = "{notice}"
notice_language = "{language}"
dates_from = "{first}"
dates_to = "{last}"
raw_days = 30
derived_days = 90
utc_offset = "+02:00"
expected_devices = {devices}
"""

_ASSESSMENT = """
supplier = "{supplier}"
ownership = "generated data, about nobody"
assessed_at = "{today}"
next_due = "{due}"
assessor = "{assessor}"
consent_sample = [{sample}]
evidence_sha256 = "{evidence}"
result = "pass"
conditions = ""
"""

_IMPACT = """
approved_by = "{person}"
next_due = "{due}"
description = "Pings of a generated country from three suppliers; statistics leave, nothing else does."
necessity = "Shows how the software works; generated data is enough for that."
risks = ["Somebody takes the demonstration for the real thing."]
measures = ["The deployment is marked as a demo in the first entry of its log, for ever."]
document_sha256 = ""
"""

_LICENCE = """
id = "{licence}"
holder = "Institute of Transport (made up)"
contact = "transport@example.org"
government = false
reason = "Where and when is the country busy? Input for a timetable."
people = ["anna"]
purposes = ["{purpose}"]
measures = [{measures}]
dates_from = "{first}"
dates_to = "{last}"
not_before = "{valid_from}"
expires = "{expires}"
resolution = 7
resolution_reason = ""
epsilon_per_period = 2.0

[area]
bbox = [{bbox}]
"""


@dataclass(frozen=True)
class People:
    """Who acts in the story, each with a key of their own."""

    custodian: Actor
    privacy: Actor
    legal: Actor
    releaser: Actor
    analyst: Actor


_STAFF = {
    "privacy": ("paula", "Paula Privacy"),
    "legal": ("leo", "Leo Legal"),
    "releaser": ("rita", "Rita Releaser"),
    "analyst": ("anna", "Anna Analyst"),
}
"""Role -> the person who has it, beside the custodian."""


def people(d: Deployment, *, now: int) -> People:
    """Add one person for each role beside the custodian that `init` made."""
    custodian = d.actor(d.layout.people / "custodian.key")
    for role, (person, name) in _STAFF.items():
        public_key = person_keys.generate(d.layout.people / f"{person}.key")
        with d.writing() as session:
            accounts.add(
                session,
                person_id=person,
                name=name,
                roles=[role],
                public_key=public_key,
                by=custodian,
                now=now,
            )
    return known(d)


def known(d: Deployment) -> People:
    """Return the people of a deployment to which `people` added them."""
    staff = {role: d.actor(d.layout.people / f"{person}.key") for role, (person, _) in _STAFF.items()}
    return People(d.actor(d.layout.people / "custodian.key"), **staff)


def approve_impact(d: Deployment, who: People, *, now: int) -> None:
    """Draft and approve the impact assessment: nothing comes in, is licensed or answered without one."""
    text = _IMPACT.format(person=who.privacy.id, due=_day(d, now + 360 * DAY))
    record = impacts.parse(text)
    with d.writing() as session:
        impacts.draft(session, record, actor=who.custodian, now=now)
        impacts.approve(session, record, actor=who.privacy, now=now)


def add_supplier(
    d: Deployment,
    who: People,
    supplier: str,
    dates: tuple[str, str],
    devices: int,
    evidence: str,
    *,
    now: int,
) -> None:
    """Record a supplier with its contract, and assess it."""
    consent = supplier in WITH_CONSENT
    contract = _CONTRACT.format(
        supplier=supplier,
        schema=supplier,
        purpose=PURPOSE,
        first=dates[0],
        last=dates[1],
        devices=devices,
        basis="consent" if consent else "synthetic-or-test-data",
        version="2025-01" if consent else "",
        notice=hashlib.sha256(NOTICE.encode()).hexdigest() if consent else "",
        language="en" if consent else "",
    )
    assessment = _ASSESSMENT.format(
        supplier=supplier,
        today=_day(d, now),
        due=_day(d, now + 180 * DAY),
        assessor=who.custodian.id,
        evidence=evidence,
        sample='"first record of the register"' if consent else "",
    )
    with d.writing() as session:
        parsed = contracts.parse(contract, config=d.config)
        registry.add(session, parsed, actor=who.custodian, now=now, config=d.config)
        registry.assess(session, supplier, assessments.parse(assessment), actor=who.custodian, now=now)


def grant(
    d: Deployment,
    who: People,
    licence: str,
    *,
    dates: tuple[str, str],
    bbox: tuple[float, ...],
    seconds: int,
    now: int,
) -> None:
    """Grant a licence that is valid for a number of seconds from now."""
    text = _LICENCE.format(
        licence=licence,
        purpose=PURPOSE,
        measures=", ".join(f'"{name}"' for name in CATALOGUE),
        first=dates[0],
        last=dates[1],
        valid_from=instant_text(now, 0),
        expires=instant_text(now + seconds, 0),
        bbox=", ".join(map(str, bbox)),
    )
    with d.writing() as session:
        licences.grant(session, licences.parse(text), actor=who.custodian, now=now, config=d.config)


def open_case(d: Deployment, owner: Actor, *, licence: str, name: str, now: int) -> None:
    """Open a case of a licence, for as long as the licence."""
    with d.writing() as session:
        cases.open_case(
            session,
            licence=licence,
            name=name,
            title="Where and when is the country busy?",
            purpose=PURPOSE,
            until=None,
            actor=owner,
            now=now,
        )


def _day(d: Deployment, instant: int) -> str:
    return day_name(day_of(instant, d.config.offset))
