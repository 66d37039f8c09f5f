"""Key ring: keys are made once, differ, survive reopening, and can be destroyed."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from passersby.errors import IntegrityError, Refusal
from passersby.keys.envelope import Envelope
from passersby.keys.ring import EpochKeyInfo, KeyRing
from passersby.model.period import Period
from passersby.store.database import Database
from passersby.store.tables import EpochKey, PurposeKey

_ENVELOPE = Envelope(bytes(range(32)))


def _ring(database: Database, envelope: Envelope = _ENVELOPE) -> KeyRing:
    return KeyRing(database, envelope, epoch_weeks=26)


def _epoch_key(database: Database, epoch: int) -> EpochKeyInfo:
    with database.write() as session:
        return _ring(database).epoch_key(session, epoch, now=1)


def test_a_purpose_key_is_made_once(database: Database) -> None:
    with database.write() as session:
        first = _ring(database).purpose(session, "consent")
    with database.read() as session:
        assert _ring(database).purpose(session, "consent") == first
    assert len(first) == 32


def test_purposes_have_different_keys(database: Database) -> None:
    with database.write() as session:
        assert _ring(database).purpose(session, "a") != _ring(database).purpose(session, "b")


def test_an_epoch_key_says_once_that_it_is_new(database: Database) -> None:
    first, again = _epoch_key(database, 7), _epoch_key(database, 7)
    assert first.created
    assert not again.created
    assert (first.id, first.key) == (again.id, again.key)
    assert len(first.key) == 32


def test_epochs_have_different_keys_and_names(database: Database) -> None:
    first, second = _epoch_key(database, 7), _epoch_key(database, 8)
    assert first.key != second.key
    assert first.id != second.id


def test_a_key_is_not_printed(database: Database) -> None:
    made = _epoch_key(database, 7)
    assert repr(made.key) not in repr(made)


def test_an_epoch_without_a_key_has_no_name(database: Database) -> None:
    made = _epoch_key(database, 7)
    with database.read() as session:
        assert _ring(database).epoch_id(session, 7) == made.id
        assert _ring(database).epoch_id(session, 8) is None


def test_keys_are_not_stored_in_the_clear(database: Database) -> None:
    made = _epoch_key(database, 7)
    with database.read() as session:
        wrapped = session.scalar(select(EpochKey.wrapped))
    assert wrapped is not None
    assert made.key not in wrapped


def test_one_of_many_makes_the_key(database: Database) -> None:
    made: list[EpochKeyInfo] = []
    threads = [threading.Thread(target=lambda: made.append(_epoch_key(database, 7))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({info.key for info in made}) == 1
    assert [info.created for info in made].count(True) == 1


def test_a_rolled_back_key_is_not_there(database: Database) -> None:
    def fail() -> None:
        with database.write() as session:
            _ring(database).epoch_key(session, 7, now=1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.read() as session:
        assert _ring(database).epoch_id(session, 7) is None


def test_wrapped_keys_cannot_be_swapped(database: Database) -> None:
    _epoch_key(database, 7)
    _epoch_key(database, 8)
    with database.write() as session:
        other = session.scalar(select(EpochKey.wrapped).where(EpochKey.epoch == 8))
        session.execute(update(EpochKey).where(EpochKey.epoch == 7).values(wrapped=other))
    with pytest.raises(IntegrityError):
        _epoch_key(database, 7)


def test_a_purpose_key_cannot_stand_in_for_another(database: Database) -> None:
    with database.write() as session:
        _ring(database).purpose(session, "a")
        session.execute(update(PurposeKey).values(purpose="b"))
    with database.read() as session, pytest.raises(IntegrityError):
        _ring(database).purpose(session, "b")


def test_a_renamed_epoch_key_does_not_open(database: Database) -> None:
    _epoch_key(database, 7)
    with database.write() as session:
        session.execute(update(EpochKey).values(id="other"))
    with pytest.raises(IntegrityError):
        _epoch_key(database, 7)


def test_another_key_file_opens_nothing(database: Database) -> None:
    _epoch_key(database, 7)
    with database.write() as session, pytest.raises(IntegrityError):
        _ring(database, Envelope(bytes(32))).epoch_key(session, 7, now=1)


def test_a_destroyed_key_stays_destroyed(database: Database) -> None:
    made = _epoch_key(database, 7)
    with database.write() as session:
        assert _ring(database).destroy(session, 7, now=9) == made.id
    with database.write() as session:
        assert _ring(database).destroy(session, 7, now=10) is None
        row = session.scalars(select(EpochKey)).one()
        assert (row.wrapped, row.destroyed) == (None, 9)
        assert _ring(database).epoch_id(session, 7) == made.id
    with pytest.raises(Refusal) as raised:
        _epoch_key(database, 7)
    assert raised.value.code == "epoch-destroyed"


def test_destroying_what_never_was_says_so(database: Database) -> None:
    with database.write() as session:
        assert _ring(database).destroy(session, 7, now=9) is None


@given(st.integers(0, 6000), st.integers(1, 52))
def test_epochs_start_at_period_boundaries(index: int, weeks: int) -> None:
    ring = KeyRing(Database("sqlite:///:memory:"), _ENVELOPE, epoch_weeks=weeks)
    epoch = ring.epoch_of(Period(index))
    first = ring.first_period(epoch)
    assert first.index <= index < first.index + weeks
    assert ring.epoch_of(first) == epoch
    assert ring.epoch_of(Period(first.index + weeks)) == epoch + 1
