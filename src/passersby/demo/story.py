"""Runs the demo and keeps what it saw: nothing on its page is written beforehand."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrage

from passersby.config import Config
from passersby.demo import elsewhere, law, records
from passersby.demo.seen import Refused, Seen
from passersby.deployment import places, plans, views
from passersby.deployment.create import create
from passersby.deployment.opened import Deployment
from passersby.errors import Refusal, UsageError
from passersby.gate.request import Request
from passersby.model.place import Area
from passersby.risk.assess import Options, Singled, curve
from passersby.risk.grid import HOUR, Step
from passersby.synth import write as synth

DATES = ("2026-05-11", "2026-05-17")
PERIOD = "2026-W20"
SUPPLIERS = ("sovrn", "veraset", "adtech")
SWITZERLAND = (5.9, 45.8, 10.5, 47.85)
REMOTE = (8.0, 46.5, 8.1, 46.55)
"""The Great Aletsch glacier: hardly a device passes there in an hour."""

SEED = 2026
RAW_RESOLUTIONS = (9, 8, 7, 6, 5)
"""Cells to which an attacker of the raw files knows where somebody was."""

LICENCE, TRIAL = "transport-2026", "trial-2026"
CASE = "timetable-2027"

Say = Callable[[str], None]
Bar = Callable[[int, int, int], None]


def tell(root: Path, *, devices: int, say: Say, bar: Bar, step: Say) -> Seen:
    """Run the story in a new folder; return what was seen.

    Args:
        root: new or empty folder: gets `files/` (suppliers' files) and `deployment/`.
        devices: size of the generated population.
        say: told a heading as each part begins.
        bar: told (rows, bytes done, bytes in all) while files are read.
        step: told the name of each step of the gate.

    Raises:
        UsageError: the folder is not empty.
        PassersbyError: a part of the story did not go as it should.
    """
    begun, seen = time.monotonic(), Seen(devices=devices)
    if root.exists() and any(root.iterdir()):
        raise UsageError(f"{root} is not empty.", "Name a new folder, or delete it first.")
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    say(f"Generating a country of {devices:,} devices and three suppliers' files")
    _generate(root / "files", seen, bar)
    say("Making a deployment with its records: people, contracts, assessments, licence")
    create(root / "deployment", now=_now(), name="demo", utc_offset="+02:00", demo=True, config=Config())
    with Deployment.open(root / "deployment", now=_now()) as d:
        seen.offset, seen.vkey = d.config.offset, d.vkey
        who, trial_ends = _records(d, seen)
        for supplier in SUPPLIERS:
            say(f"Taking in the delivery of {supplier}")
            files = sorted((root / "files" / supplier).iterdir())
            consent = root / "files" / "consent" / f"{supplier}.csv"
            register = consent if supplier in records.WITH_CONSENT else None
            seen.deliveries.append(d.ingest(files, supplier, now=_now(), consent=register, progress=bar))
        say("Asking: where and when is the country busy?")
        _ask(d, who, seen, step)
        say("Asking what is refused")
        _refusals(d, who, seen, step, trial_ends)
        say(
            "Handing in two warrants that ask for too much, a judge's order, and a holder's wish to be erased"
        )
        _law(d, who, seen)
        say("Checking the log and the ledger")
        seen.log, seen.budget = d.verify_log(), views.budget(d, "")
        d.verify_ledger()
        seen.replayed = elsewhere.replay(d.layout.log, d.vkey)
        seen.entries = views.log_entries(d, last=24)
    say("Attacking the suppliers' files: how many phones do a few points single out?")
    seen.raw = _raw(root / "files", seen.offset, bar)
    seen.seconds = time.monotonic() - begun
    return seen


def _raw(files: Path, offset: int, bar: Bar) -> tuple[Singled, ...]:
    """Return what an attacker gets out of the files themselves, for the page."""
    paths = [path for supplier in SUPPLIERS for path in sorted((files / supplier).iterdir())]
    steps = tuple(Step(HOUR, resolution) for resolution in RAW_RESOLUTIONS)
    return curve(paths, steps, Options(seed=SEED, offset=offset), now=_now(), progress=bar)


def question(**changed: Any) -> Request:  # noqa: ANN401  (fields of Request)
    """Return the demo's question, with some of it changed."""
    asked: dict[str, Any] = {
        "measure": "presence",
        "period": PERIOD,
        "every": "daypart",
        "resolution": 6,
        "area": None,
        "epsilon": 1.0,
        "licence": LICENCE,
        "purpose": records.PURPOSE,
        "case": CASE,
    }
    return Request(**{**asked, **changed})


def _now() -> int:
    return int(time.time())


def _generate(folder: Path, seen: Seen, bar: Bar) -> None:
    made = synth.generate(
        folder,
        seed=SEED,
        devices=seen.devices,
        start_day=DATES[0],
        days=7,
        suppliers=SUPPLIERS,
        pings_per_device_day=14.0,
        offset=7200,
        progress=lambda done, total: bar(0, done, total),
    )
    seen.rows = sum(file.rows for file in made.files)
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    for file in truth["files"]:
        planted = seen.planted.setdefault(file["supplier"], {})
        for reason, count in file["rejected"].items():
            planted[reason] = planted.get(reason, 0) + count


def _records(d: Deployment, seen: Seen) -> tuple[records.People, int]:
    """Make the records; return who acts, and the instant at which the trial licence ends."""
    who = records.people(d, now=_now())
    files = d.layout.root.parent / "files"
    evidence = hashlib.sha256((files / "truth.json").read_bytes()).hexdigest()
    records.approve_impact(d, who, now=_now())
    for supplier in SUPPLIERS:
        records.add_supplier(d, who, supplier, DATES, seen.devices // 2, evidence, now=_now())
    valid = {LICENCE: 90 * 86400, TRIAL: records.TRIAL_S}
    granted = _now()
    for licence, seconds in valid.items():
        records.grant(d, who, licence, dates=DATES, bbox=SWITZERLAND, seconds=seconds, now=granted)
    records.open_case(d, who.analyst, licence=LICENCE, name=CASE, now=granted)
    places.load(
        d,
        files / "sensitive.geojson",
        name="health",
        actor=who.custodian,
        now=_now(),
    )
    return who, granted + records.TRIAL_S


def _ask(d: Deployment, who: records.People, seen: Seen, step: Say) -> None:
    request = question()
    seen.plan = plans.plan(d, d.plan(request, who.analyst, now=_now()))
    answer = d.ask(request, who.analyst, now=_now(), step=step)
    seen.release, seen.answer = answer.release, views.answer(d, answer, None)


def _law(d: Deployment, who: records.People, seen: Seen) -> None:
    root = d.layout.root.parent
    court = law.register_court(d, who, root / "court", now=_now())
    key = pyrage.x25519.Identity.generate()
    phone, another = law.phones_of(min((root / "files" / "veraset").iterdir()))
    asked = law.wish(d, phone, str(key.to_public()), DATES, now=_now())
    seen.warrants = law.warrants(d, who, court, asked, now=_now())
    seen.fulfilled = law.fulfil(d, who, court, asked, key, _now)
    seen.erased = law.erase(d, who, another, root / "receipt.json", now=_now())


def _refusals(d: Deployment, who: records.People, seen: Seen, step: Say, trial_ends: int) -> None:
    glacier = Area.from_bbox(*REMOTE, resolution=8)
    time.sleep(max(0.0, trial_ends - time.time()))  # a small country is taken in faster than a trial ends
    for asked, request in (
        (
            "How many people were on this glacier, hour by hour, in cells of 0.7 square kilometres?",
            question(every="hour", resolution=8, area=glacier),
        ),
        ("Which devices were in this street on Tuesday night?", question(measure="devices", resolution=7)),
        ("The same question again, under a trial licence that has expired", question(licence=TRIAL)),
    ):
        try:
            d.ask(request, who.analyst, now=_now(), step=step)
        except Refusal as refused:
            seen.refusals.append(Refused(asked, refused.code, refused.message, refused.next_step))
