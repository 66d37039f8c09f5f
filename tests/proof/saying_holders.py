"""Lets everything be said that commands say about a device's holder and to them."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from sqlalchemy import func, select

import worlds
from passersby.deployment import views
from passersby.people import keys as person_keys
from passersby.store.subject_tables import Erasure
from proof.planting import ID, Said, spoiled
from proof.saying import RECIPIENT


def run_holder_commands(world: worlds.World, folder: Path, said: Said) -> None:
    """Let the phone's holder ask for all that one can ask for, and others to their refusals.

    Proofs and lists of ids are the holder's own papers: they name the phone.
    """
    at, custodian = ("-d", world.root), ("--key", world.key("custodian"))
    papers = folder / "holder"
    papers.mkdir()
    ids, app, phone = papers / "ids.txt", papers / "app.key", papers / "phone.key"
    keys = {path: person_keys.generate(path) for path in (app, phone)}
    ids.write_text(f"{ID}\n")
    (papers / "keys.csv").write_text(f"{ID},{keys[phone]}\n")
    (papers / "hashes.txt").write_text(f"{hashlib.sha256(ID.lower().encode()).hexdigest()}\n")
    with world.open() as d:
        origin, vkey = d.publisher.origin, d.vkey
        first = len(views.log_entries(d, last=100_000, kind="proposal.made")) + 1
        with d.database.read() as session:
            erasure = (session.scalar(select(func.max(Erasure.id))) or 0) + 1
    sign = ("subject", "prove", "--supplier", "simple", "--deployment", origin)
    said.command("subject", "enrol-app", "simple", "--public-key", keys[app], *at, *custodian)
    said.command("proposal", "approve", str(first), *at, "--key", world.key("paula"))
    for what, signer, key, devices in (
        ("enrol", "app", app, papers / "keys.csv"),
        ("show", "app", app, ids),
        ("recipients", "device-key", phone, ids),
        ("copy", "device-key", phone, ids),
        ("notices", "app", app, ids),
        ("nothing", "app", app, ids),
    ):
        more = ("--recipient", RECIPIENT) if what == "copy" else ()
        words = ("--signer", signer, "--with", key, "--devices", devices, "--out", papers / what)
        said.command(*sign, what, *words, *more)
    check = ("subject", "check", "--how", "passport", "--devices", ids, *at, *custodian)
    said.command(*check)
    said.command("proposal", "show", str(first + 1), *at)
    said.command("proposal", "approve", str(first + 1), *at, "--key", world.key("paula"))
    checked = ("--checked", str(first + 1), "--devices", ids)
    receipt = ("--devices", ids, "--out", folder / "receipt.json")
    for command in (
        ("enrol", papers / "enrol"),
        ("show", "--proof", papers / "show"),
        ("show", *checked),
        ("recipients", "--proof", papers / "recipients"),
        ("recipients", *checked),
        ("copy", papers / "copy", "--out", folder / "copy.age"),
        ("copy", ids, "--out", folder / "copy.age"),
        ("notices", papers / "notices"),
        ("show",),
        ("load-list", papers / "hashes.txt"),
        ("load-list", ids),
        ("receipt", "9", *receipt),
        ("withdraw", *receipt),
        ("withdraw", "--received", ID, "--devices", ids, "--out", folder / "none"),
        ("erase", "--devices", papers / "keys.csv", "--out", folder / "none"),
        ("erase", "--devices", ids, "--out", folder / "erased.json"),
        ("receipt", str(erasure), "--devices", ids, "--out", folder / "again.json"),
    ):
        said.command("subject", *command, *at, *custodian)
        said.command("subject", *command, "--json", *at, *custodian)
    for name in ("receipt.json", "erased.json"):
        said.command("subject", "verify-receipt", folder / name, "--vkey", vkey, "--devices", ids)
    said.command("subject", "verify-receipt", ids, "--vkey", vkey)
    for path in spoiled(folder / "spoiled-too"):
        for command in (
            ("enrol", path),
            ("show", "--proof", path),
            ("notices", path),
            ("load-list", path),
            ("copy", path, "--out", folder / "none"),
            ("withdraw", "--devices", path, "--out", folder / "none"),
            ("show", "--checked", "1", "--devices", path),
        ):
            said.command("subject", *command, *at, *custodian)
    said.command("status", *at)
    said.command("log", "show", "--last", "1000", *at)
    shutil.rmtree(papers)
