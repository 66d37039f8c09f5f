"""Status and health of a deployment, for its custodian alone: exact figures never go to an analyst."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from passersby.config import Config
from passersby.custody import duties
from passersby.errors import PassersbyError
from passersby.ingest.report import about
from passersby.keys import recovery
from passersby.keys.kept import Kept
from passersby.keys.ring import KeyRing
from passersby.lake.lake import Lake
from passersby.model.duty import Duty
from passersby.model.period import DAY
from passersby.notices import queue
from passersby.policy import alerts, freeze
from passersby.policy.alerts import Alert
from passersby.policy.freeze import Frozen
from passersby.store import tables
from passersby.store.database import Database

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
    """What is held, every duty with its date, open alerts, what else waits without a date, and a freeze.

    Rows are shown to the nearest hundred: a delivery's stored rows are not told exactly either.
    `now` is the instant (epoch s) that it holds for.
    """

    tables: tuple[Held, ...]
    duties: tuple[Duty, ...]
    alerts: tuple[Alert, ...]
    notes: tuple[str, ...]
    frozen: Frozen | None
    now: int

    @property
    def overdue(self) -> tuple[Duty, ...]:
        """Duties whose date has passed: they turn the status red."""
        return tuple(duty for duty in self.duties if duty.due <= self.now)

    @property
    def soon(self) -> tuple[Duty, ...]:
        """Duties that are due within two weeks."""
        return tuple(duty for duty in self.duties if self.now < duty.due < self.now + _SOON_S)

    @property
    def locked(self) -> tuple[str, ...]:
        """What gives nothing until an overdue duty is done."""
        return tuple(dict.fromkeys(duty.locks for duty in self.overdue if duty.locks))

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "tables": [asdict(table) | {"rows": about(table.rows)} for table in self.tables],
            "duties": [duty.to_json(self.now) for duty in self.duties],
            "locked": list(self.locked),
            "alerts": [asdict(alert) for alert in self.alerts],
            "notes": list(self.notes),
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


def status(database: Database, config: Config, *, now: int) -> Status:
    """Return what the lake holds, and what people have to do."""
    with database.read() as session:
        return Status(
            tables=tuple(_held(session)),
            duties=duties.all_duties(session),
            alerts=tuple(alerts.open_alerts(session)),
            notes=tuple(_notes(session, config, now)),
            frozen=freeze.current(session),
            now=now,
        )


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


def _notes(session: Session, config: Config, now: int) -> list[str]:
    """Return sentences about what waits and has no date."""
    found = []
    if not config.review_percent:
        found.append("no question is ever reviewed: `review_percent` is 0 in passersby.toml")
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
