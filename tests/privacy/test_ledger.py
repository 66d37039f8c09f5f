"""The ledger, one rule at a time, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import dataclasses
import json
import math
import threading
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from passersby.errors import (
    BudgetSpent,
    Busy,
    IntegrityError,
    OperationError,
    Refusal,
    UnknownName,
    UsageError,
)
from passersby.model.cost import MechanismEvent, MicroRho
from passersby.model.release import Release
from passersby.model.schema import ROWS
from passersby.privacy import noise
from passersby.privacy.answers import rows_parquet, rows_sha256
from passersby.privacy.budget import effective_cap
from passersby.privacy.ledger import KINDS, Ledger, _check_event
from passersby.store.database import Database
from passersby.store.tables import Budget, Licence, LogEntry, Person, Reservation, Spend, StoredRelease

_CAP = MicroRho(1000)
_LICENCE_CAP = MicroRho(10_000)
_W20, _W21 = ("k1", "2026-W20"), ("k1", "2026-W21")


@pytest.fixture
def books(database: Database) -> Database:
    """A database in which the licences L and M are granted."""
    return _granted(database)


@pytest.fixture
def sqlite_books(sqlite_database: Database) -> Database:
    """The same, for what does not depend on the database."""
    return _granted(sqlite_database)


def _granted(database: Database) -> Database:
    with database.write() as session:
        session.add(Person(id="p", name="", roles="[]", public_key="", created=0, active=True))
        session.flush()
        for name in ("L", "M"):
            session.add(Licence(id=name, record="{}", record_sha256="", granted_by="p", created=0))
    return database


def _ledger(books: Database, cap: MicroRho = _CAP) -> Ledger:
    return Ledger(books, cap=cap, revision_percent=25)


def _event(micro_rho: int, **changes: Any) -> MechanismEvent:
    cheap = MechanismEvent("discrete_gaussian", 1000.0, 1.0, micro_rho, "presence level 6")
    return dataclasses.replace(cheap, **changes)


def _reserve(books: Database, name: str, *micro_rho: int, cap: MicroRho = _CAP, **changes: Any) -> None:
    with books.write() as session:
        _reserve_in(session, books, name, *micro_rho, cap=cap, **changes)


def _reserve_in(
    session: Session, books: Database, name: str, *micro_rho: int, cap: MicroRho = _CAP, **changes: Any
) -> None:
    arguments: dict[str, Any] = {
        "reservation_id": name,
        "licence": "L",
        "licence_cap": _LICENCE_CAP,
        "keyed_periods": [_W20],
        "events": [_event(cost) for cost in micro_rho],
        "question_sha256": f"q{name}",
        "revision": False,
        "now": 100,
        "lease_s": 60,
    }
    _ledger(books, cap).reserve(session, **(arguments | changes))


def _spent(books: Database) -> dict[tuple[str, str], int]:
    with books.read() as session:
        _ledger(books).verify(session)
        return {(row.key, row.period): row.spent for row in session.scalars(select(Budget)) if row.spent}


def _written(books: Database) -> tuple[int, ...]:
    """Numbers of reservations, mechanism events and log entries."""
    with books.read() as session:
        return tuple(
            session.scalar(select(func.count()).select_from(table)) or 0
            for table in (Reservation, Spend, LogEntry)
        )


def _release(name: str, micro_rho: int, **changes: Any) -> Release:
    made = Release(
        id=f"r{name}",
        question_sha256=f"q{name}",
        question={"measure": "presence"},
        rows=pa.table(
            {
                "cell": [5, 6],
                "start": [0, 0],
                "estimate": [1.5, None],
                "low": [0.0, None],
                "high": [3.0, None],
                "count": [1, None],
                "flag": ["", "suppressed"],
            },
            schema=ROWS,
        ),
        label={"name": "n"},
        micro_rho=micro_rho,
        created=100,
        log_index=1,
        sampler="opendp",
    )
    return dataclasses.replace(made, **changes)


def _settle(books: Database, name: str, micro_rho: int, now: int = 120, **changes: Any) -> None:
    with books.write() as session:
        _ledger(books).settle(
            session, reservation_id=name, release=_release(name, micro_rho, **changes), now=now
        )


# -- reserving


def test_every_period_pays_the_whole_charge(books: Database) -> None:
    _reserve(books, "a", 100, 50, keyed_periods=[_W21, _W20])
    assert _spent(books) == {_W20: 150, _W21: 150}


def test_events_are_kept_as_they_were(sqlite_books: Database) -> None:
    _reserve(sqlite_books, "a", 100, 50)
    with sqlite_books.read() as session:
        rows = session.scalars(select(Spend).order_by(Spend.id)).all()
    assert [(row.kind, row.scale, row.sensitivity, row.unit, row.micro_rho, row.what) for row in rows] == [
        ("discrete_gaussian", 1000.0, 1.0, "device-week", 100, "presence level 6"),
        ("discrete_gaussian", 1000.0, 1.0, "device-week", 50, "presence level 6"),
    ]
    assert {(row.key, row.period, row.licence, row.question_sha256) for row in rows} == {(*_W20, "L", "qa")}


def test_the_log_tells_of_it(books: Database) -> None:
    _reserve(books, "a", 100, keyed_periods=[_W21, _W20])
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
    _reserve(books, "a", 750)
    with pytest.raises(BudgetSpent):
        _reserve(books, "b", 1)
    _reserve(books, "c", 250, revision=True)
    with pytest.raises(BudgetSpent):
        _reserve(books, "d", 1, revision=True)
    assert _spent(books) == {_W20: 1000}


def test_a_charge_just_above_the_share_is_refused(sqlite_books: Database) -> None:
    with pytest.raises(BudgetSpent):
        _reserve(sqlite_books, "a", 751)
    assert _written(sqlite_books) == (0, 0, 0)


def test_one_spent_period_refuses_all(books: Database) -> None:
    _reserve(books, "a", 750, keyed_periods=[_W21])
    before = _written(books)
    with pytest.raises(BudgetSpent):
        _reserve(books, "b", 1, keyed_periods=[_W20, _W21])
    assert _spent(books) == {_W21: 750}
    assert _written(books) == before


def test_keys_are_separate_accounts(sqlite_books: Database) -> None:
    _reserve(sqlite_books, "a", 750)
    _reserve(sqlite_books, "b", 750, keyed_periods=[("k2", "2026-W20")])
    assert _spent(sqlite_books) == {_W20: 750, ("k2", "2026-W20"): 750}


def test_a_licence_has_its_own_cap(books: Database) -> None:
    _reserve(books, "a", 100, licence_cap=MicroRho(150))
    with pytest.raises(BudgetSpent):
        _reserve(books, "b", 51, licence_cap=MicroRho(150))
    _reserve(books, "c", 51, licence="M", licence_cap=MicroRho(150))
    _reserve(books, "d", 50, licence_cap=MicroRho(150))
    assert _spent(books) == {_W20: 201}


def test_licences_share_the_cap_of_all(books: Database) -> None:
    _reserve(books, "a", 400)
    with pytest.raises(BudgetSpent):
        _reserve(books, "b", 351, licence="M")


def test_an_unknown_licence_pays_nothing(books: Database) -> None:
    with pytest.raises(OperationError):
        _reserve(books, "a", 1, licence="nobody")
    assert _written(books) == (0, 0, 0)


def test_a_refusal_can_be_logged_in_the_same_transaction(books: Database) -> None:
    with books.write() as session:
        with pytest.raises(BudgetSpent):
            _reserve_in(session, books, "a", 751, keyed_periods=[_W20, _W21])
        _reserve_in(session, books, "b", 10)
    assert _spent(books) == {_W20: 10}
    assert _written(books) == (1, 1, 1)


def test_a_rolled_back_transaction_spends_nothing(books: Database) -> None:
    def fail() -> None:
        with books.write() as session:
            _reserve_in(session, books, "a", 100)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert _spent(books) == {}
    assert _written(books) == (0, 0, 0)


# -- the same reservation, the same question


def test_the_same_reservation_is_one_charge(books: Database) -> None:
    _reserve(books, "a", 100, keyed_periods=[_W20, _W21])
    before = _written(books)
    _reserve(books, "a", 100, keyed_periods=[_W21, _W20])
    assert _spent(books) == {_W20: 100, _W21: 100}
    assert _written(books) == before


def test_the_same_reservation_after_its_answer_is_one_charge(books: Database) -> None:
    _reserve(books, "a", 100)
    _settle(books, "a", 100)
    _reserve(books, "a", 100)
    assert _spent(books) == {_W20: 100}


@pytest.mark.parametrize(
    "changes", [{"events": [_event(101)]}, {"keyed_periods": [_W21]}, {"question_sha256": "other"}]
)
def test_a_reservation_cannot_change(sqlite_books: Database, changes: dict[str, Any]) -> None:
    _reserve(sqlite_books, "a", 100)
    with pytest.raises(IntegrityError, match="two different charges"):
        _reserve(sqlite_books, "a", 100, **changes)
    assert _spent(sqlite_books) == {_W20: 100}


def test_racing_for_one_reservation_is_one_charge(books: Database) -> None:
    start = threading.Barrier(6)

    def work() -> None:
        start.wait()
        _reserve(books, "a", 100)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _spent(books) == {_W20: 100}
    assert _written(books) == (1, 1, 1)


def test_a_question_is_answered_once_at_a_time(books: Database) -> None:
    _reserve(books, "a", 100)
    with pytest.raises(Busy):
        _reserve(books, "b", 100, question_sha256="qa", now=159)
    assert _spent(books) == {_W20: 100}


def test_a_question_whose_lease_lapsed_can_be_paid_again(books: Database) -> None:
    _reserve(books, "a", 100)
    _reserve(books, "b", 100, question_sha256="qa", now=160)
    assert _spent(books) == {_W20: 200}


def test_an_answered_question_is_never_paid_again(books: Database) -> None:
    _reserve(books, "a", 100)
    _settle(books, "a", 100)
    with pytest.raises(Busy, match="just answered"):
        _reserve(books, "b", 100, question_sha256="qa", now=500)


# -- what cannot be charged


@pytest.mark.parametrize(
    "event",
    [
        _event(100, kind="laplace"),
        _event(100, kind=""),
        _event(0),
        _event(-5),
        _event(100, scale=0.0),
        _event(100, scale=-1.0),
        _event(100, scale=math.inf),
        _event(100, scale=math.nan),
        _event(100, sensitivity=0.0),
        _event(100, sensitivity=math.nan),
        _event(100, sensitivity=math.inf),
    ],
)
def test_what_no_mechanism_costs_is_refused(sqlite_books: Database, event: MechanismEvent) -> None:
    with pytest.raises(IntegrityError):
        _reserve(sqlite_books, "a", events=[_event(100), event])
    assert _written(sqlite_books) == (0, 0, 0)


def test_a_charge_below_the_mechanisms_cost_is_refused(sqlite_books: Database) -> None:
    half = _event(499_999, scale=1.0, sensitivity=1.0)  # rho = 1/2
    with pytest.raises(IntegrityError, match="less than"):
        _reserve(sqlite_books, "a", events=[half], cap=MicroRho(10**6))
    exact = dataclasses.replace(half, micro_rho=500_000)
    _reserve(sqlite_books, "a", events=[exact], cap=MicroRho(10**6), licence_cap=MicroRho(10**6))


@pytest.mark.parametrize("periods", [[], [_W20, _W20]])
def test_periods_are_named_once(sqlite_books: Database, periods: Sequence[tuple[str, str]]) -> None:
    with pytest.raises(IntegrityError, match="periods"):
        _reserve(sqlite_books, "a", 100, keyed_periods=periods)


def test_a_charge_without_an_event_is_refused(sqlite_books: Database) -> None:
    with pytest.raises(IntegrityError, match="no mechanism event"):
        _reserve(sqlite_books, "a")


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
    _reserve(books, "a", 100)
    with pytest.raises(BudgetSpent):
        _reserve(books, "b", 51, cap=MicroRho(200))
    _reserve(books, "c", 50, cap=MicroRho(200))


def test_a_higher_setting_raises_nothing(sqlite_books: Database) -> None:
    _reserve(sqlite_books, "a", 100)
    with pytest.raises(BudgetSpent):
        _reserve(sqlite_books, "b", 651, cap=MicroRho(10_000))
    with sqlite_books.read() as session:
        assert _ledger(sqlite_books, MicroRho(10_000)).balance(session)[0].cap == _CAP


def test_a_setting_below_what_is_spent_stops_the_period(sqlite_books: Database) -> None:
    _reserve(sqlite_books, "a", 100)
    with pytest.raises(BudgetSpent):
        _reserve(sqlite_books, "b", 1, cap=MicroRho(50), revision=True)
    with sqlite_books.read() as session:
        assert _ledger(sqlite_books, MicroRho(50)).balance(session)[0].cap == MicroRho(100)


def test_a_cap_that_was_lowered_stays_low(sqlite_books: Database) -> None:
    with sqlite_books.write() as session:
        assert _ledger(sqlite_books).lower_cap(
            session, key="k1", period="2026-W20", cap=MicroRho(200)
        ) == MicroRho(200)
    with pytest.raises(BudgetSpent):
        _reserve(sqlite_books, "a", 201, revision=True)
    _reserve(sqlite_books, "b", 200, revision=True)
    assert _spent(sqlite_books) == {_W20: 200}


def test_a_cap_is_lowered_at_most_to_what_is_spent(books: Database) -> None:
    _reserve(books, "a", 100)
    with books.write() as session:
        assert _ledger(books).lower_cap(session, key="k1", period="2026-W20", cap=MicroRho(0)) == MicroRho(
            100
        )
    with pytest.raises(BudgetSpent):
        _reserve(books, "b", 1, revision=True)


def test_a_cap_is_never_raised(sqlite_books: Database) -> None:
    with sqlite_books.write() as session, pytest.raises(UsageError):
        _ledger(sqlite_books).lower_cap(session, key="k1", period="2026-W20", cap=MicroRho(1001))


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_the_lowest_cap_counts_but_never_below_what_is_spent(held: int, spent: int, configured: int) -> None:
    cap = effective_cap(held, spent, configured)
    assert cap >= spent
    assert cap in {held, spent, configured}
    assert cap == spent or cap <= min(held, configured)


def test_balances_tell_caps_and_shares(books: Database) -> None:
    _reserve(books, "a", 100)
    _reserve(books, "b", 30, licence="M", licence_cap=MicroRho(40))
    with books.read() as session:
        (row,) = _ledger(books).balance(session)
        (own,) = _ledger(books).licence_balance(session, "M")
    assert (row.key, row.period, row.cap, row.first_answers, row.spent) == (
        "k1",
        "2026-W20",
        _CAP,
        MicroRho(750),
        MicroRho(130),
    )
    assert row.licences == (("L", MicroRho(100)), ("M", MicroRho(30)))
    assert (own.licence, own.key, own.period, own.cap, own.spent) == ("M", *_W20, MicroRho(40), MicroRho(30))


@pytest.mark.parametrize("table", [Budget, Spend])
def test_books_that_were_changed_by_hand_are_found(books: Database, table: type[Budget | Spend]) -> None:
    _reserve(books, "a", 100)
    column = {Budget: "spent", Spend: "micro_rho"}[table]
    with books.write() as session:
        session.execute(update(table).values({column: 99}))
    with books.read() as session, pytest.raises(IntegrityError, match="mechanism events"):
        _ledger(books).verify(session)


# -- settling


def test_a_stored_answer_comes_back(books: Database) -> None:
    _reserve(books, "a", 100)
    _settle(books, "a", 100)
    with books.read() as session:
        ledger = _ledger(books)
        assert ledger.stored(session, "qa") == _release("a", 100)
        assert ledger.by_id(session, "ra") == _release("a", 100)
        (entry,) = ledger.list(session)
    assert (entry.id, entry.question_sha256, entry.question) == ("ra", "qa", {"measure": "presence"})
    assert (entry.micro_rho, entry.created, entry.log_index, entry.withdrawn) == (100, 100, 1, None)
    assert entry.rows_sha256 == rows_sha256(_release("a", 100).rows)


def test_answers_of_one_second_are_listed_as_they_were_logged(books: Database) -> None:
    for index, name in enumerate(("b", "c", "a")):
        _reserve(books, name, 10)
        _settle(books, name, 10, log_index=index)
    with books.read() as session:
        assert [entry.id for entry in _ledger(books).list(session)] == ["rb", "rc", "ra"]


def test_what_is_not_stored_is_not_there(books: Database) -> None:
    with books.read() as session:
        assert _ledger(books).stored(session, "qa") is None
        assert list(_ledger(books).list(session)) == []
        with pytest.raises(UnknownName):
            _ledger(books).by_id(session, "ra")


@pytest.mark.parametrize("sampler", ["numpy", "", "OpenDP", "opendp "])
def test_noise_from_elsewhere_is_not_stored(sqlite_books: Database, sampler: str) -> None:
    _reserve(sqlite_books, "a", 100)
    with pytest.raises(IntegrityError, match="OpenDP"):
        _settle(sqlite_books, "a", 100, sampler=sampler)
    with sqlite_books.read() as session:
        assert _ledger(sqlite_books).stored(session, "qa") is None


def test_noise_from_elsewhere_is_not_served(sqlite_books: Database) -> None:
    _reserve(sqlite_books, "a", 100)
    _settle(sqlite_books, "a", 100)
    with sqlite_books.write() as session:
        session.execute(update(StoredRelease).values(sampler="numpy"))
    with sqlite_books.read() as session, pytest.raises(IntegrityError, match="OpenDP"):
        _ledger(sqlite_books).stored(session, "qa")


def test_an_answer_without_a_reservation_is_not_stored(sqlite_books: Database) -> None:
    with pytest.raises(IntegrityError, match="no open reservation"):
        _settle(sqlite_books, "a", 100)


def test_a_reservation_settles_once(books: Database) -> None:
    _reserve(books, "a", 100)
    _settle(books, "a", 100)
    with pytest.raises(IntegrityError, match="no open reservation"):
        _settle(books, "a", 100)


@pytest.mark.parametrize("changes", [{"question_sha256": "other"}, {"micro_rho": 99}])
def test_an_answer_is_the_one_that_was_paid_for(sqlite_books: Database, changes: dict[str, Any]) -> None:
    _reserve(sqlite_books, "a", 100)
    release = _release("a", **({"micro_rho": 100} | changes))
    with sqlite_books.write() as session, pytest.raises(IntegrityError, match="paid for"):
        _ledger(sqlite_books).settle(session, reservation_id="a", release=release, now=120)


def test_a_lapsed_lease_stores_nothing(books: Database) -> None:
    _reserve(books, "a", 100)
    with pytest.raises(OperationError, match="stays spent"):
        _settle(books, "a", 100, now=160)
    assert _spent(books) == {_W20: 100}


def test_a_lost_reservation_neither_settles_nor_repeats(books: Database) -> None:
    _reserve(books, "a", 100)
    with books.write() as session:
        assert len(_ledger(books).sweep(session, 160)) == 1
    with pytest.raises(OperationError, match="given up"):
        _settle(books, "a", 100, now=120)
    with pytest.raises(OperationError, match="given up"):
        _reserve(books, "a", 100)


def test_sweeping_leaves_live_and_settled_reservations(books: Database) -> None:
    _reserve(books, "a", 100)
    _settle(books, "a", 100)
    _reserve(books, "b", 100, lease_s=1000)
    with books.write() as session:
        assert list(_ledger(books).sweep(session, 160)) == []
    _settle(books, "b", 100, now=161)


def test_rows_of_another_schema_are_not_stored(sqlite_books: Database) -> None:
    _reserve(sqlite_books, "a", 100)
    with pytest.raises(ValueError, match="schema"):
        _settle(sqlite_books, "a", 100, rows=pa.table({"cell": [1]}))


def test_changed_rows_are_found(sqlite_books: Database) -> None:
    _reserve(sqlite_books, "a", 100)
    _settle(sqlite_books, "a", 100)
    other = rows_parquet(_release("a", 100).rows.slice(1))
    with sqlite_books.write() as session:
        session.execute(update(StoredRelease).values(rows=other))
    with sqlite_books.read() as session, pytest.raises(IntegrityError, match="not the one that was released"):
        _ledger(sqlite_books).by_id(session, "ra")


def test_a_withdrawn_release_is_not_served(books: Database) -> None:
    _reserve(books, "a", 100)
    _settle(books, "a", 100)
    with books.write() as session:
        session.execute(update(StoredRelease).values(withdrawn=200))
    with books.read() as session:
        with pytest.raises(Refusal) as raised:
            _ledger(books).stored(session, "qa")
        assert raised.value.code == "release-withdrawn"
        assert _ledger(books).list(session)[0].withdrawn == 200


def test_the_bytes_of_rows_do_not_depend_on_when_they_are_written() -> None:
    assert rows_parquet(_release("a", 1).rows) == rows_parquet(_release("b", 2).rows)
