"""Small whole deployments for tests: generated data, people, a licence; built once, copied for each test.

@pytest.fixture(scope="session")
def built(tmp_path_factory): return worlds.build(tmp_path_factory.mktemp("world"))

@pytest.fixture
def world(built, tmp_path): return built.copied(tmp_path / "world")
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from passersby.config import Config
from passersby.demo import records, story
from passersby.deployment import views
from passersby.deployment.create import create
from passersby.deployment.opened import Deployment
from passersby.errors import Refusal
from passersby.gate.gate import Answer
from passersby.gate.request import Request
from passersby.keys.signed import Actor
from passersby.people import accounts, keys
from passersby.policy import licence as licences
from passersby.synth import write as synth

SUPPLIERS = ("veraset", "sovrn")
"""Who delivers: one as test data, one whose rows need consent."""

LICENCE, CASE, PURPOSE = story.LICENCE, story.CASE, records.PURPOSE

CONFIG = Config(buckets=4, threads=2, memory_mb=512, review_percent=0)
"""No review is drawn: a test that asks a month later must not find one overdue, once in a while."""


@dataclass(frozen=True)
class World:
    """A closed deployment in the folder `root`, and the files that were delivered to it."""

    root: Path
    files: synth.Summary

    def copied(self, root: Path) -> World:
        """Return a copy that a test may spoil. The delivered files stay shared."""
        shutil.copytree(self.root, root)
        return World(root, self.files)

    def open(self) -> Deployment:
        """Open it, as every command does, at the present instant."""
        return Deployment.open(self.root, now=now())

    def key(self, person: str = "anna") -> Path:
        """Return the key file of `custodian`, `paula` (privacy) or `anna` (analyst)."""
        return self.root / "people" / f"{person}.key"


def now() -> int:
    """Return the present instant: records must be valid when the command line looks at its clock."""
    return int(time.time())


def analyst(d: Deployment) -> Actor:
    """Return who may ask."""
    return d.actor(d.layout.people / "anna.key")


def build(
    folder: Path,
    *,
    devices: int = 300,
    suppliers: tuple[str, ...] = SUPPLIERS,
    dirt: bool = True,
    ingest: bool = True,
    database: str = "",
) -> World:
    """Make a demo deployment in `folder` with a week of generated data of period 2026-W20.

    Args:
        folder: new or empty: gets `files/` and `deployment/`.
        devices: size of the generated population.
        suppliers: who delivers.
        dirt: plant flaws in the files.
        ingest: take the files in; without it the deployment has records and no data.
        database: URL of an empty control database; by default SQLite inside.
    """
    files = synth.generate(
        folder / "files",
        seed=7,
        devices=devices,
        start_day=story.DATES[0],
        days=7,
        suppliers=suppliers,
        pings_per_device_day=12.0,
        offset=7200,
        dirt=dirt,
    )
    root = folder / "deployment"
    create(root, now=now(), name="test", utc_offset="+02:00", database=database, demo=True, config=CONFIG)
    with Deployment.open(root, now=now()) as d:
        people = records.people(d, now=now())
        _records(d, people, suppliers, devices)
        d.sensitive.load(files.sensitive, name="health", actor=people.custodian, now=now())
        for supplier in suppliers if ingest else ():
            register = files.consent.get(supplier) if supplier in records.WITH_CONSENT else None
            d.ingest(files.of(supplier), supplier, now=now(), consent=register)
    return World(root, files)


def _records(d: Deployment, people: records.People, suppliers: tuple[str, ...], devices: int) -> None:
    records.approve_impact(d, people, now=now())
    for supplier in suppliers:
        records.add_supplier(d, people, supplier, story.DATES, devices // 2, "0" * 64, now=now())
    records.grant(
        d,
        people,
        LICENCE,
        dates=story.DATES,
        bbox=story.SWITZERLAND,
        seconds=90 * 86_400,
        now=now(),
    )
    records.open_case(d, people.analyst, licence=LICENCE, name=CASE, now=now())


@dataclass(frozen=True)
class Asker:
    """An open deployment of this module, and short ways to ask it and to look at what happened."""

    d: Deployment

    def request(self, **changed: Any) -> Request:
        """Return the demo's question by the day at resolution 5, with some of it changed."""
        return story.question(**{"every": "day", "resolution": 5, **changed})

    def actor(self, person: str = "anna") -> Actor:
        return self.d.actor(self.d.layout.people / f"{person}.key")

    def ask(self, *, person: str = "anna", at: int | None = None, **changed: Any) -> Answer:
        return self.d.ask(self.request(**changed), self.actor(person), now=at)

    def refused(self, *, person: str = "anna", at: int | None = None, **changed: Any) -> Refusal:
        """Ask, and return the refusal."""
        with pytest.raises(Refusal) as caught:
            self.ask(person=person, at=at, **changed)
        return caught.value

    def entries(self, kind: str = "") -> list[dict[str, Any]]:
        """Return the public fields of the log's entries, oldest first."""
        return views.log_entries(self.d, last=100_000, kind=kind)

    def spent(self) -> dict[str, int]:
        """Return micro-rho spent by period."""
        return {balance.period: balance.spent.value for balance in self.d.balances()}

    def licence(self, name: str, *, at: int | None = None, **changed: Any) -> str:
        """Grant the demo's licence under another name, with some of it changed; return the name."""
        at = now() if at is None else at
        with self.d.writing() as session:
            like = licences.get(session, LICENCE).licence
            new = dataclasses.replace(like, id=name, seed_id="", **changed)
            licences.grant(session, new, actor=self.actor("custodian"), now=at, config=self.d.config)
        if PURPOSE in new.purposes:
            self.case(CASE, licence=name, at=at)
        return name

    def case(self, name: str, *, licence: str = LICENCE, person: str = "custodian", at: int = 0) -> str:
        """Open a case of a licence; return the name."""
        records.open_case(self.d, self.actor(person), licence=licence, name=name, now=at or now())
        return name

    def person(self, name: str, role: str) -> str:
        """Add a person with one role; return the name."""
        public_key = keys.generate(self.d.layout.people / f"{name}.key")
        with self.d.writing() as session:
            accounts.add(
                session,
                person_id=name,
                name=name,
                roles=[role],
                public_key=public_key,
                by=self.actor("custodian"),
                now=now(),
            )
        return name
