"""The law in the demo: papers that ask for people, one that is fulfilled, and what its recipient finds."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyrage
import rfc8785

from passersby.demo.records import People
from passersby.demo.seen import Fulfilled, Refused
from passersby.deployment import acts, courts
from passersby.deployment.opened import Deployment
from passersby.disclosure import drafts, life, package, release, testcourt
from passersby.disclosure.testcourt import Court
from passersby.errors import Refusal
from passersby.model.period import DAY, day_name, day_of
from passersby.trustlog.receipts import verify_proof

COURT, AGENCY = "district-court", "border-agency"
REFERENCE = "DC 2026/117"
_STATION = {
    "type": "Polygon",
    "coordinates": [[[8.536, 47.376], [8.544, 47.376], [8.544, 47.381], [8.536, 47.381], [8.536, 47.376]]],
}
"""Zurich's main station."""


def register_court(d: Deployment, who: People, folder: Path, *, now: int) -> Court:
    """Make a test court and its clock, and have two people put them into the registry."""
    testcourt.make(folder, name=COURT, now=now)
    for record in ("court.toml", "clock.toml"):
        made = courts.propose(d, (folder / record).read_text("utf-8"), actor=who.custodian, now=now)
        acts.approve(d, made.id, actor=who.legal, now=now)
    return testcourt.load(folder)


def phone_of(file: Path) -> str:
    """Return an ordinary phone's advertising id from a supplier's Parquet file; a court would know it."""
    counted = pl.scan_parquet(file).group_by("ad_id").len().sort("len", "ad_id").collect()
    return str(counted["ad_id"][len(counted) // 2])


def wish(d: Deployment, phone: str, recipient: str, days: tuple[str, str], *, now: int) -> drafts.Wish:
    """Return what the judge of the test court asks for."""
    return drafts.Wish(
        court=COURT,
        reference=REFERENCE,
        jurisdiction="XX",
        judge="Ana Juiz",
        office="judge",
        basis="Code of Criminal Procedure, art. 269 (made up)",
        addressee=d.config.name,
        devices=[phone],
        window=f"{days[0]}..{days[1]}",
        area=None,
        recipient=recipient,
        valid_until=day_name(day_of(now + 30 * DAY, d.config.offset)),
        delay_until="",
        utc_offset=d.config.utc_offset,
    )


def warrants(d: Deployment, who: People, court: Court, asked: drafts.Wish, *, now: int) -> list[Refused]:
    """Hand in two papers that ask for too much; return how each was refused."""
    agency = testcourt.generate(AGENCY, now=now, marked=True)
    judicial = json.loads(drafts.draft(asked, as_pdf=False, now=now).document)
    administrative = judicial | {"AuthorisationLegalType": "administrative"}
    details = judicial["LDTask"]["RequestDetails"] | {"Area": _STATION, "RequestValues": []}
    reverse = judicial | {"LDTask": judicial["LDTask"] | {"RequestDetails": details}}
    return [
        _refused(
            f"An administrative warrant of the {AGENCY.replace('-', ' ')}: where was this phone last week?",
            lambda: _submit(d, who, administrative, agency, now=now),
        ),
        _refused(
            "A judge's order for every phone that was at this railway station",
            lambda: _submit(d, who, reverse, court, now=now),
        ),
    ]


def fulfil(
    d: Deployment,
    who: People,
    court: Court,
    asked: drafts.Wish,
    key: pyrage.x25519.Identity,
    now: Callable[[], int],
) -> Fulfilled:
    """Have a judge sign, two people approve and a third release; open the result as the recipient does.

    Raises:
        Refusal: the order is not in order.
        IntegrityError: the package does not prove its entry of the log.
    """
    draft = drafts.draft(asked, as_pdf=True, now=now())
    signed = drafts.signed(draft.document, court, now=now())
    number, verified = life.submit(d.orders, signed, actor=who.legal, now=now())
    for person in (who.legal, who.privacy):
        life.approve(d.orders, number, actor=person, now=now())
    sealed = release.disclose(d.orders, number, actor=who.releaser, now=now())
    with tarfile.open(fileobj=io.BytesIO(pyrage.decrypt(sealed.package, [key]))) as tar:
        files = {member.name: _content(tar, member) for member in tar}
    manifest = json.loads(files[package.MANIFEST])
    proven = verify_proof(files[package.ENTRY], files[package.PROOF].decode(), d.vkey)
    return Fulfilled(
        title=verified.court.title,
        reference=verified.order.reference,
        window=(manifest["scope"]["from"], manifest["scope"]["before"]),
        pings=sum(1 for _ in csv.DictReader(io.StringIO(files[package.PINGS].decode()))),
        sealed_bytes=len(sealed.package),
        sha256=sealed.sha256,
        index=proven.index,
        size=proven.checkpoint.size,
        custody=tuple((each["step"], each["by"]) for each in manifest["custody"]),
    )


def _refused(asked: str, act: Callable[[], object]) -> Refused:
    try:
        act()
    except Refusal as refused:
        return Refused(asked, refused.code, refused.message, refused.next_step)
    msg = f"not refused: {asked}"
    raise AssertionError(msg)


def _submit(d: Deployment, who: People, paper: dict[str, Any], signer: Court, *, now: int) -> None:
    document = testcourt.sign_json(rfc8785.dumps(paper), signer, now=now)
    life.submit(d.orders, document, actor=who.legal, now=now)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return b"" if file is None else file.read()
