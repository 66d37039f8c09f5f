"""Audits on record: what attacks on made-up data found, and what a label says of it.

A record is signed by the custodian who ran the audit. Labels show those of the running version of the
software alone, and one above its claim before others: running it again does not make that go away.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.keys.signed import Actor, require, seal, signer, unseal
from passersby.model.period import day_name, day_of
from passersby.store.audit_tables import Audit as Row
from passersby.trustlog.entries import JSON, append

_RUN = "audit.run"

METHOD = (
    "one-run audit (Steinke, Nasr & Jagielski 2023): made-up devices, each there by a fair coin, went "
    "through ingest, derivation and gate in a scratch deployment with the settings of this one; an attacker "
    "who knows everything else guessed the coins from the answer"
)

BELOW = "the attack did not show more than is claimed; that proves no more than this"
ABOVE = "THE ATTACK SHOWED MORE THAN IS CLAIMED: do not rely on the epsilon of this label"


@dataclass(frozen=True)
class Outcome:
    """What an audit found. Public.

    Args:
        measure: what was asked.
        epsilon: claimed for the answer, at `delta`.
        delta: of the deployment.
        bound: epsilon that was lost at least, at `delta`, with the given confidence.
        confidence: of the bound.
        canaries: made-up devices whose presence was drawn.
        guesses: how many of them were guessed at.
        correct: how many guesses were right.
        software: version that was audited.
    """

    measure: str
    epsilon: float
    delta: float
    bound: float
    confidence: float
    canaries: int
    guesses: int
    correct: int
    software: str

    @property
    def above(self) -> bool:
        """Whether more was lost than is claimed."""
        return self.bound > self.epsilon


@dataclass(frozen=True)
class Audit:
    """An audit on record; `created` is epoch s."""

    number: int
    outcome: Outcome
    by: str
    created: int


def software() -> str:
    """Return the version of this software."""
    return version("passersby")


def record(session: Session, outcome: Outcome, *, actor: Actor, now: int) -> Audit:
    """Record what an audit found, signed by a custodian, and log it.

    Raises:
        Refusal: the actor is no custodian.
    """
    require(session, actor, "custodian")
    sealed = seal(asdict(outcome), _RUN, actor)
    row = Row(record=sealed.text, run_by=actor.id, created=now)
    session.add(row)
    session.flush()
    numbers = ("epsilon", "delta", "bound", "confidence")
    public: dict[str, JSON] = {
        **asdict(outcome),
        **{name: f"{getattr(outcome, name):g}" for name in numbers},
        "by": actor.id,
    }
    append(session, _RUN, public, {"signature": sealed.signature}, now=now)
    return Audit(row.id, outcome, actor.id, now)


def list_all(session: Session) -> list[Audit]:
    """Return all audits, oldest first, their signatures checked.

    Raises:
        IntegrityError: a stored audit is not the one that was signed.
    """
    rows = session.scalars(select(Row).order_by(Row.id))
    return [
        Audit(row.id, Outcome(**unseal(session, row.record, _RUN)), signer(row.record), row.created)
        for row in rows
    ]


def for_label(session: Session, measure: str, offset: int) -> dict[str, Any] | None:
    """Return what a label says: of this version, an audit above its claim, or else the measure's newest.

    Where the measure itself was not audited, the newest of any measure is told. None without any.

    Raises:
        IntegrityError: see `list_all`.
    """
    runs = [audit for audit in list_all(session) if audit.outcome.software == software()]
    if not runs:
        return None
    shown = max(runs, key=lambda run: (run.outcome.above, run.outcome.measure == measure, run.number))
    found = shown.outcome
    return {
        "result": ABOVE if found.above else BELOW,
        "empirical_epsilon_lower_bound": found.bound,
        "claimed_epsilon": found.epsilon,
        "delta": found.delta,
        "confidence": found.confidence,
        "canaries": found.canaries,
        "guesses": found.guesses,
        "correct": found.correct,
        "measure": found.measure,
        "date": day_name(day_of(shown.created, offset)),
        "software": found.software,
        "runs": len(runs),
        "runs_above_claim": sum(run.outcome.above for run in runs),
        "method": METHOD,
    }
