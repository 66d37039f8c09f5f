"""The manifest: which files of the lake a snapshot sees. All of it stands in the control database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from sqlalchemy import Select, or_, select, text, update
from sqlalchemy.orm import Session

from passersby.errors import Busy
from passersby.lake.layout import ENCODINGS, Part
from passersby.store.tables import File, Sealed, Snapshot

Keep: TypeAlias = Callable[[Session, Sequence[File], int], None]
"""Looks at files of pings whose rows are about to be deleted: `(session that deletes them, files, now)`."""


Hidden: TypeAlias = Callable[[Session], npt.NDArray[np.int64]]
"""Returns the devices (sorted) whose rows no reader may see, as they stand in a session's transaction."""


def nobody_hidden(_session: Session) -> npt.NDArray[np.int64]:
    """Hide nobody: the `Hidden` of a lake whose devices cannot withdraw."""
    return np.empty(0, np.int64)


def nothing_held(_session: Session, _files: Sequence[File], _now: int) -> None:
    """Hold nothing back: the `Keep` of a lake that no order can reach."""


_CHUNK = 10_000
"""Values of one statement; SQLite takes 32,766."""


@dataclass(frozen=True)
class FileRef:
    """One immutable file that a snapshot sees.

    Args:
        id: its number in the manifest, for `Work.commit(replaces=...)`.
        path: absolute path.
        table: a table of `model.schema.TABLES`.
        day: local day (`model.period.day_of`).
        bucket: device bucket.
        rows: number of rows.
        sources: sorted ids of the deliveries that its rows come from.
        until: deletion date, epoch s.
    """

    id: int
    path: Path
    table: str
    day: int
    bucket: int
    rows: int
    sources: tuple[int, ...]
    until: int

    @classmethod
    def of(cls, row: File, root: Path) -> FileRef:
        """Return the reference of a manifest row."""
        sources = tuple(json.loads(row.sources))
        return cls(row.id, root / row.path, row.table_name, row.day, row.bucket, row.rows, sources, row.until)


def visible(number: int) -> Select[File]:
    """Return the query for every file that snapshot `number` sees, in a fixed order."""
    return (
        select(File)
        .where(File.added <= number, or_(File.removed.is_(None), File.removed > number))
        .order_by(File.table_name, File.day, File.bucket, File.id)
    )


def lock(session: Session) -> int:
    """Take the lake's clock for this transaction and return its number, 0 in a new lake.

    Every change of the manifest and every new reader takes it, so that they come one after another.
    Take it before the log's lock (`trustlog.entries.append`).
    """
    query = select(Snapshot.number).where(Snapshot.id == 1).with_for_update()
    number = session.scalar(query)
    if number is None:
        session.execute(text("INSERT INTO snapshot (id, number) VALUES (1, 0) ON CONFLICT DO NOTHING"))
        number = session.scalars(query).one()
    return number


def tick(session: Session) -> int:
    """Advance the lake's clock and return the new number."""
    number = lock(session) + 1
    session.execute(update(Snapshot).where(Snapshot.id == 1).values(number=number))
    return number


def remove(session: Session, ids: Sequence[int], number: int) -> set[Part]:
    """Take files out of the manifest from snapshot `number` on; return the parts they were of.

    Raises:
        Busy: one of them was taken out meanwhile.
    """
    parts: list[Part] = []
    for start in range(0, len(ids), _CHUNK):
        query = (
            update(File)
            .where(File.id.in_(ids[start : start + _CHUNK]), File.removed.is_(None))
            .values(removed=number)
            .returning(File.table_name, File.day, File.bucket)
            .execution_options(synchronize_session=False)
        )
        parts.extend(Part(*row) for row in session.execute(query))
    if len(parts) != len(set(ids)):
        _changed()
    return set(parts)


def check_parts(session: Session, added: Iterable[Part], replaced: set[Part], number: int) -> None:
    """Check what a commit would leave visible.

    Raises:
        Busy: a part was sealed or derived meanwhile.
    """
    parts = set(added)
    fresh = parts - replaced
    if sealed(session, {part.day for part in fresh}) & {(part.day, part.bucket) for part in fresh}:
        _changed()
    for table in {part.table for part in parts if ENCODINGS[part.table].single}:
        days = {part.day for part in parts if part.table == table}
        seen: set[Part] = set()
        for row in session.scalars(visible(number).where(File.table_name == table, File.day.in_(days))):
            part = Part(table, row.day, row.bucket)
            if part in seen:
                _changed()
            seen.add(part)


def sealed(session: Session, days: Iterable[int]) -> set[tuple[int, int]]:
    """Return the sealed (day, bucket) pairs of `days`."""
    query = select(Sealed.day, Sealed.bucket).where(Sealed.day.in_(set(days)))
    return {(day, bucket) for day, bucket in session.execute(query)}


def _changed() -> None:
    raise Busy(
        "Another process changed the same part of the lake meanwhile.",
        "Run the command again; nothing was stored.",
    )
