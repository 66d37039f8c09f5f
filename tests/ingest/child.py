"""Takes one delivery in a process of its own: python child.py ROOT SUPPLIER NOW FILES..."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from passersby.config import Config
from passersby.ingest.pipeline import Ingest
from passersby.keys.envelope import Envelope, load_or_create_kek
from passersby.keys.ring import KeyRing
from passersby.lake.lake import Lake
from passersby.store.database import Database


def take(root: Path, supplier: str, now: int, files: Sequence[Path]) -> None:
    config = Config(threads=2, memory_mb=512, buckets=4)
    database = Database.in_file(root / "control.sqlite")
    ring = KeyRing(database, Envelope(load_or_create_kek(root / "kek")), epoch_weeks=config.epoch_weeks)
    lake = Lake(root / "lake", database, buckets=config.buckets, offset=config.offset)
    report = Ingest(root, config, database, lake, ring).run(files, supplier, now=now)
    (root / "report.json").write_text(json.dumps(report.to_json()))


if __name__ == "__main__":
    root, supplier, now, *files = globals().get("ARGUMENTS", sys.argv[1:])
    take(Path(root), supplier, int(now), [Path(name) for name in files])
