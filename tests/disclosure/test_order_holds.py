"""What is held for an order: its exact scope, beyond every deletion, for it alone, until it ends."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select, text

from disclosure.opened import unsealed
from disclosure.scene import ANA, BEA, NOBODY, Bench
from passersby.deployment.opened import Deployment
from passersby.disclosure import holds, life, lookup
from passersby.keys.pseudonym import pseudonyms
from passersby.model.period import DAY
from passersby.store.order_tables import HeldRows
from passersby.store.tables import EpochKey, File

pytestmark = pytest.mark.slow


def held(full: Bench) -> list[int]:
    """Return the sizes of what is held."""
    with full.d.database.read() as session:
        return list(session.scalars(select(func.length(HeldRows.rows))))


def later(full: Bench) -> int:
    """Return a time when all raw pings are over, and the order is not."""
    return full.now + 40 * DAY


def raw_files(full: Bench) -> int:
    with full.d.database.read() as session:
        query = select(func.count()).select_from(File).where(File.table_name == "pings")
        return session.scalar(query.where(File.removed.is_(None))) or 0


def test_an_order_that_waits_gets_what_has_expired_meanwhile(full: Bench) -> None:
    number = full.submit()
    full.approve(number, "lea")
    full.d.expire(now=later(full))
    assert raw_files(full) == 0
    assert full.entries("order.held")[-1]["order"] == number
    full.approve(number, "paul", at=later(full))
    found = unsealed(full.disclose(number, at=later(full)))
    assert len(found.pings) == 48
    assert {row["device"] for row in found.pings} == {ANA}
    assert held(full) == []


def test_even_when_its_key_is_gone(full: Bench) -> None:
    number = full.approved()
    at = full.now + 59 * DAY
    full.d.expire(now=at)
    with full.d.database.write() as session:
        session.execute(text("UPDATE epoch_key SET wrapped = NULL, destroyed = 1"))
    found = unsealed(full.disclose(number, at=at))
    assert len(found.pings) == 48
    assert found.manifest["results"][0]["weeks"][0]["result"] == "held"


def test_a_key_dies_with_its_last_row_although_something_is_held(full: Bench) -> None:
    """What is held needs no pseudonym: the retention of everybody else goes on as ever."""
    full.submit(full.document(full.order(valid=full.order().valid.__class__(full.now, full.now + 300 * DAY))))
    full.d.expire(now=full.now + 200 * DAY)
    with full.d.database.read() as session:
        assert session.scalars(select(EpochKey.wrapped)).all() == [None]
    assert held(full)


def test_nothing_beyond_the_scope_is_kept(full: Bench) -> None:
    number = full.submit()
    full.d.expire(now=later(full))
    with full.d.database.read() as session:
        kept = holds.kept(session, full.d.ring, number)
    assert kept.num_rows == 48
    assert kept["number"].unique().to_pylist() == [0]


def test_no_order_no_hold(full: Bench) -> None:
    full.d.expire(now=later(full))
    assert held(full) == []
    assert full.entries("order.held") == []


@pytest.mark.parametrize("end", ["refuse", "lapse", "disclose"])
def test_a_hold_ends_with_its_order(full: Bench, end: str) -> None:
    number, at = full.approved(), later(full)
    full.d.expire(now=at)
    assert held(full)
    if end == "refuse":
        chosen: dict[str, Any] = {"code": "ConflictOfLaw", "reason": "x", "actor": full.actor("paul")}
        life.refuse(full.d.orders, number, **chosen, now=at)
    elif end == "lapse":
        full.d.expire(now=full.order().valid.end)
    else:
        full.disclose(number, at=at)
    assert held(full) == []
    assert ANA.encode() not in (full.d.layout.root / "control.db").read_bytes()


def test_what_is_held_does_not_tell_whether_there_was_anything(full: Bench) -> None:
    for device in (ANA, NOBODY):
        full.submit(full.document(full.order(reference=device, devices=(device,))))
    full.d.expire(now=later(full))
    sizes = held(full)
    assert len(sizes) == 2
    assert len(set(sizes)) == 1
    assert [entry["order"] for entry in full.entries("order.held")] == [1, 2]


def test_what_is_held_is_encrypted_and_bound_to_its_order(full: Bench) -> None:
    first, second = (
        full.submit(full.document(full.order(reference=r, devices=(d,)))) for r, d in (("a", ANA), ("b", BEA))
    )
    full.d.expire(now=later(full))
    with full.d.database.write() as session:
        rows = session.scalars(select(HeldRows).order_by(HeldRows.id)).all()
        assert {row.order for row in rows} == {first, second}
        rows[0].order, rows[1].order = rows[1].order, rows[0].order
    with full.d.database.read() as session, pytest.raises(Exception, match="does not open"):
        holds.kept(session, full.d.ring, first)


def test_a_question_reads_nothing_of_it(full: Bench) -> None:
    """The gate expires what is due before it reads; the hold is made there as well, and is not read."""
    number = full.submit()
    full.d.lake.expire(later(full))
    assert held(full)
    with full.d.lake.snapshot(later(full)) as snapshot:
        assert snapshot.files("pings") == []
    full.approve(number, "lea")


def purge(full: Bench, names: tuple[str, ...]) -> None:
    """Erase devices from the files of pings, as an erasure does: new files take the old ones' place."""
    gone = set()
    with full.d.database.read() as session:
        key, _ = full.d.ring.existing(session, session.scalars(select(EpochKey.epoch)).one())
    assert key
    gone = set(pseudonyms(names, key).tolist())
    with full.d.lake.snapshot(full.now) as snapshot:
        files = snapshot.files("pings")
    with full.d.lake.begin("purge", {}, now=full.now) as work:
        for file in files:
            table = pq.read_table(file.path)
            left = table.filter([device not in gone for device in table["device"].to_pylist()])
            if left.num_rows:
                work.write("pings", file.day, file.bucket, left, sources=file.sources, until=file.until)
        with full.d.writing() as session:
            work.commit(session, replaces=[file.id for file in files], now=full.now)


def test_an_erasure_leaves_the_hold(full: Bench) -> None:
    number = full.approved(full.document(full.order(devices=(ANA, BEA))))
    purge(full, (ANA,))
    found = unsealed(full.disclose(number))
    assert sorted(row["device"] for row in found.pings) == sorted([ANA, BEA] * 48)  # none twice, none lost


def test_an_erasure_before_the_order_was_verified_is_final(full: Bench) -> None:
    purge(full, (ANA,))
    found = unsealed(full.disclose(full.approved()))
    assert found.pings == []
    assert found.manifest["results"][0]["weeks"][0]["result"] == "not held"


def test_an_order_is_verified_before_or_after_files_go_never_in_between(
    full: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While an expiry holds the lake's clock, an order cannot be recorded."""
    document, submitted = full.document(), threading.Event()
    real = lookup.in_files
    full.submit(full.document(full.order(reference="first")))

    def slow(*arguments: Any) -> Any:
        thread.start()
        assert not submitted.wait(1.5)
        return real(*arguments)

    def other() -> None:
        full.submit(document)
        submitted.set()

    thread = threading.Thread(target=other)
    with monkeypatch.context() as patch:
        patch.setattr(lookup, "in_files", slow)
        full.d.lake.expire(later(full))
    thread.join()
    assert submitted.is_set()


def test_an_expiry_in_another_process_holds_too(full: Bench, tmp_path: Path) -> None:
    """Whoever opens the deployment has the hold: it is not a thing of the command that verified."""
    number = full.approved()
    with Deployment.open(full.d.layout.root, now=full.now) as other:
        other.expire(now=later(full))
    assert len(unsealed(full.disclose(number, at=later(full))).pings) == 48
    assert not list(tmp_path.glob("*.csv"))
