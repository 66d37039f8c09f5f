"""Registers of a deployment with two suppliers."""

from __future__ import annotations

from pathlib import Path

import pytest

from passersby.consent.registers import ConsentRegisters
from passersby.keys.envelope import Envelope
from passersby.keys.ring import KeyRing
from passersby.store.database import Database
from passersby.store.tables import Supplier


@pytest.fixture
def registers(tmp_path: Path, database: Database) -> ConsentRegisters:
    with database.write() as session:
        for number, name in enumerate(("acme", "other"), 1):
            row = {"number": number, "id": name, "contract": "{}", "contract_sha256": ""}
            session.add(Supplier(**row, created=0, suspended=None))
    return ConsentRegisters(tmp_path, database, KeyRing(database, Envelope(b"k" * 32), epoch_weeks=26))
