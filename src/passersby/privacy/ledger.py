"""The ledger: debits the privacy budget before noise is drawn, and keeps the answer that was paid for.

T1 (`reserve`) debits every period of a question, or none, together with its mechanism events and its log
entry. T2 (`settle`) stores the answer. T1 without T2 stays spent: whoever killed the process may have
seen the noise. The accounts hang on (pseudonym key, period), never on a file or a name, so that neither
a purge nor a second delivery gives budget back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction

import rfc8785
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from passersby.errors import Busy, OperationError
from passersby.model.cost import MICRO, MechanismEvent, MicroRho
from passersby.model.release import Release
from passersby.privacy import answers, budget
from passersby.privacy.answers import ReleaseEntry
from passersby.privacy.budget import Balance, LicenceBalance
from passersby.store.database import Database
from passersby.store.tables import Reservation, Spend
from passersby.trustlog.entries import JSON, append

KINDS = frozenset({"discrete_gaussian"})
"""Mechanisms that the ledger can charge. A kind is never removed and never changes its meaning."""

UNIT = "device-week"
"""The unit of privacy that every charge is for."""

_ASK_AGAIN = "Ask it again in a minute: a stored answer is free."


class Ledger:
    """The privacy budget of one deployment.

    Every method works in the caller's transaction. A caller that also writes to the log in it reserves
    first: balances are locked before the log.

    Args:
        database: the control database.
        cap: for one (pseudonym key, period) over everything and everyone. It counts where it is lower
            than the cap a period already has; it never raises one.
        revision_percent: part of the cap that first answers leave to scheduled revisions.
    """

    def __init__(self, database: Database, *, cap: MicroRho, revision_percent: int) -> None:
        self._database = database
        self._cap = cap.value
        self._first_percent = 100 - revision_percent

    def reserve(  # noqa: PLR0913 (keywords only; a charge is all of this)
        self,
        session: Session,
        *,
        reservation_id: str,
        licence: str,
        licence_cap: MicroRho,
        keyed_periods: Sequence[tuple[str, str]],
        events: Sequence[MechanismEvent],
        question_sha256: str,
        revision: bool,
        now: int,
        lease_s: int,
    ) -> None:
        """T1: charge the sum of `events` to every period, or to none.

        The same `reservation_id` twice is one charge.

        Args:
            session: an open session of `Database.write()`.
            reservation_id: unique name of this charge.
            licence: who pays.
            licence_cap: what this licence may spend in one period.
            keyed_periods: every (name of the pseudonym key, name of the period) that the question reads.
            events: the noise that will be drawn.
            question_sha256: key of the question.
            revision: whether this is a scheduled revision, which may use the whole cap.
            now: epoch s.
            lease_s: seconds within which the answer must be settled.

        Raises:
            BudgetSpent: a period or the licence cannot pay; nothing was debited.
            Busy: the same question is just being answered, or has its answer already.
            OperationError: this reservation was given up as lost.
            IntegrityError: an event is not one the ledger can charge, or the reservation is known with other
                contents.
        """
        paid = sorted(keyed_periods)
        charge = _Charge(reservation_id, licence, paid, tuple(events), question_sha256, now)
        charge.check()
        percent = 100 if revision else self._first_percent
        accounts = budget.accounts(paid, self._cap, percent, licence, licence_cap.value)
        # a savepoint: a caller may catch the refusal and log it in the same transaction
        with session.begin_nested():
            row = {**charge.identity, "created": now, "lease_until": now + lease_s, "state": "reserved"}
            if not self._database.insert_if_absent(session, Reservation, row):
                _check_repeated(session, charge)
                return
            held = [budget.hold(self._database, session, account) for account in accounts]
            _check_unanswered(session, charge)
            budget.debit(session, held, charge.micro_rho)
            session.execute(insert(Spend), charge.events_by_period())
            append(session, "question.reserved", charge.public(), charge.private(), now=now)

    def settle(self, session: Session, *, reservation_id: str, release: Release, now: int) -> None:
        """T2: store the answer that a reservation paid for.

        The caller appends `release.made` first, in the same transaction: the release carries its index.

        Raises:
            OperationError: the reservation's lease has lapsed; what it cost stays spent.
            IntegrityError: the noise is not OpenDP's, there is no such open reservation, it is for another
                question or cost, or the question has its answer already.
            ValueError: the rows do not have the schema `model.schema.ROWS`.
        """
        answers.check_sampler(release.sampler)
        wanted = select(Reservation).where(Reservation.id == reservation_id).with_for_update()
        row = session.scalars(wanted.execution_options(populate_existing=True)).one_or_none()
        if row is None or row.state == "settled":
            raise budget.contradiction("an answer has no open reservation")
        if row.state == "lost" or row.lease_until <= now:
            raise _lapsed()
        if (row.question_sha256, row.micro_rho) != (release.question_sha256, release.micro_rho):
            raise budget.contradiction("an answer is not the one that its reservation paid for")
        if answers.exists(session, release.question_sha256):
            raise budget.contradiction("a question would get a second answer")
        answers.store(session, reservation_id, release)
        row.state = "settled"
        session.flush()

    def renew(self, session: Session, *, reservation_id: str, now: int, lease_s: int) -> None:
        """Extend the lease of a question that is still being answered.

        Raises:
            OperationError: it has lapsed.
        """
        mine = (Reservation.id == reservation_id, Reservation.state == "reserved")
        longer = update(Reservation).where(*mine, Reservation.lease_until > now)
        held = longer.values(lease_until=now + lease_s).returning(Reservation.id)
        if session.execute(held).first() is None:
            raise _lapsed()

    def give_up(self, session: Session, *, reservation_id: str) -> None:
        """End a reservation whose question failed, so that it can be asked again; its cost stays spent."""
        mine = (Reservation.id == reservation_id, Reservation.state == "reserved")
        session.execute(update(Reservation).where(*mine).values(state="lost"))

    def sweep(self, session: Session, now: int) -> Sequence[str]:
        """Give up reservations whose lease lapsed without an answer; return what was done, in words.

        What they cost stays spent.
        """
        open_ = (Reservation.state == "reserved", Reservation.lease_until <= now)
        lapsed = update(Reservation).where(*open_).values(state="lost").returning(Reservation.micro_rho)
        costs = sorted(session.scalars(lapsed.execution_options(synchronize_session=False)))
        return [
            f"gave up a question that was never answered; in each of its periods {cost} micro-rho stay spent"
            for cost in costs
        ]

    def stored(self, session: Session, question_sha256: str) -> Release | None:
        """Return the stored answer to a question, None if there is none.

        Raises:
            Refusal: it was withdrawn from service (`release-withdrawn`).
            IntegrityError: it is damaged, or its noise is not OpenDP's.
        """
        return answers.by_question(session, question_sha256)

    def by_id(self, session: Session, name: str) -> Release:
        """Return the stored answer with a short name.

        Raises:
            UnknownName: there is none.
            Refusal: it was withdrawn from service (`release-withdrawn`).
            IntegrityError: it is damaged, or its noise is not OpenDP's.
        """
        return answers.by_id(session, name)

    def list(self, session: Session) -> Sequence[ReleaseEntry]:
        """Return all stored answers without their rows, oldest first."""
        return answers.entries(session)

    def balance(self, session: Session) -> Sequence[Balance]:
        """Return every balance, sorted by period and key."""
        return budget.balances(session, self._cap, self._first_percent)

    def licence_balance(self, session: Session, licence: str) -> Sequence[LicenceBalance]:
        """Return the balances of one licence, sorted by period and key."""
        return budget.licence_balances(session, licence)

    def lower_cap(self, session: Session, *, key: str, period: str, cap: MicroRho) -> MicroRho:
        """Lower the cap of a (key, period), at most to what is spent; return the cap that counts now.

        Raises:
            UsageError: `cap` is above the cap that holds.
        """
        return MicroRho(budget.lower(self._database, session, key, period, cap.value, self._cap))

    def verify(self, session: Session) -> None:
        """Compare every balance with the sum of its mechanism events.

        Raises:
            IntegrityError: they differ.
        """
        budget.verify(session)


@dataclass(frozen=True)
class _Charge:
    """What T1 writes: one question's cost in each of its periods."""

    reservation: str
    licence: str
    periods: Sequence[tuple[str, str]]  # sorted (key, period)
    events: tuple[MechanismEvent, ...]
    question: str
    now: int

    @property
    def micro_rho(self) -> int:
        return sum(event.micro_rho for event in self.events)

    @property
    def identity(self) -> dict[str, str | int]:
        """What must be the same when a reservation is repeated, as columns of its row."""
        return {
            "id": self.reservation,
            "question_sha256": self.question,
            "micro_rho": self.micro_rho,
            "periods": rfc8785.dumps(self.periods).decode(),
        }

    def check(self) -> None:
        if not self.periods or len(set(self.periods)) != len(self.periods):
            raise budget.contradiction("a charge does not name each of its periods once")
        if not self.events:
            raise budget.contradiction("a charge has no mechanism event")
        for event in self.events:
            _check_event(event)

    def events_by_period(self) -> list[dict[str, object]]:
        """Return the rows of `spend`."""
        common = {
            "reservation": self.reservation,
            "licence": self.licence,
            "question_sha256": self.question,
            "unit": UNIT,
            "created": self.now,
        }
        return [
            {**common, **asdict(event), "key": key, "period": period}
            for key, period in self.periods
            for event in self.events
        ]

    def public(self) -> dict[str, JSON]:
        return {
            "question": self.question,
            "licence": self.licence,
            "periods": sorted({period for _, period in self.periods}),
            "micro_rho": self.micro_rho,
        }

    def private(self) -> dict[str, JSON]:
        return {"reservation": self.reservation, "keyed_periods": self.periods}


def _check_event(event: MechanismEvent) -> None:
    """Refuse an event that is of an unknown kind or charged less than it costs."""
    if event.kind not in KINDS:
        raise budget.contradiction("a charge is for a mechanism that it does not know")
    if not (0 < event.scale < math.inf and 0 < event.sensitivity < math.inf):
        raise budget.contradiction("a charge has a scale or a sensitivity that no mechanism has")
    # rho of the discrete Gaussian: Canonne, Kamath & Steinke 2020
    cost = Fraction(event.sensitivity) ** 2 / (2 * Fraction(event.scale) ** 2)
    if event.micro_rho < MICRO * cost:
        raise budget.contradiction("a charge is less than its mechanism costs")


def _check_repeated(session: Session, charge: _Charge) -> None:
    """Accept a reservation that is already there if it is the same one."""
    row = session.execute(select(Reservation.__table__).where(Reservation.id == charge.reservation)).one()
    if any(getattr(row, name) != value for name, value in charge.identity.items()):
        raise budget.contradiction("a reservation is used for two different charges")
    if row.state == "lost":
        raise _lapsed()


def _check_unanswered(session: Session, charge: _Charge) -> None:
    """Refuse a second charge for one question; the locked balances keep others out meanwhile."""
    if answers.exists(session, charge.question):
        # whoever asked at the same moment was first
        raise Busy("The same question was just answered for someone else.", _ASK_AGAIN)
    same = (Reservation.question_sha256 == charge.question, Reservation.id != charge.reservation)
    running = (Reservation.state == "reserved", Reservation.lease_until > charge.now)
    if session.scalar(select(Reservation.id).where(*same, *running).limit(1)) is not None:
        msg = "The same question is just being answered for someone else."
        raise Busy(msg, _ASK_AGAIN)


def _lapsed() -> OperationError:
    msg = "The question took longer than its lease; it was given up, and what it cost stays spent."
    return OperationError(msg, "Ask it again; that is a new charge.")
