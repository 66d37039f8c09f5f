"""Any sequence of begin, write, commit, abandon, lapse, read, sweep and expire, against a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from passersby.errors import Busy, OperationError
from passersby.lake import durable, snapshots, write
from passersby.lake.write import Work

PARTS = st.tuples(st.integers(0, 1), st.integers(0, 1))  # day after the first, bucket


@dataclass(frozen=True)
class Row:
    """A file in the model: what it is of and how many rows it has."""

    part: tuple[int, int]
    rows: int
    until: int


@dataclass
class Job:
    """Work in progress in the model."""

    work: Work
    lease: int
    rows: list[Row] = field(default_factory=list)
    dead: bool = False


class Machine(RuleBasedStateMachine):
    """The lake beside a model of it: a list of visible files, sealed parts, jobs and readers."""

    make: Callable[[], Any]

    def __init__(self) -> None:
        super().__init__()
        self.world = type(self).make()
        self.now: int = self.world.now
        self.visible: dict[int, Row] = {}
        self.sealed: set[tuple[int, int]] = set()
        self.jobs: list[Job] = []
        self.readers: list[tuple[Any, Any, int, dict[int, Row]]] = []
        self.number = 0
        self.size = 0

    def teardown(self) -> None:
        for context, *_ in self.readers:
            context.__exit__(None, None, None)
        # when every lease has lapsed, a sweep leaves exactly the visible files
        self.world.lake.sweep(self.now + write.LEASE_S)
        assert self.world.on_disk() == self.world.listed()
        self.world.lake.database.dispose()

    def _pick(self, index: int) -> Job:
        return self.jobs[index % len(self.jobs)]

    @rule()
    @precondition(lambda self: len(self.jobs) < 3)
    def begin(self) -> None:
        self.jobs.append(Job(self.world.lake.begin("ingest", {}, now=self.now), self.now + write.LEASE_S))

    @rule(index=st.integers(0, 9), part=PARTS, lasts=st.sampled_from([1000, 3000, 90_000]))
    @precondition(lambda self: any(not job.dead for job in self.jobs))
    def write_file(self, index: int, part: tuple[int, int], lasts: int) -> None:
        job = [job for job in self.jobs if not job.dead][index % sum(not job.dead for job in self.jobs)]
        self.size += 1  # makes each file's number of rows its name
        row = Row(part, self.size, self.now + lasts)
        table = self.world.pings(self.world.day + part[0], part[1], rows=row.rows)
        job.work.write("pings", self.world.day + part[0], part[1], table, sources=[1], until=row.until)
        job.rows.append(row)

    @rule(index=st.integers(0, 9), replaced=st.lists(st.integers(0, 9), max_size=2))
    @precondition(lambda self: self.jobs)
    def commit(self, index: int, replaced: list[int]) -> None:
        job = self._pick(index)
        ids = sorted(self.visible)
        replaces = sorted({ids[i % len(ids)] for i in replaced}) if ids else []
        old = {self.visible[i].part for i in replaces}
        lapsed = job.dead or job.lease <= self.now
        sealed = any(row.part in self.sealed - old for row in job.rows)
        if lapsed or sealed:
            with pytest.raises(OperationError if lapsed else Busy):
                self._commit(job, replaces)
            return
        number = self._commit(job, replaces)
        self.jobs.remove(job)
        self.number += 1
        assert number == self.number
        for i in replaces:
            del self.visible[i]
        fresh = [file for file in self._files() if file.id not in self.visible]
        assert sorted(file.rows for file in fresh) == sorted(row.rows for row in job.rows)
        by_rows = {row.rows: row for row in job.rows}
        self.visible |= {file.id: by_rows[file.rows] for file in fresh}

    def _commit(self, job: Job, replaces: list[int]) -> int:
        with self.world.lake.database.write() as session:
            return job.work.commit(session, replaces=replaces, now=self.now)

    @rule(index=st.integers(0, 9))
    @precondition(lambda self: self.jobs)
    def abandon(self, index: int) -> None:
        job = self._pick(index)
        job.work.abandon()
        self.jobs.remove(job)

    @rule(index=st.integers(0, 9))
    @precondition(lambda self: self.jobs)
    def renew(self, index: int) -> None:
        job = self._pick(index)
        alive = not job.dead and job.lease > self.now
        try:
            job.work.renew(self.now)
        except OperationError:
            assert not alive
        else:
            assert alive
            job.lease = self.now + write.LEASE_S

    @rule(seconds=st.sampled_from([1, write.LEASE_S - 1, write.LEASE_S, snapshots.LEASE_S]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    @precondition(lambda self: len(self.readers) < 2)
    def read(self) -> None:
        context = self.world.lake.snapshot(self.now)
        snapshot = context.__enter__()
        assert snapshot.number == self.number
        self.readers.append((context, snapshot, self.now + snapshots.LEASE_S, dict(self.visible)))

    @rule()
    @precondition(lambda self: self.readers)
    def end_reading(self) -> None:
        self.readers.pop(0)[0].__exit__(None, None, None)

    @rule()
    def sweep(self) -> None:
        said = self.world.lake.sweep(self.now)
        for job in self.jobs:
            job.dead = job.dead or job.lease <= self.now
        told = sum("did not finish" in line for line in said)
        assert told == sum(job.dead for job in self.jobs)
        self.jobs = [job for job in self.jobs if not job.dead]

    @rule()
    def expire(self) -> None:
        due = {i: row for i, row in self.visible.items() if row.until <= self.now}
        assert self.world.lake.expire(self.now).files == len(due)
        self.number += bool(due)
        self.sealed |= {row.part for row in due.values()}
        for i in due:
            del self.visible[i]

    def _files(self) -> list[Any]:
        with self.world.lake.snapshot(self.now) as snapshot:
            files: list[Any] = snapshot.files("pings")
        return files

    @invariant()
    def readers_see_exactly_their_snapshot(self) -> None:
        self._compare(self._files(), self.visible)
        for _, snapshot, lease, expected in self.readers:
            if lease > self.now:
                self._compare(snapshot.files("pings"), expected)

    def _compare(self, files: list[Any], expected: dict[int, Row]) -> None:
        day = self.world.day
        seen = {file.id: Row((file.day - day, file.bucket), file.rows, file.until) for file in files}
        assert seen == expected
        for file in files:
            assert pq.ParquetFile(file.path).metadata.num_rows == file.rows

    @invariant()
    def seals_are_those_of_expired_files(self) -> None:
        with self.world.lake.database.read() as session:
            found = self.world.lake.sealed(session, range(self.world.day, self.world.day + 2))
        assert {(day - self.world.day, bucket) for day, bucket in found} == self.sealed


@pytest.mark.slow
def test_every_history_agrees_with_the_model(
    new_world: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Bound(Machine):
        make = staticmethod(new_world)

    # power cuts are not simulated here, and waiting for the disk would take most of the time
    monkeypatch.setattr(durable, "sync", lambda _descriptor: None)
    run_state_machine_as_test(Bound, settings=settings(max_examples=15, stateful_step_count=25))
