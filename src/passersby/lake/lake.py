"""The lake of one deployment: begin work, open a snapshot, sweep, expire."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.lake import durable, layout, manifest, retention, snapshots, sweep, write
from passersby.lake.layout import Layout
from passersby.lake.manifest import Hidden, Keep, nobody_hidden, nothing_held
from passersby.lake.retention import Expired
from passersby.lake.snapshots import Snapshot
from passersby.lake.write import Work
from passersby.store.database import Database
from passersby.store.tables import File


class Lake:
    """Parquet files of one deployment and the manifest that makes them visible.

    Args:
        root: folder of the lake; it is made, for its owner only.
        database: the control database.
        buckets: number of device buckets of a day.
        offset: seconds east of UTC of days and hours.
        keep: is shown every file of pings before its rows are deleted, by date or by a purge.
        hidden: returns the devices that withdrew: every snapshot comes with them.

    Raises:
        OperationError: the folder cannot be made.
    """

    def __init__(
        self,
        root: Path,
        database: Database,
        *,
        buckets: int,
        offset: int,
        keep: Keep = nothing_held,
        hidden: Hidden = nobody_hidden,
    ) -> None:
        self.root = root.absolute()
        self.database = database
        self.buckets = buckets
        self.offset = offset
        self._keep = keep
        self._hidden = hidden
        with durable.as_operation_error("opening the lake"):
            durable.make_folder(self.root)

    def bucket_of(self, devices: layout.Ints) -> layout.Ints:
        """Return the bucket of each device (int64 array)."""
        return layout.bucket_of(devices, self.buckets)

    def begin(self, kind: str, what: Mapping[str, Any], *, now: int) -> Work:
        """Commit an intent with a lease and return the work that it covers.

        Args:
            kind: ingest, derive, purge (what open orders hold is copied out first) or sensitive (nothing is).
            what: JSON for whoever looks at an intent that never ended; no personal data.
            now: epoch s.
        """
        layout = Layout(self.root, self.buckets, self.offset)
        return write.begin(self.database, layout, kind, what, now=now, keep=self._keep)

    def snapshot(self, now: int) -> AbstractContextManager[Snapshot]:
        """Return a context manager that yields the lake as it is now and keeps its files on disk."""
        return snapshots.opened(self.database, self.root, hidden=self._hidden, now=now)

    def sweep(self, now: int, *, published_ahead: bool = False) -> list[str]:
        """Repair what an interrupted command left; return what was done, in plain words.

        Raises:
            IntegrityError: `published_ahead`: the published checkpoint knows more entries than the
                database, which is then a restored backup.
        """
        return sweep.sweep(self.database, self.root, now=now, published_ahead=published_ahead)

    def expire(self, now: int) -> Expired:
        """Take files that reached their deletion date out of the manifest and seal their parts."""
        return retention.expire(self.database, now=now, keep=self._keep)

    def purge(self, session: Session, first: int, last: int, *, now: int) -> None:
        """Take every file of the days `first` to `last` out of the manifest and seal the days, whole."""
        retention.purge(session, first, last, self.buckets, now=now)

    def sealed(self, session: Session, days: Iterable[int]) -> set[tuple[int, int]]:
        """Return the (day, bucket) pairs of `days` that take no more pings."""
        return manifest.sealed(session, days)

    def damage(self, *, deep: bool = False) -> list[str]:
        """Return the paths of visible files that are missing or of another size.

        Args:
            deep: also compare each file's SHA-256 with the manifest's.
        """
        with self.database.read() as session:
            rows = session.scalars(select(File).where(File.removed.is_(None)).order_by(File.path)).all()
        return [row.path for row in rows if not _intact(self.root / row.path, row, deep=deep)]


def _intact(path: Path, row: File, *, deep: bool) -> bool:
    if not path.is_file() or path.stat().st_size != row.bytes:
        return False
    if not deep:
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == row.sha256
