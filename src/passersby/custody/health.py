"""Status and health of a deployment, for its custodian alone: exact figures never go to an analyst."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from passersby.errors import NotReady, PassersbyError
from passersby.keys import recovery
from passersby.keys.kept import Kept
from passersby.keys.ring import KeyRing
from passersby.lake.lake import Lake
from passersby.model.period import DAY, day_name
from passersby.notices import queue
from passersby.policy import freeze, impact
from passersby.policy.freeze import Frozen
from passersby.sensitive import duties
from passersby.store import tables
from passersby.store.database import Database
from passersby.subjects import requests
from passersby.suppliers import registry

_SOON_S = 14 * DAY


@dataclass(frozen=True)
class Held:
    """What one table of the lake holds."""

    table: str
    files: int
    rows: int
    bytes: int
    days: int


@dataclass(frozen=True)
class Status:
    """What is held, and sentences about what is due, and about what is overdue: that turns it red."""

    tables: tuple[Held, ...]
    due: tuple[str, ...]
    overdue: tuple[str, ...] = ()
    frozen: Frozen | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "tables": [asdict(table) for table in self.tables],
            "due": list(self.due),
            "overdue": list(self.overdue),
            "frozen": asdict(self.frozen) if self.frozen else None,
        }


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `what` says what was found."""

    ok: bool
    what: str
    next_step: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


def status(database: Database, *, now: int) -> Status:
    """Return what the lake holds and what is due within two weeks."""
    with database.read() as session:
        places, holders = duties.duties(session, now), requests.clocks(session, now=now)
        due = (*_due(session, now), *places.soon, *holders.soon)
        overdue = (*places.overdue, *holders.overdue)
        return Status(tuple(_held(session)), due, overdue, freeze.current(session))


def keeper_of(kept: Kept) -> str:
    """Return in a sentence who keeps the key-encryption key of an open deployment: it answered."""
    with kept.database.read() as session:
        shares = "recovery shares exist" if recovery.shared(session) else "there are no recovery shares"
        return f"Keys lie under {kept.place(kept.active(session))}, which answers; {shares}."


def doctor(
    lake: Lake,
    verify_ledger: Callable[[], object],
    verify_log: Callable[[], object],
    keys: Callable[[], list[Check]],
    private: Sequence[Path],
    *,
    deep: bool,
) -> list[Check]:
    """Check folders, files, ledger and log.

    Args:
        lake: the lake.
        verify_ledger: compares balances with events; raises IntegrityError.
        verify_log: verifies the published log against the database; raises IntegrityError.
        keys: see `keys_of`.
        private: paths that others can read although they must not.
        deep: also compare the hash of every file in the lake.
    """
    readable = [f"chmod -R go= {path}" for path in private]
    damaged = lake.damage(deep=deep)
    how = "hash" if deep else "size"
    return [
        _none(
            len(private), ("folder or key", "folders or keys"), "open to other accounts", "; ".join(readable)
        ),
        _none(
            len(damaged),
            ("file of the lake", "files of the lake"),
            f"missing or of another {how}",
            "Restore the lake from the backup that belongs to this control database.",
        ),
        _tried(verify_ledger, "ledger: every balance is the sum of its mechanism events"),
        _tried(verify_log, "log: every entry and tile fits the signed checkpoint and the database"),
        *keys(),
    ]


def keys_of(kept: Kept, ring: KeyRing) -> list[Check]:
    """Check that every key opens; say what is out of use and waits for its keeper to destroy it."""
    with kept.database.read() as session:
        place = kept.place(kept.active(session))
        closed, left = len(ring.unopened(session)), [kept.place(kek) for kek in kept.left_over(session)]
    waits = [
        Check(ok=True, what=f"keys: out of use, and destroyed once its keeper answers: {p}") for p in left
    ]
    if not closed:
        return [Check(ok=True, what=f"keys: every one opens with {place}"), *waits]
    step = "`passersby keys status` names them; one that is lost for good ends with `passersby keys lost`."
    return [Check(ok=False, what=f"{closed} key(s) do not open with {place}", next_step=step), *waits]


def _held(session: Session) -> list[Held]:
    file = tables.File
    query = (
        select(
            file.table_name,
            func.count(),
            func.sum(file.rows),
            func.sum(file.bytes),
            func.count(file.day.distinct()),
        )
        .where(file.removed.is_(None))
        .group_by(file.table_name)
        .order_by(file.table_name)
    )
    return [Held(name, n, int(rows), int(size), days) for name, n, rows, size, days in session.execute(query)]


def _due(session: Session, now: int) -> list[str]:
    found = [
        f"supplier {supplier.contract.id}: assess it (`passersby supplier assess`)"
        for supplier in registry.list_all(session)
        if supplier.latest is None or supplier.latest.due < now + _SOON_S
    ]
    try:
        if impact.require(session, now=now).due < now + _SOON_S:
            found.append("impact assessment: review and approve it (`passersby impact approve`)")
    except NotReady as missing:
        found.append(f"impact assessment: {missing.message}")
    first = session.scalar(select(func.min(tables.File.until)).where(tables.File.removed.is_(None)))
    if first is not None and first < now + _SOON_S:
        found.append(f"deletion: files reach their date on {day_name(first // DAY)} (`passersby expire`)")
    waiting = queue.waiting(session, now=now)
    if waiting.due:
        found.append(f"{waiting.due} notice(s) to holders of disclosed devices are due")
    left = _sources_left(session)
    if left:
        found.append(f"{left} delivered source file(s) still lie where they were read from: delete them")
    return found


def _sources_left(session: Session) -> int:
    lists = session.scalars(select(tables.Delivery.files)).all()
    return sum(Path(file["path"]).exists() for text in lists for file in json.loads(text))


def _tried(check: Callable[[], object], what: str) -> Check:
    try:
        check()
    except PassersbyError as error:
        return Check(ok=False, what=error.message, next_step=error.next_step)
    return Check(ok=True, what=what)


def _none(number: int, names: tuple[str, str], wrong: str, next_step: str) -> Check:
    """Return the check that no thing is wrong; `names` are one of them and several."""
    if number == 0:
        return Check(ok=True, what=f"no {names[0]} is {wrong}")
    what = f"1 {names[0]} is {wrong}" if number == 1 else f"{number} {names[1]} are {wrong}"
    return Check(ok=False, what=what, next_step=next_step)
