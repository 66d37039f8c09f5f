"""Erases the rows of devices from every table of the lake, down to the disk, and proves it.

    1 want      a row says what is to go; it commits with the withdrawal (`consent.withdrawals`)
    2 rewrite   files without those rows, in order, in one commit with the log entry
      derive    where only one supplier's rows went: the touched days anew, from what is left
    3 sweep     what was replaced leaves the disk, once no reader sees it and no delivery is on its way
    4 check     every remaining file of those buckets is decoded; database and spill are cleared
    5 record    a second transaction says in the log that the rows are gone: the receipt proves this entry

A row of `erasure` says how far it is. Killed at any point, the next command goes on: rewriting what holds
nothing any more changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

import numpy as np
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from passersby.consent import withdrawals
from passersby.derive.derivation import Clock, derive_days
from passersby.engines import spill
from passersby.errors import Busy, IntegrityError
from passersby.lake import purge
from passersby.lake.manifest import FileRef
from passersby.lake.purge import Rewritten
from passersby.lake.snapshots import Snapshot
from passersby.lake.write import Work
from passersby.model.schema import TABLES
from passersby.store.subject_tables import Erasure, Withdrawal
from passersby.store.tables import Delivery, File, Intent
from passersby.subjects import requests
from passersby.subjects.checking import Ints
from passersby.subjects.gone import Gone
from passersby.subjects.parts import Parts
from passersby.trustlog.entries import JSON, append

WANTED, REWRITTEN, DONE = "wanted", "rewritten", "done"

_RENEW_S = 60
_FILLS = ("ingest", "derive", "purge")
"""Kinds of work whose files may hold rows that were read before a device withdrew."""


def finish(parts: Parts, *, now: int) -> list[str]:
    """Do what can be done of all erasures; return it in plain words, without any number of rows.

    Another process that does the same at the same moment wins; this one leaves it to that one.

    Raises:
        IntegrityError: a file of the lake cannot be read, or still holds what was taken out.
        DiskFull: there is no room; the next command tries again.
    """
    said: list[str] = []
    try:
        wanted = _in_state(parts, WANTED)
        if wanted:
            _rewrite(parts, wanted, Clock(now))
            said.append("took the rows of devices that are to be erased out of the lake")
        _derive(parts, Clock(now))
        rewritten = _in_state(parts, REWRITTEN)
        if rewritten:
            parts.lake.sweep(now)
            ready = [number for number in rewritten if not waits_for(parts, number)]
            if ready:
                _prove(parts, ready, Clock(now))
                said.append("checked that nothing of erased devices is left, and recorded it")
    except Busy:
        pass
    return said


def waits_for(parts: Parts, number: int) -> str:
    """Return in plain words what the proof of an erasure waits for, "" for nothing."""
    with parts.database.read() as session:
        row = session.get_one(Erasure, number)
        if row.state == WANTED:
            return "another command that changes the lake"
        older = select(Intent.id).where(Intent.kind.in_(_FILLS), Intent.created <= row.created)
        if session.scalar(older.limit(1)) is not None:
            return "a delivery or derivation that began before it (at most 15 minutes, if it was killed)"
        removed = select(File.id).where(File.removed <= row.snapshot).limit(1)
        if session.scalar(removed) is not None:
            return "a question that still reads the files from before it (at most an hour)"
    return ""


def _in_state(parts: Parts, state: str) -> list[int]:
    with parts.database.read() as session:
        return list(session.scalars(select(Erasure.id).where(Erasure.state == state).order_by(Erasure.id)))


def _rewrite(parts: Parts, numbers: Sequence[int], clock: Clock) -> None:
    """Step 2: one commit for all erasures that are wanted."""
    gone = _gone(parts, numbers)
    lake = parts.lake
    with lake.begin("purge", {"erasures": list(numbers)}, now=clock.now) as work:
        with lake.snapshot(clock.now) as snapshot:
            done = _without(parts, work, snapshot, gone, clock)
        with parts.database.write() as session:
            number = work.commit(session, replaces=done.replaces, now=clock.now)
            days = json.dumps(sorted({part.day for part in done.parts}))
            for row in _locked(session, numbers, WANTED):
                row.state, row.snapshot = REWRITTEN, number
                if row.id in gone.by_erasure:
                    row.days = days
                append(session, "subject.rewritten", {"erasure": row.id}, now=clock.now)
    # files of which nothing was left are gone: what is derived then comes from fewer deliveries
    derive_days(lake, {part.day for part in done.parts}, now=clock.now, threads=parts.threads)


def _derive(parts: Parts, clock: Clock) -> None:
    """Derive what was taken out with one supplier's rows from those of the others; nothing hides them now."""
    with parts.database.read() as session:
        rows = session.execute(select(Erasure.id, Erasure.days).where(Erasure.days != "[]")).all()
    days = {day for row in rows for day in json.loads(row.days)}
    if not days:
        return
    derive_days(parts.lake, days, now=clock.now, threads=parts.threads, force=True)
    with parts.database.write() as session:
        ended = update(Erasure).where(Erasure.id.in_([row.id for row in rows]))
        session.execute(ended.values(days="[]"))


def _without(parts: Parts, work: Work, snapshot: Snapshot, gone: Gone, clock: Clock) -> Rewritten:
    """Write every file anew that holds rows of some devices; keep both leases alive."""
    done, renewed = Rewritten(), clock.now
    with ThreadPoolExecutor(max(1, parts.threads)) as pool:
        try:
            running = [pool.submit(_one, work, file, mine) for file, mine in _files(parts, snapshot, gone)]
            for future in as_completed(running):
                done += future.result()
                if clock.now - renewed >= _RENEW_S:
                    renewed = clock.now
                    work.renew(renewed)
                    snapshot.renew(renewed)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return done


def _one(work: Work, file: FileRef, gone: Gone) -> Rewritten:
    return purge.rewrite(work, [file], lambda rows: ~gone.rows(file, rows), by=gone.columns(file))


def _files(parts: Parts, snapshot: Snapshot, gone: Gone) -> Iterable[tuple[FileRef, Gone]]:
    """Yield the files in which rows of some devices could be, the largest tables first, and those devices."""
    for table in TABLES:
        for bucket, mine in gone.by_bucket(parts.lake.bucket_of):
            for file in snapshot.files(table, bucket=bucket):
                yield file, mine


def _prove(parts: Parts, numbers: Sequence[int], clock: Clock) -> None:
    """Steps 4 and 5."""
    gone = _gone(parts, numbers)
    with parts.lake.snapshot(clock.now) as snapshot, ThreadPoolExecutor(max(1, parts.threads)) as pool:
        held = list(pool.map(lambda both: both[1].still_in(both[0]), _files(parts, snapshot, gone)))
    if any(held):
        raise IntegrityError(
            "A file of the lake still holds rows that were taken out.",
            "Nothing was certified; report this, and keep the lake as it is.",
        )
    spill.clear(parts.spill)
    parts.database.compact()
    with parts.database.write() as session:
        for row in _locked(session, numbers, REWRITTEN):
            private: dict[str, JSON] = {"holder": row.holder, "files_checked": len(held)}
            public = {"erasure": row.id}
            row.log_index = append(session, "subject.erased", public, private, now=clock.now)
            row.state, row.ended = DONE, clock.now
            if row.id in gone.by_erasure:
                withdrawals.forget(session, row.withdrawal)
            requests.end(session, row.id, now=clock.now)


def _gone(parts: Parts, numbers: Sequence[int]) -> Gone:
    """Return what some erasures take out."""
    everywhere, single = np.empty(0, np.int64), set[int]()
    of: dict[int, Ints] = {}
    query = select(Erasure.id, Withdrawal.id.label("withdrawal"), Withdrawal.supplier)
    query = query.join(Withdrawal, Withdrawal.id == Erasure.withdrawal).where(Erasure.id.in_(numbers))
    with parts.database.read() as session:
        for row in session.execute(query.order_by(Erasure.id)).all():
            devices = withdrawals.devices(session, parts.ring, row.withdrawal)
            if row.supplier is None:
                everywhere = np.union1d(everywhere, devices)
            else:
                single.add(row.id)
                of[row.supplier] = np.union1d(of.get(row.supplier, np.empty(0, np.int64)), devices)
        deliveries = session.execute(select(Delivery.id, Delivery.supplier).where(Delivery.supplier.in_(of)))
        delivered: dict[int, set[int]] = {}
        for delivery, supplier in deliveries:
            delivered.setdefault(supplier, set()).add(delivery)
    return Gone(everywhere, of, {s: frozenset(d) for s, d in delivered.items()}, frozenset(single))


def _locked(session: Session, numbers: Sequence[int], state: str) -> Sequence[Erasure]:
    """Return the rows that are still in a state: another process may have been first.

    Raises:
        Busy: it was.
    """
    query = select(Erasure).where(Erasure.id.in_(numbers), Erasure.state == state).with_for_update()
    rows = session.scalars(query).all()
    if len(rows) < len(numbers):
        raise Busy("Another process does the same at this moment.", "Run the command again in a minute.")
    return rows
