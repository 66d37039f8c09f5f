"""Writing to the lake: an intent with a lease first, files next, and one transaction that shows them.

1 begin    the intent is committed: from here on a sweep knows whose files these are
2 write    each file is written into a staging folder, hashed, and brought to the disk
3 commit   in the caller's transaction: the lease still holds, files move to their place, folders
           are synced, rows appear; a file that is moved but has no row is swept later
"""

from __future__ import annotations

import itertools
import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import rfc8785
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from passersby.errors import OperationError
from passersby.lake import durable, manifest
from passersby.lake.files import FileWriter, Target, Written
from passersby.lake.layout import Layout, Part
from passersby.lake.manifest import Keep
from passersby.lake.retention import derived_until
from passersby.model.period import day_name
from passersby.store.database import Database
from passersby.store.tables import File, Intent

LEASE_S = 900
"""Seconds that an intent's lease lasts from its start or renewal."""

STAGING = "staging"
"""Folder of the lake for files that are being written."""


def token_of(name: str) -> str:
    """Return the part of a file's name that tells whose work it is, or "" for a foreign name."""
    pieces = name.removesuffix(".parquet").rsplit("-", 2)
    return pieces[1] if len(pieces) == 3 else ""


class Work:
    """One change of the lake that is being prepared. Files may be written from several threads.

    A context manager: what is not committed when the block ends is undone.

    Args:
        id: number of its intent.
    """

    def __init__(
        self, database: Database, layout: Layout, *, intent: int, kind: str, folder: str, keep: Keep
    ) -> None:
        self.id = intent
        self.kind = kind
        self.layout = layout
        self.label = f"the {kind}"
        self._keep = keep
        self._database = database
        self._folder = folder
        self._token = Path(folder).name
        self._numbers = itertools.count()
        self._written: list[Written] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()

    @property
    def rows(self) -> int:
        """Rows in its finished files."""
        return sum(written.rows for written in self._written)

    def write(
        self, table_name: str, day: int, bucket: int, table: pa.Table, *, sources: Sequence[int], until: int
    ) -> None:
        """Write one immutable file.

        Args:
            table_name: a table of `model.schema.TABLES`.
            day: local day that all rows are of.
            bucket: device bucket that all rows are of.
            table: rows of that schema, sorted by (device, time).
            sources: ids of the deliveries that the rows come from.
            until: deletion date, epoch s.

        Raises:
            IntegrityError: the rows are not sorted, or are of another day or bucket.
            DiskFull: there is no room.
        """
        with self.writer(table_name, day, bucket, sources=sources, until=until) as file:
            file.append(table)

    def writer(
        self, table_name: str, day: int, bucket: int, *, sources: Sequence[int], until: int
    ) -> FileWriter:
        """Return a writer for one file whose rows come in pieces; see `write`."""
        if not sources:
            msg = "a file needs the deliveries that it comes from"
            raise ValueError(msg)
        if not 0 <= bucket < self.layout.buckets:
            msg = f"there is no bucket {bucket}"
            raise ValueError(msg)
        part = Part(table_name, day, bucket)
        name = f"{day_name(day)}-{bucket:04d}-{self._token}-{next(self._numbers):05d}.parquet"
        target = Target(
            part,
            staged=self.layout.root / self._folder / name,
            path=f"{table_name}/{name}",
            sources=tuple(sorted(set(sources))),
            until=until,
            label=self.label,
        )
        return FileWriter(target, self.layout, self._written.append)

    def renew(self, now: int) -> None:
        """Extend the lease.

        Raises:
            OperationError: it has lapsed; a sweep may have removed the files.
        """
        with self._database.write() as session:
            query = (
                update(Intent)
                .where(Intent.id == self.id, Intent.folder == self._folder, Intent.lease_until > now)
                .values(lease_until=now + LEASE_S)
                .returning(Intent.id)
            )
            if session.execute(query).first() is None:
                _lapsed()

    def commit(self, session: Session, *, replaces: Sequence[int] = (), now: int) -> int:
        """Make the files visible in the caller's transaction; return the new snapshot number.

        Args:
            session: a transaction that writes.
            replaces: ids of files that are taken out of the manifest at the same moment.
            now: epoch s.

        Raises:
            OperationError: the lease has lapsed.
            Busy: the same part of the lake was changed, sealed or derived meanwhile.
        """
        ended = session.execute(
            delete(Intent)
            .where(Intent.id == self.id, Intent.folder == self._folder, Intent.lease_until > now)
            .returning(Intent.id)
        ).first()
        if ended is None:
            _lapsed()
        number = manifest.tick(session)
        if self.kind == "purge":
            self._keep(session, session.scalars(select(File).where(File.id.in_(replaces))).all(), now)
        replaced = manifest.remove(session, replaces, number)
        with durable.as_operation_error(self.label):
            self._move()
        _check_dates(session, self._written)
        session.add_all(_row(written, number) for written in self._written)
        session.flush()
        manifest.check_parts(session, (written.target.part for written in self._written), replaced, number)
        return number

    def abandon(self) -> None:
        """Undo what was not committed; nothing happens after a commit or a second time."""
        claim = (
            update(Intent)
            .where(Intent.id == self.id, Intent.folder == self._folder, Intent.lease_until > 0)
            .values(lease_until=0)
            .returning(Intent.id)
        )
        with self._database.write() as session:
            if session.execute(claim).first() is None:
                return
        with durable.as_operation_error(self.label):
            for written in self._written:
                (self.layout.root / written.target.path).unlink(missing_ok=True)
            shutil.rmtree(self.layout.root / self._folder, ignore_errors=True)
        with self._database.write() as session:
            session.execute(delete(Intent).where(Intent.id == self.id, Intent.folder == self._folder))

    def _move(self) -> None:
        """Move all files to their place; a second commit after a rollback finds them there."""
        tables = {written.target.part.table for written in self._written}
        for table in tables:
            durable.make_folder(self.layout.root / table)
        for written in self._written:
            if written.target.staged.exists():
                written.target.staged.rename(self.layout.root / written.target.path)
        for table in tables:
            durable.sync_folder(self.layout.root / table)
        shutil.rmtree(self.layout.root / self._folder, ignore_errors=True)


def begin(
    database: Database, layout: Layout, kind: str, what: Mapping[str, Any], *, now: int, keep: Keep
) -> Work:
    """Commit an intent and make its staging folder."""
    folder = f"{STAGING}/{secrets.token_hex(8)}"
    intent = Intent(
        kind=kind,
        what=rfc8785.dumps(dict(what)).decode(),
        folder=folder,
        lease_until=now + LEASE_S,
        created=now,
    )
    with database.write() as session:
        session.add(intent)
        session.flush()
    work = Work(database, layout, intent=intent.id, kind=kind, folder=folder, keep=keep)
    with durable.as_operation_error(work.label):
        durable.make_folder(layout.root / folder)
    return work


def _row(written: Written, number: int) -> File:
    return File(
        path=written.target.path,
        table_name=written.target.part.table,
        day=written.target.part.day,
        bucket=written.target.part.bucket,
        rows=written.rows,
        bytes=written.bytes,
        sha256=written.sha256,
        sources=json.dumps(written.target.sources, separators=(",", ":")),
        until=written.target.until,
        added=number,
        removed=None,
    )


def _check_dates(session: Session, written: Sequence[Written]) -> None:
    """Derived rows never outlive their sources."""
    dates: dict[tuple[int, ...], int] = {}
    for file in written:
        if file.target.part.table == "pings":
            continue
        if file.target.sources not in dates:
            dates[file.target.sources] = derived_until(session, file.target.sources)
        if file.target.until > dates[file.target.sources]:
            msg = "a derived file would outlive one of its sources"
            raise ValueError(msg)


def _lapsed() -> None:
    raise OperationError(
        "This command took so long that its claim on the lake has lapsed.",
        "Run it again; nothing was stored.",
    )
