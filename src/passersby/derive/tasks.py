"""Which derived files must be made anew: those whose sources are not the deliveries that have pings.

Presence of a day depends on that day's pings alone: one task for each (day, bucket). A stay may begin on
one day and end on another, but never crosses a period: one task for each bucket and *run*, the days of one
period that follow each other without a sealed one. A changed day so rebuilds its whole run, and a sealed
day, whose pings are gone, keeps the stays that were told of it.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from passersby.lake.lake import Lake
from passersby.lake.manifest import FileRef
from passersby.lake.retention import derived_until
from passersby.lake.snapshots import Snapshot
from passersby.model.period import Period, day_start

PRESENCE = ("presence",)
STAYS = ("stays", "trips")

_Key = tuple[str, int, int]  # table, day, bucket


@dataclass(frozen=True)
class Task:
    """Tables of one bucket that are derived together.

    Args:
        tables: `PRESENCE` or `STAYS`.
        days: local days that have pings, in order: each gets one file of each table.
        bucket: device bucket.
        pings: files of all these days.
        sources: sorted ids of their deliveries.
        until: deletion date of what is derived, epoch s.
    """

    tables: tuple[str, ...]
    days: tuple[int, ...]
    bucket: int
    pings: tuple[FileRef, ...]
    sources: tuple[int, ...]
    until: int


@dataclass(frozen=True)
class Plan:
    """What there is to do: tasks, the files that go, and the number of tasks that are not needed."""

    tasks: tuple[Task, ...]
    replaces: tuple[FileRef, ...]
    unchanged: int

    def days(self, tables: tuple[str, ...]) -> set[int]:
        """Return the local days on which files of `tables` are made or go."""
        made = {day for task in self.tasks if task.tables == tables for day in task.days}
        return made | {file.day for file in self.replaces if file.table in tables}


@dataclass(frozen=True)
class _Unit:
    """What is derived together if need be. `broken`: a day of its period is sealed."""

    tables: tuple[str, ...]
    days: tuple[int, ...]
    bucket: int
    broken: bool = False


def plan(lake: Lake, snapshot: Snapshot, days: Sequence[int], *, now: int, force: bool) -> Plan:
    """Return what is to be derived so that `days` are told of by exactly the pings that there are.

    Args:
        lake: the lake.
        snapshot: the lake as it is read.
        days: local days; stays are planned for the runs that they are of.
        now: epoch s: nothing is derived past its deletion date.
        force: also plan what has the right sources already.
    """
    around = sorted({day for one in days for day in _period_of(one, lake.offset)})
    held = _by_part(file for table in ("pings", *PRESENCE, *STAYS) for file in snapshot.files(table, around))
    with lake.database.read() as session:
        sealed = lake.sealed(session, around)
        dates: dict[tuple[int, ...], int] = {}
        tasks: list[Task] = []
        replaces: list[FileRef] = []
        unchanged = 0
        for unit in _units(lake, days, sealed):
            pings = _files(held, ("pings",), unit)
            old = _files(held, unit.tables, unit)
            sources = tuple(sorted({source for file in pings for source in file.sources}))
            if not force and _is_told(unit, pings, old, sources):
                unchanged += bool(pings)
                continue
            if sources and sources not in dates:
                dates[sources] = derived_until(session, sources)
            if sources and dates[sources] > now:
                told = tuple(sorted({file.day for file in pings}))
                tasks.append(Task(unit.tables, told, unit.bucket, tuple(pings), sources, dates[sources]))
            replaces.extend(old)
    return Plan(tuple(tasks), tuple(replaces), unchanged)


def _units(lake: Lake, days: Sequence[int], sealed: set[tuple[int, int]]) -> Iterator[_Unit]:
    """Yield the units of `days` in order: presence of each, and each run that holds one of them."""
    periods = sorted({_period_of(day, lake.offset) for day in days})
    for bucket in range(lake.buckets):
        for day in sorted(set(days)):
            if (day, bucket) not in sealed:
                yield _Unit(PRESENCE, (day,), bucket)
        for period in periods:
            shut = {day for day in period if (day, bucket) in sealed}
            for run in _runs(period, shut):
                if not set(days).isdisjoint(run):
                    yield _Unit(STAYS, run, bucket, broken=bool(shut))


def _runs(period: Sequence[int], shut: set[int]) -> Iterator[tuple[int, ...]]:
    """Yield the longest rows of days of a period that are not shut."""
    for is_shut, group in itertools.groupby(period, key=lambda day: day in shut):
        if not is_shut:
            yield tuple(group)


def _is_told(unit: _Unit, pings: Sequence[FileRef], old: Sequence[FileRef], sources: tuple[int, ...]) -> bool:
    """Tell whether the derived files are those of exactly the deliveries that have pings.

    Where a day of the period is sealed, the other days may still tell of its deliveries: so it was told
    while they were there.
    """
    wanted = sorted((table, day) for table in unit.tables for day in {file.day for file in pings})
    if sorted((file.table, file.day) for file in old) != wanted:
        return False
    return all(file.sources == sources or (unit.broken and set(sources) <= set(file.sources)) for file in old)


def _files(held: Mapping[_Key, Sequence[FileRef]], tables: Sequence[str], unit: _Unit) -> list[FileRef]:
    return [file for table in tables for day in unit.days for file in held[table, day, unit.bucket]]


def _by_part(files: Iterable[FileRef]) -> Mapping[_Key, list[FileRef]]:
    parts: defaultdict[_Key, list[FileRef]] = defaultdict(list)
    for file in files:
        parts[file.table, file.day, file.bucket].append(file)
    return parts


def _period_of(day: int, offset: int) -> tuple[int, ...]:
    """Return the local days of the period that holds a local day."""
    return Period.containing(day_start(day, offset), offset).span(offset).days(offset)
