"""Derives presence: for each (device, hour) its hierarchically dominant cell, from all deliveries.

The dominant cell is found from the top down: of all cells at resolution 4 the one with most pings of
the hour, of its children the one with most, and so on to resolution 10; ties go to the lowest id. `pings`
counts the pings of the hour in that resolution-10 cell. So each device-hour lies in exactly one cell at
every resolution, and counts add up over cells and hours.

A (day, bucket) is always derived whole, and its old presence file replaced in the same commit.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from sqlalchemy.orm import Session

from passersby.derive import batches, kernel
from passersby.errors import Busy
from passersby.lake.lake import Lake
from passersby.lake.manifest import FileRef
from passersby.lake.retention import derived_until
from passersby.lake.snapshots import Snapshot
from passersby.lake.write import Work
from passersby.model.period import day_name
from passersby.model.schema import PRESENCE
from passersby.trustlog.entries import append

Progress = Callable[[int, int], None]
"""Called with (parts done, parts to do)."""

_ATTEMPTS = 3
_RENEW_S = 60
_Key = tuple[int, int]  # day, bucket


@dataclass(frozen=True)
class Derived:
    """What a derivation changed.

    Args:
        days: local days whose presence changed, in order.
        written: number of (day, bucket) parts that were derived.
        unchanged: parts whose presence was already of the same sources.
        rows: device-hours written.
        pings: pings read.
    """

    days: tuple[int, ...]
    written: int
    unchanged: int
    rows: int
    pings: int


@dataclass(frozen=True)
class _Task:
    """One (day, bucket) to derive."""

    day: int
    bucket: int
    pings: tuple[FileRef, ...]
    sources: tuple[int, ...]
    until: int


@dataclass(frozen=True)
class _Plan:
    tasks: tuple[_Task, ...]
    replaces: tuple[FileRef, ...]
    unchanged: int


class Prepared:
    """Derived files that are written and wait for a transaction.

    Args:
        result: what `commit` will have changed.
    """

    def __init__(self, work: Work, plan: _Plan, clock: _Clock) -> None:
        changed = {task.day for task in plan.tasks} | {file.day for file in plan.replaces}
        pings = sum(file.rows for task in plan.tasks for file in task.pings)
        self.result = Derived(tuple(sorted(changed)), len(plan.tasks), plan.unchanged, work.rows, pings)
        self._work = work
        self._plan = plan
        self._clock = clock

    def commit(self, session: Session) -> Derived:
        """Replace the presence of all parts and log it, in the caller's transaction.

        Raises:
            Busy: a part was sealed or derived by another process meanwhile.
            OperationError: the lease has lapsed.
        """
        now = self._clock.now
        self._work.commit(session, replaces=[file.id for file in self._plan.replaces], now=now)
        names = [day_name(day) for day in self.result.days]
        append(session, "presence.derived", {}, {"days": names}, now=now)
        return self.result


class _Clock:
    """The caller's time, which goes on while the work does."""

    def __init__(self, now: int) -> None:
        self._now = now
        self._begun = time.monotonic()

    @property
    def now(self) -> int:
        return self._now + int(time.monotonic() - self._begun)


def derive_days(
    lake: Lake,
    days: Iterable[int],
    *,
    now: int,
    threads: int = 1,
    progress: Progress | None = None,
    excluded: pa.Array | None = None,
    force: bool = False,
) -> Derived:
    """Derive the presence of `days` and make it visible in a transaction of its own.

    Two processes that derive the same days at once end with one result: who comes second looks again.

    Args:
        lake: the lake.
        days: local days; parts of other days are not touched.
        now: epoch s.
        threads: parts that are derived at once.
        progress: told after each part.
        excluded: int64 array of devices that give no rows, in any order.
        force: derive parts of unchanged sources too, because pings or `excluded` changed.

    Raises:
        Busy: other processes kept changing the same days.
        IntegrityError: a file of the lake cannot be read.
        DiskFull: there is no room; nothing was changed.
    """
    wanted = sorted(set(days))
    for left in reversed(range(_ATTEMPTS)):
        try:
            with prepared(
                lake, wanted, now=now, threads=threads, progress=progress, excluded=excluded, force=force
            ) as change:
                if not change.result.days:
                    return change.result
                with lake.database.write() as session:
                    return change.commit(session)
        except Busy:
            if not left:
                raise
    raise AssertionError


@contextmanager
def prepared(
    lake: Lake,
    days: Sequence[int],
    *,
    now: int,
    threads: int = 1,
    progress: Progress | None = None,
    excluded: pa.Array | None = None,
    force: bool = False,
) -> Iterator[Prepared]:
    """Derive the presence of `days` into files that nobody sees yet; see `derive_days`.

    `Prepared.commit` shows them; if the block ends without it, they are removed. What has reached its
    deletion date is removed and sealed first, so that no day is rebuilt from the rest of its sources.
    """
    clock = _Clock(now)
    lake.expire(now)
    with lake.begin("derive", {"days": [day_name(day) for day in days]}, now=now) as work:
        with lake.snapshot(now) as snapshot:
            plan = _planned(lake, snapshot, days, now=now, force=force)
            device = _sorted(excluded)
            _run(work, snapshot, plan.tasks, device, threads=threads, progress=progress, clock=clock)
        yield Prepared(work, plan, clock)


def stale_days(lake: Lake, *, now: int) -> list[int]:
    """Return the local days whose presence does not come from exactly the deliveries that have pings.

    A process that was killed between an ingest and its derivation leaves such days.
    """
    with lake.snapshot(now) as snapshot:
        days = {file.day for table in ("pings", "presence") for file in snapshot.files(table)}
        plan = _planned(lake, snapshot, sorted(days), now=now, force=False)
    return sorted({task.day for task in plan.tasks} | {file.day for file in plan.replaces})


def _planned(lake: Lake, snapshot: Snapshot, days: Sequence[int], *, now: int, force: bool) -> _Plan:
    pings = _by_part(snapshot.files("pings", days))
    present = _by_part(snapshot.files("presence", days))
    tasks: list[_Task] = []
    replaces: list[FileRef] = []
    unchanged = 0
    with lake.database.read() as session:
        sealed = lake.sealed(session, days)
        dates: dict[tuple[int, ...], int] = {}
        for key in sorted((pings.keys() | present.keys()) - sealed):
            sources = tuple(sorted({source for file in pings[key] for source in file.sources}))
            old = present[key]
            if sources and not force and [file.sources for file in old] == [sources]:
                unchanged += 1
                continue
            if sources not in dates:
                dates[sources] = derived_until(session, sources) if sources else 0
            if dates[sources] > now:
                tasks.append(_Task(*key, tuple(pings[key]), sources, dates[sources]))
            replaces.extend(old)
    return _Plan(tuple(tasks), tuple(replaces), unchanged)


def _by_part(files: Sequence[FileRef]) -> Mapping[_Key, list[FileRef]]:
    parts: defaultdict[_Key, list[FileRef]] = defaultdict(list)
    for file in files:
        parts[file.day, file.bucket].append(file)
    return parts


def _sorted(excluded: pa.Array | None) -> kernel.Ints:
    if excluded is None:
        return np.empty(0, np.int64)
    return np.unique(np.asarray(excluded, dtype=np.int64))


def _run(
    work: Work,
    snapshot: Snapshot,
    tasks: Sequence[_Task],
    excluded: kernel.Ints,
    *,
    threads: int,
    progress: Progress | None,
    clock: _Clock,
) -> None:
    """Derive all parts, `threads` at once, and keep both leases alive."""
    renewed = clock.now
    with ThreadPoolExecutor(max(1, threads)) as pool:
        try:
            running = [pool.submit(_derive, work, task, excluded) for task in tasks]
            for done, future in enumerate(as_completed(running), 1):
                future.result()
                if progress is not None:
                    progress(done, len(tasks))
                if clock.now - renewed >= _RENEW_S:
                    renewed = clock.now
                    work.renew(renewed)
                    snapshot.renew(renewed)
        except BaseException:
            # also on Ctrl-C: parts that have not begun never will
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _derive(work: Work, task: _Task, excluded: kernel.Ints) -> None:
    offset = work.layout.offset
    paths = [file.path for file in task.pings]
    with work.writer("presence", task.day, task.bucket, sources=task.sources, until=task.until) as writer:
        for columns in batches.devices(paths):
            rows = len(columns[0])
            out = tuple(np.empty(rows, kind) for kind in (np.int64, np.int32, np.int64, np.int32))
            filled = kernel.presence(columns, excluded, offset, out)
            writer.append(pa.table([pa.array(column[:filled]) for column in out], schema=PRESENCE))
