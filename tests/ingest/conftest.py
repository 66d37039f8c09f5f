"""A deployment for one test: database, keys, lake, a custodian, and suppliers on demand."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sqlalchemy import select

from passersby.config import Config
from passersby.ingest.pipeline import Ingest
from passersby.ingest.report import Report
from passersby.keys.envelope import Envelope, load_or_create_kek
from passersby.keys.ring import KeyRing
from passersby.keys.signed import Actor
from passersby.lake.lake import Lake
from passersby.model.period import parse_day
from passersby.people import accounts, keys
from passersby.people.actor import actor_from
from passersby.policy import impact
from passersby.sensitive.lists import SensitiveLists
from passersby.store.database import Database
from passersby.store.tables import LogEntry
from passersby.suppliers import assessment, contract, registry
from passersby.synth.registers import NOTICE

NOW = 1_780_000_000  # 2026-05-28 20:26:40 UTC, a Thursday


@dataclasses.dataclass
class Deployed:
    root: Path
    config: Config
    database: Database
    ring: KeyRing
    lake: Lake
    actor: Actor

    def supplier(
        self,
        supplier_id: str = "acme",
        schema: str = "simple",
        basis: str = "synthetic-or-test-data",
        dates: tuple[str, str] = ("2000-01-01", "2030-12-31"),
        *,
        assessed: bool = True,
    ) -> str:
        with self.database.write() as session:
            registry.add(session, _contract(supplier_id, schema, basis, dates), actor=self.actor, now=NOW)
            if assessed:
                registry.assess(session, supplier_id, _assessment(supplier_id), actor=self.actor, now=NOW)
        return supplier_id

    def moved(self, root: Path) -> Deployed:
        return opened(root, self.config)

    def copied(self, root: Path) -> Deployed:
        shutil.copytree(self.root, root)
        return opened(root, self.config)

    def ingest(self) -> Ingest:
        return Ingest(self.root, self.config, self.database, self.lake, self.ring)

    def take(
        self, files: Path | Sequence[Path], supplier: str = "acme", *, now: int = NOW, **options: Any
    ) -> Report:
        paths = [files] if isinstance(files, Path) else files
        return self.ingest().run(paths, supplier, now=now, **options)

    def places(self) -> SensitiveLists:
        return SensitiveLists(self.root, self.database, buffer_m=self.config.sensitive_buffer_m)

    def pings(self) -> pl.DataFrame:
        return self._rows("pings")

    def presence(self) -> pl.DataFrame:
        return self._rows("presence")

    def _rows(self, table: str) -> pl.DataFrame:
        with self.lake.snapshot(NOW) as snapshot:
            frames = [pl.read_parquet(file.path) for file in snapshot.files(table)]
        return pl.concat(frames) if frames else pl.DataFrame()

    def log(self) -> list[str]:
        with self.database.read() as session:
            return [body.decode() for body in session.scalars(select(LogEntry.body).order_by(LogEntry.index))]

    def files(self) -> list[Path]:
        return sorted(path for path in self.root.rglob("*") if path.is_file())


def opened(root: Path, config: Config, database: Database | None = None) -> Deployed:
    database = database or Database.in_file(root / "control.sqlite")
    ring = KeyRing(database, Envelope(load_or_create_kek(root / "kek")), epoch_weeks=config.epoch_weeks)
    lake = Lake(root / "lake", database, buckets=config.buckets, offset=config.offset)
    with database.read() as session:
        actor = actor_from(root / "ada.pem", session)
    return Deployed(root, config, database, ring, lake, actor)


def _contract(supplier_id: str, schema: str, basis: str, dates: tuple[str, str]) -> contract.Contract:
    synthetic = basis == "synthetic-or-test-data"
    return contract.Contract(
        id=supplier_id,
        name="Acme Pings",
        schema=schema,
        collection_method="published-dataset" if synthetic else "sdk",
        basis=basis,
        dates_from=parse_day(dates[0]),
        dates_to=parse_day(dates[1]),
        purposes=("dpv:ScientificResearch",),
        notice_version="" if synthetic else NOTICE,
        notice_sha256="" if synthetic else "0" * 64,
        notice_language="" if synthetic else "en",
        raw_days=30,
        derived_days=90,
        jurisdiction="CH",
        original_source="Acme",
    )


def _assessment(supplier_id: str) -> assessment.Assessment:
    today = NOW // 86_400
    return assessment.Assessment(
        supplier=supplier_id,
        ownership="its founders",
        assessed_at=today,
        next_due=today + 300,
        assessor="an auditor",
        consent_sample=("sample-1",),
        evidence_sha256="1" * 64,
        result="pass",
    )


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment with one custodian, ada, and her key: made once, copied for each test."""
    root = tmp_path_factory.mktemp("blank")
    database = Database.in_file(root / "control.sqlite")
    database.migrate()
    _furnish(root, database)
    database.dispose()
    return root


def _furnish(root: Path, database: Database) -> None:
    load_or_create_kek(root / "kek")
    by = None
    for name, role in (("ada", "custodian"), ("pia", "privacy")):
        public = keys.generate(root / f"{name}.pem")
        with database.write() as session:
            accounts.add(session, person_id=name, name=name, roles=[role], public_key=public, by=by, now=NOW)
            by = by or actor_from(root / "ada.pem", session)
    with database.write() as session:
        record = impact.Impact("d", "n", ("r",), ("m",), "pia", NOW // 86_400 + 360)
        impact.draft(session, record, actor=actor_from(root / "ada.pem", session), now=NOW)
        impact.approve(session, record, actor=actor_from(root / "pia.pem", session), now=NOW)


@pytest.fixture
def deploy(tmp_path: Path, blank: Path) -> Callable[..., Deployed]:
    """Makes a deployment with the given settings."""

    def make(**settings: Any) -> Deployed:
        root = tmp_path / f"deployment-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(blank, root)
        return opened(root, Config(**{"threads": 2, "memory_mb": 512, "buckets": 4, **settings}))

    return make


@pytest.fixture
def deployed(deploy: Callable[..., Deployed]) -> Deployed:
    """A deployment with small limits."""
    return deploy()


@pytest.fixture
def on_postgresql(tmp_path: Path, postgresql_database: Database) -> Deployed:
    """A deployment whose control database is PostgreSQL."""
    root = tmp_path / "on-postgresql"
    root.mkdir(mode=0o700)
    _furnish(root, postgresql_database)
    return opened(root, Config(threads=2, memory_mb=512, buckets=4), postgresql_database)
