"""The ledger, one rule at a time, on SQLite and PostgreSQL alike: answers that settle a charge."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import update

from passersby.errors import (
    IntegrityError,
    OperationError,
    Refusal,
    UnknownName,
)
from passersby.privacy.answers import rows_parquet, rows_sha256
from passersby.store.database import Database
from passersby.store.tables import StoredRelease
from privacy.books import (
    W20,
    an_answer,
    ledger_of,
    reserve,
    settle,
    spent_of,
)

# -- settling


def test_a_stored_answer_comes_back(books: Database) -> None:
    reserve(books, "a", 100)
    settle(books, "a", 100)
    with books.read() as session:
        ledger = ledger_of(books)
        assert ledger.stored(session, "qa") == an_answer("a", 100)
        assert ledger.by_id(session, "ra") == an_answer("a", 100)
        (entry,) = ledger.list(session)
    assert (entry.id, entry.question_sha256, entry.question) == ("ra", "qa", {"measure": "presence"})
    assert (entry.micro_rho, entry.created, entry.log_index, entry.withdrawn) == (100, 100, 1, None)
    assert entry.rows_sha256 == rows_sha256(an_answer("a", 100).rows)


def test_answers_of_one_second_are_listed_as_they_were_logged(books: Database) -> None:
    for index, name in enumerate(("b", "c", "a")):
        reserve(books, name, 10)
        settle(books, name, 10, log_index=index)
    with books.read() as session:
        assert [entry.id for entry in ledger_of(books).list(session)] == ["rb", "rc", "ra"]


def test_what_is_not_stored_is_not_there(books: Database) -> None:
    with books.read() as session:
        assert ledger_of(books).stored(session, "qa") is None
        assert list(ledger_of(books).list(session)) == []
        with pytest.raises(UnknownName):
            ledger_of(books).by_id(session, "ra")


@pytest.mark.parametrize("sampler", ["numpy", "", "OpenDP", "opendp "])
def test_noise_from_elsewhere_is_not_stored(sqlite_books: Database, sampler: str) -> None:
    reserve(sqlite_books, "a", 100)
    with pytest.raises(IntegrityError, match="OpenDP"):
        settle(sqlite_books, "a", 100, sampler=sampler)
    with sqlite_books.read() as session:
        assert ledger_of(sqlite_books).stored(session, "qa") is None


def test_noise_from_elsewhere_is_not_served(sqlite_books: Database) -> None:
    reserve(sqlite_books, "a", 100)
    settle(sqlite_books, "a", 100)
    with sqlite_books.write() as session:
        session.execute(update(StoredRelease).values(sampler="numpy"))
    with sqlite_books.read() as session, pytest.raises(IntegrityError, match="OpenDP"):
        ledger_of(sqlite_books).stored(session, "qa")


def test_an_answer_without_a_reservation_is_not_stored(sqlite_books: Database) -> None:
    with pytest.raises(IntegrityError, match="no open reservation"):
        settle(sqlite_books, "a", 100)


def test_a_reservation_settles_once(books: Database) -> None:
    reserve(books, "a", 100)
    settle(books, "a", 100)
    with pytest.raises(IntegrityError, match="no open reservation"):
        settle(books, "a", 100)


@pytest.mark.parametrize("changes", [{"question_sha256": "other"}, {"micro_rho": 99}])
def test_an_answer_is_the_one_that_was_paid_for(sqlite_books: Database, changes: dict[str, Any]) -> None:
    reserve(sqlite_books, "a", 100)
    release = an_answer("a", **({"micro_rho": 100} | changes))
    with sqlite_books.write() as session, pytest.raises(IntegrityError, match="paid for"):
        ledger_of(sqlite_books).settle(session, reservation_id="a", release=release, now=120)


def test_a_lapsed_lease_stores_nothing(books: Database) -> None:
    reserve(books, "a", 100)
    with pytest.raises(OperationError, match="stays spent"):
        settle(books, "a", 100, now=160)
    assert spent_of(books) == {W20: 100}


def test_a_lost_reservation_neither_settles_nor_repeats(books: Database) -> None:
    reserve(books, "a", 100)
    with books.write() as session:
        assert len(ledger_of(books).sweep(session, 160)) == 1
    with pytest.raises(OperationError, match="given up"):
        settle(books, "a", 100, now=120)
    with pytest.raises(OperationError, match="given up"):
        reserve(books, "a", 100)


def test_sweeping_leaves_live_and_settled_reservations(books: Database) -> None:
    reserve(books, "a", 100)
    settle(books, "a", 100)
    reserve(books, "b", 100, lease_s=1000)
    with books.write() as session:
        assert list(ledger_of(books).sweep(session, 160)) == []
    settle(books, "b", 100, now=161)


def test_rows_of_another_schema_are_not_stored(sqlite_books: Database) -> None:
    reserve(sqlite_books, "a", 100)
    with pytest.raises(ValueError, match="schema"):
        settle(sqlite_books, "a", 100, rows=pa.table({"cell": [1]}))


def test_changed_rows_are_found(sqlite_books: Database) -> None:
    reserve(sqlite_books, "a", 100)
    settle(sqlite_books, "a", 100)
    other = rows_parquet(an_answer("a", 100).rows.slice(1))
    with sqlite_books.write() as session:
        session.execute(update(StoredRelease).values(rows=other))
    with sqlite_books.read() as session, pytest.raises(IntegrityError, match="not the one that was released"):
        ledger_of(sqlite_books).by_id(session, "ra")


def test_a_withdrawn_release_is_not_served(books: Database) -> None:
    reserve(books, "a", 100)
    settle(books, "a", 100)
    with books.write() as session:
        session.execute(update(StoredRelease).values(withdrawn=200))
    with books.read() as session:
        with pytest.raises(Refusal) as raised:
            ledger_of(books).stored(session, "qa")
        assert raised.value.code == "release-withdrawn"
        assert ledger_of(books).list(session)[0].withdrawn == 200


def test_the_bytes_of_rows_do_not_depend_on_when_they_are_written() -> None:
    assert rows_parquet(an_answer("a", 1).rows) == rows_parquet(an_answer("b", 2).rows)
