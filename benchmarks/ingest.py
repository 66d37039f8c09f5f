"""Times one ingest, from a compressed CSV to presence, in a process of its own.

    python benchmarks/ingest.py [--rows 5000000] [--memory-mb 2048] [--threads 0] [--keep DIR] [--plain]

A generated country's phones are written as CSV.zst (ISO 8601 times, UUIDs, consent register, dirt); a
fresh deployment takes the files; printed are rows a second of steps 1 to 10, of step 11, peak memory
and bytes a stored ping.

With `--plain` a short Polars script then does what can be done to the same files without a promise: all
of them in memory, no reason for a bad row, no contract, consent, place, bucket or log. Its figure is the
speed of the machine, and the ratio of the two can be compared between machines.
"""

from __future__ import annotations

import argparse
import hmac
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sqlalchemy.orm import Session

from passersby.config import Config
from passersby.derive.derivation import derive_days
from passersby.ingest import pipeline
from passersby.keys.envelope import Envelope, load_or_create_kek
from passersby.keys.ring import KeyRing
from passersby.keys.signed import Actor
from passersby.lake.lake import Lake
from passersby.model.cells import FINEST, cells_at
from passersby.model.period import DAY, parse_day
from passersby.people import accounts, keys
from passersby.people.actor import actor_from
from passersby.policy import impact
from passersby.sensitive.lists import SensitiveLists
from passersby.store.database import Database
from passersby.suppliers import assessment, contract, registry
from passersby.synth.write import Summary, generate

NOW = 1_780_000_000
DAYS = 7
PINGS_A_DEVICE_AND_DAY = 60.0
SUPPLIER = "adtech"


def main() -> None:
    """Generate, run the child, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--memory-mb", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder that keeps the generated files for the next run")
    parser.add_argument("--plain", action="store_true", help="compare with a plain Polars script")
    parser.add_argument("--child", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--plain-child", nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain_child:
        _plain(*arguments.plain_child)
        return
    if arguments.child:
        source, root = arguments.child
        _child(source, root, arguments.memory_mb, arguments.threads)
        return
    with tempfile.TemporaryDirectory() as scratch:
        source = arguments.keep or Path(scratch) / "files"
        if not (source / "truth.json").exists():
            _generate(source, arguments.rows)
        command = [sys.executable, __file__, "--child", str(source), str(Path(scratch) / "deployment")]
        command += ["--memory-mb", str(arguments.memory_mb), "--threads", str(arguments.threads)]
        figures = _run(command)
        if arguments.plain:
            target = Path(scratch) / "plain.parquet"
            plain = _run([sys.executable, __file__, "--plain-child", str(source), str(target)])
            figures |= plain | {"ratio": round(figures["steps_1_to_10_rows_s"] / plain["plain_rows_s"], 2)}
        print(json.dumps(figures))


def _run(command: list[str]) -> dict[str, Any]:
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    figures: dict[str, Any] = json.loads(printed)
    return figures


def _generate(source: Path, rows: int) -> Summary:
    devices = max(100, int(rows / (DAYS * PINGS_A_DEVICE_AND_DAY)))
    rate = PINGS_A_DEVICE_AND_DAY
    return generate(
        source, seed=7, devices=devices, days=DAYS, suppliers=(SUPPLIER,), pings_per_device_day=rate
    )


def _child(source: Path, root: Path, memory_mb: int, threads: int) -> None:
    ingest, lake = _deployment(root, source, Config(memory_mb=memory_mb, threads=threads))
    files = sorted((source / SUPPLIER).iterdir())
    derived: list[float] = []
    setattr(pipeline, "derive_days", _timed(derive_days, derived))  # noqa: B010  (a module's own name)
    begun, cpu = time.perf_counter(), time.process_time()
    report = ingest.run(files, SUPPLIER, now=NOW, consent=source / "consent" / f"{SUPPLIER}.csv")
    taken = time.perf_counter() - begun
    with lake.snapshot(NOW) as snapshot:
        size = sum(file.path.stat().st_size for file in snapshot.files("pings"))
        parts = len(snapshot.files("pings"))
    figures = {
        "rows": report.read,
        "stored": report.stored,
        "delivered_mb": round(sum(file.bytes for file in report.files) / 1e6, 1),
        "steps_1_to_10_s": round(taken - sum(derived), 2),
        "steps_1_to_10_rows_s": int(report.read / (taken - sum(derived))),
        "step_11_s": round(sum(derived), 2),
        "cpu_s": round(time.process_time() - cpu, 2),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "bytes_a_ping": round(size / report.stored, 2),
        "files": parts,
    }
    print(json.dumps(figures))


def _plain(source: Path, target: Path) -> None:
    begun = time.perf_counter()
    names = ["advertiser_id", "datetime", "latitude", "longitude", "horizontal_accuracy"]
    types = dict.fromkeys(names[2:], pl.Float64)
    files = sorted((source / SUPPLIER).iterdir())
    frame = pl.concat(
        pl.read_csv(
            file, columns=names, schema_overrides=types, ignore_errors=True, truncate_ragged_lines=True
        )
        for file in files
    )
    read = len(frame)
    ids = frame["advertiser_id"].drop_nulls().unique()
    digests = (hmac.digest(b"k" * 32, one.lower().encode(), "sha256")[:8] for one in ids)
    known = pl.DataFrame({"advertiser_id": ids, "device": np.frombuffer(b"".join(digests), "<i8")})
    (
        frame.join(known, on="advertiser_id")
        .filter(pl.col("latitude").is_between(-90, 90), pl.col("longitude").is_between(-180, 180))
        .select(
            "device",
            pl.col("datetime")
            .str.to_datetime("%+", strict=False)
            .dt.epoch("s")
            .cast(pl.Int32, strict=False)
            .alias("t"),
            (pl.col("latitude") * 1e5).round().cast(pl.Int32).alias("lat_e5"),
            (pl.col("longitude") * 1e5).round().cast(pl.Int32).alias("lon_e5"),
            pl.col("latitude", "longitude"),
            pl.col("horizontal_accuracy").ceil().cast(pl.Int32).alias("accuracy_m"),
        )
        .drop_nulls("t")
        .pipe(
            lambda f: f.with_columns(
                cell=cells_at(f["latitude"].to_numpy(), f["longitude"].to_numpy(), FINEST)
            )
        )
        .drop("latitude", "longitude")
        .sort("device", "t")
        .unique(["device", "t"], keep="first", maintain_order=True)
        .write_parquet(target, compression="zstd", compression_level=1)
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"plain_rows_s": int(read / (time.perf_counter() - begun)), "plain_peak_mb": peak}))


def _timed(function: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    def timed(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401  (passes on what it is given)
        begun = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            seconds.append(time.perf_counter() - begun)

    return timed


def _deployment(root: Path, source: Path, config: Config) -> tuple[pipeline.Ingest, Lake]:
    root.mkdir(mode=0o700)
    database = Database.in_file(root / "control.sqlite")
    database.migrate()
    ring = KeyRing(database, Envelope(load_or_create_kek(root / "kek")), epoch_weeks=config.epoch_weeks)
    lake = Lake(root / "lake", database, buckets=config.buckets, offset=config.offset)
    key = root / "ada.pem"
    public = keys.generate(key)
    with database.write() as session:
        accounts.add(
            session, person_id="ada", name="Ada", roles=["custodian"], public_key=public, by=None, now=NOW
        )
        actor = actor_from(key, session)
        _approve_impact(root, session, actor)
        registry.add(session, _contract(), actor=actor, now=NOW)
        registry.assess(session, SUPPLIER, _assessment(), actor=actor, now=NOW)
    lists = SensitiveLists(root, database, buffer_m=config.sensitive_buffer_m)
    lists.load(source / "sensitive.geojson", name="generated", actor=actor, now=NOW)
    return pipeline.Ingest(root, config, database, lake, ring), lake


def _approve_impact(root: Path, session: Session, ada: Actor) -> None:
    public = keys.generate(root / "pia.pem")
    accounts.add(session, person_id="pia", name="Pia", roles=["privacy"], public_key=public, by=ada, now=NOW)
    record = impact.Impact("generated", "a benchmark", ("none",), ("none",), "pia", NOW // DAY + 300)
    impact.draft(session, record, actor=ada, now=NOW)
    impact.approve(session, record, actor=actor_from(root / "pia.pem", session), now=NOW)


def _contract() -> contract.Contract:
    return contract.Contract(
        id=SUPPLIER,
        name="Generated",
        schema=SUPPLIER,
        collection_method="sdk",
        basis="consent",
        dates_from=parse_day("2026-01-01"),
        dates_to=parse_day("2026-12-31"),
        purposes=("dpv:ScientificResearch",),
        notice_version="1",
        notice_sha256="0" * 64,
        notice_language="en",
        raw_days=30,
        derived_days=90,
        jurisdiction="CH",
        original_source="generated",
    )


def _assessment() -> assessment.Assessment:
    today = NOW // 86_400
    return assessment.Assessment(
        supplier=SUPPLIER,
        ownership="nobody",
        assessed_at=today,
        next_due=today + 300,
        assessor="nobody",
        consent_sample=("generated",),
        evidence_sha256="1" * 64,
        result="pass",
    )


if __name__ == "__main__":
    main()
