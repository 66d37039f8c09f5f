"""Times the erasure of devices from a generated lake: rewriting, sweeping, decoding, and the receipt's entry.

    python benchmarks/erase.py [--pings 5000000] [--devices 10000] [--erase 500] [--threads 2]

The lake is that of `presence.py`: one delivery over seven days, with what is derived from it. Pseudonyms are
put into the withdrawal directly, since the generated pings have no ids.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from passersby.consent import withdrawals
from passersby.consent.withdrawals import Content
from passersby.derive.derivation import derive_days
from passersby.keys.envelope import Envelope
from passersby.keys.ring import KeyRing
from passersby.lake.lake import Lake
from passersby.subjects import erasing
from passersby.subjects.parts import Parts
from passersby.trustlog.publish import Publisher
from presence import (
    FIRST_DAY,
    NOW,
    World,
    _deployment,
    _fill,
)


def main() -> None:
    """Generate, derive, erase, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pings", type=int, default=5_000_000)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--erase", type=int, default=500)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the lake is made; a temporary folder by default")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        _measure(Path(folder), given)


def _measure(folder: Path, given: argparse.Namespace) -> None:
    lake = _deployment(folder)
    days = range(FIRST_DAY, FIRST_DAY + given.days)
    world = World.of(given.devices, given.pings / given.devices / given.days, np.random.default_rng(7))
    rows, _ = _fill(lake, world, 1, 1.0, days, seed=1)
    derive_days(lake, days, now=NOW, threads=given.threads)
    before = _size(lake)
    parts = _parts(folder, lake, given.threads)
    _withdraw(parts, np.unique(world.device[: given.erase]))
    for name in ("_rewrite", "_prove"):
        _timed(name)
    begun, cpu = time.perf_counter(), time.process_time()
    erasing.finish(parts, now=NOW)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1 << 20 if sys.platform == "darwin" else 1024
    )
    print(
        f"erased {given.erase:,} of {given.devices:,} devices from {rows / 1e6:.1f} M pings and "
        f"{before / 1e6:.0f} MB: {seconds:.1f} s, {cpu:.1f} s of CPU; now {_size(lake) / 1e6:.0f} MB; "
        f"peak {peak:.0f} MB (of the generator too)"
    )


def _timed(name: str) -> None:
    """Let a step print how long it took."""
    real = getattr(erasing, name)

    def timed(*arguments: object) -> None:
        begun, cpu = time.perf_counter(), time.process_time()
        real(*arguments)
        print(f"{name:9} {time.perf_counter() - begun:6.1f} s {time.process_time() - cpu:6.1f} s of CPU")

    setattr(erasing, name, timed)


def _parts(folder: Path, lake: Lake, threads: int) -> Parts:
    ring = KeyRing(lake.database, Envelope(b"k" * 32), epoch_weeks=26)
    (folder / "log").mkdir()
    publisher = Publisher(folder / "log", "benchmark", Ed25519PrivateKey.generate(), None)
    return Parts(lake.database, lake, ring, publisher, folder / "withdrawals", folder / "spill", threads)


def _withdraw(parts: Parts, devices: np.ndarray) -> None:
    with parts.database.write() as session:
        blob = withdrawals.envelope(session, parts.ring).wrap(devices.astype("<i8").tobytes(), "withdrawn:0")
        content = Content(devices, {0: blob}, "", erase=True)
        withdrawals.store(session, content, cause=withdrawals.ERASURE, journal="x", now=NOW - 10)


def _size(lake: Lake) -> int:
    return sum(path.stat().st_size for path in lake.root.rglob("*.parquet"))


if __name__ == "__main__":
    main()
