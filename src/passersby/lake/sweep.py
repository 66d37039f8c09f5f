"""Repairs what an interrupted command left, and deletes files that no reader can see any more.

    1 list     what lies on the disk, before the database is asked: a file that appears later is not touched
    2 claim    lapsed intents are claimed in one transaction, so that their holders can no longer commit
    3 choose   staged files of claimed intents; removed files that no live reader sees; files that
               neither the manifest nor a live intent knows
    4 delete   from the disk, folders synced
    5 record   intents and rows go, and the log says what was repaired, in one transaction

Killed at any point, the next sweep finds the same again.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from passersby.errors import IntegrityError
from passersby.lake import durable
from passersby.lake.write import STAGING, token_of
from passersby.model.schema import TABLES
from passersby.store.database import Database
from passersby.store.tables import File, Intent, Reader
from passersby.trustlog.entries import append

_KINDS = {
    "ingest": "an ingest",
    "derive": "a derivation",
    "purge": "a purge",
    "sensitive": "a purge",
    "question": "a question",
}


@dataclass
class _Plan:
    """What one sweep deletes. Paths are relative to the lake."""

    intents: list[Intent] = field(default_factory=list)
    removed: list[File] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)  # files of each claimed intent's folder


@dataclass(frozen=True)
class _Repair:
    """What was repaired: `what` for the public log, `said` with numbers for who runs the command."""

    what: str
    said: str


def sweep(database: Database, root: Path, *, now: int, published_ahead: bool) -> list[str]:
    """Repair the lake; return what was done, in plain words.

    Args:
        database: the control database.
        root: folder of the lake.
        now: epoch s.
        published_ahead: the published checkpoint knows more entries than the database: the database is
            a restored backup, and files that it does not know may be all that is left.

    Raises:
        IntegrityError: `published_ahead`.
    """
    if published_ahead:
        raise IntegrityError(
            "The published log is ahead of the control database: this looks like a restored backup.",
            "Nothing was swept. Restore a database that is not older than the published checkpoint.",
        )
    with durable.as_operation_error("the sweep"):
        found = _listed(root)
    with database.write() as session:
        plan = _plan(session, found, now)
    with durable.as_operation_error("the sweep"):
        _delete(root, plan)
    return _record(database, plan, now)


def _listed(root: Path) -> list[str]:
    """Return every file of the lake and every staging folder, staged files included."""
    found: list[str] = []
    for name in (*TABLES, STAGING):
        folder = root / name
        if folder.is_dir():
            found.extend(str(path.relative_to(root)) for path in sorted(folder.rglob("*")))
    return found


def _plan(session: Session, found: list[str], now: int) -> _Plan:
    claim = update(Intent).where(Intent.lease_until <= now).values(lease_until=0).returning(Intent)
    plan = _Plan(intents=list(session.scalars(claim)))
    live = {
        Path(folder).name for folder in session.scalars(select(Intent.folder).where(Intent.lease_until > 0))
    }
    # removed files before readers: a reader that could see one registered before it was removed
    removed = list(session.scalars(select(File).where(File.removed.is_not(None))))
    session.execute(delete(Reader).where(Reader.lease_until <= now))
    oldest = session.scalar(select(func.min(Reader.snapshot)))
    plan.removed = [row for row in removed if oldest is None or (row.removed or 0) <= oldest]
    known = set(session.scalars(select(File.path)))
    claimed = {Path(intent.folder).name: intent.folder for intent in plan.intents if intent.folder}
    for path in found:
        token = _token(path)
        if path in known or token in live:
            continue
        if token in claimed:
            plan.counts[claimed[token]] += path.endswith(".parquet")
        plan.stray.append(path)
    return plan


def _token(path: str) -> str:
    parts = Path(path).parts
    return parts[1] if parts[0] == STAGING else token_of(parts[-1])


def _delete(root: Path, plan: _Plan) -> None:
    gone = [row.path for row in plan.removed] + plan.stray
    for path in gone:
        if Path(path).parts[0] == STAGING:
            shutil.rmtree(root / Path(*Path(path).parts[:2]), ignore_errors=True)
        else:
            (root / path).unlink(missing_ok=True)
    for folder in {(root / path).parent for path in gone}:
        if folder.is_dir():
            durable.sync_folder(folder)


def _record(database: Database, plan: _Plan, now: int) -> list[str]:
    repaired = _repairs(plan)
    if not repaired and not plan.removed and not plan.intents:
        return []
    with database.write() as session:
        for intent in plan.intents:
            session.execute(delete(Intent).where(Intent.id == intent.id, Intent.folder == intent.folder))
        for row in plan.removed:
            session.execute(delete(File).where(File.id == row.id))
        for repair in repaired:
            append(session, "repair.done", {"what": repair.what}, {"said": repair.said}, now=now)
    said = [repair.said for repair in repaired]
    if plan.removed:
        said.append(f"deleted {_files(len(plan.removed))} that no reader sees any more")
    return said


def _repairs(plan: _Plan) -> list[_Repair]:
    done = [_ended(intent, plan.counts[intent.folder]) for intent in plan.intents]
    stray = sum(path.endswith(".parquet") for path in plan.stray) - sum(plan.counts.values())
    if stray:
        done.append(
            _Repair("removed files that no record names", f"removed {_files(stray)} that no record names")
        )
    return done


def _ended(intent: Intent, files: int) -> _Repair:
    kind = _KINDS.get(intent.kind, "a task")
    what = f"cleared {kind} that did not finish"
    return _Repair(
        what,
        f"removed {_files(files)} of {kind} that did not finish"
        if files
        else f"{what} and had written nothing",
    )


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"
