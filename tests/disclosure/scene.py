"""A deployment with courts, people and a few known phones, and short ways to send orders through it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyrage
import pytest
from asn1crypto import crl

import worlds
from passersby.demo import records, story
from passersby.deployment import acts, courts
from passersby.deployment.create import create
from passersby.deployment.opened import Deployment
from passersby.disclosure import life, order, page, release, testcourt
from passersby.disclosure.life import Standing
from passersby.disclosure.order import Order
from passersby.disclosure.testcourt import Court
from passersby.errors import Refusal
from passersby.keys.signed import Actor
from passersby.model.period import DAY, Span
from passersby.people import accounts, keys
from passersby.trustlog.receipts import reveal

MONDAY = 1_778_450_400  # 2026-05-11T00:00:00+02:00
ANA = "3f9d2c71-5b8e-4a06-9d13-7e21c04ab95f"
BEA = "77aa2c71-5b8e-4a06-9d13-7e21c04ab001"
NOBODY = "00001111-2222-4a06-9d13-7e21c04ab002"
PEOPLE = {
    "lea": ["legal"],
    "lars": ["legal"],
    "rolf": ["releaser"],
    "both": ["legal", "privacy"],
    "paul": ["privacy"],
    "triple": ["privacy", "releaser"],
    "olga": ["overseer"],
}
IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENT = str(IDENTITY.to_public())
BERN, THUN = (46.948, 7.4474), (46.758, 7.628)


@dataclass(frozen=True)
class Bench:
    """An open deployment, a court that is registered in it, and the time."""

    d: Deployment
    court: Court
    now: int

    def actor(self, person: str) -> Actor:
        return self.d.actor(self.d.layout.people / f"{person}.key")

    def order(self, **changed: Any) -> Order:
        """Return an order for Ana's phone in the first two days, with some of it changed."""
        asked = Order(
            reference="TX/2026/42",
            jurisdiction="XX",
            court="court",
            judge=("Ana Juiz", "judge"),
            basis="Code, art. 1",
            approved=self.now - 60,
            valid=Span(self.now - 3600, self.now + 60 * DAY),
            addressee=self.d.config.name,
            devices=(ANA,),
            window=Span(MONDAY, MONDAY + 2 * DAY),
            area=None,
            recipient=RECIPIENT,
            delay_until=None,
        )
        return replace(asked, **changed)

    def document(
        self, asked: Order | bytes | None = None, *, form: str = "json", by: Court | None = None
    ) -> bytes:
        """Return a signed order, `form` json or pdf."""
        payload = asked if isinstance(asked, bytes) else order.written(asked or self.order())
        court = by or self.court
        if form == "pdf":
            return testcourt.sign_pdf(page.document(payload), court, now=self.now)
        return testcourt.sign_json(payload, court, now=self.now)

    def submit(
        self,
        document: bytes | None = None,
        lists: Sequence[crl.CertificateList] = (),
        *,
        person: str = "lea",
        at: int | None = None,
    ) -> int:
        document = document if document is not None else self.document()
        actor = self.actor(person)
        return life.submit(self.d.orders, document, lists, actor=actor, now=at or self.now)[0]

    def approve(self, number: int, person: str, *, at: int | None = None) -> Standing:
        return life.approve(self.d.orders, number, actor=self.actor(person), now=at or self.now)

    def approved(self, document: bytes | None = None) -> int:
        """Submit an order and have both people approve it; return its number."""
        number = self.submit(document)
        self.approve(number, "lea")
        self.approve(number, "paul")
        return number

    def disclose(self, number: int, person: str = "rolf", *, at: int | None = None) -> bytes:
        actor = self.actor(person)
        return release.disclose(self.d.orders, number, actor=actor, now=at or self.now).package

    def code(self, *arguments: Any, **changed: Any) -> str:
        """Submit what must be refused; return the code, once it was found in the log too."""
        with pytest.raises(Refusal) as caught:
            self.submit(*arguments, **changed)
        assert self.entries("order.refused")[-1]["code"] == caught.value.code
        assert self.entries("order.refused")[-1]["stage"] == "submission"
        return caught.value.code

    def entries(self, kind: str = "") -> list[dict[str, Any]]:
        return worlds.Asker(self.d).entries(kind)

    def private(self, index: int) -> dict[str, Any]:
        with self.d.database.read() as session:
            return {each.name: each.value for each in reveal(session, index)}


def bench(root: Path, court: Court, *, demo: bool = True, now: int | None = None) -> Deployment:
    """Make a deployment without data, its people, and the court with its clock, registered at `now`."""
    at = now or worlds.now()
    create(root, now=at, name="test", utc_offset="+02:00", demo=demo, config=worlds.CONFIG)
    d = Deployment.open(root, now=at)
    _people(d, at)
    register(d, court, now=at)
    return d


def register(d: Deployment, court: Court, *, now: int, name: str = "court") -> None:
    """Register a court and its clock by two people."""
    cara, lea = (d.actor(d.layout.people / f"{who}.key") for who in ("custodian", "lea"))
    for text in records_of(court, name):
        made = courts.propose(d, text, actor=cara, now=now)
        acts.approve(d, made.id, actor=lea, now=now)


def records_of(court: Court, name: str = "court") -> list[str]:
    """Return the TOML of a court and of its clock."""
    found = []
    for use, signer, own in (("court", court.root, name), ("timestamp", court.clock_root, f"{name}-clock")):
        certificate = testcourt._pem(signer.certificate).decode()
        values = {
            "id": own,
            "use": use,
            "title": f"The {own}",
            "jurisdiction": "XX",
            "source": "handed over in person",
            "revocation": "in each document",
            "valid_from": "2020-01-01T00:00:00Z",
            "valid_until": "2040-01-01T00:00:00Z",
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        found.append("\n".join([*lines, f"certificate = '''\n{certificate}'''", ""]))
    return found


def with_pings(folder: Path, court: Court, *, database: str = "") -> worlds.World:
    """Make a deployment with generated data, two known phones, and the court."""
    world = worlds.build(folder, devices=40, suppliers=("veraset",), dirt=False, database=database)
    rows = ["id,time,latitude,longitude,accuracy"]
    for hour in range(100):
        t, (lat, lon) = MONDAY + hour * 3600 + 60, BERN if hour % 2 else THUN
        rows += [f"{ANA},{t},{lat},{lon},{10 + hour % 5}", f"{BEA},{t + 5},{lat},{lon},12"]
    (folder / "simple.csv").write_text("\n".join(rows) + "\n")
    with world.open() as d:
        people = records.known(d)
        records.add_supplier(d, people, "simple", story.DATES, 100, "0" * 64, now=worlds.now())
        d.ingest([folder / "simple.csv"], "simple", now=worlds.now())
        _people(d, worlds.now())
        register(d, court, now=worlds.now())
    return world


def copied(root: Path, to: Path) -> Path:
    shutil.copytree(root, to)
    return to


def _people(d: Deployment, now: int) -> None:
    cara = d.actor(d.layout.people / "custodian.key")
    for name, roles in PEOPLE.items():
        public_key = keys.generate(d.layout.people / f"{name}.key")
        with d.writing() as session:
            accounts.add(
                session, person_id=name, name=name, roles=roles, public_key=public_key, by=cara, now=now
            )
