"""Asks outside witnesses to sign the published checkpoint (C2SP tlog-witness), and refuses to go on without.

Publishing never waits for a witness. Each command asks at its end those that have not signed, each in a
thread of its own and with little patience; a witness that was away is asked again later and later. Only what
must not happen in secret asks everyone at once and stops where the quorum is not there: `require_quorum`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.errors import OperationError, PassersbyError, Refusal, UsageError
from passersby.store.database import Database
from passersby.store.tables import LogState
from passersby.store.witness_tables import Witness, WitnessPolicy
from passersby.trustlog import entries
from passersby.trustlog.checkpoint import WITNESS, Checkpoint, VerifierKey
from passersby.trustlog.cosignature import line_of
from passersby.trustlog.heads import Witnessed
from passersby.trustlog.proofs import consistency
from passersby.trustlog.publish import Publisher
from passersby.trustlog.request import LONGEST, PATH, SIZE_TYPE, AddCheckpoint, parse_size
from passersby.trustlog.sources import Disk
from passersby.trustlog.tiles import Tiles
from passersby.trustlog.web import Site

NO_WITNESS = (
    "No quorum of outside witnesses is configured: this could be done and the log be rewritten.",
    "Set witnesses and witness_quorum in passersby.toml; docs/how-to/run-a-witness.md says how.",
)
"""Text of the refusal `no-witness`: message and next step."""

WITNESSES_AWAY = (
    "Too few outside witnesses signed the log's newest checkpoint: without them nothing leaves.",
    "`passersby log cosign` tries again and says what each of them answers.",
)
"""Text of the refusal `witnesses-away`."""

AWAY, UNKNOWN, AHEAD, DIFFERS, BROKEN = "away", "unknown", "ahead", "differs", "broken"

PROBLEMS: Mapping[str, str] = {
    AWAY: "cannot be reached, or takes too long",
    UNKNOWN: "does not know this log, or not its key",
    AHEAD: "has seen more entries of this log than are published here",
    DIFFERS: "has seen another history of this log",
    BROKEN: "answers what is no cosignature of its key",
}
"""Why a witness did not sign."""

_PATIENCE_S = 6.0
_FORCED_PATIENCE_S = 30.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 60, 3600
_FRESH_S = 3600
_CLOCKS_DIFFER_S = 600


@dataclass(frozen=True)
class Outside:
    """A witness that this deployment asks.

    Args:
        key: its verifier key.
        site: where it is reached.
    """

    key: VerifierKey
    site: Site = field(compare=False)

    @classmethod
    def parse(cls, line: str) -> Outside:
        """Return the witness of a line "VERIFIERKEY URL".

        Raises:
            UsageError: it is no such line.
        """
        words = line.split()
        if len(words) != 2:
            raise UsageError(
                "A witness in passersby.toml is not a verifier key, a space and a web address.",
                'Write witnesses = ["NAME+ID+KEY https://HOST/PATH"].',
            )
        return cls(VerifierKey.parse(words[0], WITNESS), Site(words[1], wait_s=_PATIENCE_S))


@dataclass(frozen=True)
class Outcome:
    """What became of asking one witness: its signature line, or the code of a problem.

    `size` is what the witness has seen of the log, as far as is known.
    """

    size: int
    line: str = ""
    problem: str = ""


class Cosigning:
    """Gets the cosignatures of one deployment's log.

    Args:
        database: the control database.
        publisher: publishes the log; its quorum says whose signatures count.
        outside: the witnesses of that quorum.
        demo: whether this is a demo, which may go without.
    """

    def __init__(
        self, database: Database, publisher: Publisher, outside: Sequence[Outside], *, demo: bool
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._outside = tuple(outside)
        self._demo = demo

    def declare(self, *, now: int) -> None:
        """Write an entry of the log if witnesses or quorum are not those that it was last told of."""
        quorum = self._publisher.quorum
        witnesses = sorted(key.encode() for key in quorum.witnesses)
        with self._database.read() as session:
            if _declared(session) == (witnesses, quorum.needed) or entries.state(session)[0] == 0:
                return
        with self._database.write() as session:
            session.execute(select(LogState.id).with_for_update())  # two processes must not both tell it
            if _declared(session) != (witnesses, quorum.needed):
                session.merge(WitnessPolicy(id=1, witnesses=json.dumps(witnesses), quorum=quorum.needed))
                public: dict[str, entries.JSON] = {"witnesses": witnesses, "quorum": quorum.needed}
                entries.append(session, "witnesses.changed", public, now=now)

    def ask(self, *, now: int, force: bool = False) -> None:
        """Ask those witnesses that have not signed the published checkpoint, and publish their signatures.

        Who was away lately is not asked, unless `force`; then those are asked too whose signature is older
        than an hour. No answer is an error: `problems` says what was wrong.

        Raises:
            IntegrityError: the published log is damaged.
            OperationError: a file or the database cannot be written.
        """
        found = self._publisher.head() if self._outside else None
        if found is None:
            return
        head, note = found.checkpoint, found.note
        signed = self._publisher.quorum.signers(note)
        with self._database.read() as session:
            known = {row.vkey: row for row in session.scalars(select(Witness))}
        due = [
            witness
            for witness in self._outside
            if head.size
            and _is_due(signed.get(witness.key), known.get(witness.key.encode()), now, force=force)
        ]
        if not due:
            return
        source = Disk(self._publisher.folder)
        sizes = {row.vkey: min(row.size, head.size) for row in known.values()}
        jobs = {
            w.key: _Job(w, sizes.get(w.key.encode(), 0), head, note, Tiles(source, head.size)) for w in due
        }
        outcomes = _together(jobs, _FORCED_PATIENCE_S if force else _PATIENCE_S)
        lines = {key: outcome.line for key, outcome in outcomes.items() if outcome.line}
        if lines:
            self._publisher.add_cosignatures(note, lines)
        with self._database.write() as session:
            for key, outcome in outcomes.items():
                _remember(session, key.encode(), outcome, now)

    def problems(self) -> dict[str, str]:
        """Return name of witness -> sentence, for those that did not sign when they were asked last."""
        with self._database.read() as session:
            found = {row.vkey: row.problem for row in session.scalars(select(Witness))}
        codes = {w.key.name: found.get(w.key.encode(), "") for w in self._outside}
        return {name: PROBLEMS[code] for name, code in codes.items() if code}

    def require_quorum(self, index: int, *, now: int) -> Witnessed | None:
        """Return the quorum's signatures over a checkpoint that covers an entry; refuse without them.

        Call it once the entry has committed, and before what it records leaves. The log is published and
        every witness asked. The signatures must be of this hour. A demo without a quorum gets None.

        Args:
            index: index of the entry.
            now: epoch s.

        Raises:
            Refusal: `no-witness` or `witnesses-away`; the caller logs and counts it.
            IntegrityError: the published log is damaged or does not fit the database.
        """
        quorum = self._publisher.quorum
        if not quorum.needed:
            if self._demo:
                return None
            raise Refusal("no-witness", *NO_WITNESS)
        self._publisher.publish(self._database)
        self.ask(now=now, force=True)
        found = self._publisher.head()
        signers = {} if found is None else quorum.signers(found.note)
        fresh = {
            key: signed
            for key, signed in signers.items()
            if now - _FRESH_S <= signed <= now + _CLOCKS_DIFFER_S
        }
        if found is None or found.checkpoint.size <= index or not quorum.holds(fresh):
            raise Refusal("witnesses-away", *WITNESSES_AWAY)
        return Witnessed(found.checkpoint.size, {key.name: signed for key, signed in fresh.items()})


@dataclass(frozen=True)
class _Job:
    """One witness to be asked, and what for."""

    witness: Outside
    size: int
    head: Checkpoint
    note: bytes
    tiles: Tiles

    def run(self) -> Outcome:
        """Ask the witness; once more if it tells that it has seen another part of the log than we thought."""
        told = self._ask(self.size)
        if not told.problem and not told.line and told.size != self.size:
            told = self._ask(told.size)
        return told if told.problem or told.line else Outcome(told.size, problem=DIFFERS)

    def _ask(self, old: int) -> Outcome:
        if old > self.head.size:
            return Outcome(old, problem=AHEAD)
        body = AddCheckpoint(old, tuple(consistency(self.tiles, old, self.head.size)), self.note).encode()
        try:
            answer = self.witness.site.post(PATH, body, LONGEST)
        except OperationError:
            return Outcome(old, problem=AWAY)
        if answer.status == 409:
            seen = parse_size(answer.body) if answer.content_type.startswith(SIZE_TYPE) else None
            return Outcome(old, problem=DIFFERS) if seen is None else Outcome(seen)
        if answer.status != 200:
            known = {403: UNKNOWN, 404: UNKNOWN, 422: DIFFERS}
            late = AWAY if answer.status >= 500 or answer.status == 429 else BROKEN
            return Outcome(old, problem=known.get(answer.status, late))
        try:
            line = line_of(self.witness.key, answer.body, self.note)
        except PassersbyError:
            line = None
        return Outcome(self.head.size, line) if line else Outcome(old, problem=BROKEN)


def _together(jobs: Mapping[VerifierKey, _Job], patience_s: float) -> dict[VerifierKey, Outcome]:
    """Run the jobs at once and return their outcomes; who takes too long is away.

    The threads are daemons: a witness that never answers keeps no process alive.
    """
    outcomes: dict[VerifierKey, Outcome] = {}

    def run(key: VerifierKey, job: _Job) -> None:
        try:
            outcomes[key] = job.run()
        except PassersbyError:  # a file that a publishing just superseded; the next command asks again
            outcomes[key] = Outcome(job.size, problem=AWAY)

    threads = [threading.Thread(target=run, args=item, daemon=True) for item in jobs.items()]
    until = time.monotonic() + patience_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    reached = dict(outcomes)
    return {key: reached.get(key, Outcome(job.size, problem=AWAY)) for key, job in jobs.items()}


def _is_due(signed: int | None, row: Witness | None, now: int, *, force: bool) -> bool:
    if force:
        return signed is None or not now - _FRESH_S <= signed <= now + _CLOCKS_DIFFER_S
    if signed is not None:
        return False
    if row is None or not row.failures:
        return True
    return now >= row.tried + min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S << min(row.failures - 1, 16))


def _remember(session: Session, vkey: str, outcome: Outcome, now: int) -> None:
    row = session.get(Witness, vkey) or Witness(vkey=vkey, size=0, failures=0)
    row.size, row.tried, row.problem = outcome.size, now, outcome.problem
    row.failures = row.failures + 1 if outcome.problem else 0
    session.add(row)


def _declared(session: Session) -> tuple[list[str], int]:
    row = session.get(WitnessPolicy, 1)
    return (json.loads(row.witnesses), row.quorum) if row else ([], 0)
