"""Takes out of the lake all rows of deliveries that proved bad, and what was derived from them (control B3).

    1 mark     a row of `taint`, in the transaction that two people signed for; from here on no release that
               read the delivery is stored
    2 remove   its files of pings; of sealed days, which are not derived again, derived files that it is in
    3 derive   the other days anew, from what other deliveries brought
    4 end      when no file that readers see has it among its sources

What there is to do is read from the files' own sources. Killed at any point, the next command goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.derive.derivation import derive_days
from passersby.errors import Busy
from passersby.lake.lake import Lake
from passersby.lake.manifest import FileRef
from passersby.model.schema import TABLES
from passersby.store.lineage_tables import Taint
from passersby.trustlog.entries import append

_ATTEMPTS = 3


def finish(lake: Lake, *, now: int, threads: int) -> list[str]:
    """Do what is still to be done of all bad deliveries; return it in plain words, without numbers of rows.

    Another process that does the same at the same moment wins; this one leaves it to it.

    Args:
        lake: the lake.
        now: epoch s.
        threads: derivations that are done at once.

    Raises:
        IntegrityError: a file of the lake cannot be read.
        DiskFull: there is no room; the next command tries again.
    """
    with lake.database.read() as session:
        bad = frozenset(session.scalars(select(Taint.delivery).where(Taint.ended.is_(None))))
    if not bad:
        return []
    try:
        for _ in range(_ATTEMPTS):
            files = _of(lake, bad, now=now)
            if not files:
                return _end(lake, bad, now=now)
            _remove(lake, bad, files, now=now)
            days = {file.day for file in _of(lake, bad, now=now)}
            derive_days(lake, days, now=now, threads=threads, force=True)
    except Busy:
        pass
    return []


def _of(lake: Lake, bad: Collection[int], *, now: int) -> list[FileRef]:
    """Return the files that readers see and that bad deliveries are among the sources of."""
    with lake.snapshot(now) as snapshot:
        return [f for table in TABLES for f in snapshot.files(table) if not set(f.sources).isdisjoint(bad)]


def _remove(lake: Lake, bad: Collection[int], files: Sequence[FileRef], *, now: int) -> None:
    """Take away files that are not derived anew: pings, which are of one delivery each, and sealed parts."""
    with lake.database.read() as session:
        sealed = lake.sealed(session, {file.day for file in files})
    gone = [file for file in files if file.table == "pings" or (file.day, file.bucket) in sealed]
    if any(file.table == "pings" and not set(file.sources) <= set(bad) for file in gone):
        raise ValueError("a file of pings is of several deliveries")
    if gone:
        with (
            lake.begin("purge", {"deliveries": sorted(bad)}, now=now) as work,
            lake.database.write() as session,
        ):
            work.commit(session, replaces=[file.id for file in gone], now=now)


def _end(lake: Lake, bad: Collection[int], *, now: int) -> list[str]:
    with lake.database.write() as session:
        ended = [_ended(session, delivery, now) for delivery in sorted(bad)]
    return [
        f"took out of the lake what came of delivery {number}, which proved bad"
        for number in filter(None, ended)
    ]


def _ended(session: Session, delivery: int, now: int) -> int:
    """Record the end of one, unless another process did."""
    row = session.get_one(Taint, delivery, with_for_update=True)
    if row.ended is not None:
        return 0
    row.ended = now
    append(session, "delivery.purged", {"delivery": delivery}, now=now)
    return delivery
