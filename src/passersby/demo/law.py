"""The law in the demo: papers that ask for people, one that is fulfilled, a holder who wants to be gone."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyrage
import rfc8785

from passersby.demo.records import People
from passersby.demo.seen import Erased, Fulfilled, Refused
from passersby.deployment import acts, courts, holders
from passersby.deployment.opened import Deployment
from passersby.disclosure import drafts, life, package, release, testcourt
from passersby.disclosure.testcourt import Court
from passersby.errors import IntegrityError, OperationError, Refusal
from passersby.model.period import DAY, day_name, day_of
from passersby.subjects import receipts
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


def phones_of(file: Path) -> tuple[str, str]:
    """Return the advertising ids of two ordinary phones in a supplier's Parquet file."""
    counted = pl.scan_parquet(file).group_by("ad_id").len().sort("len", "ad_id").collect()
    first, second = counted["ad_id"].slice(len(counted) // 2, 2).to_list()
    return str(first), str(second)


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


def erase(d: Deployment, who: People, phone: str, path: Path, *, now: int) -> Erased:
    """Withdraw and erase a phone for its holder; keep the receipt, and check it as anybody can.

    Raises:
        IntegrityError: the receipt does not hold.
        OperationError: something still reads the files from before it.
    """
    begun = time.monotonic()
    done = holders.erase(d, [phone], actor=who.privacy, now=now)
    if done.waits_for:
        raise OperationError(
            f"The receipt waits for {done.waits_for}.", "Run the demo again, in a new folder."
        )
    path.write_bytes(done.receipt)
    found = receipts.check(done.receipt, d.vkey, ids=[phone])
    if not found.about_ids:
        raise IntegrityError("The receipt is about another phone.", "Report this; it is a fault of the demo.")
    seconds = time.monotonic() - begun
    return Erased(receipts.SAYS[found.kind], receipts.OUTSIDE, path.name, found.proven.index, seconds)


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
