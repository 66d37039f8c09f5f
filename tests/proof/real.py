"""A small world in a real lake: pings in the manifest and on disk, presence by the real derivation."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pyarrow as pa

from passersby.derive.derivation import derive_days
from passersby.lake.lake import Lake
from passersby.lake.snapshots import Snapshot
from passersby.model.period import DAY, HOUR, day_of
from passersby.model.schema import PINGS
from passersby.store.database import Database
from passersby.store.tables import Delivery, Supplier
from proof import small
from proof.plain_stays import place_e5
from proof.small import BUCKETS, Fix

NOW = 1_795_000_000
FAR = NOW + 80 * DAY


class RealLake:
    """A lake with its control database, as `gate.running` reads it."""

    buckets = BUCKETS

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def snapshot(self, _now: int) -> AbstractContextManager[Snapshot]:
        """Open a snapshot at the time of the pings' deletion dates."""
        return self._lake.snapshot(NOW)


def maker(template: Path) -> Callable[[Path, Sequence[Fix], int], Any]:
    """Return a maker of lakes whose control databases are copies of `template`, migrated and empty."""

    def make(folder: Path, fixes: Sequence[Fix], offset: int) -> RealLake:
        folder.mkdir(parents=True)
        shutil.copyfile(template, folder / "control.db")
        lake = Lake(folder / "lake", Database.in_file(folder / "control.db"), buckets=BUCKETS, offset=offset)
        _deliver(lake, fixes)
        derive_days(lake, {day_of(fix.t, offset) for fix in fixes}, now=NOW)
        return RealLake(lake)

    return make


def _deliver(lake: Lake, fixes: Sequence[Fix]) -> None:
    """Store each delivery's pings, one after another."""
    device = small._devices(fixes)
    with lake.database.write() as session:
        session.add(Supplier(id="s", contract="{}", contract_sha256="", created=0, suspended=None))
        session.flush()
        session.add_all(_delivery(number) for number in {fix.delivery for fix in fixes})
    for delivery in sorted({fix.delivery for fix in fixes}):
        with lake.begin("ingest", {}, now=NOW) as work:
            own = [(f, d) for f, d in zip(fixes, device, strict=True) if f.delivery == delivery]
            for day, bucket in sorted({(day_of(f.t, lake.offset), d % BUCKETS) for f, d in own}):
                part = [(d, f) for f, d in own if (day_of(f.t, lake.offset), d % BUCKETS) == (day, bucket)]
                work.write("pings", day, bucket, _pings(part), sources=[delivery], until=FAR)
            with lake.database.write() as session:
                work.commit(session, now=NOW)


def _delivery(number: int) -> Delivery:
    return Delivery(
        id=number,
        supplier=1,
        sha256=str(number),
        files="[]",
        report="{}",
        created=NOW - HOUR,
        raw_until=FAR,
        derived_until=FAR,
    )


def _pings(rows: Sequence[tuple[int, Fix]]) -> pa.Table:
    columns: dict[str, list[int]] = {name: [0] * len(rows) for name in PINGS.names}
    ordered = sorted(rows, key=lambda row: (row[0], row[1].t, row[1].cell))
    columns["device"] = [who for who, _ in ordered]
    for name in ("t", "cell", "delivery"):
        columns[name] = [getattr(fix, name) for _, fix in ordered]
    columns["accuracy_m"] = [-1] * len(rows)
    for axis, name in enumerate(("lat_e5", "lon_e5")):
        columns[name] = [place_e5(fix.cell)[axis] for _, fix in ordered]
    return pa.table([pa.array(columns[field.name], field.type) for field in PINGS], schema=PINGS)
