"""The one-run audit: does an attack on the whole path show more than the epsilon that is claimed?

1. plan      what the question costs and how noisy it is, in a scratch deployment with these settings
2. place     made-up devices: a crowd in each cell, and canaries that a fair coin puts in or leaves out
3. deliver   their pings, as two suppliers write them, through ingest and derivation
4. ask       one question through the gate; from here on only what the answer shows is used
5. guess     the coins of the canaries with the highest and the lowest scores
6. record    signed and logged, whatever came of it

No data of the deployment is read, and nothing is charged to it.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from passersby.deployment import acts, scratch
from passersby.deployment.opened import Deployment
from passersby.errors import IntegrityError, UsageError
from passersby.gate.planning import Planned
from passersby.gate.request import Request
from passersby.keys.signed import Actor, require
from passersby.measures.catalogue import CATALOGUE
from passersby.model.period import DAY, HOUR, Period, day_name, day_of
from passersby.model.place import Area
from passersby.model.release import Release
from passersby.policy import area as areas
from passersby.policy import audits, cases, licence
from passersby.policy.audits import Audit, Outcome
from passersby.privacy.noise import UNIT
from passersby.risk import canaries, one_run
from passersby.risk.canaries import Scene

CANARIES, GUESSES, CONFIDENCE = 2000, 200, 0.95
"""Fixed before any run, as the bound asks for. A tenth is guessed at: half of the guesses each way."""

EPSILONS = (0.5, 4.0)
"""What can be claimed in an audit. With less, luck alone would raise alarms."""

HOURS = {"presence": 24, "visitors": 1}
"""Measures that can be audited, and hours of a day in which a device that stays in one cell adds as much as
any device can. A visitor of one cell counts once a day: only a question about one hour is at its bound.
"""

_PINGS = 1_000_000
"""About as many pings of the crowd as a run takes; where it must be large, fewer hours are asked about."""

_FLOOR = 10
"""Minimum of devices of a shown cell, in the scratch deployment: the least that can be set."""

_SHOWN = 0.9
"""Least share of canaries' cells that must be shown: what is hidden is not attacked, and proves nothing."""

_FINEST = 7
_SUPPLIERS = ("audit-a", "audit-b")
_LICENCE = _CASE = "audit"

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Stage:
    """A scratch deployment, who asks in it, and what: `day` is a local day of the newest closed period."""

    made: Deployment
    analyst: Actor
    request: Request
    day: int
    now: int

    def plan(self, hours: int) -> tuple[Request, Planned]:
        """Return the question about the first hours of the day, and its plan."""
        filters = () if hours == DAY // HOUR else (f"hour={','.join(map(str, range(hours)))}",)
        request = replace(self.request, filters=filters)
        return request, self.made.plan(request, self.analyst, now=self.now)


def run(
    d: Deployment,
    *,
    measure: str = "presence",
    epsilon: float = 1.0,
    actor: Actor,
    now: int,
    count: int = CANARIES,
    say: Say = lambda _: None,
) -> Audit:
    """Audit the path of a question on made-up data, and record what was found.

    Args:
        d: the deployment whose settings are used, and which records it.
        measure: one of `HOURS`.
        epsilon: claimed for the question, at the deployment's delta; it may be more than one may cost.
        actor: a custodian.
        now: epoch s.
        count: number of canaries; a tenth of them is guessed at.
        say: told the name of each step as it begins.

    Raises:
        UsageError: the measure cannot be audited, or not at such an epsilon.
        Refusal: the actor is no custodian.
        IntegrityError: the attack showed more than is claimed; that is recorded. Or it saw too little to show
            anything; that is not.
        DiskFull: there is no room for the scratch deployment.
    """
    if measure not in HOURS:
        raise UsageError("There is no audit of that measure.", f"Name one of {', '.join(HOURS)}.")
    least, most = EPSILONS
    if not least <= epsilon <= most:
        raise UsageError(
            f"An audit is of an epsilon between {least:g} and {most:g}: with less, luck looks like a fault.",
            "Leave --epsilon out: noise grows by the same rule at every epsilon.",
        )
    with acts.refusals_logged(d, "audit.run", actor=actor, now=now), d.database.read() as session:
        require(session, actor, "custodian")
    with scratch.folder(d) as folder:
        outcome = attack(d, folder, measure=measure, epsilon=epsilon, count=count, now=now, say=say)
    say("6 of 6: recording")
    with d.writing() as session:
        audit = audits.record(session, outcome, actor=actor, now=now)
    if outcome.above:
        raise IntegrityError(
            f"An attack on made-up data showed an epsilon of at least {outcome.bound:.2f}, where "
            f"{outcome.epsilon:.2f} is claimed ({outcome.correct} of {outcome.guesses} guesses right). It is "
            "recorded, and labels of new answers say so.",
            "Stop answering (`passersby freeze`), withdraw trust in answers of this version, and report it.",
        )
    return audit


def attack(
    d: Deployment, folder: Path, *, measure: str, epsilon: float, count: int, now: int, say: Say
) -> Outcome:
    """Do steps 1 to 5 in a scratch deployment in `folder`; see `run`."""
    say("1 of 6: planning")
    resolution = min(_FINEST, d.config.finest_resolution, CATALOGUE[measure].finest)
    cells = canaries.cells_for(resolution, count)
    caps = {
        "epsilon_cap": max(2 * epsilon, d.config.epsilon_cap),
        "epsilon_question": max(epsilon, d.config.epsilon_question),
        "revision_percent": 0,
    }
    with scratch.opened(d, folder / "deployment", "audit", now=now, minimum_devices=_FLOOR, **caps) as made:
        stage = _prepared(made, Area.from_cells(cells), measure, resolution, epsilon, now)
        _, planned = stage.plan(HOURS[measure])
        crowd = _crowd(planned)
        hours = max(1, min(HOURS[measure], _PINGS // (crowd * len(cells))))
        request, planned = stage.plan(hours)
        say("2 of 6: placing made-up devices")
        starts = planned.scope.selected
        included = np.random.default_rng(secrets.randbits(128)).random(count) < 0.5
        scene = Scene(resolution, cells, starts, _crowd(planned), included)
        say("3 of 6: delivering their pings")
        _deliver(made, scene, folder, now)
        say("4 of 6: asking")
        answer = made.ask(request, stage.analyst, now=now).release
    say("5 of 6: guessing who was there")
    return _guessed(scene, answer, planned)


def _prepared(
    made: Deployment, area: Area, measure: str, resolution: int, epsilon: float, now: int
) -> _Stage:
    """Make the records that a question needs: suppliers, a licence, an analyst, a case."""
    closed = Period.containing(now - made.config.closing_hours * HOUR, made.config.offset).index - 1
    day = day_of(Period(closed).span(made.config.offset).start, made.config.offset) + 2
    for supplier in _SUPPLIERS:
        scratch.add_supplier(made, supplier, (day, day), what="audit", now=now)
    analyst = made.actor(scratch.add_person(made, "analyst", "analyst", now=now))
    terms = licence.Licence(
        id=_LICENCE,
        holder="audit",
        contact="audit",
        government=False,
        reason="Shows what an answer tells about one device.",
        people=(analyst.id,),
        purposes=(scratch.PURPOSE,),
        measures=(measure,),
        cells=areas.coarse(area),
        dates_from=day,
        dates_to=day,
        not_before=now,
        expires=now + DAY,
        resolution=resolution,
        resolution_reason="",
        epsilon_per_period=made.config.epsilon_cap,
    )
    with made.writing() as session:
        licence.grant(session, terms, actor=scratch.custodian(made), now=now, config=made.config)
    with made.writing() as session:
        cases.open_case(
            session,
            licence=_LICENCE,
            name=_CASE,
            title="audit",
            purpose=scratch.PURPOSE,
            until=None,
            actor=analyst,
            now=now,
        )
    request = Request(
        measure=measure,
        period=day_name(day),
        every="hour" if "hour" in CATALOGUE[measure].grains else "day",
        resolution=resolution,
        area=area,
        epsilon=epsilon,
        licence=_LICENCE,
        purpose=scratch.PURPOSE,
        case=_CASE,
    )
    return _Stage(made, analyst, request, day, now)


def _crowd(planned: Planned) -> int:
    """Return how many devices stay in each cell."""
    return canaries.crowd_for(planned.plan.levels[-1].error, planned.plan.buckets, _FLOOR)


def _deliver(made: Deployment, scene: Scene, folder: Path, now: int) -> None:
    """Take everybody's pings in, from two suppliers."""
    own = folder / "files"
    own.mkdir()
    crowd = _written(own, "crowd", scene.crowd_pings())
    first, again = ([scene.canary_pings(again=part)] for part in (False, True))
    made.ingest([*crowd, *_written(own, "canaries", first)], _SUPPLIERS[0], now=now)
    made.ingest(_written(own, "again", again), _SUPPLIERS[1], now=now)


def _written(folder: Path, name: str, parts: Iterator[pl.DataFrame] | list[pl.DataFrame]) -> list[Path]:
    paths = []
    for number, part in enumerate(parts):
        paths.append(folder / f"{name}-{number}.parquet")
        part.write_parquet(paths[-1])
    return paths


def _guessed(scene: Scene, answer: Release, planned: Planned) -> Outcome:
    """Guess from the rows and the public plan of an answer alone; compare with the coins."""
    levels = planned.plan.levels[-2 if planned.measure.additive else -1 :]
    seen = scene.seen(answer.rows)
    if seen < _SHOWN:
        raise IntegrityError(
            f"The audit saw only {seen:.0%} of its canaries' cells: it proves nothing, and is not recorded.",
            "Run it again with a larger --epsilon; if that does not help, report it.",
        )
    scores = scene.scores(answer.rows, {level.resolution: (level.scale / UNIT) ** 2 for level in levels})
    guessed = one_run.guess(scores, scene.included, len(scores) * GUESSES // CANARIES)
    claimed = answer.label["privacy_loss"]["privacy_parameters"]
    bound = one_run.lower_bound(guessed, delta=claimed["delta"], confidence=CONFIDENCE)
    return Outcome(
        measure=planned.measure.name,
        epsilon=claimed["epsilon"],
        delta=claimed["delta"],
        bound=math.floor(bound * 1e4) / 1e4,
        confidence=CONFIDENCE,
        canaries=guessed.canaries,
        guesses=guessed.guesses,
        correct=guessed.correct,
        software=audits.software(),
    )
