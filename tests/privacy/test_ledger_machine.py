"""The ledger against a model of it: random histories of charges, answers, crashes, caps and time."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from passersby.errors import BudgetSpent, IntegrityError, OperationError, UsageError
from passersby.model.cost import MechanismEvent, MicroRho
from passersby.model.release import Release
from passersby.model.schema import ROWS
from passersby.privacy.ledger import Ledger
from passersby.store.database import Database
from passersby.store.tables import Licence, Person, Reservation, Spend

_CAPS = {"L": 60, "M": 200}
_PERIODS = st.lists(
    st.sampled_from([("k1", "W1"), ("k1", "W2"), ("k2", "W3")]), min_size=1, max_size=3, unique=True
)
_CHARGES = st.lists(st.integers(1, 30), min_size=1, max_size=3)
_LEASE = 10


class _Crash(Exception):
    """The process dies: nothing that was not committed stays."""


class _Model(RuleBasedStateMachine):
    """What the ledger promises, in plain dictionaries."""

    template: Path
    reservations: Bundle[str] = Bundle("reservations")

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / "control.db"
        shutil.copyfile(self.template, path)
        self.database = Database.in_file(path)
        self.names = (f"n{n}" for n in itertools.count())
        self.now = 100
        self.configured = 100
        self.caps: dict[tuple[str, str], int] = {}
        self.spent: dict[tuple[str, str], int] = {}
        self.by_licence: dict[tuple[str, str, str], int] = {}
        self.made: dict[str, tuple[str, list[tuple[str, str]], list[int]]] = {}
        self.states: dict[str, str] = {}
        self.leases: dict[str, int] = {}
        self.events: list[tuple[int, str, str, str, int]] = []

    def teardown(self) -> None:
        self.database.dispose()
        self._folder.cleanup()

    @initialize(configured=st.integers(40, 120))
    def grant(self, configured: int) -> None:
        self.configured = configured
        with self.database.write() as session:
            session.add(Person(id="p", name="", roles="[]", public_key="", created=0, active=True))
            session.flush()
            for name in _CAPS:
                session.add(Licence(id=name, record="{}", record_sha256="", granted_by="p", created=0))

    def ledger(self) -> Ledger:
        return Ledger(self.database, cap=MicroRho(self.configured), revision_percent=25)

    def reserve(self, name: str, *, revision: bool, crash: bool = False) -> None:
        licence, periods, charges = self.made[name]
        with self.database.write() as session:
            self.ledger().reserve(
                session,
                reservation_id=name,
                licence=licence,
                licence_cap=MicroRho(_CAPS[licence]),
                keyed_periods=periods,
                events=[MechanismEvent("discrete_gaussian", 1e4, 1.0, c, "x") for c in charges],
                question_sha256=f"q{name}",
                revision=revision,
                now=self.now,
                lease_s=_LEASE,
            )
            if crash:
                raise _Crash

    def cap(self, period: tuple[str, str]) -> int:
        """The lowest cap ever set, but never below what is spent."""
        return max(self.spent.get(period, 0), min(self.caps.get(period, self.configured), self.configured))

    def affordable(self, name: str, percent: int) -> bool:
        licence, periods, charges = self.made[name]
        return all(
            self.spent.get(p, 0) + sum(charges) <= self.cap(p) * percent // 100
            and self.by_licence.get((licence, *p), 0) + sum(charges) <= _CAPS[licence]
            for p in periods
        )

    @rule(
        target=reservations,
        licence=st.sampled_from(sorted(_CAPS)),
        periods=_PERIODS,
        charges=_CHARGES,
        revision=st.booleans(),
    )
    def charge(
        self, licence: str, periods: list[tuple[str, str]], charges: list[int], revision: bool
    ) -> str | MultipleResults[str]:
        name = next(self.names)
        self.made[name] = (licence, periods, charges)
        if not self.affordable(name, 100 if revision else 75):
            with pytest.raises(BudgetSpent):
                self.reserve(name, revision=revision)
            return multiple()
        self.reserve(name, revision=revision)
        for period in periods:
            self.caps[period] = self.cap(period)
            self.spent[period] = self.spent.get(period, 0) + sum(charges)
            own = (licence, *period)
            self.by_licence[own] = self.by_licence.get(own, 0) + sum(charges)
        self.states[name] = "reserved"
        self.leases[name] = self.now + _LEASE
        return name

    @rule(licence=st.sampled_from(sorted(_CAPS)), periods=_PERIODS, charges=_CHARGES)
    def crash_while_charging(self, licence: str, periods: list[tuple[str, str]], charges: list[int]) -> None:
        name = next(self.names)
        self.made[name] = (licence, periods, charges)
        with suppress(_Crash, BudgetSpent):
            self.reserve(name, revision=True, crash=True)

    @rule(name=reservations)
    def repeat(self, name: str) -> None:
        if self.states[name] == "lost":
            with pytest.raises(OperationError):
                self.reserve(name, revision=False)
        else:
            self.reserve(name, revision=False)

    @rule(name=reservations)
    def repeat_with_another_cost(self, name: str) -> None:
        licence, periods, charges = self.made[name]
        self.made[name] = (licence, periods, [*charges, 1])
        with pytest.raises(IntegrityError):
            self.reserve(name, revision=True)
        self.made[name] = (licence, periods, charges)

    @rule(name=reservations)
    def settle(self, name: str) -> None:
        if self.states[name] == "settled":
            with pytest.raises(IntegrityError):
                self.store(name)
        elif self.states[name] == "lost" or self.leases[name] <= self.now:
            with pytest.raises(OperationError):
                self.store(name)
        else:
            self.store(name)
            self.states[name] = "settled"

    def store(self, name: str) -> None:
        cost = sum(self.made[name][2])
        release = Release(name, f"q{name}", {}, pa.table(ROWS.empty_table()), {}, cost, self.now, 0, "opendp")
        with self.database.write() as session:
            self.ledger().settle(session, reservation_id=name, release=release, now=self.now)

    @rule(seconds=st.integers(1, 8))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def sweep(self) -> None:
        lapsed = [n for n, state in self.states.items() if state == "reserved" and self.leases[n] <= self.now]
        with self.database.write() as session:
            assert len(self.ledger().sweep(session, self.now)) == len(lapsed)
        self.states.update(dict.fromkeys(lapsed, "lost"))

    @rule(configured=st.integers(20, 200))
    def change_the_setting(self, configured: int) -> None:
        self.configured = configured

    @rule(period=st.sampled_from([("k1", "W1"), ("k1", "W2")]), cap=st.integers(0, 120))
    def lower_cap(self, period: tuple[str, str], cap: int) -> None:
        with self.database.write() as session:
            if cap > self.cap(period):
                with pytest.raises(UsageError):
                    self.ledger().lower_cap(session, key=period[0], period=period[1], cap=MicroRho(cap))
                return
            new = self.ledger().lower_cap(session, key=period[0], period=period[1], cap=MicroRho(cap))
        self.caps[period] = max(cap, self.spent.get(period, 0))
        assert new.value == self.caps[period]

    @invariant()
    def books_are_those_of_the_model(self) -> None:
        with self.database.read() as session:
            ledger = self.ledger()
            ledger.verify(session)
            rows = ledger.balance(session)
            states = {row.id: row.state for row in session.execute(select(Reservation.id, Reservation.state))}
            columns = (Spend.id, Spend.reservation, Spend.key, Spend.period, Spend.micro_rho)
            events = [tuple(row) for row in session.execute(select(*columns).order_by(Spend.id))]
        assert {(r.key, r.period): r.spent.value for r in rows if r.spent.value} == self.spent
        assert all(row.spent <= row.cap for row in rows)
        shares = {
            (name, r.key, r.period): spent.value for r in rows for name, spent in r.licences if spent.value
        }
        assert shares == self.by_licence
        assert states == self.states
        assert events[: len(self.events)] == self.events  # append-only
        self.events = events  # type: ignore[assignment]  # a row's tuple has no types


def _run(template: Path, examples: int, steps: int) -> None:
    machine: type[RuleBasedStateMachine] = type("Model", (_Model,), {"template": template})
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=steps))


def test_short_histories(sqlite_template: Path) -> None:
    _run(sqlite_template, examples=5, steps=12)


@pytest.mark.slow
def test_long_histories(sqlite_template: Path) -> None:
    _run(sqlite_template, examples=30, steps=40)
