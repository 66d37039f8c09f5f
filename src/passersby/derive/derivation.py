"""Derives presence, stays and trips from the pings of all deliveries, and replaces what was there.

What must be made anew is in `derive.tasks`; how, in `derive.presence` and `derive.stays_files`. Old files
are replaced by new ones in the same commit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pyarrow as pa
from sqlalchemy.orm import Session

from passersby.derive import kernel, presence, stays_files, tasks
from passersby.derive.tasks import Plan, Task
from passersby.errors import Busy
from passersby.lake.lake import Lake
from passersby.lake.snapshots import Snapshot
from passersby.lake.write import Work
from passersby.model.period import day_name
from passersby.trustlog.entries import append

Progress = Callable[[int, int], None]
"""Called with (tasks done, tasks to do)."""

_ATTEMPTS = 3
_RENEW_S = 60
_WRITE: Mapping[tuple[str, ...], Callable[[Work, Task, kernel.Ints], None]] = MappingProxyType(
    {tasks.PRESENCE: presence.write, tasks.STAYS: stays_files.write}
)
_LOGGED = MappingProxyType({tasks.PRESENCE: "presence.derived", tasks.STAYS: "stays.derived"})


@dataclass(frozen=True)
class Derived:
    """What a derivation changed.

    Args:
        days: local days whose derived rows changed, in order.
        written: number of tasks that were done.
        unchanged: tasks whose files were already of the same sources.
        rows: rows written.
        pings: pings read; stays read them a second time.
    """

    days: tuple[int, ...]
    written: int
    unchanged: int
    rows: int
    pings: int


class Prepared:
    """Derived files that are written and wait for a transaction.

    Args:
        result: what `commit` will have changed.
    """

    def __init__(self, work: Work, plan: Plan, clock: Clock) -> None:
        changed = {day for tables in _WRITE for day in plan.days(tables)}
        pings = sum(file.rows for task in plan.tasks for file in task.pings)
        self.result = Derived(tuple(sorted(changed)), len(plan.tasks), plan.unchanged, work.rows, pings)
        self._work = work
        self._plan = plan
        self._clock = clock

    def commit(self, session: Session) -> Derived:
        """Replace the derived rows and log it, in the caller's transaction.

        Raises:
            Busy: a part was sealed or derived by another process meanwhile.
            OperationError: the lease has lapsed.
        """
        now = self._clock.now
        self._work.commit(session, replaces=[file.id for file in self._plan.replaces], now=now)
        for tables, kind in _LOGGED.items():
            names = [day_name(day) for day in sorted(self._plan.days(tables))]
            if names:
                append(session, kind, {}, {"days": names}, now=now)
        return self.result


class Clock:
    """The caller's time, which goes on while the work does."""

    def __init__(self, now: int) -> None:
        self._now = now
        self._begun = time.monotonic()

    @property
    def now(self) -> int:
        """Epoch s."""
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
    """Derive `days` and make what comes of it visible in a transaction of its own.

    Two processes that derive the same days at once end with one result: who comes second looks again.

    Args:
        lake: the lake.
        days: local days; stays of other days of their periods are derived with theirs.
        now: epoch s.
        threads: tasks that are done at once.
        progress: told after each task.
        excluded: int64 array of devices that give no rows, in any order.
        force: derive what is of unchanged sources too, because pings or `excluded` changed.

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
    """Derive `days` into files that nobody sees yet; see `derive_days`.

    `Prepared.commit` shows them; if the block ends without it, they are removed. What has reached its
    deletion date is removed and sealed first, so that no day is rebuilt from the rest of its sources.
    """
    clock = Clock(now)
    lake.expire(now)
    with lake.begin("derive", {"days": [day_name(day) for day in days]}, now=now) as work:
        with lake.snapshot(now) as snapshot:
            plan = tasks.plan(lake, snapshot, days, now=now, force=force)
            gone = _sorted(excluded, snapshot.withdrawn)
            _run(work, snapshot, plan.tasks, gone, threads=threads, progress=progress, clock=clock)
        yield Prepared(work, plan, clock)


def stale_days(lake: Lake, *, now: int) -> list[int]:
    """Return the local days whose derived rows do not come from exactly the deliveries that have pings.

    A process that was killed between an ingest and its derivation leaves such days.
    """
    with lake.snapshot(now) as snapshot:
        tables = ("pings", *tasks.PRESENCE, *tasks.STAYS)
        days = {file.day for table in tables for file in snapshot.files(table)}
        plan = tasks.plan(lake, snapshot, sorted(days), now=now, force=False)
    return sorted({day for names in _WRITE for day in plan.days(names)})


def _sorted(excluded: pa.Array | None, withdrawn: kernel.Ints) -> kernel.Ints:
    if excluded is None:
        return withdrawn
    return np.union1d(np.asarray(excluded, dtype=np.int64), withdrawn)


def _run(
    work: Work,
    snapshot: Snapshot,
    planned: Sequence[Task],
    excluded: kernel.Ints,
    *,
    threads: int,
    progress: Progress | None,
    clock: Clock,
) -> None:
    """Do all tasks, `threads` at once, and keep both leases alive."""
    renewed = clock.now
    with ThreadPoolExecutor(max(1, threads)) as pool:
        try:
            running = [pool.submit(_WRITE[task.tables], work, task, excluded) for task in planned]
            for done, future in enumerate(as_completed(running), 1):
                future.result()
                if progress is not None:
                    progress(done, len(planned))
                if clock.now - renewed >= _RENEW_S:
                    renewed = clock.now
                    work.renew(renewed)
                    snapshot.renew(renewed)
        except BaseException:
            # also on Ctrl-C: tasks that have not begun never will
            pool.shutdown(wait=False, cancel_futures=True)
            raise
