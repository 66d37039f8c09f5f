"""The ledger, one rule at a time, on SQLite and PostgreSQL alike: what is charged."""

from __future__ import annotations

import dataclasses
import json
import math
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from passersby.errors import (
    BudgetSpent,
    Busy,
    IntegrityError,
    OperationError,
    UsageError,
)
from passersby.model.cost import MechanismEvent, MicroRho
from passersby.privacy import noise
from passersby.privacy.budget import effective_cap
from passersby.privacy.ledger import KINDS, _check_event
from passersby.store.database import Database
from passersby.store.tables import Budget, LogEntry, Spend
from privacy.books import (
    CAP,
    W20,
    W21,
    an_event,
    ledger_of,
    reserve,
    reserve_in,
    settle,
    spent_of,
    written_of,
)

# -- reserving


def test_every_period_pays_the_whole_charge(books: Database) -> None:
    reserve(books, "a", 100, 50, keyed_periods=[W21, W20])
    assert spent_of(books) == {W20: 150, W21: 150}


def test_events_are_kept_as_they_were(sqlite_books: Database) -> None:
    reserve(sqlite_books, "a", 100, 50)
    with sqlite_books.read() as session:
        rows = session.scalars(select(Spend).order_by(Spend.id)).all()
    assert [(row.kind, row.scale, row.sensitivity, row.unit, row.micro_rho, row.what) for row in rows] == [
        ("discrete_gaussian", 1000.0, 1.0, "device-week", 100, "presence level 6"),
        ("discrete_gaussian", 1000.0, 1.0, "device-week", 50, "presence level 6"),
    ]
    assert {(row.key, row.period, row.licence, row.question_sha256) for row in rows} == {(*W20, "L", "qa")}


def test_the_log_tells_of_it(books: Database) -> None:
    reserve(books, "a", 100, keyed_periods=[W21, W20])
    with books.read() as session:
        entry = json.loads(session.scalars(select(LogEntry)).one().body)
    del entry["_sd"]
    assert entry == {
        "kind": "question.reserved",
        "time": 100,
        "question": "qa",
        "licence": "L",
        "periods": ["2026-W20", "2026-W21"],
        "micro_rho": 100,
    }


def test_first_answers_leave_a_quarter_to_revisions(books: Database) -> None:
    reserve(books, "a", 750)
    with pytest.raises(BudgetSpent):
        reserve(books, "b", 1)
    reserve(books, "c", 250, revision=True)
    with pytest.raises(BudgetSpent):
        reserve(books, "d", 1, revision=True)
    assert spent_of(books) == {W20: 1000}


def test_a_charge_just_above_the_share_is_refused(sqlite_books: Database) -> None:
    with pytest.raises(BudgetSpent):
        reserve(sqlite_books, "a", 751)
    assert written_of(sqlite_books) == (0, 0, 0)


def test_one_spent_period_refuses_all(books: Database) -> None:
    reserve(books, "a", 750, keyed_periods=[W21])
    before = written_of(books)
    with pytest.raises(BudgetSpent):
        reserve(books, "b", 1, keyed_periods=[W20, W21])
    assert spent_of(books) == {W21: 750}
    assert written_of(books) == before


def test_keys_are_separate_accounts(sqlite_books: Database) -> None:
    reserve(sqlite_books, "a", 750)
    reserve(sqlite_books, "b", 750, keyed_periods=[("k2", "2026-W20")])
    assert spent_of(sqlite_books) == {W20: 750, ("k2", "2026-W20"): 750}


def test_a_licence_has_its_own_cap(books: Database) -> None:
    reserve(books, "a", 100, licence_cap=MicroRho(150))
    with pytest.raises(BudgetSpent):
        reserve(books, "b", 51, licence_cap=MicroRho(150))
    reserve(books, "c", 51, licence="M", licence_cap=MicroRho(150))
    reserve(books, "d", 50, licence_cap=MicroRho(150))
    assert spent_of(books) == {W20: 201}


def test_licences_share_the_cap_of_all(books: Database) -> None:
    reserve(books, "a", 400)
    with pytest.raises(BudgetSpent):
        reserve(books, "b", 351, licence="M")


def test_an_unknown_licence_pays_nothing(books: Database) -> None:
    with pytest.raises(OperationError):
        reserve(books, "a", 1, licence="nobody")
    assert written_of(books) == (0, 0, 0)


def test_a_refusal_can_be_logged_in_the_same_transaction(books: Database) -> None:
    with books.write() as session:
        with pytest.raises(BudgetSpent):
            reserve_in(session, books, "a", 751, keyed_periods=[W20, W21])
        reserve_in(session, books, "b", 10)
    assert spent_of(books) == {W20: 10}
    assert written_of(books) == (1, 1, 1)


def test_a_rolled_back_transaction_spends_nothing(books: Database) -> None:
    def fail() -> None:
        with books.write() as session:
            reserve_in(session, books, "a", 100)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert spent_of(books) == {}
    assert written_of(books) == (0, 0, 0)


# -- the same reservation, the same question


def test_the_same_reservation_is_one_charge(books: Database) -> None:
    reserve(books, "a", 100, keyed_periods=[W20, W21])
    before = written_of(books)
    reserve(books, "a", 100, keyed_periods=[W21, W20])
    assert spent_of(books) == {W20: 100, W21: 100}
    assert written_of(books) == before


def test_the_same_reservation_after_its_answer_is_one_charge(books: Database) -> None:
    reserve(books, "a", 100)
    settle(books, "a", 100)
    reserve(books, "a", 100)
    assert spent_of(books) == {W20: 100}


@pytest.mark.parametrize(
    "changes", [{"events": [an_event(101)]}, {"keyed_periods": [W21]}, {"question_sha256": "other"}]
)
def test_a_reservation_cannot_change(sqlite_books: Database, changes: dict[str, Any]) -> None:
    reserve(sqlite_books, "a", 100)
    with pytest.raises(IntegrityError, match="two different charges"):
        reserve(sqlite_books, "a", 100, **changes)
    assert spent_of(sqlite_books) == {W20: 100}


def test_racing_for_one_reservation_is_one_charge(books: Database) -> None:
    start = threading.Barrier(6)

    def work() -> None:
        start.wait()
        reserve(books, "a", 100)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert spent_of(books) == {W20: 100}
    assert written_of(books) == (1, 1, 1)


def test_a_question_is_answered_once_at_a_time(books: Database) -> None:
    reserve(books, "a", 100)
    with pytest.raises(Busy):
        reserve(books, "b", 100, question_sha256="qa", now=159)
    assert spent_of(books) == {W20: 100}


def test_a_question_whose_lease_lapsed_can_be_paid_again(books: Database) -> None:
    reserve(books, "a", 100)
    reserve(books, "b", 100, question_sha256="qa", now=160)
    assert spent_of(books) == {W20: 200}


def test_an_answered_question_is_never_paid_again(books: Database) -> None:
    reserve(books, "a", 100)
    settle(books, "a", 100)
    with pytest.raises(Busy, match="just answered"):
        reserve(books, "b", 100, question_sha256="qa", now=500)


# -- what cannot be charged


@pytest.mark.parametrize(
    "event",
    [
        an_event(100, kind="laplace"),
        an_event(100, kind=""),
        an_event(0),
        an_event(-5),
        an_event(100, scale=0.0),
        an_event(100, scale=-1.0),
        an_event(100, scale=math.inf),
        an_event(100, scale=math.nan),
        an_event(100, sensitivity=0.0),
        an_event(100, sensitivity=math.nan),
        an_event(100, sensitivity=math.inf),
    ],
)
def test_what_no_mechanism_costs_is_refused(sqlite_books: Database, event: MechanismEvent) -> None:
    with pytest.raises(IntegrityError):
        reserve(sqlite_books, "a", events=[an_event(100), event])
    assert written_of(sqlite_books) == (0, 0, 0)


def test_a_charge_below_the_mechanisms_cost_is_refused(sqlite_books: Database) -> None:
    half = an_event(499_999, scale=1.0, sensitivity=1.0)  # rho = 1/2
    with pytest.raises(IntegrityError, match="less than"):
        reserve(sqlite_books, "a", events=[half], cap=MicroRho(10**6))
    exact = dataclasses.replace(half, micro_rho=500_000)
    reserve(sqlite_books, "a", events=[exact], cap=MicroRho(10**6), licence_cap=MicroRho(10**6))


@pytest.mark.parametrize("periods", [[], [W20, W20]])
def test_periods_are_named_once(sqlite_books: Database, periods: Sequence[tuple[str, str]]) -> None:
    with pytest.raises(IntegrityError, match="periods"):
        reserve(sqlite_books, "a", 100, keyed_periods=periods)


def test_a_charge_without_an_event_is_refused(sqlite_books: Database) -> None:
    with pytest.raises(IntegrityError, match="no mechanism event"):
        reserve(sqlite_books, "a")


def test_the_ledger_knows_the_noise_that_is_drawn() -> None:
    assert noise.KIND in KINDS


@given(st.integers(1, 5000), st.integers(1, 10**7))
def test_planned_noise_can_be_charged(squared_bound: int, micro_rho: int) -> None:
    cost = MicroRho(micro_rho)
    scale = noise.scale_for(squared_bound, cost)
    event = noise.event(scale, noise.sensitivity(squared_bound), cost, "test")
    _check_event(event)


# -- caps


def test_a_lower_setting_counts_at_once(books: Database) -> None:
    reserve(books, "a", 100)
    with pytest.raises(BudgetSpent):
        reserve(books, "b", 51, cap=MicroRho(200))
    reserve(books, "c", 50, cap=MicroRho(200))


def test_a_higher_setting_raises_nothing(sqlite_books: Database) -> None:
    reserve(sqlite_books, "a", 100)
    with pytest.raises(BudgetSpent):
        reserve(sqlite_books, "b", 651, cap=MicroRho(10_000))
    with sqlite_books.read() as session:
        assert ledger_of(sqlite_books, MicroRho(10_000)).balance(session)[0].cap == CAP


def test_a_setting_below_what_is_spent_stops_the_period(sqlite_books: Database) -> None:
    reserve(sqlite_books, "a", 100)
    with pytest.raises(BudgetSpent):
        reserve(sqlite_books, "b", 1, cap=MicroRho(50), revision=True)
    with sqlite_books.read() as session:
        assert ledger_of(sqlite_books, MicroRho(50)).balance(session)[0].cap == MicroRho(100)


def test_a_cap_that_was_lowered_stays_low(sqlite_books: Database) -> None:
    with sqlite_books.write() as session:
        assert ledger_of(sqlite_books).lower_cap(
            session, key="k1", period="2026-W20", cap=MicroRho(200)
        ) == MicroRho(200)
    with pytest.raises(BudgetSpent):
        reserve(sqlite_books, "a", 201, revision=True)
    reserve(sqlite_books, "b", 200, revision=True)
    assert spent_of(sqlite_books) == {W20: 200}


def test_a_cap_is_lowered_at_most_to_what_is_spent(books: Database) -> None:
    reserve(books, "a", 100)
    with books.write() as session:
        assert ledger_of(books).lower_cap(session, key="k1", period="2026-W20", cap=MicroRho(0)) == MicroRho(
            100
        )
    with pytest.raises(BudgetSpent):
        reserve(books, "b", 1, revision=True)


def test_a_cap_is_never_raised(sqlite_books: Database) -> None:
    with sqlite_books.write() as session, pytest.raises(UsageError):
        ledger_of(sqlite_books).lower_cap(session, key="k1", period="2026-W20", cap=MicroRho(1001))


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_the_lowest_cap_counts_but_never_below_what_is_spent(held: int, spent: int, configured: int) -> None:
    cap = effective_cap(held, spent, configured)
    assert cap >= spent
    assert cap in {held, spent, configured}
    assert cap == spent or cap <= min(held, configured)


def test_balances_tell_caps_and_shares(books: Database) -> None:
    reserve(books, "a", 100)
    reserve(books, "b", 30, licence="M", licence_cap=MicroRho(40))
    with books.read() as session:
        (row,) = ledger_of(books).balance(session)
        (own,) = ledger_of(books).licence_balance(session, "M")
    assert (row.key, row.period, row.cap, row.first_answers, row.spent) == (
        "k1",
        "2026-W20",
        CAP,
        MicroRho(750),
        MicroRho(130),
    )
    assert row.licences == (("L", MicroRho(100)), ("M", MicroRho(30)))
    assert (own.licence, own.key, own.period, own.cap, own.spent) == ("M", *W20, MicroRho(40), MicroRho(30))


@pytest.mark.parametrize("table", [Budget, Spend])
def test_books_that_were_changed_by_hand_are_found(books: Database, table: type[Budget | Spend]) -> None:
    reserve(books, "a", 100)
    column = {Budget: "spent", Spend: "micro_rho"}[table]
    with books.write() as session:
        session.execute(update(table).values({column: 99}))
    with books.read() as session, pytest.raises(IntegrityError, match="mechanism events"):
        ledger_of(books).verify(session)
