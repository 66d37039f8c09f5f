"""Scratch deployments inside of one: with its settings, made-up records and people, gone at the end.

Tests of the whole path run in them, on made-up data: nothing of the deployment's own data is read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from passersby.deployment.create import create
from passersby.deployment.opened import Deployment
from passersby.engines.spill import Spill
from passersby.keys.signed import Actor
from passersby.model.period import day_of
from passersby.people import accounts
from passersby.people import keys as person_keys
from passersby.policy import impact
from passersby.suppliers import registry
from passersby.suppliers.assessment import Assessment
from passersby.suppliers.contract import Contract

PURPOSE = "dpv:ScientificResearch"
"""What made-up contracts say the data is for."""


@contextmanager
def folder(d: Deployment) -> Iterator[Path]:
    """Make a folder within the deployment's for the length of the block, where no other process looks.

    What a killed run left goes with the next sweep of spilled data, which each opened engine begins with.
    """
    spill = Spill(d.layout.spill)
    try:
        made = spill.next()
        made.mkdir(mode=0o700)
        yield made
    finally:
        spill.close()


@contextmanager
def opened(d: Deployment, root: Path, name: str, *, now: int, **changed: Any) -> Iterator[Deployment]:  # noqa: ANN401 (values of settings)
    """Make a scratch deployment in the new folder `root`, with the settings of `d`, and open it.

    It asks no witness and draws no review. Its impact assessment is approved.

    Args:
        d: the deployment whose settings it gets.
        root: new folder.
        name: its public name.
        now: epoch s.
        changed: further settings that it has of its own.
    """
    config = dataclasses.replace(
        d.config, name=name, database="", witnesses=(), witness_quorum=0, review_percent=0, **changed
    )
    create(root, now=now, name=config.name, utc_offset=config.utc_offset, demo=True, config=config)
    with Deployment.open(root, now=now) as scratch:
        _approve_impact(scratch, now)
        yield scratch


def add_person(scratch: Deployment, name: str, role: str, *, now: int) -> Path:
    """Add a person with one role; return their key file."""
    key_file = scratch.layout.people / f"{name}.pem"
    public_key, by = person_keys.generate(key_file), custodian(scratch)
    with scratch.writing() as session:
        accounts.add(
            session,
            person_id=name,
            name=name,
            roles=[role],
            public_key=public_key,
            by=by,
            now=now,
        )
    return key_file


def custodian(scratch: Deployment) -> Actor:
    """Return the person that the scratch deployment was made with."""
    return scratch.actor(scratch.layout.people / "custodian.key")


def add_supplier(scratch: Deployment, supplier: str, dates: tuple[int, int], *, what: str, now: int) -> None:
    """Record a supplier of made-up data in the schema `simple`, assessed, for the local days `dates`."""
    contract = Contract(
        id=supplier,
        name=what,
        schema="simple",
        collection_method="synthetic",
        basis="synthetic-or-test-data",
        dates_from=dates[0],
        dates_to=dates[1],
        purposes=(PURPOSE,),
        notice_version="",
        notice_sha256="",
        notice_language="",
        raw_days=1,
        derived_days=1,
        jurisdiction="ZZ",
        original_source=what,
    )
    today = day_of(now, scratch.config.offset)
    assessment = Assessment(
        supplier=supplier,
        ownership="made up",
        assessed_at=today,
        next_due=today + 30,
        assessor=what,
        consent_sample=(),
        evidence_sha256="0" * 64,
        result="pass",
    )
    actor = custodian(scratch)
    with scratch.writing() as session:
        registry.add(session, contract, actor=actor, now=now, config=scratch.config)
        registry.assess(session, supplier, assessment, actor=actor, now=now)


def _approve_impact(scratch: Deployment, now: int) -> None:
    """Give the scratch deployment, the assessment that an ingest and a licence need."""
    officer = scratch.actor(add_person(scratch, "officer", "privacy", now=now))
    record = impact.Impact(
        description="Data made up for a test.",
        necessity="Shows that the software does what it promises.",
        risks=("none",),
        measures=("deleted at the end",),
        approved_by=officer.id,
        next_due=day_of(now, scratch.config.offset) + 30,
    )
    with scratch.writing() as session:
        impact.draft(session, record, actor=custodian(scratch), now=now)
    with scratch.writing() as session:
        impact.approve(session, record, actor=officer, now=now)
