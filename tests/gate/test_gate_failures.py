"""What fails after the budget was reserved stays spent, can be asked again, and leaves no answer behind."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sqlalchemy import func, select

import worlds
from passersby.engines.duckdb import DuckDB
from passersby.errors import DiskFull, EngineFailed, IntegrityError, OperationError, UnknownName
from passersby.gate import gate, planning, record, running
from passersby.gate.gate import Gate
from passersby.keys.signed import Actor
from passersby.model.period import DAY
from passersby.privacy.ledger import Ledger
from passersby.store.tables import Reader, Reservation, StoredRelease
from passersby.trustlog.publish import Publisher

pytestmark = pytest.mark.slow

Integers = npt.NDArray[np.int64]


class Silent:
    """Adds no noise."""

    name = "silent"

    def gaussian(self, values: Integers, _scale: float) -> Integers:
        return values.copy()


def _raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_args: object, **_keywords: object) -> Any:
        raise error

    return fail


def _assert_spent_once_without_answer(asker: worlds.Asker) -> None:
    with asker.d.database.read() as session:
        (state,) = session.scalars(select(Reservation.state)).all()
        assert session.scalars(select(StoredRelease.id)).all() == []
    assert state == "lost"
    assert len(asker.entries("question.reserved")) == 1
    assert asker.entries("release.made") == []
    assert len(asker.spent()) == 1
    assert all(check.ok for check in asker.d.doctor(deep=True))


def _assert_asked_again_at_a_new_charge(asker: worlds.Asker) -> None:
    before = asker.spent()["2026-W20"]
    answer = asker.ask()
    assert answer.new
    assert asker.spent()["2026-W20"] == before + answer.release.micro_rho == 2 * before
    assert len(asker.entries("release.made")) == 1
    assert all(check.ok for check in asker.d.doctor(deep=True))


@pytest.mark.parametrize(
    ("owner", "name", "error"),
    [
        (DuckDB, "query", EngineFailed("The query engine stopped.", "Run it again.")),
        (DuckDB, "query", DiskFull("The disk is full.", "Free some space.")),
        (running, "measure", MemoryError()),
        (running, "run", KeyboardInterrupt()),
        (record, "draft", OperationError("The machine failed.", "")),
        (Ledger, "settle", DiskFull("The control database cannot grow: the disk is full.", "")),
    ],
)
def test_failure_after_the_reservation(
    full: worlds.Asker, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, error: BaseException
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, _raising(error))
        with pytest.raises(type(error)):
            full.ask()
    _assert_spent_once_without_answer(full)
    _assert_asked_again_at_a_new_charge(full)


def test_an_answer_is_stored_with_its_log_entry_or_not_at_all(
    full: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = Ledger.settle

    def settle_and_fail(self: Ledger, *args: Any, **keywords: Any) -> None:
        settle(self, *args, **keywords)
        raise DiskFull("The control database cannot grow: the disk is full.", "Free some space.")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "settle", settle_and_fail)
        with pytest.raises(DiskFull):
            full.ask()
    _assert_spent_once_without_answer(full)
    _assert_asked_again_at_a_new_charge(full)


def test_failure_before_the_reservation_spends_nothing(
    full: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner, name in ((planning, "keyed_periods"), (Ledger, "reserve")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, _raising(OperationError("The machine failed.", "")))
            with pytest.raises(OperationError):
                full.ask()
    assert full.spent() == {}
    assert full.entries("question.reserved") == full.entries("question.refused") == []


def test_somebody_without_an_account_cannot_ask(full: worlds.Asker) -> None:
    nobody = Actor("nobody", frozenset({"custodian"}), full.actor().key)
    with pytest.raises(UnknownName):
        full.d.ask(full.request(), nobody)
    assert full.spent() == {}


def test_an_answer_that_was_stored_is_free_when_publishing_fails(
    full: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Publisher, "publish", _raising(DiskFull("The disk is full.", "Free some space.")))
        with pytest.raises(DiskFull):
            full.ask()
    spent = full.spent()
    again = full.ask()
    assert not again.new
    assert full.spent() == spent
    assert full.d.verify_log().unpublished == 0


def test_a_question_that_outlives_its_lease_gives_up(
    full: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = DuckDB.query

    def slow(self: DuckDB, *args: Any, **more: Any) -> Any:
        full.d.sweep(worlds.now() + 3600)  # what another command does an hour later
        return query(self, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(DuckDB, "query", slow)
        with pytest.raises(OperationError, match="longer than its lease"):
            full.ask()
    _assert_spent_once_without_answer(full)
    _assert_asked_again_at_a_new_charge(full)


def test_a_lease_that_lapsed_counts_though_nobody_swept(
    full: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may ask the same by then: an answer would be a second one."""
    draft, slept = record.draft, [0]

    def slow(*args: Any, **keywords: Any) -> record.Draft:
        slept[0] = 3600
        return draft(*args, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(gate, "_later", lambda now, _begun: now + slept[0])
        patch.setattr(record, "draft", slow)
        with pytest.raises(OperationError, match="longer than its lease"):
            full.ask()
    _assert_spent_once_without_answer(full)
    _assert_asked_again_at_a_new_charge(full)


def test_what_a_long_question_reads_stays_on_disk(
    full: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease on the lake's files is kept as long as that on the answer."""
    begun, steps, readers = worlds.now(), itertools.count(1), []
    query = DuckDB.query

    def slow(self: DuckDB, *args: Any, **more: Any) -> Any:
        full.d.lake.sweep(begun + 3000 * next(steps))  # what other commands do meanwhile
        with full.d.database.read() as session:
            readers.append(session.scalar(select(func.count()).select_from(Reader)))
        return query(self, *args, **more)

    renewals = itertools.count(1)
    monkeypatch.setattr(DuckDB, "query", slow)
    monkeypatch.setattr(running, "ROWS_AT_ONCE", 1)
    planned, parts = full.d.plan(full.request(), full.actor()), full.d.gate._parts
    running.run(parts.engine, parts.lake, planned, now=begun, renew=lambda: begun + 3000 * next(renewals))
    assert readers == [1] * full.d.config.buckets


def test_what_reached_its_deletion_date_is_read_no_more(
    full: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    later, read = worlds.now() + 91 * DAY, []
    full.licence("year", expires=later + DAY)
    query = DuckDB.query

    def seen(self: DuckDB, sql: str, tables: Any, values: Any, **more: Any) -> Any:
        read.extend(tables["presence"])
        return query(self, sql, tables, values, **more)

    monkeypatch.setattr(DuckDB, "query", seen)
    full.ask(licence="year", at=later - 2 * DAY)
    assert read
    read.clear()
    full.ask(licence="year", at=later, resolution=6)
    assert read == []


def test_the_store_refuses_a_test_samplers_answer(full: worlds.Asker) -> None:
    silent = Gate(dataclasses.replace(full.d.gate._parts, sampler=Silent()))
    with pytest.raises(IntegrityError, match="not from OpenDP"):
        silent.ask(full.request(), full.actor(), now=worlds.now())
    _assert_spent_once_without_answer(full)
    _assert_asked_again_at_a_new_charge(full)
