"""The gate, the only way that numbers leave.

Its seven steps, in order:

1. decide     check every word of the request, then ask policy; a stored answer is handed out here, free
2. reserve    debit the privacy budget of every period, before anything is read (ledger, T1)
3. run        the measure's SQL, with each device's contribution bounded in it
4. noise      discrete Gaussian noise on every measured key, zeros included
5. post       estimates, intervals, suppression: functions of noisy numbers only
6. settle     store the answer with its label, and log it, in one transaction (ledger, T2)
7. record     publish the log, so that outsiders can check what was done

A refusal leaves by step 1 or 2: it is logged, costs nothing, and its text depends on no data. Whatever
fails after step 2 stays spent: noise may have been seen. So does what a freeze stops on its way.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from passersby.errors import Busy, PassersbyError, Refusal, UsageError
from passersby.gate import planning, record, running
from passersby.gate.parts import Parts
from passersby.gate.planning import Planned
from passersby.gate.request import DEVICE_WORDS, Request
from passersby.keys.signed import Actor
from passersby.measures.catalogue import CATALOGUE
from passersby.model.purposes import BROADER
from passersby.model.release import Release
from passersby.policy import cases, freeze
from passersby.policy.refusals import refusal
from passersby.policy.watch import watch
from passersby.privacy.accounting import micro_rho_for
from passersby.suppliers import lineage
from passersby.trustlog.entries import append

_LEASE_S = 15 * 60
"""Time after which a reservation that was not renewed is given up: its process has ended."""


_OF_THE_FORM = frozenset(
    {"bad-grain", "resolution-too-fine", "bad-area", "area-too-small", "question-too-large"}
)
"""Refusals that depend on a question's resolution or grain."""

TICK_S = 2.0
"""New answers appear on multiples of this time after the question: how long the query took shows less."""


@dataclass(frozen=True)
class Answer:
    """A release and how it came: `new` tells whether this call paid for it."""

    release: Release
    new: bool


class Gate:
    """Answers questions of one deployment."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def plan(self, request: Request, actor: Actor, *, now: int) -> Planned:
        """Do step 1 alone: what the question would cost and be worth. Spends and reads nothing.

        Raises:
            Refusal: see `ask`; it is logged all the same.
        """
        return self._decide(request, actor, now)

    def plan_forms(self, forms: Sequence[Request], actor: Actor, *, now: int) -> list[Planned]:
        """Do step 1 for one question in several resolutions and grains; return the forms that are allowed.

        Forms are left out that another resolution or grain may mend.

        Raises:
            Refusal: no form is allowed, or what is refused is not the form; logged once.
        """
        found: list[Planned] = []
        for number, request in enumerate(forms, 1):
            try:
                found.append(planning.plan(self._parts, request, actor, now=now))
            except Refusal as refused:
                if refused.code not in _OF_THE_FORM or (number == len(forms) and not found):
                    self._log_refusal(request, actor, refused.code, now)
                    raise
        return found

    def plan_together(self, requests: Sequence[Request], actor: Actor, *, now: int) -> list[Planned]:
        """Do step 1 for a bundle: every question is allowed, and together they cost no more than one may.

        Raises:
            Refusal: one of them, or their sum, is not allowed; logged.
            UsageError: they do not read the same periods, or one is there twice.
        """
        planned = [self._decide(request, actor, now) for request in requests]
        if len({each.question.periods for each in planned}) > 1:
            raise UsageError(
                "The questions do not read the same weeks.", "Ask each period in its own bundle."
            )
        if len({each.question.sha256 for each in planned}) < len(planned):
            raise UsageError("A question is there twice.", "Ask it once: a stored answer is free.")
        config = self._parts.config
        cap = micro_rho_for(config.epsilon_question, config.delta).value
        if sum(each.question.cost.value for each in planned) > cap:
            self._log_refusal(requests[0], actor, "epsilon-over-question-cap", now)
            raise refusal("epsilon-over-question-cap")
        return planned

    def ask(
        self, request: Request, actor: Actor, *, now: int, step: Callable[[str], None] = lambda _: None
    ) -> Answer:
        """Answer a question, or hand out its stored answer.

        Args:
            request: what was asked.
            actor: who asks, proven by their key.
            now: epoch s.
            step: told the name of each step as it begins.

        Raises:
            Refusal: a word of the request, policy or the budget does not allow it; nothing was spent.
            Busy: the same question is just being answered.
            PassersbyError: the machine failed after the budget was reserved; it stays spent.
        """
        return self.ask_together([request], actor, now=now, step=step)[0]

    def ask_together(
        self,
        requests: Sequence[Request],
        actor: Actor,
        *,
        now: int,
        step: Callable[[str], None] = lambda _: None,
    ) -> list[Answer]:
        """Answer a bundle of questions: all are reserved in one transaction, or none is.

        Each gets a release of its own; what was asked before is handed out, free. Steps 3 to 6 repeat.

        Raises:
            Refusal, Busy, PassersbyError: see `ask`; answers that were stored before a failure are kept.
            UsageError: see `plan_together`.
        """
        parts, begun = self._parts, time.monotonic()
        clock = partial(_later, now, begun)
        step("1 of 7: deciding")
        planned = self.plan_together(requests, actor, now=now)
        known = self._known(planned, now)
        missing = [each for each in planned if each.question.sha256 not in known]
        reservations: list[str] = []
        if missing:
            step("2 of 7: reserving budget")
            try:
                reservations = self._reserve(missing, now)
            except Busy:
                # whoever asked at the same moment may have got the answer since it was looked for
                known |= self._known(missing, now)
                if len(known) < len(planned):
                    raise
        made: set[str] = set()
        with self._given_up_on_failure(reservations):
            for i, each in enumerate(missing if reservations else ()):
                renew = partial(self._renew, reservations[i:], clock)
                known[each.question.sha256] = self._unless_frozen(each, reservations[i], now, renew, step)
                made.add(each.question.sha256)
        if made:
            step("7 of 7: publishing the log")
            watch(parts.database, parts.config, now=now)
            parts.publisher.publish(parts.database)
            _wait_for_tick(begun)
        names = [each.question.sha256 for each in planned]
        return [Answer(known[name], new=name in made) for name in names]

    def _unless_frozen(
        self,
        planned: Planned,
        reservation: str,
        now: int,
        renew: Callable[[], int],
        step: Callable[[str], None],
    ) -> Release:
        """Answer a question, and log that a freeze stopped it on its way."""
        try:
            return self._answer(planned, reservation, now, renew, step)
        except Refusal as refused:
            self._log_refusal(planned.request, planned.actor, refused.code, now)
            raise

    def _answer(
        self,
        planned: Planned,
        reservation: str,
        now: int,
        renew: Callable[[], int],
        step: Callable[[str], None],
    ) -> Release:
        """Steps 3 to 6 of a question whose budget is reserved."""
        parts = self._parts
        step("3 of 7: running the bounded query")
        parts.lake.expire(now)  # what has reached its deletion date is read no more
        read: set[int] = set()
        counts = running.run(parts.engine, parts.lake, planned, now=now, renew=renew, seen=read.update)
        step("4 of 7: adding noise")
        renew()
        measured = running.measure(planned, counts, parts.sampler, parts.config.minimum_devices)
        step("5 of 7: estimating")
        draft = record.draft(parts, planned, measured, now=now)
        step("6 of 7: storing the answer")
        return self._settle(draft, read, reservation, renew)

    @contextmanager
    def _given_up_on_failure(self, reservations: Sequence[str]) -> Iterator[None]:
        """Let questions be asked again if this try fails; what they cost stays spent."""
        try:
            yield
        except BaseException:
            with suppress(PassersbyError), self._parts.database.write() as session:
                for reservation in reservations:
                    self._parts.ledger.give_up(session, reservation_id=reservation)
            raise

    def _renew(self, reservations: Sequence[str], clock: Callable[[], int]) -> int:
        """Extend the leases of questions that are not answered yet; return the present instant."""
        now = clock()
        with self._parts.database.write() as session:
            freeze.require_running(session)
            for reservation in reservations:
                self._parts.ledger.renew(session, reservation_id=reservation, now=now, lease_s=_LEASE_S)
        return now

    def _decide(self, request: Request, actor: Actor, now: int) -> Planned:
        """Step 1. Whatever is refused is logged with its code, in words that were not the caller's."""
        try:
            return planning.plan(self._parts, request, actor, now=now)
        except Refusal as refused:
            self._log_refusal(request, actor, refused.code, now)
            raise

    def _known(self, planned: Sequence[Planned], now: int) -> dict[str, Release]:
        """Return the stored answers that there are, by question."""
        found = {each.question.sha256: self._stored(each, now) for each in planned}
        return {name: release for name, release in found.items() if release is not None}

    def _stored(self, planned: Planned, now: int) -> Release | None:
        """Return the stored answer: after the decision, never before it."""
        parts = self._parts
        try:
            with parts.database.write() as session:
                freeze.require_running(session)
                release = parts.ledger.stored(session, planned.question.sha256)
                if release is not None:
                    public = {"release": release.id, "licence": planned.licence.id}
                    private = {"case": planned.request.case, "person": planned.actor.id}
                    append(session, "release.repeated", public, private, now=now)
        except Refusal as refused:
            self._log_refusal(planned.request, planned.actor, refused.code, now)
            raise
        if release is not None:
            watch(parts.database, parts.config, now=now)
            parts.publisher.publish(parts.database)
        return release

    def _reserve(self, planned: Sequence[Planned], now: int) -> list[str]:
        """Step 2: T1 of the ledger, for all questions in one transaction. They read the same periods."""
        parts = self._parts
        reservations = [secrets.token_hex(16) for _ in planned]
        with parts.database.write() as session:
            # before the balances are locked: a new key writes to the log, which is locked after them
            periods = planning.keyed_periods(parts, session, planned[0], now=now)
        try:
            with parts.database.write() as session:
                freeze.require_running(session)
                for reservation, each in zip(reservations, planned, strict=True):
                    parts.ledger.reserve(
                        session,
                        reservation_id=reservation,
                        licence=each.licence.id,
                        licence_cap=each.licence_cap,
                        keyed_periods=periods,
                        events=each.events,
                        question_sha256=each.question.sha256,
                        revision=each.revises,
                        now=now,
                        lease_s=_LEASE_S,
                    )
        except Refusal as refused:
            self._log_refusal(planned[0].request, planned[0].actor, refused.code, now)
            raise
        return reservations

    def _settle(
        self, draft: record.Draft, read: Collection[int], reservation: str, renew: Callable[[], int]
    ) -> Release:
        """Step 6: T2 of the ledger, with log entry and lineage in the same transaction.

        The entry bears the time of the question: how long the answer took is nobody's business.
        """
        parts, now = self._parts, renew()
        with parts.database.write() as session:
            freeze.require_running(session)
            index = append(session, "release.made", draft.public(), draft.private(), now=draft.created)
            release = draft.release(index)
            parts.ledger.settle(session, reservation_id=reservation, release=release, now=now)
            lineage.record(session, release.id, draft.lineage(session, read))
        return release

    def _log_refusal(self, request: Request, actor: Actor, code: str, now: int) -> None:
        """Log a refusal: its code and names that we know, never the caller's own words, not even hidden."""
        parts = self._parts
        with parts.database.write() as session:
            device_level = request.measure.lower() in DEVICE_WORDS
            measure = request.measure if request.measure in CATALOGUE else ""
            public = {
                "code": code,
                "measure": "device-level" if device_level else measure or "unknown",
                "licence": planning.known_licence(session, request.licence),
            }
            case = cases.known(session, request.licence, request.case)
            words = {"purpose": request.purpose if request.purpose in BROADER else "", "case": case}
            append(session, "question.refused", public, {"person": actor.id, **words}, now=now)
        parts.publisher.publish(parts.database)


def _later(now: int, begun: float) -> int:
    """Return the instant (epoch s) that it is, where it was `now` when the clock stood at `begun`."""
    return now + int(time.monotonic() - begun)


def _wait_for_tick(begun: float) -> None:
    """Sleep until a whole number of ticks has passed since the question was asked."""
    time.sleep(-(time.monotonic() - begun) % TICK_S)
