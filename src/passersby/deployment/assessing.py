"""How identifiable the people in the lake are: two people agree to one run over whole weeks (`risk`).

    1 propose    a custodian says which weeks and why; all that can be chosen is what both sign
    2 approve    a privacy officer or an overseer signs the same
    3 look       at the lake as every reader sees it: without withdrawn devices, without what was deleted
    4 log        the entry with the report's hash uses the approval up; only then is the report handed out

Figures of the rows themselves are an exit beside the gate: no noise, no charge. So nothing narrows them but
whole weeks, the draw cannot be repeated, and the report says on every form that it is not for publication.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
import pyarrow as pa
from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.consent import withdrawals
from passersby.deployment import acts
from passersby.deployment.opened import Deployment
from passersby.derive.derivation import Clock
from passersby.errors import InputError, NotReady, OperationError, UsageError
from passersby.keys.signed import Actor, require
from passersby.lake import purge
from passersby.lake.manifest import FileRef
from passersby.lake.snapshots import Snapshot
from passersby.model.period import DAY, Period, Span
from passersby.people import proposals
from passersby.people.proposals import ASSESS_LAKE, Proposal
from passersby.policy import freeze
from passersby.policy.refusals import refusal
from passersby.risk import report
from passersby.risk.assess import Assessment, OfLake, Options, Say, examine
from passersby.risk.traces import Facts, Numbers, Points, Progress, Traces, points_of
from passersby.store.proposal_tables import Proposal as Row
from passersby.store.tables import LogEntry
from passersby.subjects.checking import Ints, marked
from passersby.suppliers import lineage
from passersby.trustlog.entries import JSON, append

VALID_S = 30 * DAY
"""An approval is worth nothing later: the rows are others by then."""

_LOGGED = "risk.assessed"
_COLUMNS = ("device", "t", "lat_e5", "lon_e5")
_RENEW_S = 60


@dataclass(frozen=True)
class Assessed:
    """A report that the log knows of: as it is read by programs (UTF-8 JSON), and as a page."""

    found: Assessment
    json: bytes
    html: bytes
    log_index: int


@dataclass
class _Read:
    """What was read: the newest withdrawal that was respected, and the deliveries of all files."""

    withdrawal: int
    deliveries: set[int]


def propose(d: Deployment, weeks: str, *, reason: str, actor: Actor, now: int) -> Proposal:
    """Propose to assess the lake once, over whole weeks; a privacy officer or an overseer approves it.

    Args:
        d: the deployment.
        weeks: a week, or the first and the last one (`2026-W20..2026-W22`).
        reason: why; not public.
        actor: a custodian.
        now: epoch s.

    Raises:
        UsageError: these are no whole weeks, they reach over a change of pseudonyms, no reason is given, or
            such a proposal is open.
        Refusal: role-missing (logged).
    """
    if not reason.strip():
        raise UsageError(
            "An assessment of the lake needs a reason.",
            "Say in one sentence why; it is recorded, not public.",
        )
    named = _name(*_weeks(d, weeks))
    record: dict[str, JSON] = {"weeks": named, "reason": reason.strip()}
    return acts.propose(d, ASSESS_LAKE, named, record, actor=actor, now=now)


def run(
    d: Deployment,
    number: int,
    *,
    actor: Actor,
    now: int,
    say: Say = lambda _: None,
    progress: Progress | None = None,
) -> Assessed:
    """Assess the lake as proposal `number` says, log it, and return the report. Once for each approval.

    Args:
        d: the deployment.
        number: an approved proposal.
        actor: a custodian.
        now: epoch s.
        say: is told the name of each step.
        progress: is told (rows, bytes done, bytes in all) while files are read.

    Raises:
        UnknownName: there is no such proposal.
        Refusal: role-missing; no-second-person; frozen (logged).
        NotReady: there are rows of fewer than 20 devices.
        OperationError: what was read was withdrawn or called bad meanwhile; the approval is not used up.
    """
    clock = Clock(now)
    with acts.refusals_logged(d, ASSESS_LAKE, actor=actor, now=now):
        with d.database.read() as session:
            agreed = _agreed(session, number, actor, now)
        d.lake.expire(now)  # what has reached its deletion date is read no more
        found, read = _looked(d, agreed, clock, say, progress)
        text = json.dumps(report.to_json(found), indent=2, ensure_ascii=False).encode() + b"\n"
        page = report.html(found).encode()
        with d.writing() as session:
            session.execute(select(Row.id).where(Row.id == number).with_for_update())  # one run at a time
            _agreed(session, number, actor, clock.now)
            public: dict[str, JSON] = {
                "proposal": number,
                "weeks": agreed.record["weeks"],
                "report_sha256": hashlib.sha256(text).hexdigest(),
                "by": actor.id,
            }
            index = append(session, _LOGGED, public, now=clock.now)
            _unchanged(session, read)  # behind the log's lock: whoever withdraws from here on is later
    return Assessed(found, text, page, index)


def _agreed(session: Session, number: int, actor: Actor, now: int) -> Proposal:
    """Return the proposal if it was approved and not used."""
    freeze.require_running(session)
    require(session, actor, "custodian")
    made = proposals.get(session, number)
    late = made.decided is None or now >= made.decided + VALID_S
    if made.kind != ASSESS_LAKE or made.state != "approved" or late or _used(session, number):
        raise refusal("no-second-person")
    return made


def _used(session: Session, number: int) -> bool:
    """Tell whether the log has an assessment under a proposal, behind the proposal's own entry."""
    newest = select(LogEntry.body).order_by(LogEntry.index.desc()).execution_options(yield_per=1000)
    for each in map(json.loads, session.scalars(newest)):
        if each.get("proposal") == number and each["kind"] in {_LOGGED, "proposal.made"}:
            return bool(each["kind"] == _LOGGED)
    return False


def _unchanged(session: Session, read: _Read) -> None:
    """Do nothing if nobody withdrew, and no delivery proved bad, since the lake was read."""
    bad = not lineage.marked(session).isdisjoint(read.deliveries)
    if bad or withdrawals.newest(session) != read.withdrawal:
        raise OperationError(
            "Devices withdrew, or a delivery proved bad, while the lake was read; nothing was kept.",
            "Run the command again; the approval is not used up.",
        )


def _looked(
    d: Deployment, agreed: Proposal, clock: Clock, say: Say, progress: Progress | None
) -> tuple[Assessment, _Read]:
    first, last = _weeks(d, agreed.record["weeks"])
    span = Span(first.span(d.config.offset).start, last.span(d.config.offset).end)
    # no seed is chosen or known before: the same devices cannot be drawn from the lake of another day
    options = Options(seed=secrets.randbits(53), offset=d.config.offset, threads=d.config.threads)
    with d.database.read() as session:
        read = _Read(withdrawals.newest(session), set())

    def fill(traces: Traces, key: int) -> Facts:
        with d.lake.snapshot(clock.now) as snapshot:
            files = snapshot.files("pings", span.days(d.config.offset))
            read.deliveries.update(source for file in files for source in file.sources)
            return _filled(traces, files, snapshot, key, clock, progress)

    d.layout.spill.mkdir(mode=0o700, exist_ok=True)
    try:
        found = examine(fill, options, say=say, folder=d.layout.spill)
    except InputError:
        raise NotReady(
            "The lake has rows of fewer than 20 devices in these weeks.",
            "Choose other weeks with `passersby lake assess`: so few people are not spoken of.",
        ) from None
    origin, second = d.publisher.origin, agreed.decided_by or ""
    lake = OfLake(origin, agreed.record["weeks"], agreed.id, agreed.proposed_by, second)
    return replace(found, lake=lake), read


def _filled(
    traces: Traces,
    files: list[FileRef],
    snapshot: Snapshot,
    key: int,
    clock: Clock,
    progress: Progress | None,
) -> Facts:
    """Put the rows of files of pings into traces, without those of devices that withdrew."""
    sizes = [file.path.stat().st_size for file in files]
    facts = Facts((), sum(sizes), ())
    renewed = clock.now

    def pieces() -> Generator[tuple[pa.Table, int]]:
        before = 0
        for file, size in zip(files, sizes, strict=True):
            for rows in purge.tables(file, _COLUMNS):
                yield rows, before
            before += size

    def seen(piece: tuple[pa.Table, int], devices: Numbers) -> None:
        nonlocal renewed
        facts.rows += len(devices)
        if clock.now - renewed >= _RENEW_S:
            renewed = clock.now
            snapshot.renew(renewed)
        if progress is not None:
            progress(facts.rows, piece[1] // 2, facts.bytes)

    def points(piece: tuple[pa.Table, int]) -> Points:
        return _points(piece[0], snapshot.withdrawn, key)

    return traces.take(pieces(), points, facts, seen=seen, progress=progress)


def _points(rows: pa.Table, withdrawn: Ints, key: int) -> Points:
    """Return rows of pings, sorted by device, as points: pseudonyms become numbers of this run alone."""
    stays = ~marked(rows["device"].to_numpy(), withdrawn)
    columns: dict[str, Any] = {name: rows[name].to_numpy()[stays] for name in _COLUMNS}
    lat, lon = columns["lat_e5"] / 1e5, columns["lon_e5"] / 1e5
    return points_of(pl.Series(columns["device"]), lat, lon, columns["t"], key=key)


def _weeks(d: Deployment, text: str) -> tuple[Period, Period]:
    """Return the first and the last week that a text names.

    Raises:
        UsageError: these are no whole weeks in order, or pseudonyms change between them.
    """
    first, _, last = text.partition("..")
    try:
        weeks = Period.parse(first), Period.parse(last or first)
    except UsageError:  # its text repeats what was written, whatever that is
        raise UsageError(
            "These are no whole weeks.", "Write an ISO week or two: 2026-W20, 2026-W20..2026-W22."
        ) from None
    if weeks[0] > weeks[1]:
        raise UsageError("The weeks run backwards.", "Write the earlier one first: 2026-W20..2026-W22.")
    if d.ring.epoch_of(weeks[0]) != d.ring.epoch_of(weeks[1]):
        change = d.ring.first_period(d.ring.epoch_of(weeks[1])).name
        raise UsageError(
            f"All devices get new pseudonyms at the beginning of {change}: one person would count as two.",
            "Assess the weeks before and after it apart.",
        )
    return weeks


def _name(first: Period, last: Period) -> str:
    return first.name if first == last else f"{first.name}..{last.name}"
