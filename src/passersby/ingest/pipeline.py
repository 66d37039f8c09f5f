"""Takes a supplier's files into the lake: eleven steps, one delivery, whole or not at all.

    1  open       by content, never by name                            sources
    2  map        columns by the supplier's declared schema            sources
    3  drop       forbidden and undeclared columns                     sources
    4  check      each row; rejections counted by reason               sources
    5  basis      dates of the contract, consent, opt-outs             screen
    6  pseudonym  keyed hash of the advertising id, by epoch           screen
    7  cell       H3, resolution 10                                    screen
    8  places     sensitive places and revealing neighbours            partition, purging
    9  dedupe     on (device, t) within the delivery                   partition
    10 write      files; then manifest and log entry in one commit     partition, here
    11 derive     the touched days                                     here

Steps 1 to 7 run on batches that are spilled by device, 8 to 10 on one partition of devices after
another: memory is bounded whatever the size of the files.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from passersby.config import Config
from passersby.consent import withdrawals
from passersby.derive.derivation import derive_days, stale_days
from passersby.errors import IntegrityError, OperationError
from passersby.ingest import deliveries, purging
from passersby.ingest.admission import Admission, Admitted
from passersby.ingest.partition import Stored, Target
from passersby.ingest.passes import Clock, Counts, Passes, Progress
from passersby.ingest.report import Report, about, band
from passersby.keys.ring import KeyRing
from passersby.lake.lake import Lake
from passersby.lake.purge import Rewritten
from passersby.lake.write import Work
from passersby.model.period import DAY, day_name
from passersby.sources.read import columns
from passersby.store.database import Database
from passersby.store.tables import Intent
from passersby.trustlog.entries import JSON, append

_MEMORY_A_ROW = 400
"""Bytes that a row takes while its partition is sorted and written."""

_MEMORY_A_BATCH_ROW = 4096
"""The same of a row on its way to its partition: a handful of batches are on the way at once."""


class _OvertakenError(Exception):
    """Another process stored one of the files meanwhile."""


class Ingest:
    """Takes deliveries into one deployment.

    Args:
        root: folder of the deployment.
        config: its settings.
        database: its control database.
        lake: its lake.
        ring: its keys.
        sweep: repairs what an interrupted command left and says what it did; `Lake.sweep` by default.
    """

    def __init__(
        self,
        root: Path,
        config: Config,
        database: Database,
        lake: Lake,
        ring: KeyRing,
        *,
        sweep: Callable[[int], list[str]] | None = None,
    ) -> None:
        self._config = config
        self._database = database
        self._lake = lake
        self._ring = ring
        self._sweep = sweep or lake.sweep
        self._threads = config.threads or os.cpu_count() or 1
        self._admission = Admission(root, config, database, ring)

    def run(
        self,
        files: Sequence[Path],
        supplier: str,
        *,
        now: int,
        progress: Progress | None = None,
        consent: Path | None = None,
        remove_source: bool = False,
    ) -> Report:
        """Take files as one delivery and derive the days that it touches.

        Whatever is raised, nothing of the delivery is stored, unless the message says that it is: then
        step 11 failed, and the next run makes up for it.

        Args:
            files: the delivered files; those whose contents were delivered before are left out.
            supplier: id of a supplier with a current assessment.
            now: epoch s.
            progress: told after each batch and each partition.
            consent: the supplier's consent register, put into force first.
            remove_source: remove the delivered files once they are stored.

        Raises:
            UnknownName: there is no such supplier.
            NotReady: the supplier is not assessed, suspended, or a consent register is missing (logged).
            Refusal: files of this kind are never taken (logged).
            InputError: a file is damaged or does not fit the schema.
            Busy: another process changed the same part of the lake at the same moment.
            DiskFull: there is no room.
            IntegrityError: the rows do not add up.
        """
        clock = Clock(now)
        repaired = tuple(self._repaired(now))
        report = self._taken(files, supplier, consent, clock, progress)
        if remove_source:
            for path in files:
                path.unlink(missing_ok=True)
        return replace(report, repaired=repaired)

    def _repaired(self, now: int) -> list[str]:
        done = self._sweep(now)
        days = stale_days(self._lake, now=now)
        if not days:
            return done
        derive_days(self._lake, days, now=now, threads=self._threads)
        number = "1 day" if len(days) == 1 else f"{len(days)} days"
        return [*done, f"derived {number} of a delivery that was stored but not derived"]

    def _taken(
        self,
        files: Sequence[Path],
        supplier: str,
        consent: Path | None,
        clock: Clock,
        progress: Progress | None,
    ) -> Report:
        admitted = self._admission.check(supplier, consent, clock=clock)
        delivered = deliveries.sources(files)
        while True:
            with self._database.read() as session:
                known = deliveries.known(session, admitted.number)
            again = {file.name: known[file.sha256] for file in delivered if file.sha256 in known}
            fresh = tuple(file for file in delivered if file.sha256 not in known)
            report = Report(
                delivery=max(again.values(), default=0), supplier=supplier, again=again, files=fresh
            )
            if not fresh:
                return report
            try:
                with self._admission.refusals_logged(supplier, clock):
                    return self._stored(report, admitted, clock, progress)
            except _OvertakenError:
                continue

    def _stored(self, report: Report, admitted: Admitted, clock: Clock, progress: Progress | None) -> Report:
        """Take the report's files, steps 1 to 10, and return the report with its figures."""
        with self._database.write() as session:
            report = replace(report, delivery=deliveries.reserve(session))
        what = {"delivery": report.delivery, "supplier": admitted.number, "files": len(report.files)}
        with self._lake.begin("ingest", what, now=clock.now) as work:
            passes = self._passes(report, admitted, work, clock, progress)
            try:
                counts, stored = passes.run()
            finally:
                # before all else: on a full disk the work cannot be undone without room
                shutil.rmtree(passes.folder, ignore_errors=True)
            deliveries.require_unchanged(report.files)
            report = _filled(report, admitted, counts, stored)
            # 8 the same among what earlier deliveries brought
            beside = purging.revealing(self._lake, work, stored.inside, now=clock.now)
            with self._admission.refusals_logged(report.supplier, clock):
                self._commit(report, admitted, work, beside, counts.met, clock)
        # 11 derive the touched days
        self._derive(report, stored.days, clock)
        return report

    def _derive(self, report: Report, days: Iterable[int], clock: Clock) -> None:
        try:
            derive_days(self._lake, days, now=clock.now, threads=self._threads)
            purging.finish(self._lake, self._admission.cover, now=clock.now, threads=self._threads)
        except OperationError as error:
            msg = f"Delivery {report.delivery} is stored, but its days could not be derived. {error.message}"
            raise type(error)(msg, "Run the command again: it first derives what is missing.") from error

    def _passes(
        self, report: Report, admitted: Admitted, work: Work, clock: Clock, progress: Progress | None
    ) -> Passes:
        target = Target(
            work=work,
            bucket_of=self._lake.bucket_of,
            supplier=admitted.number,
            delivery=report.delivery,
            until=clock.now + admitted.contract.raw_days * DAY,
            sealed=admitted.sealed,
            cover=admitted.cover,
            most_rows=(self._config.memory_mb << 20) // (self._threads * _MEMORY_A_ROW),
        )
        return Passes(
            files=report.files,
            schema=admitted.schema,
            rules=admitted.rules,
            target=target,
            folder=self._staging(work) / "spill",
            clock=clock,
            threads=self._threads,
            batch_rows=(self._config.memory_mb << 20) // _MEMORY_A_BATCH_ROW,
            naive_offset=admitted.contract.naive_offset,
            progress=progress,
        )

    def _staging(self, work: Work) -> Path:
        """Return the work's private folder, which a sweep clears should this process die."""
        with self._database.read() as session:
            return self._lake.root / session.get_one(Intent, work.id).folder

    def _commit(
        self,
        report: Report,
        admitted: Admitted,
        work: Work,
        beside: Rewritten,
        met: Collection[str],
        clock: Clock,
    ) -> None:
        """Make the delivery visible: its row, its files and its log entry, in one transaction.

        With it withdraw the devices of deletion lists that it `met`: what is stored of them is to be erased.
        """
        now = clock.now
        with self._database.write() as session:
            deliveries.lock_supplier(session, admitted.number)
            self._admission.require_unchanged(session, admitted, now=now)
            known = deliveries.known(session, admitted.number)
            if any(file.sha256 in known for file in report.files):
                raise _OvertakenError
            deliveries.record(session, report, admitted.number, admitted.contract, now=now)
            work.commit(session, replaces=beside.replaces, now=now)
            if beside.replaces:
                days = {part.day for part in beside.parts}
                purging.rewritten(session, f"delivery {report.delivery}", days, now=now)
            if met:
                withdrawals.record(
                    session, self._ring, sorted(met), cause=withdrawals.LIST, now=now, erase=True
                )
            public: dict[str, JSON] = {"delivery": report.delivery, "supplier": report.supplier}
            append(session, "delivery.stored", public, _private(report), now=now)


def _filled(report: Report, admitted: Admitted, counts: Counts, stored: Stored) -> Report:
    """Return the report with its figures, checked.

    Raises:
        IntegrityError: a row is lost or counted twice.
    """
    rejected = {**counts.rejected, "sealed": stored.sealed}
    filled = replace(
        report,
        read=counts.read,
        stored=stored.stored,
        duplicates=stored.duplicates,
        suppressed=stored.suppressed,
        rejected={reason: n for reason, n in rejected.items() if n},
        examples=counts.examples,
        dropped=_dropped(report, admitted),
        first_day=min(stored.days, default=None),
        last_day=max(stored.days, default=None),
        devices=band(stored.devices),
        teleports=band(stored.teleports),
        notes=admitted.notes,
    )
    if not filled.balanced():
        msg = "The rows of the delivery do not add up: some were lost or counted twice."
        raise IntegrityError(msg, "Nothing was stored; please report this with the schema that was used.")
    return filled


def _dropped(report: Report, admitted: Admitted) -> tuple[str, ...]:
    """Return the names of columns that no row brought into the lake, forbidden and undeclared ones."""
    names: dict[str, None] = {}
    for file in report.files:
        found = columns(Path(file.path), admitted.schema)
        names |= dict.fromkeys((*found.forbidden, *found.undeclared))
    return tuple(sorted(names))


def _private(report: Report) -> dict[str, JSON]:
    """Return what the log keeps as commitments only."""
    return {
        "files": [file.sha256 for file in report.files],
        "read": report.read,
        "stored": about(report.stored),
        "duplicates": report.duplicates,
        "suppressed": band(report.suppressed),
        "rejected": dict(report.rejected),
        "days": [day_name(day) for day in (report.first_day, report.last_day) if day is not None],
    }
