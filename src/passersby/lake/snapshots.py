"""Readers: a consistent view of the lake, and the lease that keeps its files on disk.

A view is files together with the devices that withdrew (`Snapshot.withdrawn`), as of one transaction. Whoever
makes something of rows leaves these out: engines by an anti join in the view of each table
(`engines.base.Engine.query`), derivation as devices that give no rows. Court orders look by themselves
who had withdrawn when an order was verified (`disclosure.lookup`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sqlalchemy import delete, update

from passersby.errors import OperationError
from passersby.lake import manifest
from passersby.lake.manifest import FileRef, Hidden
from passersby.store.database import Database
from passersby.store.tables import File, Reader

LEASE_S = 3600
"""Seconds that a reader's lease lasts from its start or renewal."""


class Snapshot:
    """The lake as it was when the reader began, whatever happens meanwhile.

    Args:
        number: the lake's clock.
        withdrawn: sorted devices whose rows nobody may read.
    """

    def __init__(
        self,
        database: Database,
        root: Path,
        *,
        reader: int,
        number: int,
        withdrawn: npt.NDArray[np.int64],
    ) -> None:
        self.number = number
        self.withdrawn = withdrawn
        self._database = database
        self._root = root
        self._reader = reader

    def files(
        self, table_name: str, days: Iterable[int] | None = None, bucket: int | None = None
    ) -> list[FileRef]:
        """Return the files of a table, sorted by (day, bucket, id).

        Args:
            table_name: a table of `model.schema.TABLES`.
            days: local days; None: all.
            bucket: device bucket; None: all.
        """
        query = manifest.visible(self.number).where(File.table_name == table_name)
        if days is not None:
            query = query.where(File.day.in_(set(days)))
        if bucket is not None:
            query = query.where(File.bucket == bucket)
        with self._database.read() as session:
            return [FileRef.of(row, self._root) for row in session.scalars(query)]

    def renew(self, now: int) -> None:
        """Extend the lease.

        Raises:
            OperationError: it has lapsed: files may be gone.
        """
        query = (
            update(Reader)
            .where(Reader.id == self._reader, Reader.lease_until > now)
            .values(lease_until=now + LEASE_S)
            .returning(Reader.id)
        )
        with self._database.write() as session:
            if session.execute(query).first() is None:
                raise OperationError(
                    "This command read for so long that its view of the lake has lapsed.",
                    "Run it again, on a shorter span of time.",
                )


@contextmanager
def opened(database: Database, root: Path, *, hidden: Hidden, now: int) -> Iterator[Snapshot]:
    """Register a reader for the duration of the block."""
    with database.write() as session:
        number = manifest.lock(session)
        reader = Reader(snapshot=number, lease_until=now + LEASE_S)
        session.add(reader)
        session.flush()
        identity, withdrawn = reader.id, hidden(session)
    try:
        yield Snapshot(database, root, reader=identity, number=number, withdrawn=withdrawn)
    finally:
        with database.write() as session:
            session.execute(delete(Reader).where(Reader.id == identity))
