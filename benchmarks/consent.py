"""Times the check of consent: loading a register, and judging batches of rows by it as ingest does.

python benchmarks/consent.py [--records 1000000] [--rows 10000000] [--devices 200000]
"""

from __future__ import annotations

import argparse
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np
import polars as pl

from passersby.consent.registers import NEVER, ConsentRegisters, Terms
from passersby.ingest.screen import Consents, _given
from passersby.keys.envelope import Envelope
from passersby.keys.ring import KeyRing
from passersby.store.database import Database
from passersby.store.tables import Supplier

NOW = 1_780_000_000
BATCH = 500_000
TERMS = Terms("v1", "ab" * 32, ("dpv:ImproveTransportMobility",))


def main() -> None:
    """Write a register, load it, judge rows, print rows a second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--devices", type=int, default=200_000, help="distinct ids among the rows")
    chosen = parser.parse_args()
    rng = np.random.default_rng(1)
    names = [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(chosen.records)]
    with tempfile.TemporaryDirectory() as folder:
        registers = _registers(Path(folder))
        path = Path(folder) / "register.csv"
        _write(path, names)
        begun, cpu = time.perf_counter(), time.process_time()
        registers.load(path, supplier="acme", normalise=lambda ids: ids, now=NOW)
        _say("loaded", "records", chosen.records, time.perf_counter() - begun, time.process_time() - cpu)
        register = registers.current(1, now=NOW, terms=TERMS)
        consents = Consents(register, registers.key(), required=True)
        ids = pl.Series(names[: chosen.devices])
        taken, worked, stored = 0.0, 0.0, 0
        for _ in range(max(1, chosen.rows // BATCH)):
            frame = pl.DataFrame({"id": ids.gather(rng.integers(0, len(ids), BATCH))})
            frame = frame.with_columns(consent=pl.lit(None, pl.String))
            begun, cpu = time.perf_counter(), time.process_time()
            encoded = frame["id"].to_arrow(compat_level=pl.CompatLevel.oldest()).dictionary_encode()
            codes = frame.with_columns(pl.Series("id", encoded.indices.to_numpy()))
            given = _given(codes, encoded.dictionary, consents)
            taken, worked = taken + time.perf_counter() - begun, worked + time.process_time() - cpu
            stored += int((given != NEVER).sum())
        rows = max(1, chosen.rows // BATCH) * BATCH
        _say("judged", "rows", rows, taken, worked)
        print(f"permitted: {stored / rows:.0%}")


def _say(done: str, what: str, number: int, clock: float, processor: float) -> None:
    """Print by the clock, and by processor time: what one core that does nothing else would do."""
    print(
        f"{done} {number:,} {what}: {number / clock:,.0f} a second, {number / processor:,.0f} a core's second"
    )


def _registers(folder: Path) -> ConsentRegisters:
    database = Database.in_file(folder / "control.db")
    database.migrate()
    with database.write() as session:
        row = {"number": 1, "id": "acme", "contract": "{}", "contract_sha256": ""}
        session.add(Supplier(**row, created=0, suspended=None))
    return ConsentRegisters(folder, database, KeyRing(database, Envelope(b"k" * 32), epoch_weeks=26))


def _write(path: Path, names: list[str]) -> None:
    number = pl.int_range(len(names), eager=True)
    pl.DataFrame({"pii_principal_id": names}).with_columns(
        event_time=pl.lit("2025-06-01T09:00:00+02:00"),
        event_state=pl.when(number % 20 == 0)
        .then(pl.lit("ConsentWithdrawn"))
        .otherwise(pl.lit("ConsentGiven")),
        privacy_notice=pl.lit("v1"),
        notice_hash=pl.lit("ab" * 32),
        purpose=pl.lit("dpv:ImproveTransportMobility"),
        gpc=(number % 50 == 0).cast(pl.Int8),
        os_opt_out=pl.lit(value=False),
    ).write_csv(path)


if __name__ == "__main__":
    main()
