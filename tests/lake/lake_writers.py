"""One process of the lake's tests: `python lake_writers.py URL ROOT NOW WHAT [COUNT]`.

`many` commits COUNT ingests of one file each. `write` stops after it wrote a file, `commit` inside the
transaction that would show it, `replace` after a commit that replaced every file; each says so and waits
to be killed. `derive` derives presence of the first day.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from passersby.derive.derivation import derive_days
from passersby.lake.lake import Lake
from passersby.lake.write import Work
from passersby.model.period import DAY
from passersby.model.schema import PINGS
from passersby.store.database import Database

DAY_0 = 20_600
ROWS = 10


def pings() -> pa.Table:
    """Return sorted pings of the first UTC day, bucket 0 of 1."""
    columns = {name: np.full(ROWS, 1) for name in PINGS.names}
    columns["t"] = DAY_0 * DAY + np.arange(ROWS)
    columns["device"] = np.arange(ROWS)
    columns["cell"] = np.full(ROWS, 0x8A1F8D5A0007FFF)
    return pa.table([pa.array(columns[f.name], f.type) for f in PINGS], schema=PINGS)


def _ready() -> None:
    print("ready", flush=True)
    time.sleep(60)


def _write(lake: Lake, now: int) -> Work:
    work = lake.begin("ingest", {}, now=now)
    work.write("pings", DAY_0, 0, pings(), sources=[1], until=now + DAY)
    return work


def _many(lake: Lake, now: int, count: int) -> None:
    for _ in range(count):
        work = _write(lake, now)
        with lake.database.write() as session:
            print(work.commit(session, now=now))


def _stop(lake: Lake, now: int, what: str) -> None:
    work = _write(lake, now)
    if what == "write":
        _ready()
    with lake.snapshot(now) as snapshot:
        old = [file.id for file in snapshot.files("pings")] if what == "replace" else []
    with lake.database.write() as session:
        work.commit(session, replaces=old, now=now)
        if what == "commit":
            _ready()
    _ready()


def main() -> None:
    """Do what the command line says."""
    url, root, now, what = sys.argv[1:5]
    lake = Lake(Path(root), Database(url), buckets=1, offset=0)
    if what == "many":
        _many(lake, int(now), int(sys.argv[5]))
    elif what == "derive":
        print(derive_days(lake, [DAY_0], now=int(now)).written)
    else:
        _stop(lake, int(now), what)


if __name__ == "__main__":
    main()
