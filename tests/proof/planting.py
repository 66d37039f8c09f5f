"""Puts one known phone into a deployment, and keeps what is said: outputs, results, errors and causes."""

from __future__ import annotations

import contextlib
import gzip
import io
import logging
import os
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import worlds
from passersby.cli.main import call
from passersby.consent.registers import PURPOSE as CONSENT
from passersby.demo import records, story
from passersby.errors import PassersbyError
from passersby.keys.pseudonym import pseudonyms
from passersby.model.period import Period
from proof.traces import flattened

ID = "3f9d2c71-5b8e-4a06-9d13-7e21c04ab95f"
"""The planted phone's advertising id."""

MONDAY = 1_778_450_400  # 2026-05-11T00:00:00+02:00
HEADER = "id,time,latitude,longitude,accuracy\n"
BERN = "46.9480,7.4474"
SOVRN = (
    "mobile_ad_id id_type timestamp latitude longitude ip_address horizontal_accuracy country_code "
    "location_context location_method altitude vertical_accuracy speed course_bearing device_model "
    "os_version device_language user_agent"
)


@dataclass
class Said:
    """What was said: pairs of who said it and the bytes. `codes` holds the exit code of each command."""

    lines: list[tuple[str, bytes]] = field(default_factory=list)
    codes: list[tuple[tuple[str, ...], int]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def add(self, who: str, value: object) -> None:
        """Keep a result or a text."""
        self.lines.append((who, flattened(value)))

    def command(self, *arguments: str | Path) -> int:
        """Run a command and keep its output, of Python and of native code."""
        given = [str(argument) for argument in arguments]
        with captured() as output:
            code = call(given)
        self.codes.append((tuple(given), code))
        self.lines.append((" ".join(given[:3]), output[0]))
        return code

    def error(self, who: str, action: Callable[[], object]) -> None:
        """Do what must fail, and keep the error with its whole chain."""
        try:
            action()
        except PassersbyError as error:
            self.failures.append(who)
            self.add(who, [str(error), repr(error), error.code, "".join(traceback.format_exception(error))])


@contextlib.contextmanager
def captured() -> Iterator[list[bytes]]:
    """Yield a list that holds all output when the block ends: Python's, native code's, log records."""
    text, found = io.StringIO(), [b""]
    handler = logging.StreamHandler(text)
    logging.getLogger().addHandler(handler)
    kept = {number: os.dup(number) for number in (1, 2)}
    with (Path.cwd() / "native-output").open("w+b") as native:
        for number in kept:
            os.dup2(native.fileno(), number)
        try:
            with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
                yield found
        finally:
            for number, copy in kept.items():
                os.dup2(copy, number)
                os.close(copy)
            logging.getLogger().removeHandler(handler)
            native.seek(0)
            found[0] = text.getvalue().encode() + native.read()


def plant(folder: Path, said: Said) -> worlds.World:
    """Return a deployment that holds the phone, delivered with consent and as test data."""
    world = worlds.build(folder, devices=150)
    with world.open() as d:
        people = records.known(d)
        records.add_supplier(d, people, "simple", story.DATES, 100, "0" * 64, now=worlds.now())
    deployed = ("-d", world.root, "--key", world.key("custodian"))
    (folder / "simple.csv").write_text(HEADER + rows(ID.upper()))
    (folder / "sovrn.tsv").write_text(_sovrn(ID))
    register = folder / "register.csv"
    register.write_text(
        f"{world.files.consent['sovrn'].read_text()}{ID},2026-01-15T18:43:21Z,given,2025-01\n"
    )
    said.command("ingest", folder / "simple.csv", "--supplier", "simple", *deployed)
    said.command("ingest", folder / "sovrn.tsv", "--supplier", "sovrn", "--consent", register, *deployed)
    return world


def rows(name: str, hours: int = 100) -> str:
    """Return pings of the phone, with every flaw that a row can have."""
    good = [f"{name},{MONDAY + hour * 3600 + 60},{BERN},10" for hour in range(hours)]
    bad = [
        good[0],
        f"{name},{MONDAY},95,7.4,10",
        f"{name},{MONDAY},46.9,200,10",
        f"{name},{MONDAY},0,0,10",
        f"{name},never,{BERN},10",
        f"{name},9999999999,{BERN},10",
        f"{name},{MONDAY},a,b,10",
        f"{name * 9},{MONDAY},{BERN},10",
        f'"{name},{MONDAY},{BERN},10',
        f"{name},{MONDAY},{BERN},10,{name},{name}",
        f",{MONDAY},{name},{name},10",
    ]
    return "\n".join(good + bad) + "\n"


def pseudonyms_of(world: worlds.World) -> tuple[int, int]:
    """Return the phone's pseudonym in the lake, and its hash in the consent register."""
    with world.open() as d, d.database.write() as session:
        epoch = d.ring.epoch_of(Period.parse(story.PERIOD))
        key = d.ring.epoch_key(session, epoch, now=worlds.now()).key
        consent = d.ring.purpose(session, CONSENT)
    return int(pseudonyms([ID], key)[0]), int(pseudonyms([ID], consent)[0])


def spoiled(folder: Path) -> list[Path]:
    """Return files of pings that cannot be taken, each in another way."""
    if folder.exists():
        return sorted(folder.iterdir())
    folder.mkdir()
    text = (HEADER + rows(ID)).encode()
    contents = {
        "cut.csv.gz": gzip.compress(text)[:-20],
        "headless.csv": rows(ID).encode(),
        "other.csv": text.replace(b"id,time", b"who,when"),
        "lines.ndjson": b"\n".join(b'{"id": "%s", "time": 17785' % ID.encode() for _ in range(20)),
        "utf-16.csv": text.decode().encode("utf-16"),
        "nothing.parquet": b"PAR1" + text + b"PAR1",
        "noise.bin": bytes(range(256)) * 8 + text,
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return sorted(folder.iterdir())


def _sovrn(name: str) -> str:
    """Return pings of the phone as a supplier with consent delivers them, in milliseconds."""
    columns = SOVRN.split()
    place = BERN.replace(",", "\t")
    lines = [
        f"{name}\tAAID\t{(MONDAY + hour * 3600 + 1800) * 1000}\t{place}\t1.2.3.4\t5.0\tCH" + "\t" * 10
        for hour in range(100)
    ]
    return "\n".join(["\t".join(columns), *lines]) + "\n"
